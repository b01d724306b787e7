"""Names and paths with placeholders: `layer{stage}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netspec.expressions.evaluate import Run, Wrong

MAX_FILLED = 5_000


@dataclass(frozen=True, slots=True)
class Parsed:
    run: Run
    names: Mapping[str, tuple[int, int]]
    """The names that it reads from its environment, and the characters of the first place of each."""


@dataclass(frozen=True, slots=True)
class Holes:
    """A name or path with holes, without a place."""

    parts: tuple[str | tuple[Parsed, int], ...]
    names: frozenset[str]

    def text(self, env: Any, local: dict[str, Any]) -> str:
        """The text with its holes computed, to ints or words; raises Wrong."""
        out: list[str] = []
        length = 0
        for part in self.parts:
            length += len(out[-1]) if out else 0
            if length > MAX_FILLED:
                message = f"limit exceeded: placeholders make more than {MAX_FILLED:,} characters of this"
                raise Wrong("NS304", message, 0, 1)
            if isinstance(part, str):
                out.append(part)
                continue
            parsed, start = part
            try:
                value = parsed.run(env, local)
            except Wrong as e:
                raise Wrong(e.code, e.message, e.start + start, e.end + start, e.help) from None
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                raise Wrong(
                    "NS302",
                    "a placeholder of a name gives an integer or a string",
                    start,
                    start + 1,
                    "`//` divides integers" if isinstance(value, float) else "",
                )
            out.append(str(value))
        return "".join(out)
