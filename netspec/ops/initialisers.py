"""How weights begin: what a spec may say under `init`, and how many numbers meet in one of a layer's results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from netspec.ops.base import LARGEST, Attrs

WORDS = ("zeros", "ones", "he", "xavier", "bilinear")
SPREADS = ("normal", "uniform", "truncated_normal")

Init: TypeAlias = "float | str | Mapping[str, float]"
"""What stands under `init` for one tensor: a constant, one of WORDS, or one of SPREADS with its size."""

Fans = Callable[[tuple[int, ...], Attrs], tuple[float, float]]
"""(shape of a weight, attributes of its op) -> fan-in and fan-out."""


def check_init(value: object) -> str:
    """Why a value cannot stand under `init`; empty where it can."""
    if isinstance(value, bool):
        return f"an initialiser is a number, {', '.join(WORDS)}, or {{normal: std}}"
    if isinstance(value, (int, float)):
        return "" if abs(value) <= LARGEST else f"{value} is beyond float32: at most 3.4e38"
    if isinstance(value, str):
        return "" if value in WORDS else f"there is no initialiser '{value}'; known: {', '.join((*WORDS, *SPREADS))}"
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, size),) = value.items()
        if kind in SPREADS and isinstance(size, (int, float)) and not isinstance(size, bool) and (0 <= size <= LARGEST):
            return ""
    return f"an initialiser is a number, {', '.join(WORDS)}, or one of {', '.join(f'{{{s}: size}}' for s in SPREADS)}"


def beginning(name: str, size: tuple[int, ...], stated: Mapping[str, Init], constants: Mapping[str, float]) -> Init:
    """How a tensor of a layer begins: as its `init` states, else he for a weight, else the constant of its op.

    Without one of those a vector `weight` and a running variance are 1, all others 0.
    """
    drawn = name == "weight" and len(size) > 1
    return stated.get(name, "he" if drawn else constants.get(name, int(name in ("weight", "running_var"))))


def output_first(size: tuple[int, ...], attrs: Attrs) -> tuple[float, float]:
    """The fans of (out, in, kh, kw), or of (out, in)."""
    area = math.prod(size[2:])
    return size[1] * area, size[0] * area


def input_first(size: tuple[int, ...], attrs: Attrs) -> tuple[float, float]:
    """The fans of (in, out, kh, kw) whose windows overlap: a pixel gets area / stride^2 of each map."""
    covered = math.prod(size[2:]) / math.prod(attrs["stride"])
    return size[0] // attrs["groups"] * covered, size[1] * covered
