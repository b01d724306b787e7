"""Every command says the same of a document: `check` adds what stands in its closed list, and nothing is silent."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pytest
import yaml
from cli_harness import spec_commands
from conftest import sampled

from netspec.check.check_file import ONLY_CHECK, check_file
from netspec.cli.main import run
from netspec.diagnostics.errors import Reporter, Span
from netspec.syntax.document import Document
from netspec.syntax.reader import read_document

HERE = Path(__file__).parent
SPECS = sorted(p for folder in ("bad", "cases", "good") for p in (HERE / folder).glob("*.yaml"))
LINE = re.compile(r"^(.+?):(\d+):(\d+): (error|warning|note)\[(NS\d+)\]: ", re.MULTILINE)
SLOW = ("run", "verify", "tune")
ELSEWHERE = ("check", "plot", "bench")
"""The command that all others are compared with, and those that take several specs."""
LINES = {name: [word for word in line if word != "SPEC"] for name, line in spec_commands().items()}
QUICK = [line[:1] if name == "explain" else line for name, line in LINES.items() if name not in (*SLOW, *ELSEWHERE)]
COMMANDS = [*QUICK, *(LINES[name] for name in SLOW)]

Found = set[tuple[str, int, int, str]]


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Found, str]:
    """The exit code, the diagnostics as (file, line, column, code), and stderr."""
    code = run(list(args))
    err = capsys.readouterr().err
    assert code == 0 or err.strip(), f"{args}: exit code {code} and no message"
    assert code in (0, 1, 2), f"{args}: {err}"
    found = {(f, int(line), int(col), ns) for f, line, col, _, ns in LINE.findall(err)}
    return code, found, err


def errors(err: str) -> int:
    return sum(severity == "error" for *_, severity, _ in LINE.findall(err))


def inside(place: tuple[str, int, int, str], spans: Iterable[Span | None]) -> bool:
    """Whether a diagnostic lies in one of these parts of a document."""
    found = [span for span in spans if span is not None]
    at = place[1:3]
    return any(s.file == place[0] and (s.line, s.col) <= at <= (s.end_line, s.end_col) for s in found)


def allowed(place: tuple[str, int, int, str], document: Document) -> bool:
    """Whether the closed list of what only `check` looks at covers a diagnostic; other variants are asked for."""
    stated = [document.expect, *(v.expect for v in document.variants.values())]
    expects = [expect.span for expect in stated if expect is not None]
    blocks = [span for block in document.blocks.values() for span in (block.at.span, block.span)]
    if document.is_library:  # its blocks are built by their examples, with the blocks of other files that they call
        return True
    if place[3] in ("NS201", "NS202", "NS206", "NS301") and inside(place, [document.body_span]):
        return True  # in a step that no condition or loop reaches, or behind an error
    return place[3] == "NS209" or inside(place, expects) or inside(place, blocks)


def compare(capsys: pytest.CaptureFixture[str], path: Path, commands: list[list[str]]) -> None:
    """Compares `check` with the union of what a command says of every variant."""
    code, found, err = said(capsys, "check", str(path))
    document = read_document(path, Reporter())
    variants = list(document.variants) if document is not None else []
    for command in commands:
        union: Found = set()
        codes = set()
        for options in [["--variant", v] for v in variants] or [[]]:
            step = ["no_such_step"] if command[0] == "explain" else []
            one = said(capsys, command[0], str(path), *step, *command[1:], *options)
            no_step = command[0] == "explain" and one[0] == 2 and "has no step" in one[2]
            no_time = command[0] == "tune" and one[0] == 1 and "nothing was decided" in one[2]
            codes.add(0 if no_step or no_time else one[0])
            union |= one[1]
        if document is not None and document.is_library and 1 not in codes:
            # A library has no network, and what it offers is blocks; `check` builds them.
            assert codes == ({0} if command[0] == "show" else {2}), f"{path} {command}"
        else:
            assert codes <= {0, 1} and not union - found, f"{path} {command}: {union - found} is not said by check"
            assert code == 1 or codes == {0}, f"{path}: check says ok, {command} refuses"
        extra = {place for place in found - union if document is None or not allowed(place, document)}
        assert not extra, f"{path} {command}: only check says {extra}"
        if 1 not in codes and errors(err):
            assert found - union, f"{path}: check refuses for nothing of its own"


@pytest.mark.parametrize("path", sampled(SPECS, 12, lambda p: p.parent), ids=lambda p: f"{p.parent.name}/{p.stem}")
@pytest.mark.quick(12)
def test_commands_agree(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(capsys, path, COMMANDS if path.parent.name == "cases" else COMMANDS[:1])


@pytest.mark.slow
def test_other_commands_say_what_summary_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Diagnostics and codes of every command that reads a spec, over all bad specs."""
    for path in SPECS:
        if path.parent.name == "bad":
            code, _, err = said(capsys, "summary", str(path))
            for command in QUICK[1:]:
                step = ["no_such_step"] if command[0] == "explain" else []
                other = said(capsys, command[0], str(path), *step, *command[1:], "-q")
                assert other[0] == code or (command[0], code) == ("explain", 0), f"{command} {path}: {other} {err}"
                if code == 1:
                    assert [m for m in LINE.findall(other[2]) if m[3] == "error"] == [
                        m for m in LINE.findall(err) if m[3] == "error"
                    ]


