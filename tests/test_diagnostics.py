"""How diagnostics are printed: excerpt, caret, calls, help; bounded, escaped, and for machines."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pytest

import netspec
from netspec.check.check_file import check_file
from netspec.cli import main as cli
from netspec.diagnostics import errors
from netspec.diagnostics.errors import Diagnostic, Frame, Reporter, Source, Span
from netspec.diagnostics.printer import Printer
from netspec.diagnostics.text import MAX_MESSAGE


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def span(text: str, line: int, col: int, end: int, name: str = "a.yaml") -> Span:
    return Span(Source(name, text), line, col, line, end)


def printed(*found: Diagnostic, format: str = "text", color: str = "never", stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    Printer(format, color, stream).print(found)
    return stream.getvalue()


def test_text_is_as_the_design_shows() -> None:
    text = "\n" * 33 + "      - add:\n"
    diagnostic = Diagnostic(
        "NS402",
        "the branches of 'add' disagree: residual is 256x56x56, shortcut is 64x56x56",
        span(text, 34, 9, 12, "specs/resnet.yaml"),
        "the shortcut needs a projection: conv_bn with out: =out",
        (Frame("bottleneck", span(text, 52, 9, 10, "specs/resnet.yaml"), "layer1.0"),),
    )
    assert (
        printed(diagnostic)
        == """\
specs/resnet.yaml:34:9: error[NS402]: the branches of 'add' disagree: residual is 256x56x56, shortcut is 64x56x56
   |
34 |       - add:
   |         ^^^
   in bottleneck, called at specs/resnet.yaml:52:9 as layer1.0
   help: the shortcut needs a projection: conv_bn with out: =out
"""
    )


def caret_of(text: str) -> tuple[str, str]:
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "^" in line)
    return lines[at - 1], lines[at]


@pytest.mark.parametrize("column", [1, 50, 500, 3000])
def test_long_lines_are_cut_around_the_place(column: int) -> None:
    line = "".join(chr(ord("a") + i % 26) for i in range(3000))
    shown, caret = caret_of(printed(Diagnostic("NS102", "m", span(line, 1, column, column + 1))))
    assert len(shown) <= 120
    assert shown[caret.index("^")] == line[column - 1]


def test_caret_stands_below_wide_characters_and_tabs() -> None:
    shown, caret = caret_of(printed(Diagnostic("NS102", "m", span("\u7db2\u7d61\tx", 1, 4, 5))))
    # two wide characters take two columns each, the tab is shown as one blank
    assert caret.index("^") == len("1 | ") + 2 * 2 + 1
    assert shown.endswith(" x")


def test_control_characters_cannot_drive_the_terminal() -> None:
    evil = "\x1b[31mred\x07\u202e"
    diagnostic = Diagnostic(
        "NS102", evil, span(evil, 1, 1, 3, f"{evil}.yaml"), evil, (Frame("b", span(evil, 1, 1, 2, evil), "p"),)
    )
    text = printed(diagnostic)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b[31mred" in text


def test_messages_are_bounded() -> None:
    for format in ("text", "json", "github"):
        text = printed(Diagnostic("NS102", "x" * 100_000, span("a", 1, 1, 2)), format=format)
        assert MAX_MESSAGE <= len(text) < 2 * MAX_MESSAGE


def test_long_traces_are_shortened() -> None:
    trace = tuple(Frame(f"b{i}", span("a", 1, 1, 2), f"p{i}") for i in range(64))
    text = printed(Diagnostic("NS404", "m", span("a", 1, 1, 2), trace=trace))
    assert "in b0, called at a.yaml:1:1 as p0" in text and "in b63," in text
    assert "... 56 calls more" in text and len(text.splitlines()) < 16


def test_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    diagnostic = Diagnostic("NS102", "m", span("a", 1, 1, 2))
    assert "\x1b" not in printed(diagnostic, color="auto")
    assert "\x1b" in printed(diagnostic, color="always")
    assert "\x1b" in printed(diagnostic, color="auto", stream=Terminal())
    assert "\x1b" not in printed(diagnostic, color="never", stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(diagnostic, color="auto", stream=Terminal())


def test_json() -> None:
    diagnostic = Diagnostic(
        "NS201", "m", span("abc def", 1, 5, 8), "h", (Frame("b", span("a", 2, 3, 4), "p"),), "warning"
    )
    (data,) = json.loads(printed(diagnostic, format="json"))
    assert data == {
        "code": "NS201",
        "severity": "warning",
        "message": "m",
        "file": "a.yaml",
        "line": 1,
        "column": 5,
        "end_line": 1,
        "end_column": 8,
        "help": "h",
        "trace": [{"block": "b", "path": "p", "file": "a.yaml", "line": 2, "column": 3}],
    }
    assert json.loads(printed(format="json")) == []


def test_github_escapes_what_ends_a_command() -> None:
    """GitHub's workflow commands: % CR LF are escaped in the text, : and , in properties too."""
    text = printed(Diagnostic("NS201", "50% of\nit", span("a", 3, 4, 5, "a,b:c.yaml"), "h"), format="github")
    assert text == "::error file=a%2Cb%3Ac.yaml,line=3,col=4,title=NS201::50%25 of%0Ait%0Ahelp: h\n"


