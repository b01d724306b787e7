"""The help for shapes and sizes that do not fit, and for branches."""

from __future__ import annotations

from pathlib import Path

import pytest
from help_harness import CASES, body, said
from mutations import errors

SIZES = [
    (
        "add: {f: [conv: [16, 3], relu, conv: [16, 3]], id: []}",
        "`pad: half` is missing at f.conv (line 5) and f.conv_2 (line 5)",
    ),
    (
        "add: {f: [conv: [16, 3, 1, 1], relu, conv: [16, 3]], id: []}",
        "`pad: half` is missing at f.conv_2 (line 5)",
    ),
    (
        "add: {f: [conv: [16, [1, 7]], conv: [16, [7, 1]]], id: []}",
        "`pad: half` is missing at f.conv (line 5) and f.conv_2 (line 5)",
    ),
    (
        "add: {f: [conv: [16, 3, 2]], id: [conv: [16, 1, 2]]}",
        "`pad: half` is missing at f.conv (line 5)",
    ),
    (
        "concat: {f: [conv: [32, 3]], g: [conv: [24, 1]], h: [max_pool: [3, 1]]}",
        "`pad: half` is missing at f.conv (line 5) and h.max_pool (line 5)",
    ),
    (
        "add: {f: [conv: {out: 16, kernel: 3, pad: 1, dilation: 2}], id: []}",
        "`pad: half` keeps the size at f.conv (line 5)",
    ),
    (
        "add: {f: [conv: [16, 2]], id: []}",
        "`pad: same_upper` is missing at f.conv (line 5)",
    ),
    (
        "add: {f: [conv: [16, 3, 2, 1], relu, conv: [16, 3, 1, 1]], id: []}",
        "f has stride 2 at f.conv (line 5): the shortcut needs it too, as in `conv: {out: 16, kernel: 1, stride: 2}`",
    ),
    (
        "concat: {f: [conv: [32, 3, 2, 1]], g: [conv: [24, 1]]}",
        "f has stride 2 at f.conv (line 5), g has none: give both the same",
    ),
    (
        "add: {f: [conv: [32, 3, 2, 1], conv: [32, 3, 1, 1]], id: []}",
        "channels and size differ: the shortcut needs a projection with the stride of f.conv (line 5): "
        "`conv: {out: 32, kernel: 1, stride: 2}`",
    ),
    (
        "add: {f: [conv: [32, 3]], id: []}",
        "the channels differ and so do the sizes: the shortcut needs a projection: `conv: {out: 32, kernel: "
        "1}`; `pad: half` is missing at f.conv (line 5)",
    ),
    (
        "add: {f: [conv: [32, 3, 1, 1]], id: []}",
        "the shortcut needs a projection: `conv: {out: 32, kernel: 1}`",
    ),
    (
        "add: {f: [conv: [32, 1]], g: [conv: [24, 1]]}",
        "the channels differ: f has 32, g has 24; give all the same `out`",
    ),
    (
        "add: {f: [global_avg_pool, flatten], id: []}",
        "f is flat and the others are not: `flatten` stands in all of them, or after the join",
    ),
    (
        "mul: {v: [], g: [conv: [16, 3], sigmoid]}",
        "`pad: half` is missing at g.conv (line 5); a gate has as many channels as what it scales, or one",
    ),
]


@pytest.mark.parametrize("step, advice", SIZES)
def test_branches_that_disagree(step: str, advice: str, tmp_path: Path) -> None:
    error = said(body(step), tmp_path)
    assert (error.code, error.help) == ("NS402", advice)


REPAIRED = [
    (
        "add: {f: [conv: [16, 3], relu, conv: [16, 3]], id: []}",
        "add: {f: [conv: {out: 16, kernel: 3, pad: half}, relu, conv: {out: 16, kernel: 3, pad: half}], id: []}",
    ),
    (
        "add: {f: [conv: [16, 2]], id: []}",
        "add: {f: [conv: {out: 16, kernel: 2, pad: same_upper}], id: []}",
    ),
    (
        "add: {f: [conv: [32, 3, 2, 1], conv: [32, 3, 1, 1]], id: []}",
        "add: {f: [conv: [32, 3, 2, 1], conv: [32, 3, 1, 1]], id: [conv: {out: 32, kernel: 1, stride: 2}]}",
    ),
    (
        "add: {f: [conv: [16, 3, 2, 1], relu, conv: [16, 3, 1, 1]], id: []}",
        "add: {f: [conv: [16, 3, 2, 1], relu, conv: [16, 3, 1, 1]], id: [conv: {out: 16, kernel: 1, stride: 2}]}",
    ),
]


