"""What `tools/dev fuzz` found: every file of the corpus is checked as it checks its inputs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

pytest.importorskip("resource")  # which Windows has not

import fuzz  # noqa: E402
import fuzz_mutate  # noqa: E402

CORPUS = sorted(fuzz.CORPUS.glob("*.yaml"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_what_was_found_once(path: Path) -> None:
    found = fuzz.check(path)
    found.seconds = found.bytes = 0  # those of a process of its own: the slow tests of large specs measure them
    assert found.fault == ""


def test_inputs_follow_from_seed_and_number() -> None:
    ones, others = fuzz.Inputs(3), fuzz.Inputs(3)
    assert [ones[n] for n in range(40)] == [others[n] for n in range(40)]
    assert len({ones[n] for n in range(40)}) > 35
    assert [fuzz.Inputs(4)[n] for n in range(5)] != [ones[n] for n in range(5)]


def test_every_way_to_change_a_text_changes_some() -> None:
    import random

    texts = fuzz.Inputs(0).texts
    mutator = fuzz_mutate.Mutator(random.Random(1), texts)
    for change in (mutator.byte, mutator.token, mutator.line, mutator.splice, mutator.structure):
        assert any(change(text) != text for text in texts[:20]), change


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (fuzz.Outcome(0, "", 0.1, 5, 10**8), ""),
        (fuzz.Outcome(1, "a.yaml:1:1: error[NS101]: m", 0.1, 5, 10**8), ""),
        (fuzz.Outcome(1, "", 0.1, 5, 10**8), "no error is named: "),
        (fuzz.Outcome(2, "error: m", 0.1, 5, 10**8), "exit code 2: error: m"),
        (fuzz.Outcome(4, "error: a bug", 0.1, 5, 10**8), "exit code 4: error: a bug"),
        (fuzz.Outcome(0, "", 2.1, 500, 10**8), "2.1 s for 500 nodes"),
        (fuzz.Outcome(0, "", 2.1, 1000, 10**8), ""),
        (fuzz.Outcome(0, "", 0.1, 5, 600 * 2**20), "600 MiB"),
    ],
)
def test_what_is_a_fault(outcome: fuzz.Outcome, fault: str) -> None:
    assert outcome.fault == fault


def test_a_bug_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that fails on a word is found out, in its own process too; time that is short again is none."""
    monkeypatch.setattr(fuzz, "CORPUS", fuzz.ROOT / "build" / "fuzz" / "corpus-of-a-test")
    monkeypatch.setattr(fuzz, "check_alone", fuzz.check)
    monkeypatch.setattr("netspec.syntax.reader.validate", lambda *_: 1 // 0)
    state, inputs = fuzz.State(5), fuzz.Inputs(5)
    path = tmp_path / "a.yaml"
    path.write_bytes(b"netspec: 1\n")
    inputs.texts, inputs.weights = [b"netspec: 1\nname: a\n"], [1]
    number = next(n for n in range(100) if fuzz_mutate.parsed(inputs[n]).__class__ is dict)
    path.write_bytes(inputs[number])
    fuzz.take(state, inputs, number, fuzz.check(path))
    (name,) = state.found
    kept = fuzz.CORPUS / name
    assert kept.read_bytes() == inputs[number] and "ZeroDivisionError" in state.found[name]
    kept.unlink()
    assert state.ended == {"4": 1} and state.next == number + 1
    assert fuzz.confirmed(b"netspec: 1\n")[0] != ""
    monkeypatch.undo()
    fault, seconds = fuzz.confirmed(b"netspec: 1\n")
    assert fault == "" and 0 < seconds < fuzz.HANGS