@pytest.mark.slow
def test_the_list_of_what_only_check_looks_at_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its parts, `check` says exactly what `summary` says, over all specs."""
    assert list(ONLY_CHECK) == [
        "other variants",
        "facts under `expect`",
        "blocks that nothing calls",
        "steps that nothing runs",
        "unused names",
    ]
    for path in SPECS:
        reporter = Reporter()
        check_file(path, reporter, parts=())
        ours = {(d.span.file, d.span.line, d.span.col, d.code) for d in reporter.diagnostics if d.span}
        code, found, err = said(capsys, "summary", str(path))
        if code != 2:
            assert ours == found, path
            assert reporter.failed == (code == 1), path
        else:
            assert not reporter.failed and "library" in err, path


BODIES = {
    "null": "body:\n",
    "empty": "body: []\n",
    "word": "body: conv\n",
    "mapping": "body: {conv: 8}\n",
    "null item": "body: [null]\n",
    "empty item": "body: [{}]\n",
    "empty group": "body: [do: []]\n",
    "null group": "body:\n  - do:\n",
    "empty word": "body: ['']\n",
    "number": "body: [3]\n",
    "empty tee": "body:\n  - tee: []\n",
    "only wrong": "body: [{a b = conv: 8}, {c d = relu: }]\n",
}
INPUTS = {
    "none": "",
    "null": "input:\n",
    "empty": "input: {}\n",
    "empty list": "input: []\n",
    "word": "input: big\n",
    "number": "input: 3\n",
    "null inside": "input: {a: }\n",
    "number inside": "input: {a: 3}\n",
    "empty inside": "input: {a: {}}\n",
    "unknown key": "input: {a: {shpe: [3, 8, 8]}}\n",
    "further key": "input: {a: {shape: [N, 3, 8, 8], sampel: rois}}\n",
    "null shape": "input: {a: {shape: }}\n",
    "sample": "input: {a: {shape: [R, 5], sample: roys}}\n",
    "words": "input: [a, b, c]\n",
    "negative": "input: [3, -8, 8]\n",
    "bad name": "input: {a b: [3, 8, 8]}\n",
    "list inside": "input: [[3, 8, 8]]\n",
    "false": "input: false\n",
    "two": "input: {a: {shape: [3, 8, 8]}, b: [3, 8]}\n",
}
WHOLE = {
    "steps": "body:\n  - conv: [8, 1]\n",
    "tee": "body:\n  - tee: [conv: [8, 3]]\n",
    "group": "body:\n  - do: [relu]\n",
    "join": "body:\n  - add: [[], []]\n",
    "from": "body:\n  - relu:\n    from: a\n",
    "outputs": "body: [relu]\noutputs: [relu]\n",
    "each": "body:\n  - tee: [relu]\n    each: {k: 2}\n",
}


@pytest.mark.parametrize(
    "which", sampled([*BODIES, *(f"{i} & {b}" for i in INPUTS for b in WHOLE)], 12, lambda which: which in BODIES)
)
@pytest.mark.quick(8)
def test_odd_bodies_and_inputs(which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing, emptiness or nonsense where a body or an input belongs: the same errors from every command."""
    first, _, second = which.partition(" & ")
    text = INPUTS[first] + WHOLE[second] if second else "input: [3, 8, 8]\n" + BODIES[first]
    path = tmp_path / "t.yaml"
    path.write_text("netspec: 1\nname: t\n" + text, encoding="utf-8")
    compare(capsys, path, QUICK)
    if first != "two":
        code, found, _ = said(capsys, "check", str(path))
        assert code == 1 and found


MISTAKES = ["relu: 3", "a b", "conv:", None, [], {}, "", 3, True, "=x.channels", "={", "{k}", "from", {"conv": [8, 3]}]


@lru_cache
def parsed() -> list[object]:
    """The specs as values, of those that are YAML."""
    values = []
    for path in SPECS:
        with suppress(yaml.YAMLError):
            values.append(yaml.safe_load(path.read_text(encoding="utf-8")))
    return values


def mutated(rng: random.Random, value: object) -> object:
    """A document with one part changed, dropped or doubled."""
    paths = list(walk(value))
    path = rng.choice(paths[1:])
    return changed(rng, value, path)


def walk(value: object, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from walk(part, (*at, key))


def changed(rng: random.Random, value: object, path: tuple[object, ...]) -> object:
    how = rng.randrange(4) if len(path) == 1 else 0
    if isinstance(value, dict):
        pairs = [(k, changed(rng, v, path[1:]) if k == path[0] and len(path) > 1 else v) for k, v in value.items()]
        index = [k for k, _ in pairs].index(path[0])
    else:
        assert isinstance(value, list)
        pairs = [(i, changed(rng, v, path[1:]) if i == path[0] and len(path) > 1 else v) for i, v in enumerate(value)]
        index = int(str(path[0]))
    if len(path) == 1:
        key, part = pairs[index]
        if how == 0:
            del pairs[index]
        elif how == 1 and isinstance(value, dict):
            pairs[index] = (str(key)[1:] + "q", part)
        elif how == 2:
            pairs[index] = (key, rng.choice(MISTAKES))
        else:
            pairs.insert(index, (f"{key}x", part))
    return dict(pairs) if isinstance(value, dict) else [part for _, part in pairs]


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(i, marks=pytest.mark.slow) for i in range(6, 80))])
def test_mutated_specs(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Specs with one to three parts changed: no command says ok of what another refuses, none ends without a word."""
    rng = random.Random(seed)
    path = tmp_path / "t.yaml"
    for _ in range(10):
        value = rng.choice(parsed())
        for _ in range(rng.randint(1, 3)):
            if isinstance(value, dict) and value:
                value = mutated(rng, value)
        path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
        text = path.read_text(encoding="utf-8")
        try:
            compare(capsys, path, COMMANDS[:1])
        except AssertionError as e:
            raise AssertionError(f"{e}\n{text}") from None
