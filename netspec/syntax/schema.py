"""The structure of a document as JSON Schema, derived from the op table: for editors, and for `validate`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from netspec.diagnostics.errors import Reporter
from netspec.ops import OPS, Op
from netspec.ops.base import Param
from netspec.syntax.step_reader import JOINS, PARAM_TYPES
from netspec.syntax.tree import Map, plain

EXPRESSION = {"type": "string", "pattern": "^="}
TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "list": {"type": "array"},
    "size": {"type": ["integer", "array"]},
    "parts": {"type": ["integer", "array"]},
    "pad": {"anyOf": [{"type": ["integer", "array"]}, {"enum": ["valid", "half", "same_upper"]}]},
    "block": {"type": ["string", "object"]},
}


def document_schema(types: bool = True) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec; `types` adds the types of the arguments of ops, for editors."""
    text: dict[str, Any] = {"type": ["string", "number", "boolean"]}
    anything: dict[str, Any] = {}
    steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "wanted": "a list of steps"}
    values = {"type": "object", "wanted": "a mapping of names to values"}
    outputs = {"type": ["array", "object"], "wanted": "a list of paths, or a mapping of names to paths"}
    block = _object(
        {
            "doc": text,
            "params": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/param"},
                "wanted": "a mapping of names to types or defaults",
            },
            "let": values,
            "inputs": _names("inputs"),
            "outputs": _names("outputs"),
            "body": {**steps, "minItems": 1, "wanted": "a list of at least one step"},
            "examples": {
                "type": "array",
                "items": _object({"input": {"type": ["array", "object", "string"]}, "args": anything}, ["input"]),
                "wanted": "a list of {input:, args:}",
            },
        },
        ["body"],
    )
    fact = {"$ref": "#/$defs/fact"}
    whole = _object({"shape": {"type": ["array", "string"], "wanted": "a list of sizes"}, "sample": text}, ["shape"])
    size = {
        "if": {"type": "object"},
        "then": whole,
        "else": {"type": ["array", "string"]},
        "wanted": "[channels, height, width], or {shape:, sample:}",
    }
    expect = _object(
        dict.fromkeys(("params", "train_params", "macs", "neurons"), fact)
        | {
            "receptive_field": {
                "if": {"required": ["value"]},
                "then": fact,
                "else": {"if": {"type": "object"}, "then": {"additionalProperties": fact}, "else": fact},
            },
            "shapes": {"type": "object", "wanted": "a mapping of paths to shapes"},
            "rows": {
                "type": "object",
                "additionalProperties": _object({"params": fact, "macs": fact, "shape": anything}),
                "wanted": "a mapping of paths to {params:, macs:}",
            },
        }
    )
    variant = {
        "type": "object",
        "wanted": "a mapping of params to values",
        "properties": {
            "of": {"type": "string", "wanted": "the name of a variant"},
            "expect": {"$ref": "#/$defs/expect"},
            "title": text,
            "source": text,
            "passes": {"type": "array", "wanted": "a list of passes"},
            "input": {"$ref": "#/$defs/input"},
        },
    }
    rule = _object(
        {"from": text, "to": {"type": ["string", "null", "number"]}, "reshape": {"type": "boolean"}}, ["from", "to"]
    )
    return _object(
        {
            "netspec": {"const": 1, "type": "integer", "wanted": "1, the version of the language"},
            "name": text,
            "title": text,
            "source": text,
            "doc": text,
            "use": {
                "type": "array",
                "items": {"type": "string", "wanted": "the name of a library"},
                "wanted": "a list of libraries, [blocks/common]",
            },
            "params": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/param"},
                "wanted": "a mapping of names to types or defaults",
            },
            "variants": {"type": "object", "additionalProperties": variant, "wanted": "a mapping of names to settings"},
            "let": values,
            "input": {"$ref": "#/$defs/input"},
            "blocks": {"type": "object", "additionalProperties": block, "wanted": "a mapping of names to blocks"},
            "body": {**steps, "minItems": 1, "wanted": "a list of at least one step"},
            "outputs": outputs,
            "expect": {"$ref": "#/$defs/expect"},
            "checkpoints": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": rule, "wanted": "a list of rules"},
                "wanted": "a mapping of sources to rules",
            },
        },
        ["netspec"],
    ) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netspec document",
        "$defs": {
            "step": _step(types),
            "expect": expect,
            "fact": _fact(),
            "param": _param(),
            "input": {
                "type": ["array", "object", "string"],
                "minProperties": 1,
                "additionalProperties": size,
                "wanted": "[channels, height, width], or a mapping of names to sizes",
            },
            **{f"op_{op.name}": _op(op, types) for op in OPS.values() if op.name not in JOINS},
        },
    }


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "wanted": f"a mapping of {', '.join(list(properties)[:7])}",
    }
    return found | ({"required": required} if required else {})


def _names(what: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "wanted": "a name"},
        "minItems": 1,
        "wanted": f"a list of {what}",
    }


def _fact() -> dict[str, Any]:
    """A number, a word such as 6.8M, {value, within, source, printed, misprint}, or a list of those."""
    one = {
        "if": {"type": "object"},
        "then": _object(
            {
                "value": {"type": ["number", "string"]},
                "within": {"type": ["number", "string"]},
                "source": {},
                "printed": {},
                "misprint": {},
            },
            ["value"],
        ),
        "else": {
            "type": ["number", "string"],
            "wanted": "a number such as 6998552 or 6.8M, or {value:, within:, source:}",
        },
    }
    return {"if": {"type": "array"}, "then": {"items": one}, "else": one}


