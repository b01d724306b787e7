"""Common mistakes of newcomers, seen in the structure of a spec: what was meant, for the help lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from netspec.diagnostics.errors import Hint, did_you_mean, nearest
from netspec.expressions.identifiers import Kind, why_not
from netspec.expressions.other_names import normal
from netspec.ops import OPS, lookup
from netspec.syntax.keywords import JOINS, KEYWORDS, split_name
from netspec.syntax.meant import argument_help, meant_argument, meant_op, op_help
from netspec.syntax.other_names import COLUMNS, KEYS, TYPES
from netspec.syntax.other_names import KEYWORDS as KEYWORDS_OF_OTHERS
from netspec.syntax.tree import Map, Scalar, Seq, Tree


def meant_key(name: str, known: Sequence[str]) -> str | None:
    """The key of a document or block that is meant by an unknown one."""
    return next((k for k in KEYS.get(normal(name), ()) if k in known), None) or nearest(name, known)


def meant_column(name: str, known: Sequence[str]) -> str | None:
    """The column of a table that is meant by an unknown one: params by parameters, s by stride."""
    return next((k for k in COLUMNS.get(normal(name), ()) if k in known), None) or nearest(name, known)


def key_help(name: Scalar, value: Tree, known: Sequence[str], op: str) -> str | Hint:
    """The help for an unknown key of a mapping, or argument of an op."""
    if isinstance(value, Scalar) and value.plain and value.text == "" and re.match(r"\w+:\S", name.text):
        return f"a space after the colon: {name.text.replace(':', ': ', 1)}"
    if name.text.rstrip().endswith((")", "]")):
        return "quote an expression with commas or brackets inside { } or [ ]"
    if op:
        return argument_help(
            name.text, known, op, f"known: {', '.join(known)}" if known else f"'{op}' takes no arguments"
        )
    meant = [*KEYS.get(normal(name.text), ()), *COLUMNS.get(normal(name.text), ())]
    if (found := next((k for k in meant if k in known), None)) is not None:
        return f"did you mean '{found}'?"
    return did_you_mean(name.text, known, f"known: {', '.join(known)}")


def missing_help(missing: Sequence[str]) -> str:
    """The help for a missing key."""
    return "a spec begins with `netspec: 1`, the version of the language" if missing[:1] == ["netspec"] else ""


def value_help(node: Tree, key: str, expected: str) -> str:
    """The help for a value of another kind than is expected."""
    if isinstance(node, Map) and expected.startswith("a list of") and "step" in expected:
        return "each step begins with `- `"
    if isinstance(node, Seq) and expected.endswith("body, examples"):
        return "the steps stand in a list under `body:`"
    if key == "for" and isinstance(node, Map):
        return "several names are one key, in quotes inside { }: `for: {'a, b': [[8, 1], [16, 3]]}`"
    if key == "for":
        listed = isinstance(node, Seq)
        return "the loop variable stands before what it goes over, `for: {k: [8, 16]}`" if listed else "`for: {k: 5}`"
    if not isinstance(node, Scalar):
        return ""
    if node.value is None and expected.startswith("a list of steps, a path"):
        return "a branch that does nothing is `[]`"
    if expected.startswith("one of int") and node.text.lower() in TYPES:
        return f"did you mean '{TYPES[node.text.lower()]}'?"
    if node.text.startswith("//"):
        return "a comment begins with #"
    if node.plain and isinstance(node.value, str) and re.match(r"- ?\w", node.text):
        return "a space after the dash, and the list two columns further"
    if node.plain and re.search(r"\n|\s\w+:", node.text):
        return "write `relu:` before keywords"
    if "a list of" in expected and re.fullmatch(r"[\w./]+", node.text) and isinstance(node.value, str):
        return f"write `[{node.text}]`"
    return ""


def op_text_help(text: str, op: str, blocks: set[str], is_op: Callable[[str], bool]) -> str | Hint:
    """The help for a text that is written as an op and cannot be the name of one."""
    if called := re.fullmatch(r"(?:(\w+)\s*=\s*)?([\w.]+)\((.*)\)", text):
        return _call_help(called[1] or "", called[2], called[3].strip(), [*OPS, *blocks])
    if re.match(r"\w+:\S", text):
        return f"a space after the colon: {text.replace(':', ': ', 1)}"
    if found := re.match(r"(\w+) +([\[{0-9=].*)", op):
        return f"a colon after the op: `{found[1]}: {found[2]}`"
    if (words := re.fullmatch(r"(\w+) +(\w+)", op)) and is_op(words[2]):
        return f"a name is given with `=`: `{words[1]} = {words[2]}`"
    if re.search(r"\s\w+$|\n", op) and op.split():
        return f"write `{op.split()[0]}:` before keywords"
    if (bare := op.strip(" ;,.:-")) != op and is_op(bare):
        return f"did you mean '{bare}'?"
    if re.fullmatch(r"[\w.-]+", op):
        return op_help(op, [*OPS, *blocks])
    return "a step is `op`, `op: arguments` or `name = op: arguments`"


def _call_help(name: str, op: str, inner: str, known: Sequence[str]) -> str:
    """The step that `nn.Conv2d(3, 64, 3, padding=1)` is."""
    meant, arguments = meant_op(op, known) or op, [a.strip() for a in inner.split(",") if a.strip()]
    if meant in OPS and meant != op and (channels := OPS[meant].told_channels.get(normal(op))) is not None:
        by_position = [a for a in arguments if "=" not in a]
        del by_position[channels : channels + 1]
        most = sum(p.positional for p in OPS[meant].params)
        arguments = by_position[:most] + [a for a in arguments if "=" in a]
    params = [p.name for p in OPS[meant].params] if meant in OPS else []
    named = [a for a in arguments if "=" in a]
    pairs = [(params[i] if i < len(params) else f"?{i}", a) for i, a in enumerate(arguments) if "=" not in a]
    for key, _, value in (a.partition("=") for a in named):
        pairs.append((meant_argument(key.strip(), params) or key.strip(), value.strip()))
    given = ", ".join(f"{k}: {v}" for k, v in pairs) if named else ", ".join(arguments)
    text = f": {{{given}}}" if named else f": [{given}]" if given else ""
    return (
        f"arguments follow a colon: `{f'{name} = ' if name else ''}{meant}{text}`"
        if text
        else (f"write `{f'{name} = ' if name else ''}{meant}`")
    )


def second_op_help(first: Scalar, second: Scalar) -> str | Hint:
    """The help for a second key next to the op of a step that is not a keyword."""
    first_op, keyword = split_name(first.text).op, KEYWORDS_OF_OTHERS.get(normal(second.text))
    op = lookup(first_op)
    if normal(first_op) in ("type", "op", "layer", "classname", "module", "kind"):
        return "a step begins with its op: `conv: {out: 8, kernel: 3}`"
    if keyword is not None:
        return f"did you mean '{keyword}'?" if keyword.isidentifier() else keyword
    if first_op in JOINS:
        return did_you_mean(second.text, KEYWORDS, "branches stand two columns further")
    if op is not None and second.text in [p.name for p in op.params]:
        return f"arguments stand inside the op's: `{first_op}: {{..., {second.text}: ...}}`"
    if lookup(split_name(second.text).op) is not None:
        return did_you_mean(second.text, KEYWORDS, "a second step begins with `- `")
    return did_you_mean(second.text, KEYWORDS)


def name_help(text: str, kind: Kind) -> str:
    """Suggests a valid name close to an invalid one."""
    cleaned = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:100]
    for other in (cleaned, f"{cleaned}_", f"n{cleaned}"):
        if cleaned and other != text and not why_not(other, kind):
            return f"choose another name, such as '{other}'"
    return "choose another name"
