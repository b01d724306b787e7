"""The syntax of specs as one table, from which the validator, the reader and the JSON Schema come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from netspec.expressions.identifiers import Kind
from netspec.ops import OPS, Op
from netspec.syntax.checkpoint_places import CHECKPOINTS
from netspec.syntax.fact_places import EXPECT, FACT, RESULTS, SOURCE
from netspec.syntax.place import ANYTHING, TEXT, Place, mapping

LANGUAGE_VERSION = 1
JOINS = tuple(op.name for op in OPS.values() if op.arity is None)
GROUPS = ("do", "tee")
PARAM_TYPES = ("int", "float", "bool", "str", "list", "size", "pad", "block")
RESERVED_VARIANT_KEYS = ("of", "input", "expect", "results", "title", "source", "passes")
COMPUTED = ("when", "only_if", "repeat", "each", "for", "training_only")
"""The keys whose values are expressions without `=`."""


_TEXT = Place(types=TEXT)
_LIST = Place(types=("array",))
_CONDITION = Place(types=("boolean", "string"), expected="a condition")
_STEPS = Place(types=("array",), item="step", expected="a list of steps")
_SOME_STEPS = Place(types=("array",), item="step", least=1, expected="a list of steps")
_BODY = Place(types=("array",), item="step", least=1, expected="a list of at least one step")
_EACH = Place(
    types=("object", "integer", "string"),
    expected="an integer or a string",
    least=1,
    most=1,
    counts=True,
    key_name=Kind.LOOP_VARIABLE,
    several=True,
)
_FROM = Place(types=("string", "array", "number"), least=1, expected="a path or a list of paths")
_DOC = Place(types=TEXT, expected="text")
_INKED, _IN_TITLE = (rf"(?:[^.{{}}\x00-\x1f{more}]|\{{[^{{}}]*\}})" for more in (r"\s", ""))

STEP_KEYS: Mapping[str, Place | str] = {
    "from": _FROM,
    "when": _CONDITION,
    "only_if": _CONDITION,
    "else": _SOME_STEPS,
    "repeat": Place(types=("integer", "string"), expected="a count"),
    "for": Place(
        types=("object",),
        least=1,
        most=1,
        expected="one entry, `names: iterable`",
        key_name=Kind.LOOP_VARIABLE,
        several=True,
    ),
    "each": _EACH,
    "share": Place(
        types=("object", "boolean", "string"),
        keys={"of": Place(types=("string",)), "own": _LIST},
        no_other_keys=True,
        required=("of",),
        expected="true, a path, or {of: path, own: [names]}",
    ),
    "doc": _DOC,
    "title": Place(types=("string",), pattern=rf"^{_INKED}(?:{_IN_TITLE}*{_INKED})?$", expected="text"),
}
KEYWORDS = tuple(STEP_KEYS)
"""What may be written next to the op of a step."""

BRANCH_KEY_PLACES: Mapping[str, Place | str] = {
    "do": _STEPS,
    "from": _FROM,
    "each": _EACH,
    "only_if": _CONDITION,
    "doc": _DOC,
}
BRANCH_KEYS = tuple(BRANCH_KEY_PLACES)
ONLY_IF_HELP = "branches, tees and outputs take `only_if`; steps take `when`"
OUTPUT_KEYS = ("doc", "from", "loss_weight", "only_if", "training_only")


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A keyword that a step cannot have: of some op or of any other, next to another keyword or without it."""

    keyword: str
    help: str
    op: str = ""
    not_op: str = ""
    with_any: tuple[str, ...] = ()
    without: str = ""

    def holds(self, op: str, keywords: Mapping[str, object]) -> bool:
        """Whether a step of this op and with these keywords has it."""
        return (
            self.keyword in keywords
            and self.op in ("", op)
            and (not self.not_op or op != self.not_op)
            and (not self.with_any or any(word in keywords for word in self.with_any))
            and (not self.without or self.without not in keywords)
        )


MISPLACED = (
    Misplaced("only_if", "steps take `when`; branches, tees and outputs take `only_if`", not_op="tee"),
    Misplaced("when", ONLY_IF_HELP, op="tee"),
    Misplaced(
        "when",
        "false would make the step the identity of two values: put one in a group, `do`",
        not_op="tee",
        with_any=("from",),
    ),
    Misplaced("from", "a group takes it: `do: [...]` with `from` around the loop", with_any=("for",), without="each"),
    Misplaced(
        "each",
        "iterations are side by side or one after the other; a group, `do`, does both",
        with_any=("for", "repeat"),
    ),
    Misplaced("else", "`else` is what runs when `when` is false", without="when"),
)
"""The keywords of steps that are misplaced, in the order in which they are reported."""

BRANCH = Place(
    types=("object", "array", "string", "number"),
    item="step",
    keys=BRANCH_KEY_PLACES,
    no_other_keys=True,
    misplaced={"when": ONLY_IF_HELP},
    expected="a list of steps, a path, or {do:, from:, each:, only_if:}",
)
JOIN = Place(
    types=("object", "array", "null"),
    item=BRANCH,
    others=BRANCH,
    key_name=Kind.BRANCH,
    expected="branches, `{left: [...], right: [...]}`",
)
STEP = Place(
    types=("object", "string"),
    keys=STEP_KEYS,
    is_step=True,
    least=1,
    counts=True,
    expected="a step, `op: arguments` or `name = op: arguments`",
)
OUTPUT = Place(
    keys=dict.fromkeys(OUTPUT_KEYS, ANYTHING),
    no_other_keys=True,
    misplaced={"when": "an output is there or not: `only_if`"},
)

