"""Numbers as facts write them and papers print them: what they say, and whether a number gives their digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from netspec.syntax.tree import ScalarValue

Agreement: TypeAlias = Literal["exact", "rounds to", "truncates to"]

LONGEST = 40
"""Characters of a number; nobody prints a longer one."""
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)\Z")
_POWERS = {"K": 1, "k": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_GROUPED = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]*)"
_PRINTED = re.compile(rf"({_GROUPED})(?:\.([0-9]+))?(?:\s?([kKMGBT])|\s?[x×]\s?10\^?([1-9][0-9]?))?\Z")
_BYTES = re.compile(r"(.*?)(?:\s?([kKMGT])(i?))?\s?B\Z")
_SIDE = r"[1-9][0-9]{0,9}"
_SIZES = re.compile(rf"{_SIDE}(?:\s?[x×]\s?{_SIDE}){{0,3}}\Z")


def quantity(value: ScalarValue) -> float | int | None:
    """6998552, 6.8M, 1550M as a number; K, M, G are 10^3, 10^6, 10^9; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    found = _QUANTITY.match(value.replace(",", "")) if isinstance(value, str) else None
    if found is None:
        return None
    scaled = float(found[1]) * _UNITS.get(found[2], 1)
    if not math.isfinite(scaled):
        return None
    return round(scaled) if math.isclose(scaled, round(scaled)) else scaled


def tolerance(value: ScalarValue) -> float | None:
    """4% or 0.04 as a share; None for anything else."""
    if isinstance(value, str) and value.endswith("%"):
        number = quantity(value[:-1].strip())
        return number / 100 if number is not None and 0 <= number < 100 else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 else None


@dataclass(frozen=True, slots=True)
class Digits:
    """A printed number: 6.8M is 6,800,000 whose last digit stands for 100,000."""

    value: Fraction
    unit: Fraction
    """What its unit stands for: 1, 1000, 1024, ..."""
    decimals: int
    suffix: str
    """The unit as it is printed."""

    @property
    def last(self) -> Fraction:
        """What its last digit stands for."""
        return self.unit / Fraction(10**self.decimals)

    @property
    def whole(self) -> bool:
        """Whether it is an integer without a unit, of which no digit is left out."""
        return self.unit == 1 and not self.decimals

    def agreement(self, number: float) -> Agreement | None:
        """How a number gives these digits: as it is, rounded, or cut after them; None where it does not.

        An integer that is printed in full is that integer and no other, and zero in any digits is nothing but zero.
        """
        exactly = Fraction(number)
        if exactly == self.value:
            return "exact"
        if not self.value or (self.whole and isinstance(number, int)):
            return None
        if 2 * abs(exactly - self.value) <= self.last:
            return "rounds to"
        return "truncates to" if self.value <= exactly < self.value + self.last else None

    def written(self, number: float) -> str:
        """A number rounded to the digits and the unit of this one: 378K next to 380K."""
        written = f"{float(Fraction(number) / self.unit):,.{self.decimals}f}"
        return f"{written}{self.suffix}" if re.search("[1-9]", written) else f"{number:,}"


def digits(text: str, k: int = 1000, of_bytes: bool = False) -> Digits | None:
    """6.8M, 1000K, 12,345, 0.85B, 3.6x10^9 as it is printed, with what K stands for; None for anything else.

    Of bytes B is a byte and no billion, 29MB is 29M, and MiB is a power of 1024.
    """
    if len(text) > LONGEST:
        return None
    written = text
    if of_bytes and (byte := _BYTES.match(text)) is not None:
        k, text = 1024 if byte[3] else k, text[: byte.end(2) if byte[2] else byte.end(1)]
    found = _PRINTED.match(text)
    if found is None:
        return None
    whole, decimals, letter, power = found[1].replace(",", ""), found[2] or "", found[3], found[4]
    unit = Fraction(10 ** int(power) if power else k ** _POWERS[letter] if letter else 1)
    suffix = written[found.end(2) if decimals else found.end(1) :]
    return Digits(Fraction(int(whole + decimals), 10 ** len(decimals)) * unit, unit, len(decimals), suffix)


def sizes(text: str) -> tuple[int, ...] | None:
    """112x112x64 as numbers; None for anything else."""
    if len(text) > LONGEST or not _SIZES.match(text):
        return None
    return tuple(int(side) for side in re.split(r"\s?[x×]\s?", text))


def written_as(printed: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """A shape (C, H, W) or (F) as a size is printed, H x W x C or H x W alone, and in no other order.

    A map of one cell and features are printed alike, 1x1x1000 or 1000; of a map one number may be its side.
    """
    full = tuple(shape) if len(shape) == 3 else (*shape, 1, 1) if len(shape) == 1 else None
    if full is None:
        return tuple(shape)
    channels, height, width = full
    orders: list[tuple[int, ...]] = [(height, width, channels)]
    if len(printed) == 2:
        orders = [(height, width)]
    elif len(printed) == 1:
        features = [(channels,)] if height == width == 1 else []
        orders = [*features, *([(height,)] if height == width and len(shape) == 3 else [])] or orders
    return next((order for order in orders if order == tuple(printed)), orders[0])


_WORDS = {"thousand": "K", "million": "M", "mio": "M", "mln": "M", "billion": "B", "bn": "B", "trillion": "T"}
_IN_WORDS = re.compile(rf"({_GROUPED}(?:\.[0-9]+)?)\s*({'|'.join(_WORDS)})\.?\Z")


def number_help(text: str, of_bytes: bool = False) -> str:
    """What is meant by a text that is no printed number."""
    if word := _IN_WORDS.match(text.lower()):
        return f"did you mean '{word[1]}{_WORDS[word[2]]}'?"
    for meant in (
        text.replace(" ", ""),
        text.replace(",", "."),
        text.upper(),
        text.replace("_", ""),
        text.lstrip("~≈<>+0"),
    ):
        if digits(meant, of_bytes=of_bytes) is not None:
            return f"did you mean '{meant}'?"
    return "the digits and the unit of the paper: 6998552, 6.8M, 380K, 1.5B, 3.6x10^9"
