"""The printed numbers of the shipped specs, against a transcript of the papers' tables that was counted by other means.

`tests/data/printed.json` has the printed digits of the lectures' tables, the number that torchvision, timm, Caffe's
prototxts or arithmetic by hand give for the same row, and whether the row contradicts itself; `at` is the row's place
in `tests/data/paper_tables.json`, a transcript of those tables themselves.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from netspec.check import expect
from netspec.check.check_file import checked
from netspec.check.printed import Computed, Held, Problem, Verdict, judged
from netspec.diagnostics.errors import Reporter
from netspec.reports.catalogue import documents
from netspec.syntax.document import Document, Expect, Fact, Printed
from netspec.syntax.library import block_libraries, shipped

HERE = Path(__file__).parent
FAMILIES = sorted([*shipped(), *block_libraries()])
QUICK = ("alexnet", "googlenet", "squeezenet")
EACH_FAMILY = [
    pytest.param(path, marks=[] if path.stem in QUICK else [pytest.mark.slow], id=path.stem) for path in FAMILIES
]
ROWS = json.loads((HERE / "data" / "printed.json").read_text(encoding="utf-8"))
PAPERS = json.loads((HERE / "data" / "paper_tables.json").read_text(encoding="utf-8"))
AGREE = ("exact", "rounds to", "truncates to")


@cache
def facts(path: Path) -> tuple[list[tuple[Fact, Computed, Verdict]], list[Held]]:
    """All printed numbers of a family as they are judged, and as they are listed."""
    seen: list[tuple[Fact, Computed, Verdict]] = []

    def spy(fact: Fact, computed: Computed) -> Verdict | Problem:
        found = judged(fact, computed)
        if not isinstance(found, Problem):
            seen.append((fact, computed, found))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expect, "judged", spy)
        held = checked(path, reporter := Reporter()).held
    assert not reporter.failed, reporter.diagnostics[:3]
    return seen, held


def other_digits(text: str) -> Iterator[str]:
    """Every text in which one digit is another."""
    for at, char in enumerate(text):
        if char.isdigit():
            yield from (text[:at] + other + text[at + 1 :] for other in "0123456789" if other != char)


def cut(text: str, computed: Computed, k: int) -> bool:
    """Whether a printed number is the computed one, cut after the last digit: 5.2M of 5,288,548, printed 5.3M."""
    if isinstance(computed.value, str):
        return False
    below, unit = value_of(text, k)
    return below <= Decimal(computed.value) < below + unit


def value_of(text: str, k: int = 1000) -> tuple[Decimal, Decimal]:
    """The value of a printed number and of one in its last digit."""
    found = re.fullmatch(r"([\d,]+)(?:\.(\d+))?\s?(?:([kKMGBT])B?|x ?10\^(\d+))?", text)
    assert found, text
    power = {"": 0, "K": 1, "k": 1, "M": 2, "G": 3, "B": 3, "T": 4}[found[3] or ""]
    unit = Decimal(10) ** int(found[4]) if found[4] else Decimal(k) ** power
    last = unit / Decimal(10) ** len(found[2] or "")
    return Decimal(found[1].replace(",", "") + (found[2] or "")) * last, last


@pytest.mark.parametrize("path", EACH_FAMILY)
def test_a_changed_digit_of_a_printed_number_is_an_error(path: Path) -> None:
    """Of those that are exact or round to the printed digits; what is printed cut instead is as good, and left out."""
    for fact, computed, verdict in facts(path)[0]:
        printed = fact.printed
        if verdict not in ("exact", "rounds to") or printed is None:
            continue
        for text in other_digits(printed.text):
            again = Fact(None, None, "", fact.span, Printed(text, printed.span, printed.k))
            found = judged(again, computed)
            if verdict == "rounds to" and not isinstance(found, Problem):
                assert found == "truncates to" and cut(text, computed, printed.k), (computed.what, printed.text, text)
            else:
                assert isinstance(found, Problem), (computed.what, printed.text, text)


@pytest.mark.parametrize("path", EACH_FAMILY)
def test_what_is_explained_needs_it(path: Path) -> None:
    """With the true value in place of the printed one, `misprint` and `differs` have nothing to explain."""
    for fact, computed, verdict in facts(path)[0]:
        if verdict in ("misprint", "differs") and fact.printed is not None:
            text = fact.misprint.text if fact.misprint is not None else computed.like(fact.printed.text)
            again = Fact(
                None,
                None,
                "",
                fact.span,
                Printed(text, fact.printed.span, fact.printed.k),
                fact.misprint,
                fact.why,
                fact.differs,
            )
            found = judged(again, computed)
            assert isinstance(found, Problem) and found.code == "NS503", (computed.what, text)


def plain(text: str) -> str:
    return text.replace(" ", "")


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['row']} {row['printed']}")
def test_a_printed_number_is_as_in_the_transcript(row: dict[str, object]) -> None:
    printed, number = str(row["printed"]), row["computed"]
    stated = [one for held in families().values() for one in held if one.row == row["row"]]
    held = [one for one in stated if plain(one.printed) == plain(printed)]
    assert held, f"no spec states it; stated: {[one.printed for one in stated]}"
    if number is not None:
        assert number in [one.computed for one in held]
    for one in held:
        assert (one.verdict == "misprint") == ("misprint" in row), one
        if "misprint" not in row and isinstance(number, int) and one.computed == number:
            value, last = value_of(printed, int(str(row.get("k", 1000))))
            near = abs(value - number) * 2 <= last or value <= number < value + last
            in_full = printed.replace(",", "").isdigit()
            assert (one.verdict in AGREE) == (number == value if in_full else near), one


@cache
def families() -> dict[str, list[Held]]:
    """All printed numbers, by network."""
    found: dict[str, list[Held]] = {}
    for path in FAMILIES:
        for one in facts(path)[1]:
            found.setdefault(one.network, []).append(one)
    return found


@pytest.mark.slow
def test_every_misprint_and_difference_is_in_the_transcript_with_its_digits() -> None:
    known = {(row["row"], plain(row["printed"])) for row in ROWS}
    explained = [one for held in families().values() for one in held if one.verdict not in AGREE]
    assert not [(one.row, one.printed) for one in explained if (one.row, plain(one.printed)) not in known]
    assert len(explained) > 50


def transcribed(at: str) -> tuple[str, object]:
    """What stands at a place of the papers' tables, and its key; `printed_params_K` is in thousands."""
    found: object = PAPERS
    for key in at.split("/"):
        assert isinstance(found, dict | list)
        found = found[key] if isinstance(found, dict) else found[int(key)]
    return at.rpartition("/")[2], found