def test_findings_are_sorted_and_said_once() -> None:
    reporter = Reporter()
    for line in (9, 2, 9):
        reporter.error("NS201", f"at {line}", span("", line, 1, 2))
    assert [d.message for d in reporter.sorted()] == ["at 2", "at 9"]


def test_stream_that_holds_ascii_only() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Printer("text", "never", stream).print([Diagnostic("NS102", "gr\u00f6\u00dfe", span("\u00e9", 1, 1, 2))])
    stream.flush()
    assert b"gr\\xf6\\xdfe" in raw.getvalue()


def test_mistake_inside_a_block_names_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "netspec: 1\nname: t\ninput: [3, 8, 8]\nblocks:\n"
        "  inner:\n    params: {k: int}\n    body:\n      - conv: [4, =k]\n"
        "  outer:\n    params: {k: int}\n    body:\n      - inner: =k\n"
        "body:\n  - a = outer: 3\n  - b = outer: 9\n"
    )
    reporter = Reporter()
    check_file(path, reporter)
    (diagnostic,) = reporter.sorted()
    assert diagnostic.code == "NS401" and diagnostic.span is not None and diagnostic.span.line == 8
    assert [(f.block, f.span.line, f.path) for f in diagnostic.trace] == [("inner", 12, "b.inner"), ("outer", 15, "b")]


WRONG = "netspec: 1\nname: a\ninput: [3, 8, 8]\nbody:\n"


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words whose nearest name was looked for."""
    words: list[str] = []
    real = errors.get_close_matches

    def counted(word: str, known: list[str], **options: object) -> list[str]:
        words.append(word)
        return real(word, known, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(errors, "get_close_matches", counted)
    errors._nearest.cache_clear()
    return words


def run_check(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, *options: str) -> str:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert cli.run(["check", str(path), *options]) == 1
    return capsys.readouterr().err


@pytest.mark.slow
def test_eight_thousand_wrong_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str], looked_for: list[str]) -> None:
    """Checking stops at 1,000 errors, 100 of them are printed, and only for those a nearest name is looked for."""
    text = WRONG + "".join(f"- rel{n}x: 1\n" for n in range(8000))
    said = run_check(tmp_path, capsys, text)
    assert said.count("error[NS201]") == 100
    assert said.endswith(
        "and 900 more (--max-errors 1000 prints them); checking stopped at 1,000 errors\n1,000 errors or more\n"
    )
    assert len(set(looked_for)) == len(looked_for) <= 100


def test_a_word_is_looked_for_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], looked_for: list[str]) -> None:
    said = run_check(tmp_path, capsys, WRONG + "- rleu\n" * 500, "--max-errors", "500")
    assert said.count("did you mean 'relu'?") == 500 and set(looked_for) == {"rleu"} and len(looked_for) <= 2
    assert " more" not in said


@pytest.mark.parametrize("most", [1, 7, 100])
def test_the_machine_formats_say_how_many_are_left(
    most: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, options = WRONG + "- rleu\n" * 300, ("--max-errors", str(most))
    found = json.loads(run_check(tmp_path, capsys, text, "-f", "json", *options))
    assert [d["severity"] for d in found] == ["error"] * most + ["note"]
    assert found[-1]["message"].startswith(f"and {300 - most} more")
    lines = run_check(tmp_path, capsys, text, "-f", "github", *options).splitlines()
    assert len([line for line in lines if line.startswith("::")]) == most + 1
    assert lines[-1].startswith("::notice") and f"and {300 - most} more" in lines[-1]


def test_errors_are_printed_before_warnings_crowd_them_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = "".join(f"  p{n}: 1\n" for n in range(200))
    said = run_check(tmp_path, capsys, f"netspec: 1\nname: a\ninput: [3, 8, 8]\nparams:\n{params}body:\n- rleu\n")
    assert said.count("error[") == 1 and said.count("warning[") == 99


@pytest.mark.parametrize("command", ["check", "summary", "draw", "compile --to json", "run", "explain", "plot params"])
def test_every_command_that_prints_errors_takes_the_option(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(WRONG + "- rleu\n" * 30, encoding="utf-8")
    rest = ["relu"] if command == "explain" else []
    assert cli.run([*command.split(), "a.yaml", *rest, "--max-errors", "3"]) == 1
    assert capsys.readouterr().err.count("error[") == 3
    assert cli.run([*command.split(), "a.yaml", *rest]) == 1
    assert capsys.readouterr().err.count("error[") == 30


def test_a_spec_error_of_a_thousand_errors_is_short(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(WRONG + "- rleu\n" * 8000, encoding="utf-8")
    with pytest.raises(errors.SpecError) as raised:
        netspec.load(path)
    assert len(raised.value.diagnostics) == errors.MAX_ERRORS
    assert str(raised.value).count("error[") == errors.SHOWN_ERRORS
    assert len(raised.value.message.splitlines()) == errors.SHOWN_ERRORS + 1


def test_an_error_from_python_says_what_the_command_line_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(WRONG + "- rleu\n- add: [a, relu]\n", encoding="utf-8")
    for spec in ("a.yaml", "resnet51"):
        assert cli.run(["summary", spec]) != 0
        said = capsys.readouterr().err
        with pytest.raises(errors.NetspecError) as raised:
            netspec.load(spec)
        assert str(raised.value).replace("\nhelp", "\n   help") in said.replace("error: there", "there")
        assert "help: did you mean" in str(raised.value)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