_SIZE = Place(
    types=("object", "array", "string"),
    keys={"shape": Place(types=("array", "string"), expected="a list of sizes"), "sample": _TEXT},
    no_other_keys=True,
    required=("shape",),
    expected="a list or a string",
)
INPUT = Place(
    types=("array", "object", "string"),
    least=1,
    others=_SIZE,
    key_name=Kind.INPUT,
    also="input",
    expected="[channels, height, width], or a mapping of names to sizes",
)
PARAM = Place(
    types=("object", "array", *TEXT),
    keys={
        "type": Place(types=("string",), one_of=PARAM_TYPES, expected=f"one of {', '.join(PARAM_TYPES)}"),
        "default": ANYTHING,
        "one_of": _LIST,
        "min": Place(types=("number",)),
        "doc": _TEXT,
    },
    no_other_keys=True,
    expected="a type or a default",
)


def _params() -> Place:
    return Place(
        types=("object",), others="param", key_name=Kind.PARAM, expected="a mapping of names to types or defaults"
    )


_LET = Place(types=("object",), key_name=Kind.LET, expected="a mapping of names to values")


def _names(what: str, name: Kind | None) -> Place:
    return Place(
        types=("array",),
        item=Place(types=("string",), name=name, expected="a name"),
        least=1,
        expected=f"a list of {what}",
    )


BLOCK = mapping(
    {
        "doc": _TEXT,
        "params": _params(),
        "let": _LET,
        "inputs": _names("inputs", Kind.INPUT),
        "outputs": _names("outputs", None),
        "body": _BODY,
        "examples": Place(
            types=("array",),
            item=mapping(
                {"input": Place(types=("array", "object", "string")), "args": ANYTHING, "expect": "expect"}, "input"
            ),
            expected="a list of {input:, args:, expect:}",
        ),
    },
    "body",
)
VARIANT = Place(
    types=("object",),
    keys={
        "of": Place(types=("string",), expected="the name of a variant"),
        "expect": "expect",
        "results": "results",
        "title": _TEXT,
        "source": SOURCE,
        "passes": Place(types=("array",), expected="a list of passes"),
        "input": "input",
    },
    expected="a mapping of params to values",
)
DOCUMENT = mapping(
    {
        "netspec": Place(types=("integer",), one_of=(LANGUAGE_VERSION,), expected="1, the version of the language"),
        "name": Place(types=TEXT, name=Kind.DOCUMENT),
        "title": _TEXT,
        "source": SOURCE,
        "doc": _TEXT,
        "use": Place(
            types=("array",),
            item=Place(types=("string",), expected="the name of a library"),
            expected="a list of libraries, [blocks/common]",
        ),
        "params": _params(),
        "variants": Place(
            types=("object",),
            others=VARIANT,
            key_name=Kind.VARIANT,
            expected="a mapping of names to settings",
        ),
        "let": _LET,
        "input": "input",
        "blocks": Place(types=("object",), others=BLOCK, key_name=Kind.BLOCK, expected="a mapping of names to blocks"),
        "body": _BODY,
        "outputs": Place(
            types=("array", "object"),
            others=OUTPUT,
            key_name=Kind.OUTPUT,
            expected="a list of paths, or a mapping of names to paths",
        ),
        "expect": "expect",
        "results": "results",
        "checkpoints": CHECKPOINTS,
    },
    "netspec",
)
DOCUMENT = replace(
    DOCUMENT, misplaced={"passes": "passes are those of a variant: `variants: {dense: {passes: [fc_to_conv]}}`"}
)
SECTIONS = tuple(DOCUMENT.keys)
"""The keys of a document."""

PLACES: Mapping[str, Place] = {
    "step": STEP,
    "expect": EXPECT,
    "fact": FACT,
    "results": RESULTS,
    "param": PARAM,
    "input": INPUT,
}
"""The places that are named: those that hold themselves, and those that several hold."""


def place(of: Place | str) -> Place:
    """A place, itself or by its name."""
    return PLACES[of] if isinstance(of, str) else of


def arguments_of(op: str) -> Place:
    """The arguments of an op, after its colon; anything after that of a block, whose parameters nobody knows yet."""
    if op in GROUPS:
        return _SOME_STEPS
    found = OPS.get(op)
    if op in JOINS and found is not None:
        return _join(found)
    return ANYTHING if found is None else _arguments(found)


@lru_cache(maxsize=256)
def _join(found: Op) -> Place:
    """Branches by name, next to the attributes of the join."""
    attributes = dict.fromkeys((p.name for p in found.params), ANYTHING)
    return replace(JOIN, keys=attributes) if attributes else JOIN


@lru_cache(maxsize=256)
def _arguments(found: Op) -> Place:
    names = [p.name for p in found.params] + ["init"] * bool(found.weights)
    if not names:
        return Place(
            types=("null", "object", "array"),
            no_other_keys=True,
            most=0,
            counts=True,
            op=found.name,
            expected="no arguments",
        )
    return Place(keys=dict.fromkeys(names, ANYTHING), no_other_keys=True, op=found.name)


IS_OP = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """The key of a step, `name = op`: the name, None without `=`; the op; and where the op begins."""

    name: str | None
    op: str
    start: int


def split_name(text: str) -> Head:
    """Splits `name = op`; a placeholder in the name may hold `=`."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "=" and depth == 0:
            op = text[i + 1 :].strip()
            return Head(text[:i].strip(), op, text.index(op, i + 1) if op else i)
    return Head(None, text.strip(), 0)