@pytest.mark.parametrize("step, repaired", REPAIRED)
def test_the_help_fixes_it_when_it_is_followed(step: str, repaired: str, tmp_path: Path) -> None:
    assert step in dict(SIZES) and not errors(body(repaired), tmp_path)


def test_a_forgotten_pad(tmp_path: Path) -> None:
    error = said((CASES / "forgotten_pad.yaml").read_text(encoding="utf-8"), tmp_path)
    assert error.help == "`pad: half` is missing at f.conv (line 6) and f.conv_2 (line 6)"


def test_inside_a_block_paths_are_those_of_the_block(tmp_path: Path) -> None:
    block = "blocks:\n  res:\n    params: {out: int}\n    body:\n      - add: {f: [conv: [=out, 3]], id: []}\n"
    error = said(body("a = res: 16", head=f"input: [16, 32, 32]\n{block}"), tmp_path)
    assert error.help == "`pad: half` is missing at f.conv (line 8)"


def test_a_loop_names_the_iteration(tmp_path: Path) -> None:
    error = said((CASES / "mismatch_in_a_loop.yaml").read_text(encoding="utf-8"), tmp_path)
    assert error.message == "the branches of 'add' disagree: a is 8x64x64, r is 9x64x64; in b1 (k = 1)"


@pytest.mark.parametrize(
    ("loop", "where"),
    [
        ("b = conv: [=6 - 2 * i, 1]\n    repeat: 9", "in b.3 (i = 3)"),
        ("b{k} = conv: [=6 - 2 * k, 1]\n    each: {k: 9}", "in b3 (k = 3)"),
        ("b{k} = do: [relu, conv: [=6 - 2 * k - i, 1]]\n    repeat: 2\n    for: {k: 9}", "in b3.0 (k = 3, i = 0)"),
        ('add: {"c{k}": {each: {k: 9}, do: [conv: [=6 // (2 - k), 1]]}}', "in c2 (k = 2)"),
        ("b = conv: [8, '=3 // (3 - k)']\n    for: {k: 9}", "in b.3 (k = 3)"),
        ("b = relu:\n    when: 1 // (2 - k) > 0\n    for: {k: 9}", "in b.2 (k = 2)"),
    ],
)
def test_every_loop_names_it(loop: str, where: str, tmp_path: Path) -> None:
    found = errors(body(loop), tmp_path)
    assert len(found) == 1 and found[0].message.endswith(f"; {where}"), found


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (["a = relu", "a = relu"], "line 5"),
        (["add: {a: [relu], b: []}", "add: {a: [relu], c: []}"], "line 5"),
        (["a = relu", "add: {a: [relu], b: []}"], "line 5"),
        (["add: {a: [relu], b: []}", "a = relu"], "line 5"),
        (["input = relu"], "line 3"),
    ],
)
def test_both_places_of_a_path(steps: list[str], line: str, tmp_path: Path) -> None:
    error = said(body(*steps), tmp_path)
    assert line in error.message + error.help or error.code == "NS205"


def test_both_places_where_one_is_an_input(tmp_path: Path) -> None:
    error = said((CASES / "two_steps_line_unknown.yaml").read_text(encoding="utf-8"), tmp_path)
    assert error.span is not None
    assert (error.span.line, error.message) == (9, "'skip' is the name of an input already, line 6")


def test_no_message_lacks_its_line() -> None:
    """Messages with a place in them have one function for it."""
    for path in (Path(__file__).parent.parent / "netspec" / "elaborate").glob("*.py"):
        assert "'?'" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("read", ["from: a", "share: a", "from: left"])
@pytest.mark.parametrize("order", [0, 1])
def test_branches_do_not_see_each_other(read: str, order: int, tmp_path: Path) -> None:
    branches = ["left: [a = conv: [16, 1], relu]", f"right: [{{conv: [16, 1], {read}}}]"]
    error = said(body(f"add: {{{branches[order]}, {branches[1 - order]}}}"), tmp_path)
    assert error.code == "NS203" and error.help.startswith("branches do not see each other")
    assert "the branch 'left' next to this one" in error.message
