"""A network used as a block `until` a step: what is made of it, and what can be read inside."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.diagnostics.errors import SpecError

NET = """\
netspec: 1
name: net
input: [3, 8, 8]
body:
  - a = relu
  - layer = do: [r = relu, s = sigmoid]
    repeat: 2
  - b{k} = relu:
    for: {k: 3}
  - t = relu:
    for: {k: [1, 2]}
    repeat: =k
  - g = do: [h = do: [u = relu, v = relu], w = relu]
  - add: {left: [x1 = relu, x2 = relu], right: []}
  - last = tanh
"""
LOOPS = ["layer.0.r", "layer.0.s", "layer.1.r", "layer.1.s"]
NAMED = ["b0", "b1", "b2"]

MADE = {
    "a": ["a"],
    "layer.0": ["a", *LOOPS[:2]],
    "layer.0.r": ["a", *LOOPS[:1]],
    "layer.1.r": ["a", *LOOPS[:3]],
    "layer": ["a", *LOOPS],
    "b1": ["a", *LOOPS, *NAMED[:2]],
    "b2": ["a", *LOOPS, *NAMED],
    "t.0": ["a", *LOOPS, *NAMED, "t.0.0"],
    "t.1.0": ["a", *LOOPS, *NAMED, "t.0.0", "t.1.0"],
    "t.1": ["a", *LOOPS, *NAMED, "t.0.0", "t.1.0", "t.1.1"],
    "g.h.u": ["a", *LOOPS, *NAMED, "t.0.0", "t.1.0", "t.1.1", "g.h.u"],
    "g.h": ["a", *LOOPS, *NAMED, "t.0.0", "t.1.0", "t.1.1", "g.h.u", "g.h.v"],
    "g": ["a", *LOOPS, *NAMED, "t.0.0", "t.1.0", "t.1.1", "g.h.u", "g.h.v", "g.w"],
}


def using(folder: Path, until: str, further: str = "") -> Path:
    (folder / "net.yaml").write_text(NET, encoding="utf-8")
    path = folder / "user.yaml"
    body = f"  - n = net: {{until: {until}}}\n{further}"
    path.write_text(
        f"netspec: 1\nname: user\nuse: [./net]\ninput: [3, 8, 8]\nbody:\n{body}  - end = softmax\n", encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("until", MADE)
def test_a_network_ends_after_a_step_or_an_iteration(until: str, tmp_path: Path) -> None:
    graph = netspec.load(using(tmp_path, until)).graph
    assert list(graph.nodes) == ["input", *(f"n.{path}" for path in MADE[until]), "end"]
    assert graph.nodes["end"].inputs[0].node == f"n.{MADE[until][-1]}"


@pytest.mark.parametrize("read", ["a", "layer.0", "layer.1.r", "b0"])
def test_what_is_made_can_be_read(read: str, tmp_path: Path) -> None:
    graph = netspec.load(using(tmp_path, "b1", f"  - sum = add:\n    from: [n, n.{read}]\n")).graph
    made = {"layer.0": "layer.0.s"}.get(read, read)
    assert [ref.node for ref in graph.nodes["sum"].inputs] == ["n.b1", f"n.{made}"]


@pytest.mark.parametrize(("until", "read"), [("b1", "b2"), ("layer.0", "layer.1"), ("a", "last")])
def test_what_is_not_made_cannot_be_read(until: str, read: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        netspec.load(using(tmp_path, until, f"  - sum = add:\n    from: [n, n.{read}]\n"))
    assert [d.code for d in error.value.diagnostics] == ["NS203"]


@pytest.mark.parametrize("until", ["nothing", "layer.2", "b3", "a.b"])
def test_a_step_that_is_not_there_is_an_error_at_until(until: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        netspec.load(using(tmp_path, until))
    (found,) = error.value.diagnostics
    assert found.message == f"'net' has no step '{until}'" and found.span is not None and found.span.line == 6
