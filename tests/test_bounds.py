"""Specs that would take for ever, or all memory, are refused by a limit, at once and with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import sampled
from large_specs import LARGE, largest

from netspec.check.check_file import check_file
from netspec.diagnostics.errors import Diagnostic, Reporter, Source, Span
from netspec.elaborate.graph_builder import GraphBuilder
from netspec.elaborate.state import MAX_NODES_AFTER_GUESS, Elaboration
from netspec.expressions import parser
from netspec.expressions.errors import ExpressionError
from netspec.expressions.expression import parse_expr
from netspec.expressions.lexer import tokens

pytest.importorskip("resource")  # which Windows has not
sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import fuzz  # noqa: E402

CASES = Path(__file__).parent / "cases"
HEAD = "netspec: 1\nname: a\ninput: [3, 8, 8]\n"


BOUNDED = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
from netspec.cli.main import main
main()
"""
"""A command with bounds: far above what a check may take, far below what a bomb would.

It sets them itself: what subprocess calls between fork and exec may wait for ever in a process with threads.
"""


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    """Runs `netspec check` within the bounds."""
    command = [sys.executable, "-c", BOUNDED, "check", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What elaboration does: every unit of work and every node, counted up."""
    done = [0, 0]
    tick, node = Elaboration.tick, GraphBuilder.node

    def counted_tick(self: Elaboration, cost: int = 1) -> None:
        done[0] += cost
        assert done[0] < 2_000_000, "the work has no bound"
        tick(self, cost)

    def counted_node(self: GraphBuilder, *args: object) -> object:
        done[1] += 1
        return node(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Elaboration, "tick", counted_tick)
    monkeypatch.setattr(GraphBuilder, "node", counted_node)
    return done


def said(tmp_path: Path, text: str) -> list[Diagnostic]:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    return list(reporter.sorted())


@pytest.mark.parametrize(
    "case, line, code",
    [
        ("each_bomb", 6, "NS404"),
        ("slow_each", 5, "NS404"),
        ("slow_repeat_empty", 5, "NS110"),
        ("slow_library", 8, "NS201"),
    ],
)
@pytest.mark.quick(2)
def test_a_case_ends_at_once(case: str, line: int, code: str) -> None:
    done = checked(CASES / f"{case}.yaml")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error[") == 1, done.stderr
    assert f"{case}.yaml:{line}:" in done.stderr and code in done.stderr


HUGE = 2**31 - 1
LOOPS = {
    "repeat": f"  - relu:\n    repeat: {HUGE}",
    "for": f"  - relu:\n    for: {{k: {HUGE}}}",
    "each": f"  - relu:\n    each: {HUGE}",
    "each with a name": f"  - relu:\n    each: {{k: {HUGE}}}",
    "each on a branch": f"  - add: {{p: {{each: {HUGE}, do: [relu]}}}}",
    "each by name on a branch": f"  - add: {{p: {{each: {{k: {HUGE}}}, do: [relu]}}}}",
    "computed": "  - relu:\n    repeat: =2 ** 40",
    "inside": f"  - do: [{{relu: {{}}, repeat: {HUGE}}}]\n    repeat: 2",
    "of nothing": f"  - do: [{{relu: {{}}, when: false}}]\n    repeat: {HUGE}",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_count_is_held_against_the_limit_before_the_loop(loop: str, tmp_path: Path, work: list[int]) -> None:
    (found,) = said(tmp_path, HEAD + "body:\n" + LOOPS[loop] + "\n")
    assert found.code == "NS404" and found.message.startswith("limit exceeded: ")
    assert found.span is not None and found.span.line > 4
    assert work[1] <= 2, "no iteration ran"


NESTED = {
    "repeat": "  - do: [{do: [{relu: {}, repeat: 1000}], repeat: 1000}]\n    repeat: 1000",
    "each": "  - add: {p: {each: 1000, do: [{add: {q: {each: 1000, do: [relu]}}}]}}",
    "a block": "  - big: {}\n    repeat: 400",
}


@pytest.mark.parametrize("loop", NESTED)
def test_loops_in_loops_are_multiplied(loop: str, tmp_path: Path, work: list[int]) -> None:
    blocks = "blocks:\n  big:\n    body:\n      - conv: [3, 1]\n        repeat: 300\n"
    (found,) = said(tmp_path, HEAD + (blocks if loop == "a block" else "") + "body:\n" + NESTED[loop] + "\n")
    assert found.code == "NS404" and "this loop makes" in found.message and work[1] <= 1


def test_what_a_condition_may_leave_out_is_not_foreseen(tmp_path: Path) -> None:
    blocks = "blocks:\n  deep:\n    params: {n: int}\n    body:\n"
    blocks += "      - deep: =n - 1\n        when: n > 0\n      - relu\n"
    text = HEAD + blocks + "body:\n  - relu:\n    repeat: 5\n  - deep: 3\n    repeat: 4\n  - relu:\n    when: false\n"
    assert said(tmp_path, text) == []


@pytest.mark.slow
def test_loops_of_nothing_in_each_other_end(tmp_path: Path, work: list[int]) -> None:
    nothing = "{relu: {}, when: false}"
    for _ in range(5):
        nothing = f"{{do: [{nothing}], repeat: 5000}}"
    (found,) = said(tmp_path, HEAD + f"body:\n  - {nothing}\n")
    assert found.code == "NS404" and "units of work" in found.message


ERRONEOUS = {
    "repeat": "  - b{i} = conv: [=nothing, 1]\n    repeat: 90000",
    "for": "  - b{k} = conv: [=nothing, 1]\n    for: {k: 90000}",
    "each": "  - b{k} = conv: [=nothing, 1]\n    each: {k: 90000}",
    "each on a branch": "  - add: {'b{k}': {each: {k: 90000}, do: [conv: [=nothing, 1]]}}",
    "repeat in repeat": "  - do: [{conv: [=nothing, 1], repeat: 300}]\n    repeat: 300",
}


@pytest.mark.parametrize("loop", ERRONEOUS)
def test_a_loop_ends_with_its_first_error(loop: str, tmp_path: Path, work: list[int]) -> None:
    readers = "  - c = conv: [4, 1]\n    from: b7\n" if "{k}" in ERRONEOUS[loop] or "{i}" in ERRONEOUS[loop] else ""
    (found,) = said(tmp_path, HEAD + "body:\n" + ERRONEOUS[loop] + "\n" + readers)
    assert found.code == "NS202"
    assert work[1] <= 1 and work[0] < 400_000


def test_an_error_before_a_loop_does_not_run_it(tmp_path: Path, work: list[int]) -> None:
    (found,) = said(tmp_path, HEAD + "body:\n  - conv: [=nothing, 1]\n  - relu:\n    repeat: 90000\n")
    assert found.code == "NS202" and work[0] < 1000


@pytest.mark.parametrize("near", ["dense_blok", "dense_bloc", "dense_layer"])
def test_a_guess_never_runs_a_block(near: str, tmp_path: Path, work: list[int]) -> None:
    """An unknown block is not read as its nearest name, which may be the block that it stands in."""
    body = f"      - a = {near}: =n\n      - b = {near}: =n\n      - relu\n"
    blocks = f"blocks:\n  dense_block:\n    params: {{n: int}}\n    body:\n{body}"
    found = said(tmp_path, HEAD + blocks + "body:\n  - dense_block: 3\n")
    if near == "dense_layer":  # a shipped block: one `use` is missing
        assert [d.code for d in found] == ["NS201"] and "use: [blocks/dense]" in found[0].help
    else:
        assert [d.code for d in found] == ["NS201", "NS201"]
        assert all("dense_block" in d.help for d in found)
    assert work[0] < 1000


def test_a_guess_of_a_parameter_stays_small(tmp_path: Path, work: list[int]) -> None:
    """A misspelt argument is read as the nearest free one, as far as a network of usual size goes."""
    block = "blocks:\n  tree:\n    params: {depth: int}\n    body:\n      - relu\n"
    calls = "".join(f"      - {n} = tree: {{dept: =depth - 1}}\n        when: depth > 0\n" for n in "abcdefgh")
    found = said(tmp_path, HEAD + block + calls + "body:\n  - tree: {dept: 40}\n")
    assert {d.code for d in found} == {"NS206"}
    assert work[1] <= MAX_NODES_AFTER_GUESS + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(LARGE, 1, slow=36))
def test_a_large_spec_is_checked_within_the_bounds(name: str, tmp_path: Path) -> None:
    """2 s and 150 us for each node, and 512 MiB; three times that time on a machine that is slow or has other work."""
    path = tmp_path / "large.yaml"
    path.write_text(largest(name), encoding="utf-8", errors="surrogateescape")
    assert path.stat().st_size <= 1_010_000
    found = fuzz.check_alone(path)
    said = found.said
    assert found.code in (0, 1) and (found.code == 0) == ("error[" not in said), said[-500:]
    assert found.seconds <= 3 * (fuzz.SECONDS + fuzz.SECONDS_A_NODE * found.nodes)
    assert found.bytes <= fuzz.BYTES
    assert len(said.splitlines()) < 1500 and len(said) < 400_000


@pytest.mark.parametrize("expression", ["1+" * 238 + "1", "1+" * 239, "(" * 60])
@pytest.mark.parametrize("anchored", ["['={}']", "{{x: '={}'}}", "'={}'"])
def test_expressions_of_aliases_count_again(expression: str, anchored: str, tmp_path: Path) -> None:
    lets = f"let:\n  a: &a {anchored.format(expression)}\n  b: [{', '.join(['*a'] * 2_000)}]\n"
    (found,) = said(tmp_path, HEAD + lets + "body: [relu]\n")
    assert found.code == "NS105" and "100,000 characters of expressions" in found.message


def test_an_invalid_expression_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(parser, "tokens", lambda text, start: read.append(text) or tokens(text, start))
    text = "1 + 2 * once +"
    errors = []
    for line in (1, 2):
        with pytest.raises(ExpressionError) as caught:
            parse_expr(text, lambda start, end, line=line: Span(Source("t", ""), line, start + 1, line, end + 1))
        errors.append(caught.value)
    assert read == [text]
    assert [e.span.line for e in errors if e.span is not None] == [1, 2], "each has its own place"
    assert errors[0].message == errors[1].message == "the expression ends too early"


@pytest.mark.parametrize("between", ["", "a"])
def test_names_of_many_placeholders_are_looked_for_at_once(between: str, tmp_path: Path) -> None:
    """A pattern of `{1}{1}...x` has astronomically many ways of sharing out a name that does not end with x."""
    path = tmp_path / "a.yaml"
    lost = f'  - "{between.join(["{1}"] * 60)}x = conv": [-4, 3]\n'
    path.write_text(f"{HEAD}body:\n{lost}  - relu: {{}}\n    from: {'a' * 190}\n", encoding="utf-8")
    done = checked(path)
    assert done.returncode == 1 and done.stderr.count("error[") == 2, done.stderr[-500:]
    assert "NS401" in done.stderr and "NS203" in done.stderr


@pytest.mark.parametrize("line", ["=[a{m}]", "[=a{m}]", "=[a{m}] + []", "=[a{m} for i in range(1)]", "=zip([a{m}])"])
def test_lists_do_not_nest_for_ever(line: str, tmp_path: Path, work: list[int]) -> None:
    lets = "".join(f"  a{n}: '{line}'\n".replace("{m}", str(n - 1)) for n in range(1, 300))
    lets = lets.replace("'[", "[").replace("]'", "]") if line.startswith("[") else lets
    found = [d for d in said(tmp_path, f"{HEAD}let:\n  a0: =[0]\n{lets}body: [relu]\n") if d.code != "NS209"]
    assert [d.code for d in found] == ["NS304"] and "nested more than 100 deep" in found[0].message
    assert work[0] < 20_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["=[a]", "[=a, [=1]]", "[[[1, =a]]]", "=a + []", "=[a for i in range(1)]", "=[a][0:1]"]
)
def test_going_through_the_lists_in_a_list_is_work(line: str, tmp_path: Path) -> None:
    """Every line goes through 40,000 lists, which takes milliseconds: far below 6,000 lines are too many."""
    lets = "".join(f"  a{n}: {line}\n" for n in range(40))
    found = said(tmp_path, f"{HEAD}let:\n  a: =[[0] for i in range(40000)]\n{lets}body: [relu]\n")
    assert [d.code for d in found if d.code != "NS209"] == ["NS404"]


def test_a_path_with_placeholders_has_a_length(tmp_path: Path) -> None:
    """A cache of expressions keeps the text before each placeholder: those of one long path would fill a gigabyte."""
    body = "body:\n  - relu\n  - add:\n    from: ['{}', input]\n"
    (found,) = said(tmp_path, HEAD + "let: {a: 1}\n" + body.replace("{}", "{a}" * 200))
    assert found.code == "NS304" and "has at most 500 characters, this has 600" in found.message
