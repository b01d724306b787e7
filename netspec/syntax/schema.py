"""The table of places as a JSON Schema, for editors: it refuses what the reader refuses."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from netspec.expressions.identifiers import FORM_ATTRIBUTES, LANGUAGE, MODULE_ATTRIBUTES, Kind
from netspec.ops import OPS, Op, Param
from netspec.syntax.keywords import (
    DOCUMENT,
    GROUPS,
    JOINS,
    KEYWORDS,
    LANGUAGE_VERSION,
    MISPLACED,
    PLACES,
    STEP,
    Misplaced,
    arguments_of,
)
from netspec.syntax.place import Place

Schema: TypeAlias = dict[str, object]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""What the language servers of editors know best."""
IDENTIFIER = f"urn:netspec:schema:{LANGUAGE_VERSION}"
_ARGUMENTS: Mapping[str, Schema] = {
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


def document_schema() -> Schema:
    """The JSON Schema (draft-07) of a spec; the integers of a reader in JavaScript may be written as 3.0."""
    names = {kind: _ref(f"name_{kind.name.lower()}") for kind in Kind}
    body = of_place(DOCUMENT)
    del body["description"]
    return {
        "$schema": DRAFT,
        "$id": IDENTIFIER,
        "title": f"netspec document, version {LANGUAGE_VERSION} of the language",
        **body,
        "anyOf": [{"required": ["body"]}, {"required": ["blocks"]}],
        "if": {"required": ["body"]},
        "then": {"required": ["input"]},
        "else": {"not": {"required": ["input"]}},
        "definitions": {
            **{name: of_place(at) for name, at in PLACES.items() if at is not STEP},
            "step": _step(),
            **_one_op(),
            **{f"op_{op.name}": _op(op) for op in _ops() if op.name not in JOINS},
            **{_target(schema): _name(kind) for kind, schema in names.items()},
            "words": {"enum": sorted({*LANGUAGE, *keyword.kwlist, "true", "false"})},
            "attributes_of_modules": {"enum": sorted(MODULE_ATTRIBUTES | FORM_ATTRIBUTES)},
        },
    }


def _ops() -> list[Op]:
    return sorted(OPS.values(), key=lambda op: op.name)


def published() -> str:
    """The text of the schema's file, which is next to the shipped specs."""
    return json.dumps(document_schema(), indent=1) + "\n"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _target(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def of_place(at: Place | str | None) -> Schema:
    """What is accepted in a place."""
    if at is None or isinstance(at, str):
        return _ref(at) if at else {}
    if at.unless is not None:
        with_key = of_place(replace(at, unless=None))
        without = {"if": {"type": "object"}, "then": of_place(at.unless[1]), "else": with_key}
        return {"if": {"anyOf": [{"required": [key]} for key in at.unless[0]]}, "then": with_key, "else": without}
    found: Schema = {}
    if at.types:
        found["type"] = list(at.types) if len(at.types) > 1 else at.types[0]
    if at.one_of:
        found["enum"] = list(at.one_of)
    if at.within is not None:
        found |= {"minimum": at.within[0], "maximum": at.within[1]}
    if at.pattern:
        found["pattern"] = at.pattern
    if at.name is not None:
        found |= {"type": "string", "allOf": [_ref(f"name_{at.name.name.lower()}")]}
    if at.item is not None:
        found["items"] = of_place(at.item)
    found |= _keys(at) | _counts(at)
    if at.expected or at.no_other_keys:
        found["description"] = at.expected or at.known
    return found


def _keys(at: Place) -> Schema:
    """The keys of a mapping."""
    found: Schema = {}
    if at.keys:
        found["properties"] = {name: of_place(inner) for name, inner in at.keys.items()}
    if at.no_other_keys:
        found["additionalProperties"] = False
    elif at.others is not None:
        found["additionalProperties"] = of_place(at.others)
    if at.required:
        found["required"] = list(at.required)
    if at.any_of:
        found["anyOf"] = [{"required": [key]} for key in at.any_of]
    if at.key_name is not None:
        name = {"pattern": _LOOP_VARIABLES} if at.several else _ref(f"name_{at.key_name.name.lower()}")
        found["propertyNames"] = {"anyOf": [{"const": at.also}, name]} if at.also is not None else name
    return found


def _counts(at: Place) -> Schema:
    """The number of entries of a list or a mapping; a text that must say something has a letter."""
    found: Schema = {}
    for kind, entries in (("array", "Items"), ("object", "Properties")):
        if kind in at.types and at.least:
            found[f"min{entries}"] = at.least
        if kind in at.types and at.most is not None:
            found[f"max{entries}"] = at.most
    if at.least and "string" in at.types:
        found["pattern"] = r"\S"
    return found


# A step: one op next to its keywords.

_RESERVED = "|".join(sorted({*LANGUAGE, *keyword.kwlist, "true", "false"}))
_COUNTED = "|".join(sorted({*LANGUAGE, *keyword.kwlist, "true", "false"} - {"i"}))
_VARIABLE = rf"\s*(?!(?:{_COUNTED})\s*(?:,|$))(?!__)[A-Za-z_][A-Za-z0-9_]{{0,199}}\s*"
_LOOP_VARIABLES = rf"^{_VARIABLE}(?:,{_VARIABLE})*$"
_TEMPLATE = r"(?:[A-Za-z0-9_]|\{[^{}]*\})+"
_HEAD = rf"^\s*(?:{_TEMPLATE}\s*=)?\s*[A-Za-z_][A-Za-z0-9_]*\s*$"
_TAKEN = "|".join(sorted(MODULE_ATTRIBUTES | FORM_ATTRIBUTES))
_BAD_HEAD = rf"^\s*(?:__|(?:{_RESERVED}|{_TAKEN})\s*=)"


def _head_of(ops: Iterable[str]) -> str:
    """The keys of the steps of some ops, such as `conv` and `stem = conv`."""
    return rf"^(?:.*=)?\s*(?:{'|'.join(ops)})\s*$"


def _step() -> Schema:
    """A string, or one op next to keywords."""
    plain = [op.name for op in _ops() if not op.params and not op.weights and op.name not in JOINS]
    others = [op.name for op in _ops() if op.name not in (*plain, *JOINS)]
    arguments = {_head_of([name]): _ref(f"op_{name}") for name in others}
    by_place = [[name for name in JOINS if OPS[name].params], [name for name in JOINS if not OPS[name].params]]
    for ops in (plain, *filter(None, by_place), GROUPS):
        arguments[_head_of(ops)] = of_place(arguments_of(ops[0]))
    head = {"pattern": _HEAD, "not": {"pattern": _BAD_HEAD}}
    return of_place(STEP) | {
        "pattern": _HEAD,
        "not": {"anyOf": [{"type": "string", "pattern": p} for p in (_BAD_HEAD, _head_of(GROUPS))]},
        "patternProperties": arguments,
        "propertyNames": {"anyOf": [{"enum": list(KEYWORDS)}, head]},
        "if": {"type": "object"},
        "then": {"allOf": [*map(_misplaced, MISPLACED), _ref(_seen(0, 0))]},
    }


def _misplaced(rule: Misplaced) -> Schema:
    """A keyword that a step must not have, as what must not hold together."""
    holds: list[Schema] = [{"required": [rule.keyword]}]
    if rule.op:
        holds.append({"not": _has_no(rule.op)})
    if rule.not_op:
        holds.append(_has_no(rule.not_op))
    if rule.with_any:
        holds.append({"anyOf": [{"required": [word]} for word in rule.with_any]})
    if rule.without:
        holds.append({"not": {"required": [rule.without]}})
    return {"not": {"allOf": holds}, "description": rule.help}


def _has_no(op: str) -> Schema:
    """A step of any other op."""
    return {"propertyNames": {"not": {"pattern": _head_of([op])}}}


def _seen(done: int, found: int) -> str:
    return f"step_{done}_{found}"


def _one_op() -> Mapping[str, Schema]:
    """A step has one key more than it has keywords: counted keyword by keyword, since JSON Schema has no sums."""
    schemas: dict[str, Schema] = {}
    for done, word in enumerate(KEYWORDS):
        for found in range(done + 1):
            then, other = _ref(_seen(done + 1, found + 1)), _ref(_seen(done + 1, found))
            schemas[_seen(done, found)] = {"if": {"required": [word]}, "then": then, "else": other}
    for found in range(len(KEYWORDS) + 1):
        one = {"minProperties": found + 1, "maxProperties": found + 1, "description": "one op and its keywords"}
        schemas[_seen(len(KEYWORDS), found)] = one
    return schemas


def _op(op: Op) -> Schema:
    """The arguments of an op: a mapping of its attributes, a list by position, or one value."""
    properties: Schema = {p.name: _argument(p) for p in op.params}
    if op.weights:
        init = {"type": "object", "properties": dict.fromkeys(op.weights, {}), "additionalProperties": False}
        properties["init"] = init
    found = of_place(arguments_of(op.name))
    return found | ({"properties": properties} if properties else {}) | {"description": op.manual}


def _argument(p: Param) -> Schema:
    kind = {"enum": list(p.one_of)} if p.one_of else _ARGUMENTS[p.type]
    found: Schema = {"anyOf": [kind, {"type": "string", "pattern": "^="}]}
    return found if p.required or p.default is None else found | {"default": p.default}


# Names.


def _name(kind: Kind) -> Schema:
    """A name of a kind, as netspec.expressions.identifiers has it."""
    part = {"pattern": "^(?!__)[A-Za-z0-9_]{1,200}$"}
    identifier = {"pattern": "^(?!__)[A-Za-z_][A-Za-z0-9_]{0,199}$"}
    words, taken = {"not": _ref("words")}, {"not": _ref("attributes_of_modules")}
    if kind in (Kind.STEP, Kind.BRANCH):
        return {"anyOf": [{"allOf": [part, words, taken]}, {"pattern": rf"^(?=.*\{{){_TEMPLATE}$"}]}
    if kind is Kind.INPUT:
        return {"allOf": [part, words, taken]}
    return {"allOf": [identifier, words, *([taken] if kind is Kind.BLOCK else [])]}
