"""One error for one cause: what a step with an error would have made is known, so that its readers say nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from conftest import how_many, sampled
from mutations import GOOD, SHIPPED, broken, declared, errors, first_variant, found

from netspec.diagnostics.errors import Diagnostic

CASES = Path(__file__).parent / "cases"
NECK = (CASES / "yolo_neck.yaml").read_text(encoding="utf-8")

CAUSES = {
    "a branch of channels that cannot be grouped": ("out3 = csp: 64", "out3 = conv: {out: 64, kernel: 1, groups: 5}"),
    "an op of a step that many read": ("- sppf: 256", "- sppff: 256"),
    "a parameter": ("- sppf: 256", "- sppf: {out: 256, kernal: 5}"),
    "too many arguments": ("mid = cbs: 64", "mid = cbs: [64, 3, 2, 1]"),
    "a name that is taken": ("top = cbs", "train = cbs"),
    "a name with a space": ("top = cbs", "to p = cbs"),
    "a value in a loop with a computed name": ("32 * 2 ** k, kernel", "32 * 2 ** j, kernel"),
    "the loop itself": ("for: {k: 4}", "for: {k: 4.5}"),
    "the loop with a wrong keyword": ("for: {k: 4}", "fro: {k: 4}"),
    "a loop variable that is no name": ("for: {k: 3}", "for: {'k;j': 3}"),
    "a join": ("p4 = concat:", "p4 = cat:"),
    "a missing equals sign": ("out3 = csp: 64", "out3 csp: 64"),
    "a computed path": ("from: out{s}", "from: oot{s}"),
    "a malformed path": ("from: out{s}", "from: out{s +}"),
    "each": ("each: {s: [3, 4, 5]}", "each: {s: 0}"),
    "a block's parameters": ("params: {out: int}", "params: [out]"),
    "a block's type of a parameter": ("params: {out: int}", "params: {out: {type: itn}}"),
    "a block's name": ("  csp:\n", "  c sp:\n"),
    "a block's name, said to its callers": ("csp:", "3csp:"),
    "a block without a body": ("    body:\n      - cbs: =out\n      - cbs: [=out, 3]\n", "    body: 3\n"),
    "a library": ("input: [3", "use: [blocks/comon]\ninput: [3"),
    "the input": ("input: [3, 128, 128]", "input: [3, =size, 128]"),
    "a size": ("input: [3, 128, 128]", "input: [3, 4, 4]"),
}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.quick(6)
def test_a_neck_of_yolo(cause: str, tmp_path: Path) -> None:
    old, new = CAUSES[cause]
    assert old in NECK
    found = errors(NECK.replace(old, new) if "callers" in cause else NECK.replace(old, new, 1), tmp_path)
    assert len(found) == 1, "\n".join(map(str, found))


def test_the_neck_itself_is_fine(tmp_path: Path) -> None:
    assert not errors(NECK, tmp_path)


def test_names_that_each_makes_are_known(tmp_path: Path) -> None:
    (error,) = errors((CASES / "follow_on_errors.yaml").read_text(encoding="utf-8"), tmp_path)
    assert (error.code, error.span and error.span.line) == ("NS401", 5)


def test_an_unknown_name_is_said_once_in_a_block(tmp_path: Path) -> None:
    """As compilers say an undeclared identifier once for each function."""
    text = "netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n  - a = relu\n  - add: [b, a]\n  - add: [b, a]\n"
    found = errors(text + "  - conv: [=n, 1]\n  - conv: [=n, 1]\n", tmp_path)
    assert [(d.code, d.span and d.span.line) for d in found] == [("NS203", 6), ("NS202", 8)]


UNREADABLE = ("NS110", "NS111", "NS112", "NS113", "NS205")
"""What the reader says of what it cannot read; an argument that is replaced is in fact no longer read."""


def unread(said: Iterable[Diagnostic]) -> set[str]:
    """The warnings of what nothing reads."""
    return {d.message for d in said if d.code == "NS209"}


Changes = Callable[[str], Iterator[tuple[str, str]]]


def verify(paths: Iterable[Path], changes: Changes, count: int, tmp_path: Path) -> None:
    """Exactly one error for each of so many mutations of each spec."""
    chance = random.Random(14)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        warned = unread(found(text, tmp_path))
        mutated = list(changes(text))
        for what, changed in chance.sample(mutated, min(count, len(mutated))):
            said_of = found(changed, tmp_path, None if "variants" in what else first_variant(text))
            wrong = [d for d in said_of if d.severity == "error"] or errors(changed, tmp_path)
            said = "\n".join(map(str, wrong))
            facts = [d for d in wrong if d.code == "NS501"]  # what became another network misses each of its facts
            wrong = [d for d in wrong if d not in facts[1:]]
            # What a condition or a loop leaves out is looked at, but not computed; a name may have no reader.
            least = 0 if "cannot be computed" in what or "another name" in what else 1
            assert least <= len(wrong) <= 1, f"{path.name}, {what}:\n{said}"
            if any(d.code in UNREADABLE for d in wrong):
                assert unread(said_of) <= warned, f"{path.name}, {what}"


HEAD = "netspec: 1\nname: t\ninput: [3, 8, 8]\n"
DEEP = "params: {deep: true}\nbody:\n"
BLOCK = "blocks: {b: {params: {n: 1}, body: [{conv: [=n, 3]}]}}\nbody:\n"
READ_BY_ERRORS = {
    "the condition of a step with a misspelt keyword": DEEP + "- conv: [3, 3]\n  when: deep\n  esle: [relu]\n",
    "the argument of one": DEEP + "- do:\n  - relu\n  - conv: [=3 + deep, 3]\n  form: input\n",
    "the steps of one": BLOCK + "- do:\n  - b\n  - b: 3\n  fro: relu\n",
    "the steps under one": BLOCK + "- conv: [3, 3]\n  when: true\n  esle:\n  - b\n",
    "a loop whose variable is refused": DEEP + "- conv: [3, 3]\n  for:\n    'a;b':\n    - =3 + deep\n",
    "a loop next to one that is refused": DEEP + "- conv: [3, 3]\n  for: {i: =3 + deep}\n  repeat: [1]\n",
    "a refused condition": DEEP + "- conv: [3, 3]\n  when:\n  - =deep\n",
    "a branch that is refused": BLOCK + "- add:\n    a b:\n    - b\n    c: [relu]\n",
    "a keyword among branches": DEEP + "- add:\n    c: [relu]\n    only_if:\n      deep\n",
    "a misspelt section": DEEP + "- y = conv: [3, 3]\nouptuts:\n  y:\n    from: y\n    only_if: deep\n",
    "a refused output": DEEP + "- y = conv: [3, 3]\noutputs:\n  y:\n    form: y\n    only_if: deep\n",
    "the name of a parameter": "params: {'{ +': 1}\nbody:\n- relu\n",
    "the name of a value": "let: {'{ +': 1}\nbody:\n- relu\n",
    "the name of a block": "blocks: {'{ +': {body: [relu]}}\nbody:\n- relu\n",
    "a malformed path": DEEP + "- y = conv: [3, 3]\n- add:\n  from:\n  - y\n  - 'y{deep +}'\n",
}


@pytest.mark.parametrize("what", READ_BY_ERRORS)
def test_what_cannot_be_read_still_reads_what_it_mentions(what: str, tmp_path: Path) -> None:
    said = found(HEAD + READ_BY_ERRORS[what], tmp_path)
    assert [d.severity for d in said] == ["error"], "\n".join(map(str, said))


def test_what_an_error_does_not_mention_is_still_unread(tmp_path: Path) -> None:
    said = found(HEAD + "params: {deep: 1, wide: 1}\nbody:\n- conv: [=deep, 3]\n  esle: [relu]\n", tmp_path)
    assert [d.message for d in said if d.severity == "warning"] == ["nothing reads the parameter 'wide'"]


SOME = [path for path in SHIPPED if path.stem in ("fire", "residual", "squeezenet", "fcn", "poly")]
MORE = sampled([*GOOD, *SHIPPED], 1, lambda path: path.parent, slow=4)


@pytest.mark.parametrize("changes", [broken, declared])
def test_exactly_one_error_where_something_is_broken(changes: Changes, tmp_path: Path) -> None:
    verify(GOOD, changes, how_many(1, 3, 3), tmp_path)
    verify(SOME, changes, how_many(1, 4, 4), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [broken, declared])
@pytest.mark.parametrize("path", MORE, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_exactly_one_error_wherever_something_is_broken(path: Path, changes: Changes, tmp_path: Path) -> None:
    verify([path], changes, how_many(0, 80, 1000), tmp_path)