def same(printed: str, key: str, found: object) -> bool:
    """Whether the transcript has what is printed: a number, the sides of a size, or a text that says it."""
    if isinstance(found, str):
        number = re.match(r"[\d.x]+", printed.removesuffix("x224x3").replace(",000", "k"))
        found = re.sub(r"(\d+)\^2 x ", r"\1x\1x", found)
        return number is not None and re.search(rf"(?<![\d.]){number[0]}(?![\d.])", found) is not None
    sides = printed.split("x")
    if isinstance(found, list):
        return sides == [str(side) for side in found]
    if len(sides) > 1 and "^" not in printed:
        return sides == [str(found)] * 2
    unit = {"_K": 3, "_M": 6, "_G": 9, "_B": 9}.get(key[-2:], 0)
    return value_of(printed)[0] == Decimal(str(found)) * Decimal(10) ** unit


def test_the_transcript_has_the_digits_of_the_papers_tables() -> None:
    """`paper_tables.json` says what the lectures and papers print, by table and row; it was copied by others."""
    assert not [row for row in ROWS if row["table"] in PAPERS and "at" not in row]
    placed = [row for row in ROWS if "at" in row]
    assert not [row for row in placed if not same(plain(row["printed"]), *transcribed(row["at"]))]
    assert len(placed) > 280
    assert not same("381K", *transcribed("googlenet/rows/3/printed_params_K"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    ["repvgg", "ghostnet", "convnext", "mobilenet_v3", "efficientnet_v2", "shufflenet_v2", "regnet", "darknet53"],
)
def test_what_no_transcript_has_says_that_it_is_from_memory(family: str) -> None:
    (path,) = (path for path in FAMILIES if path.stem == family)
    sources = [one.source for one in facts(path)[1]]
    assert sources and not [source for source in sources if not source.endswith("from memory")]


@pytest.mark.slow
def test_over_five_hundred_printed_numbers_are_verified_or_explained() -> None:
    found = Counter(one.verdict for held in families().values() for one in held)
    assert sum(found.values()) >= 700 and sum(found[verdict] for verdict in AGREE) >= 630, found
    assert found["misprint"] >= 18 and found["differs"] <= found.total() // 10, found


@pytest.mark.slow
def test_the_documents_state_so_many_printed_numbers() -> None:
    """Counted in the text alone: a fact that no network reads would be missing from what is verified."""
    stated = sum(printed(expect) for _, document in documents() for expect in expects(document))
    assert stated >= 500


def expects(document: Document) -> Iterator[Expect]:
    """The facts of a document and of its variants."""
    yield from (part.expect for part in (document, *document.variants.values()) if part.expect is not None)


def printed(stated: Expect) -> int:
    """How many cells and facts state something printed."""
    rows = [*stated.rows, *(row for table in stated.tables for row in table.rows)]
    counts = [*stated.counts.values(), *(facts for _, facts in stated.fields)]
    counts += [facts for row in rows for facts in row.counts.values()]
    shapes = [*stated.shapes, *(shape for row in rows for shape in row.shapes)]
    return sum(fact.printed is not None for facts in counts for fact in facts.items) + sum(
        shape.fact is not None and shape.fact.printed is not None for shape in shapes
    )
