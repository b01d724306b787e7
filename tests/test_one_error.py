"""One error for one cause: what a step with an error would have made is known, so that its readers say nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from conftest import how_many
from mutations import GOOD, SHIPPED, broken, declared, errors, first_variant

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


Changes = Callable[[str], Iterator[tuple[str, str]]]


def verify(paths: Iterable[Path], changes: Changes, count: int, tmp_path: Path) -> None:
    """Exactly one error for each of so many mutations of each spec."""
    chance = random.Random(14)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        mutated = list(changes(text))
        for what, changed in chance.sample(mutated, min(count, len(mutated))):
            found = errors(changed, tmp_path, None if "variants" in what else first_variant(text))
            found = found or errors(changed, tmp_path)
            said = "\n".join(map(str, found))
            facts = [d for d in found if d.code == "NS501"]  # what became another network misses each of its facts
            found = [d for d in found if d not in facts[1:]]
            # What a condition or a loop leaves out is looked at, but not computed; a name may have no reader.
            least = 0 if "cannot be computed" in what or "another name" in what else 1
            assert least <= len(found) <= 1, f"{path.name}, {what}:\n{said}"


SOME = [path for path in SHIPPED if path.stem in ("fire", "residual", "squeezenet", "fcn", "poly")]


@pytest.mark.parametrize("changes", [broken, declared])
def test_exactly_one_error_where_something_is_broken(changes: Changes, tmp_path: Path) -> None:
    verify(GOOD, changes, how_many(2, 3, 3), tmp_path)
    verify(SOME, changes, how_many(3, 4, 4), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [broken, declared])
@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_exactly_one_error_wherever_something_is_broken(path: Path, changes: Changes, tmp_path: Path) -> None:
    verify([path], changes, how_many(0, 80, 1000), tmp_path)
