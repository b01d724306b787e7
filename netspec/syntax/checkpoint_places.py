"""What is accepted under `checkpoints`: rules for names, and the published weights that fit the variants."""

from __future__ import annotations

from netspec.syntax.place import ANYTHING, TEXT, Place, mapping

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")
"""How pictures are resized."""
MAX_SIDE = 65_536
_SIDE = Place(types=("integer",), within=(1, MAX_SIDE), expected=f"a number of pixels, 1 to {MAX_SIDE}")


def _channels(least: float, expected: str) -> Place:
    number = Place(types=("number",), within=(least, 1000), expected=expected)
    return Place(types=("array",), item=number, least=1, most=4, expected="a list of a number for each channel")


PREPROCESS = mapping(
    {
        "resize": _SIDE,
        "crop": Place(
            types=("integer", "array"),
            within=(1, MAX_SIDE),
            item=_SIDE,
            least=2,
            most=2,
            expected="a number of pixels, or [height, width]",
        ),
        "interpolation": Place(types=("string",), one_of=FILTERS, expected=f"one of {', '.join(FILTERS)}"),
        "antialias": Place(types=("boolean",)),
        "mean": _channels(-1000, "a number"),
        "std": _channels(1e-6, "a positive number"),
    }
)
LABELS = Place(
    types=("string", "array"),
    item=Place(types=TEXT, least=1, expected="a name"),
    least=1,
    expected="imagenet, or a list of names",
)
_TEXT = Place(types=TEXT)
PUBLISHED = mapping(
    {
        "name": Place(types=("string",), least=1, expected="a name"),
        "file": Place(types=("string",), least=1, expected="hf:ORG/NAME, or a URL with #sha256="),
        "preprocess": PREPROCESS,
        "labels": LABELS,
        "params": Place(types=("object",), others=ANYTHING, expected="a mapping of params to values"),
        "license": _TEXT,
    },
    "name",
    "file",
)
RULE = mapping(
    {"from": _TEXT, "to": Place(types=("string", "null", "number")), "reshape": Place(types=("boolean",))}, "from", "to"
)
_RULES = Place(types=("array",), item=RULE, expected="a list of rules")
CHECKPOINTS = Place(
    types=("object",),
    others=Place(
        types=("array", "object"),
        item=RULE,
        keys={
            "rules": _RULES,
            "preprocess": PREPROCESS,
            "labels": LABELS,
            "weights": Place(
                types=("object",),
                others=Place(types=("array",), item=PUBLISHED, least=1, expected="a list of {name:, file:}"),
                expected="a mapping of variants to published weights",
            ),
        },
        no_other_keys=True,
        expected="a list of rules, or {rules:, preprocess:, labels:, weights:}",
    ),
    expected="a mapping of sources to rules",
)
