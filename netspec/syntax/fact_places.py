"""What is accepted under `expect`: measures, shapes, and what papers print; and under `results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netspec.syntax.place import ANYTHING, TEXT, Place, mapping

MEASURES = (
    "params",
    "macs",
    "depth",
    "neurons",
    "weights",
    "activations",
    "memory",
    "training_memory",
    "intensity",
    "receptive_field",
)
"""What is measured of a network and of its steps, by the names of `netspec.analysis.measures`."""
_DIGITS = Place(types=("number", "string"))
_AS_COUNTED: Mapping[str, Place | str] = {
    "k": Place(types=("integer",), one_of=(1000, 1024), expected="1000 or 1024, what the unit K stands for"),
    **dict.fromkeys(("biases", "norms", "statistics"), Place(types=("boolean",))),
}
"""How a paper counts what it prints."""
SOURCE = Place(types=TEXT, least=1, expected="the paper and its table, or who measured it")
_SAID = Place(types=TEXT, least=1, expected="a text that says something")
_EXPLAINED: Mapping[str, Place | str] = {
    "misprint": _DIGITS,
    "why": _SAID,
    "differs": Place(types=TEXT),
    "source": SOURCE,
}
_PRINTED = Place(
    types=("number", "string", "object"),
    keys={"value": _DIGITS, **_AS_COUNTED},
    no_other_keys=True,
    required=("value",),
    expected="a number as it is printed, such as 6.8M, or {value:, k:, biases:}",
)
_FACT_KEYS: Mapping[str, Place | str] = {"value": _DIGITS, "within": _DIGITS, "printed": _PRINTED, **_EXPLAINED}
_FACT_HAS = ("value", "printed")
_NUMBER = "a number such as 6998552 or 6.8M, or {value:, within:, printed:, source:}"
_ONE_FACT = Place(
    types=("object", "number", "string"), keys=_FACT_KEYS, no_other_keys=True, any_of=_FACT_HAS, expected=_NUMBER
)
FACT = Place(
    types=("object", "array", "number", "string"),
    item=_ONE_FACT,
    keys=_FACT_KEYS,
    no_other_keys=True,
    any_of=_FACT_HAS,
    expected=_NUMBER,
)
_ONE_SHAPE = Place(keys={"value": ANYTHING, "printed": _DIGITS, **_EXPLAINED}, no_other_keys=True, any_of=_FACT_HAS)
_SHAPE = replace(_ONE_SHAPE, item=_ONE_SHAPE)
_CELL = Place(
    types=("number", "string", "null", "object"),
    keys={"printed": _DIGITS, **_EXPLAINED},
    no_other_keys=True,
    required=("printed",),
    expected="what is printed, `~` for nothing, or {printed:, misprint:, why:, differs:}",
)
_COLUMNS = Place(
    types=("array", "object"),
    item=Place(types=("string",), one_of=("shape", *MEASURES), expected=f"one of shape, {', '.join(MEASURES)}"),
    keys={name: Place(types=("object", "null"), keys=_AS_COUNTED, no_other_keys=True) for name in ("shape", *MEASURES)},
    no_other_keys=True,
    least=1,
    expected="a list of measures, [shape, params, macs], or a mapping of them to {k:, biases:}",
)
_PRINTED_TABLE = mapping(
    {
        "source": SOURCE,
        "variants": Place(
            types=("array",), item=Place(types=("string",)), least=1, expected="a list of variants that are alike"
        ),
        "input": Place(
            types=("array",), item=Place(types=("integer",)), least=1, expected="a size, [channels, height, width]"
        ),
        "columns": _COLUMNS,
        "rows": Place(
            types=("object",),
            others=Place(types=("array",), item=_CELL, least=1, expected="a list of what is printed in the row"),
            expected="a mapping of steps or networks to what is printed in the row",
        ),
    },
    "columns",
    "rows",
)
EXPECT = mapping(
    {
        **dict.fromkeys((*(name for name in MEASURES if name != "receptive_field"), "train_params"), "fact"),
        "receptive_field": Place(
            types=FACT.types,
            item=_ONE_FACT,
            keys=_FACT_KEYS,
            no_other_keys=True,
            expected=_NUMBER,
            unless=(_FACT_HAS, Place(types=("object",), others="fact")),
        ),
        "shapes": Place(types=("object",), others=_SHAPE, expected="a mapping of paths to shapes"),
        "rows": Place(
            types=("object",),
            others=mapping({**dict.fromkeys(MEASURES, "fact"), "shape": _SHAPE}),
            expected="a mapping of paths to {params:, macs:}",
        ),
        "printed": Place(
            types=("array",), item=_PRINTED_TABLE, expected="a list of tables, {source:, columns:, rows:}"
        ),
    }
)

TOPS = ("top1", "top5")
_PERCENT = Place(types=("number",), within=(0, 100), expected="a percentage, 0 to 100")
_ABOUT: Mapping[str, Place | str] = {
    "source": SOURCE,
    "data": _SAID,
    "setting": _SAID,
}
_EXPECTED = "{top1:, top5:, source:}, or with top1_error: and top5_error:"


def _of(keys: tuple[str, ...]) -> Place:
    return Place(
        types=("object", "array"),
        keys={**dict.fromkeys(keys, _PERCENT), **_ABOUT},
        no_other_keys=True,
        required=("source",),
        any_of=keys,
        expected=_EXPECTED,
    )


_ERRORS = tuple(f"{top}_error" for top in TOPS)
_ONE = replace(_of(_ERRORS), types=("object",), unless=(_ERRORS, replace(_of(TOPS), types=("object",))))
RESULTS = replace(_of(_ERRORS), item=_ONE, unless=(_ERRORS, _of(TOPS)))
"""One result, by its accuracies or by its errors, or a list of them."""
