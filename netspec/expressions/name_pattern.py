"""What the names look like that a template makes: a match of any name takes time in proportion to its length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netspec.expressions.ast import Parts

_NAME = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class NamePattern:
    """Names with the given texts in this order, and between two of them what fills a placeholder."""

    texts: tuple[str, ...]
    """From what the name begins with to what it ends with; without any, every name fits."""

    @classmethod
    def of(cls, parts: Parts) -> NamePattern:
        """That of the parts of a name."""
        texts = [""]
        for part in parts:
            if isinstance(part, str):
                texts[-1] += part
            else:
                texts.append("")
        return cls(tuple(texts))

    def matches(self, name: str) -> bool:
        """Whether the pattern can make a name; every placeholder gives one character or more of it."""
        if not self.texts:
            return True
        first, *rest = self.texts
        if not rest:
            return name == first
        if not name.startswith(first) or not _NAME.fullmatch(name):
            return False
        # No regular expression: those of many placeholders try every way of sharing the name out among them. What
        # stands between two texts may be anything, so that the first place where a text fits is as good as any.
        end = len(first)
        for text in rest[:-1]:
            found = name.find(text, end + 1)
            if found < 0:
                return False
            end = found + len(text)
        return len(name) - len(rest[-1]) > end and name.endswith(rest[-1])


ANYTHING = NamePattern(())
