"""What is wrong with a text that is not valid YAML, and where: more than the YAML reader says."""

from __future__ import annotations

import re

import yaml

from netspec.diagnostics.errors import Reporter, Source, Span

MAX_LINE = 500
"""Characters of a line in which common mistakes are looked for."""


def report_syntax(source: Source, reporter: Reporter, error: yaml.YAMLError) -> None:
    """One error for a text that is not valid YAML, at the place where it is wrong as far as that can be seen."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    line, col = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    opens = getattr(error, "context_mark", None)
    if ("escape" in problem or "hexdecimal" in problem) and opens is not None and opens.line + 1 == line:
        message = "a backslash in double quotes begins an escape, and YAML has none like this"
        col = source.line(line).rfind("\\", 0, col) + 1
        reporter.error("NS102", message, Span(source, line, col, line, col + 2), "in single quotes it is a backslash")
        return
    if (quote := _unclosed_quote(source, error, line)) is not None:
        text = source.line(quote.line)[quote.col - 1]
        message = f"this {'single' if text == chr(39) else 'double'} quote is never closed"
        reporter.error("NS102", message, quote, f"close it in the same line with {text}")
        return
    opened = _unclosed(source.text, line)
    if opened is not None:
        bracket, at_line, at_col = opened
        mistake = _flow_mistake(source.line(at_line)[:MAX_LINE])
        reporter.error(
            "NS102",
            f"this '{bracket}' is never closed",
            Span(source, at_line, at_col, at_line, at_col + 1),
            mistake or f"close it with '{ {'[': ']', '{': '}'}[bracket] }'",
        )
        return
    help_ = _common_mistake(source, line)
    reporter.error("NS102", f"this is not valid YAML: {problem}", Span(source, line, col, line, col + 1), help_)


def _unclosed_quote(source: Source, error: yaml.YAMLError, line: int) -> Span | None:
    """The quote that was left open: YAML reads on to the next one, or to the end, and stumbles there."""
    opened = _quotes(source, line)
    context = str(getattr(error, "context", None) or "")
    mark = getattr(error, "context_mark", None)
    if "quoted scalar" in context and mark is not None:
        return opened or Span(source, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
    if opened is None:
        return None
    quote = source.line(opened.line)[opened.col - 1]
    closing = next((n for n in range(opened.line + 1, line + 1) if quote in source.line(n)), None)
    return opened if closing is not None and line - closing <= 1 else None


def _quotes(source: Source, last_line: int) -> Span | None:
    """The first quote up to a line that is opened where a value begins and not closed in its line."""
    for number in range(1, last_line + 1):
        quote, opened, previous, before = "", 0, " ", ""
        line = source.line(number)
        if line.lstrip().startswith("#"):
            continue
        for col, char in enumerate(line, 1):
            if quote:
                quote = "" if char == quote and not (quote == '"' and previous == "\\") else quote
            elif char in "'\"" and before in ("", ":", "-", "[", "{", ",", "("):
                quote, opened = char, col
            elif char == "#" and previous.isspace():
                break
            previous = char
            before = before if char.isspace() else char
        if quote:
            return Span(source, number, opened, number, opened + 1)
    return None


def _common_mistake(source: Source, line: int) -> str:
    """The help for one of the common mistakes, seen at a line that the YAML reader refused."""
    here, above = source.line(line)[:MAX_LINE], source.line(line - 1)[:MAX_LINE]
    if re.match(r"\s*-\s*\{[^}]*\}\s*=", here):
        return 'quote a name that starts with a placeholder: `- "{k} = conv": 64`'
    if re.search(r":\s*(['\"])[^'\"]*\1\s*\S", here):
        return "YAML took the quote: swap the sides, or start with `=`"
    if re.match(r"\s*-\s+[\w =]+\Z", above) and re.match(r"\s+\w+:", here):
        return f"write `{above.strip()}:` before keywords"
    if re.match(r"\s+(?:from|when|only_if|else|repeat|for|each|share|doc|title):", here) and re.match(r"\s*- ", above):
        return f"a keyword stands at the column of its op, {len(above) - len(above.lstrip()) + 3}"
    if re.match(r"\s*-\s+\w+:\s+\w+:(\s|\Z)", here):
        return "a name is given with `=`: `- stem = conv: ...`"
    if re.search(r"\$\{\w+\}", here):
        return "a parameter is read by `=`, as in `=width`"
    if re.search(r"[{,]\s*\w+:\s*[^\s,{}\[\]]+\s+\w+:\s", here):
        return "a comma between the entries of { }"
    if _flow_mistake(here):
        return _flow_mistake(here)
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "indent with spaces, not tabs"
    return ""


def _flow_mistake(line: str) -> str:
    return (
        "quote an expression with commas or brackets inside { } or [ ]"
        if re.search(r"[\[{].*=[^,\]}\"']*[(\[]", line)
        else ""
    )


def _unclosed(text: str, last_line: int) -> tuple[str, int, int] | None:
    """The innermost bracket that is open where reading failed, quotes and comments skipped."""
    stack: list[tuple[str, int, int]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines[:last_line], 1):
        quote, previous = "", " "
        for col, char in enumerate(line, 1):
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"" and previous in " [{,:(":
                quote = char
            elif char == "#" and previous.isspace():
                break
            elif char in "[{" and (stack or previous in " -:[{,"):
                stack.append((char, number, col))
            elif char in "]}" and stack:
                stack.pop()
            previous = char
        if stack and number < min(last_line, len(lines)) and _leaves(lines[number], lines[stack[0][1] - 1]):
            break
    return stack[0] if stack else None


def _leaves(line: str, opening: str) -> bool:
    """Whether a line is no longer in a bracket of another: an entry of a list, or a key that is no deeper."""
    indents = [len(text) - len(text.lstrip()) for text in (line, opening)]
    return bool(re.match(r"\s*- ", line) or re.match(r"\s*\w+:( |\Z)", line) and indents[0] <= indents[1])
