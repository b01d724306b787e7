"""Titles of steps, which are what their papers call them: paths in their words, and the steps that these mean."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from netspec.ir.graph import Graph, holders


def titles(graph: Graph) -> dict[str, str]:
    """The title of every node and scope that has one, by its path; that of the whole is no part of a path."""
    of_scopes = {path: scope.title for path, scope in graph.scopes.items() if scope.title and path}
    return {**of_scopes, **{path: node.title for path, node in graph.nodes.items() if node.title}}


def labelled(path: str, titles: Mapping[str, str]) -> str:
    """A path with the title of its step, `layer1 (conv2_x)`."""
    return f"{path} ({titles[path]})" if path in titles else path


def in_words(path: str, titles: Mapping[str, str]) -> str:
    """A path with titles in place of names: `conv2_x.0.residual` of `layer1.0.residual`."""
    return ".".join(title for _, title in _parts(path, titles))


def both_ends(first: str, last: str) -> str:
    """A run of steps by its first and last; words that both begin with are said once: `Inception-A 1 to 3`."""
    same = os.path.commonprefix([first, last]).rpartition(" ")
    return f"{first} to {last[len(same[0] + same[1]) :]}"


def matching(pattern: str, paths: Iterable[str], titles: Mapping[str, str], ends: bool = False) -> list[str]:
    """The paths that match, or end with what does, each part by its name or its title; `*` and `?` are any part of one.

    Titles have no dots, so that a pattern has a part for each of a path.
    """
    sought = pattern.split(".")
    found = []
    for path in paths:
        parts = _parts(path, titles)
        if len(parts) >= len(sought) if ends else len(parts) == len(sought):
            last = parts[len(parts) - len(sought) :]
            if all(_fits(pair, part) for pair, part in zip(last, sought, strict=True)):
                found.append(path)
    return found


def step_of(graph: Graph, text: str) -> str | None:
    """The path that a text means, where that is one: a path with titles or names, or what is below a title in one."""
    return Steps(graph).find(text)


class Steps:
    """The steps of a graph by their names and titles, which are looked at once for all texts."""

    def __init__(self, graph: Graph) -> None:
        self.named = titles(graph)
        self.known = dict.fromkeys(filter(None, [*graph.scopes, *holders(graph.nodes), *graph.nodes]))
        self.ending: dict[str, list[str]] = {}
        """The paths whose last step has a name or a title."""
        for path in self.known if self.named else ():
            name = path.rpartition(".")[2]
            for last in {name, self.named.get(path, name)}:
                self.ending.setdefault(last, []).append(path)

    def work(self, text: str) -> int:
        """How many paths there are to compare with a text."""
        return 1 + len(self.ending.get(text.rpartition(".")[2], ()))

    def find(self, text: str) -> str | None:
        """The path that a text means, as `step_of` gives it."""
        if text in self.known:
            return text
        sought = text.split(".")
        below: list[str] = []
        for path in self.ending.get(sought[-1], ()):
            parts = _parts(path, self.named)
            last = parts[max(0, len(parts) - len(sought)) :]
            if len(last) == len(sought) and all(part in pair for pair, part in zip(last, sought, strict=True)):
                if last == parts:
                    return path
                below += [path] if last[0][0] != sought[0] else []
        return below[0] if len(below) == 1 else None


def _fits(pair: tuple[str, str], pattern: str) -> bool:
    return pattern in pair or any(fnmatchcase(name, pattern) for name in pair)


def _parts(path: str, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names in a path, each with the title of the step there, or itself."""
    parts = path.split(".")
    return [(part, titles.get(".".join(parts[: i + 1]), part)) for i, part in enumerate(parts)]
