"""A placeholder or an expression that cannot be read is an error at its place, wherever in a spec it stands."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import how_many
from mutations import GOOD, SHIPPED, errors, replaced, scalars, tree_of

from netspec.diagnostics.errors import Reporter, SemanticError, Source, Span
from netspec.expressions.expression import parse_template
from netspec.syntax.rules import rules_in
from netspec.syntax.yaml_reader import parse_any

CASES = Path(__file__).parent / "cases"
MALFORMED = ["a{ }", "a{k +}", "{", "a}b", "{}", "a{'}", "={", "= ", "=a{", "={ }.channels", "={k +}.height", "=1 +"]


@pytest.mark.parametrize(("name", "place"), [("malformed_placeholder", (5, 11)), ("from_template_crash", (7, 15))])
def test_the_cases(name: str, place: tuple[int, int], tmp_path: Path) -> None:
    (error,) = errors((CASES / f"{name}.yaml").read_text(encoding="utf-8"), tmp_path)
    assert error.span is not None
    assert (error.code, error.span.line, error.span.col) == ("NS301", *place)
    assert error.message == "the expression ends too early"


STEPS = """\
- '{} = relu'
- {'t{k = tee': [relu]}
- add: {'a{': [relu], b: []}
- add: [{do: [relu], from: 'a{1 +}'}]
- {do: [{relu: , from: ['a{', b]}]}
- {relu: , share: 'a{'}
- {relu: , share: {of: a, own: ['b{']}}
- add: ['a{ }', 'b']
- {relu: , when: 'a{.channels == 1'}
- conv: ['=a{k +}.channels', 1]
"""


@pytest.mark.parametrize("step", STEPS.splitlines())
@pytest.mark.parametrize("loop", ["", ", each: {k: 2}", ", for: {k: 2}", ", repeat: 2"])
def test_in_names_and_paths(step: str, loop: str, tmp_path: Path) -> None:
    text = f"netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n  - a = relu\n  - {{do: [{step[2:]}]{loop}}}\n"
    found = errors(text, tmp_path)
    assert [d.code for d in found][:1] == ["NS301"] and all(d.span is not None for d in found), found


def positions(paths: list[Path]) -> list[tuple[str, str]]:
    """A text with something malformed in each position of each spec."""
    return [
        (f"{path.stem}:{at.span.line}:{at.span.col} {bad}", replaced(text, at, bad))
        for path in paths
        for text in [path.read_text(encoding="utf-8")]
        for at in scalars(tree_of(text))
        for bad in MALFORMED
    ]


def check_positions(mutated: list[tuple[str, str]], tmp_path: Path) -> None:
    for name, text in mutated:
        try:
            found = errors(text, tmp_path)
        except Exception as e:
            raise AssertionError(f"{name}:\n{text}") from e
        assert all(d.span is not None and d.help is not None for d in found), name


@pytest.mark.slow
def test_in_a_sample_of_all_positions(tmp_path: Path) -> None:
    check_positions(random.Random(14).sample(positions(GOOD), 150), tmp_path)


@pytest.mark.slow
def test_in_many_positions(tmp_path: Path) -> None:
    for paths, slow, full in ((GOOD, 500, 10**9), (SHIPPED, 80, 1500)):
        found = positions(paths)
        count = min(len(found), how_many(quick=0, slow=slow, full=full))
        check_positions(random.Random(14).sample(found, count), tmp_path)


RULE = "- {from: 'conv{n}', to: 'conv{len(range(100 * n)) // 100}'}"


def test_a_rule_may_compute_a_long_list_and_reads_no_tensors() -> None:
    reporter = Reporter()
    for text in (RULE, "- {from: 'conv{n}', to: 'conv{n * in.channels}'}"):
        (rule,) = rules_in(parse_any(Source("rules", text), reporter), "a", reporter)["a"]
        if text is RULE:
            assert rule.apply("conv3", {}) == "conv3"
        else:
            with pytest.raises(SemanticError, match=r"reads no tensors: 'in\.channels'"):
                rule.apply("conv3", {})
    assert not reporter.diagnostics


@pytest.mark.parametrize(
    ("text", "fitting", "others"),
    [
        ("s{1}", ["s1", "sx_1", "ss"], ["s", "1s", "xs1", "s-1", "s1\n", "s1.a"]),
        ("{1}s", ["1s", "ss"], ["s", "s1"]),
        ("{1}{2}", ["12", "123"], ["", "1"]),
        ("a{1}b{2}b", ["a1b2b", "abbbb", "a1bxb2b"], ["abb", "abbb", "a1b2bc", "ab1b"]),
        ("{1}aa{2}a", ["1aa2a", "aaaaa"], ["aaaa", "aaa"]),
        ("plain", ["plain"], ["plain1", "plai"]),
    ],
)
def test_a_pattern_knows_the_names_that_a_template_can_make(text: str, fitting: list[str], others: list[str]) -> None:
    pattern = parse_template(text, lambda start, end: Span(Source("t", ""), 1, start + 1, 1, end + 1)).pattern
    assert [name for name in (*fitting, *others) if pattern.matches(name)] == fitting
