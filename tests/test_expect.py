"""`expect`: every kind of fact, met and unmet, at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_harness import outcome

import netspec
from netspec.check import expect
from netspec.check.quantities import quantity
from netspec.diagnostics.errors import Diagnostic

# 3x3 convolution on 3x32x32: 3*3*3*8 + 8 parameters, 8*30*30 outputs; linear: 8*10 + 10.
PARAMS, MACS, NEURONS = 224 + 90, 216 * 900 + 80, 8 * 900 + 10
SPEC = """\
netspec: 1
name: facts
input: [3, 32, 32]
expect: {%s}
body:
  - stem = conv: [8, 3]
  - act = relu
  - global_avg_pool
  - flatten
  - aux = tee: [linear: 3]
  - fc = linear: 10
outputs: {logits: fc, aux: {from: aux, training_only: true}}
"""


def found(tmp_path: Path, fact: str) -> list[Diagnostic]:
    path = tmp_path / "facts.yaml"
    path.write_text(SPEC % fact, encoding="utf-8")
    return outcome(path).found


@pytest.mark.parametrize(
    "fact",
    [
        f"params: {PARAMS}",
        f"macs: {MACS}",
        f"neurons: {NEURONS}",
        "train_params: 27",  # the head: 8*3 + 3
        "params: {value: 0.3K, within: 5%}",
        "params: {value: 300, within: 0.05, source: a table, printed: 0.3K}",
        f"params: [{PARAMS}, {{value: 0.31K, within: 2%}}]",
        "receptive_field: {stem: 3, act: 3}",
        "shapes: {stem: [8, 30, 30], fc: 10, aux: 3}",
        "rows: {stem: {params: 224, macs: 194400, shape: [8, 30, 30]}}",
    ],
)
def test_met(tmp_path: Path, fact: str) -> None:
    assert found(tmp_path, fact) == []


@pytest.mark.parametrize(
    ("fact", "at", "pieces"),
    [
        ("params: 313", "313", ("314", "313")),
        ("macs: 1M", "1M", ("194,480", "1,000,000", "-80.55%")),
        ("neurons: 7211", "7211", ("7,210", "7,211")),
        ("train_params: 28", "28", ("27", "28")),
        ("params: {value: 0.3K, within: 4%}", "0.3K", ("314", "within 4%", "+4.67%")),
        (f"params: [{PARAMS}, 0]", "0]", ("314",)),
        ("receptive_field: {stem: 5}", "5}", ("3", "5")),
        ("receptive_field: 3", "3", ("whole input",)),
        ("shapes: {stem: [8, 32, 32]}", "[8", ("8x30x30", "8x32x32")),
        ("rows: {stem: {params: 225}}", "225", ("stem", "224", "225")),
    ],
)
def test_unmet_is_found_at_the_fact(tmp_path: Path, fact: str, at: str, pieces: tuple[str, ...]) -> None:
    (diagnostic,) = found(tmp_path, fact)
    assert diagnostic.code == "NS501" and diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.col) == (4, len("expect: {") + fact.index(at) + 1)
    for piece in pieces:
        assert piece in diagnostic.message


@pytest.mark.parametrize("within", ["99999999%", "100%", "1", "-4%"])
def test_a_tolerance_is_below_all_of_it(tmp_path: Path, within: str) -> None:
    assert [d.code for d in found(tmp_path, f"params: {{value: 9M, within: {within}}}")] != []
    assert found(tmp_path, f"params: {{value: {PARAMS}, within: {within}}}"), "whatever the number is"


def titled(count: int) -> str:
    """A chain of steps with titles, each with a row that names it by its title."""
    steps = [f"  - s{i} = relu:\n    title: T{i}" for i in range(count)]
    rows = [f"    T{i}: {{activations: 12288}}" for i in range(count)]
    head = ["netspec: 1", "name: big", "input: [3, 32, 32]", "body:"]
    return "\n".join([*head, *steps, "expect:", "  rows:", *rows]) + "\n"


def test_rows_of_titles_are_looked_up_once(tmp_path: Path) -> None:
    """Three times the graph for each row were too much work for 450 of them."""
    path = tmp_path / "big.yaml"
    path.write_text(titled(450), encoding="utf-8")
    assert outcome(path).found == []


def resized(count: int, nodes: int, other: int) -> str:
    """As many tables at another input, each at a size of its own (`other` 1) or all at one (0)."""
    head = ["netspec: 1", "name: big", "input: [3, 8, 8]", "body:", f"  - repeat: {nodes}", "    do: [relu]"]
    tables = [f"  - {{columns: [params], input: [3, 9, {9 + other * i}], rows: {{big: [0]}}}}" for i in range(count)]
    return "\n".join([*head, "expect:", "  printed:", *tables]) + "\n"


def test_a_network_is_compiled_once_for_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    real = expect.compile_variant
    monkeypatch.setattr(expect, "compile_variant", lambda *given: built.append(given[4]) or real(*given))
    path = tmp_path / "big.yaml"
    path.write_text(resized(20, 5, 0), encoding="utf-8")
    assert outcome(path).found == []
    assert built == [(3, 9, 9)]


@pytest.mark.slow
def test_networks_of_many_sizes_are_too_much_work(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(resized(120, 100, 1), encoding="utf-8")
    assert [d.code for d in outcome(path).found] == ["NS404"]


def test_path_that_names_nothing(tmp_path: Path) -> None:
    (diagnostic,) = found(tmp_path, "shapes: {stme: [8, 30, 30]}")
    assert (diagnostic.code, diagnostic.help) == ("NS502", "did you mean 'stem'?")
    assert diagnostic.span is not None and diagnostic.span.col == len("expect: {shapes: {") + 1


def test_wrong_shape_is_one_finding(tmp_path: Path) -> None:
    """Counts that follow from a wrong shape are not said again."""
    assert [d.code for d in found(tmp_path, "params: 1, macs: 2, shapes: {stem: [8, 1, 1]}")] == ["NS501"]


def test_facts_are_of_the_variant_that_has_them(tmp_path: Path) -> None:
    path = tmp_path / "variants.yaml"
    path.write_text(
        "netspec: 1\nname: v\nparams: {out: 8}\ninput: [3, 8, 8]\nexpect: {params: 32}\n"
        "variants: {a: {}, b: {out: 4, expect: {params: 17}}, c: {of: a, out: 2}}\nbody:\n  - conv: [=out, 1]\n",
        encoding="utf-8",
    )
    (diagnostic,) = outcome(path).found  # a: 3*8 + 8; b: 3*4 + 4, not 17; c inherits none
    assert diagnostic.code == "NS501" and diagnostic.message.startswith("b: ") and "16" in diagnostic.message


def test_scope_gives_what_is_read_of_it(tmp_path: Path) -> None:
    """A tee at the end of a group is not what the group gives."""
    path = tmp_path / "group.yaml"
    path.write_text(
        "netspec: 1\nname: g\ninput: [3, 8, 8]\nexpect: {shapes: {stage: [4, 8, 8]}}\nbody:\n  - stage = do:\n"
        "      - conv: [4, 1]\n      - side = tee: [conv: [2, 1]]\n  - both = concat:\n    from: [stage.side, stage]\n"
        "  - conv: [1, 1]\n",
        encoding="utf-8",
    )
    result = outcome(path)
    assert result.shape == "1x8x8"
    assert result.found == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("6.8M", 6_800_000), ("1.5G", 1_500_000_000), ("650K", 650_000), (7, 7), ("1,024", 1024), ("0.1M", 100_000)],
)
def test_quantities(text: object, number: int) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["6.8m", "M", "1e6", "6.8 Mio", "", True, None, "-3"])
def test_no_quantities(text: object) -> None:
    assert quantity(text) is None


def test_an_alias_has_the_facts_and_the_paper_of_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "netspec: 1\nname: a\nsource: one\ninput: [3, 8, 8]\nparams: {width: 4}\nvariants:\n"
        "  first: {}\n  other: {width: 8, source: two, expect: {params: 224}}\n"
        "  also_first: {of: first}\n  also_other: {of: other, title: Other}\n  wider: {of: other, width: 16}\n"
        "body:\n  - conv: [=width, 3]\nexpect: {params: 112}\n",
        encoding="utf-8",
    )
    assert outcome(path).found == []
    document = netspec.load(path).document
    facts = {v: document.expect_for(v) for v in document.variants}
    assert facts["also_first"] is facts["first"] is not None
    assert facts["also_other"] is facts["other"] is not facts["first"]
    assert facts["wider"] is None
    assert [document.source_of(v) for v in document.variants] == ["one", "two", "one", "two", "two"]