def _param() -> dict[str, Any]:
    """A type, a default, or {type, default, one_of, min, doc}."""
    return {
        "if": {"type": "object"},
        "then": _object(
            {
                "type": {"enum": list(PARAM_TYPES), "wanted": f"one of {', '.join(PARAM_TYPES)}"},
                "default": {},
                "one_of": {"type": "array"},
                "min": {"type": "number"},
                "doc": {"type": ["string", "number", "boolean"]},
            }
        ),
        "else": {"not": {"type": "null"}, "wanted": "a type or a default"},
    }


def _step(types: bool) -> dict[str, Any]:
    """A word, or one op beside keywords."""
    steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "wanted": "a list of steps"}
    loop = {
        "if": {"type": "object"},
        "then": {"minProperties": 1, "maxProperties": 1},
        "else": {"type": ["integer", "string"]},
        "wanted": "a count, or one entry `names: iterable`",
    }
    keywords = {
        "from": {"type": ["string", "array", "number"], "minItems": 1, "wanted": "a path or a list of paths"},
        "when": {"type": ["boolean", "string"], "wanted": "a condition"},
        "only_if": {"type": ["boolean", "string"], "wanted": "a condition"},
        "else": steps,
        "repeat": {"type": ["integer", "string"], "wanted": "a count"},
        "for": {"type": "object", "minProperties": 1, "maxProperties": 1, "wanted": "one entry, `names: iterable`"},
        "each": loop,
        "share": {
            "if": {"type": "object"},
            "then": _object({"of": {"type": "string"}, "own": {"type": "array"}}, ["of"]),
            "else": {"type": ["boolean", "string"], "wanted": "true, a path, or {of: path, own: [names]}"},
        },
        "doc": {"type": ["string", "number", "boolean"], "wanted": "text"},
    }
    branch = {
        "if": {"type": "object"},
        "then": _object(
            {
                "do": {"type": "array", "items": {"$ref": "#/$defs/step"}, "wanted": "a list of steps"},
                "from": keywords["from"],
                "each": loop,
                "only_if": keywords["only_if"],
                "doc": keywords["doc"],
            }
        ),
        "else": {
            "if": {"type": "array"},
            "then": {"items": {"$ref": "#/$defs/step"}},
            "else": {
                "type": ["string", "number"],
                "wanted": "a list of steps, a path, or {do:, from:, each:, only_if:}",
            },
        },
    }
    join = {
        "if": {"type": "object"},
        "then": {"additionalProperties": branch},
        "else": {
            "if": {"type": "array"},
            "then": {"items": branch},
            "else": {"type": "null", "wanted": "branches, `{left: [...], right: [...]}`"},
        },
    }
    ops: dict[str, Any] = {}
    bare = [op.name for op in OPS.values() if not op.params and not op.weights and op.name not in JOINS]
    for op in OPS.values():
        if op.name not in (*bare, *JOINS):
            ops[_head(op.name)] = {"$ref": f"#/$defs/op_{op.name}"}
    ops[_head("|".join(bare))] = {
        "if": {"type": "array"},
        "then": {"maxItems": 0},
        "else": {"type": ["null", "object"], "wanted": "no arguments"},
    }
    ops[_head("|".join(JOINS))] = join
    ops[_head("do|tee")] = steps
    return {
        "if": {"type": "object"},
        "then": {"properties": keywords, "patternProperties": ops, "minProperties": 1},
        "else": {"type": "string", "minLength": 1, "wanted": "a step, `op: arguments` or `name = op: arguments`"},
    }


def _head(names: str) -> str:
    """Keys such as `conv` and `stem = conv`."""
    return rf"^(?:[^=]*=)?\s*(?:{names})$"


def _op(op: Op, types: bool) -> dict[str, Any]:
    """The arguments of an op: a mapping of its attributes, a list by position, or one value."""
    properties = {p.name: _argument(p) if types else {} for p in op.params}
    if op.weights:
        properties["init"] = _object(dict.fromkeys(op.weights, {})) if types else {}
    mapping = _object(properties) | {"op": op.name}
    found = {"if": {"type": "object"}, "then": mapping}
    return found | ({"description": op.manual} if types else {})


def _argument(p: Param) -> dict[str, Any]:
    kind = {"enum": list(p.one_of)} if p.one_of else TYPES[p.type]
    return {"anyOf": [kind, EXPRESSION]} | ({} if p.required or p.default is None else {"default": p.default})


@lru_cache(maxsize=1)
def _validator() -> Any:
    """The validator; an integer is an int alone, neither 3.0 nor a bool.

    References and conditions, one of each for every step, do here what they do in jsonschema, in half of the time.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def reference(validator: Any, ref: str, instance: Any, _: Any) -> Any:
        return validator.descend(instance, schema["$defs"][ref.removeprefix("#/$defs/")])

    def condition(validator: Any, test: dict[str, Any], instance: Any, around: dict[str, Any]) -> Any:
        kind = _TYPES.get(test.get("type", "")) if len(test) == 1 else None
        holds = isinstance(instance, kind) if kind else validator.evolve(schema=test).is_valid(instance)
        branch = around.get("then" if holds else "else")
        return validator.descend(instance, branch) if branch is not None else ()

    schema = document_schema(types=False)
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", integer)
    keywords = {"$ref": reference, "if": condition}
    return extend(Draft202012Validator, keywords, type_checker=checker)(schema)  # type: ignore[no-untyped-call]


_TYPES = {"object": dict, "array": list, "string": str}


def validate(tree: Map, reporter: Reporter) -> set[int]:
    """Checks the structure of a document; gives the ids of the nodes at fault, which elaboration skips."""
    from netspec.syntax.validate import check_structure, report_violation

    bad: set[int] = set()
    for error in _validator().iter_errors(plain(tree)):
        report_violation(tree, error, reporter, bad)
    check_structure(tree, reporter, bad)
    return bad
