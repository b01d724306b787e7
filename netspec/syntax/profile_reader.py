"""A profile as a file says it: the passes that were measured to pay for one network in one runtime.

It is read like a spec, with its reader and its budgets, and checked against one table of places, from which its JSON
Schema comes too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from netspec.diagnostics.errors import Reporter, Source, Span, UsageError
from netspec.expressions.identifiers import clipped
from netspec.files.pipes import MAX_BYTES, from_file
from netspec.syntax.ast import Name
from netspec.syntax.place import Place, mapping
from netspec.syntax.schema import DRAFT, Schema, of_place
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.validate import Validator
from netspec.syntax.yaml_reader import parse_any

VERSION = 1
SUFFIX = ".tune.json"
KEY = "netspec_profile"
"""The key of the version, with which a profile begins."""


def _places(targets: Collection[str]) -> Place:
    """What a file holds; `measured` is for people, and nothing is made of it."""
    name = Place(types=("string",), least=1, expected="a name")
    at = Place(types=("array",), item=name, least=1, expected="a list of steps or scopes")
    return mapping(
        {
            KEY: Place(types=("integer",), one_of=(VERSION,), expected=f"{VERSION}, the version of profiles"),
            "network": name,
            "graph": Place(types=("string",), least=1, expected="the hash of a network, as `netspec tune` writes it"),
            "target": Place(types=("string",), one_of=tuple(targets), expected=f"one of {', '.join(targets)}"),
            "passes": Place(
                types=("array",), expected="a list of passes", item=mapping({"name": name, "at": at}, "name")
            ),
            "measured": Place(types=("object",), expected="what was measured"),
        },
        KEY,
        "network",
        "graph",
        "target",
        "passes",
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A pass that is run, at some steps or below some scopes; without any everywhere."""

    name: Name
    at: tuple[Name, ...] = ()

    @property
    def texts(self) -> list[str]:
        """As `--pass` takes it."""
        return [f"{self.name.text}@{place.text}" for place in self.at] or [self.name.text]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a file says."""

    file: str
    network: Name
    graph: Name
    target: Name
    passes: tuple[Chosen, ...] = field(default=())
    asked: str = ""
    """How its network was asked for on a command line, quoted for a shell; empty where it was not."""

    @property
    def texts(self) -> list[str]:
        """The passes as `--pass` takes them."""
        return [text for chosen in self.passes for text in chosen.texts]

    @property
    def said(self) -> str:
        """What is said of it: its file and its passes."""
        return f"{Path(self.file).name}: {', '.join(self.texts) or 'no pass pays'}"


def parse_profile(path: str | Path, targets: Collection[str], reporter: Reporter) -> Profile:
    """The profile in a file for one of the targets; raises SpecError, and UsageError where it cannot be read."""
    name = str(path)
    try:
        data = from_file(Path(path), name)
    except UsageError as e:
        raise UsageError(e.message, e.help or "`netspec tune SPEC --target TARGET` measures a profile") from None
    if len(data) > MAX_BYTES:
        reporter.error("NS105", "the file is larger than 4 MiB", Span(Source(name, ""), 1, 1, 1, 1))
        reporter.check()
    try:
        source = Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{clipped(name)} is not UTF-8", "a profile is JSON, as `netspec tune` writes it") from None
    tree = parse_any(source, reporter)
    reporter.check()
    if not isinstance(tree, Map):
        begins = tree.span if tree is not None else Span(source, 1, 1, 1, 1)
        reporter.error("NS110", "a profile is a mapping", begins, "`netspec tune SPEC --target TARGET` writes one")
        reporter.check()
    assert isinstance(tree, Map)
    if tree.get(KEY) is None:
        help = f'it begins with "{KEY}": `netspec tune SPEC --target TARGET` writes one'
        reporter.error("NS112", f"{clipped(Path(name).name)} is not a profile", tree.span, help)
        reporter.check()
    Validator(reporter).mapping(tree, _places(targets), None)
    reporter.check()
    listed = tree.get("passes")
    passes = tuple(map(_chosen, listed.items)) if isinstance(listed, Seq) else ()
    return Profile(name, _name(tree.get("network")), _name(tree.get("graph")), _name(tree.get("target")), passes)


def _chosen(item: Tree) -> Chosen:
    """A pass of a list that was checked."""
    assert isinstance(item, Map)
    at = item.get("at")
    return Chosen(_name(item.get("name")), tuple(map(_name, at.items)) if isinstance(at, Seq) else ())


def _name(tree: Tree | None) -> Name:
    assert isinstance(tree, Scalar)
    return Name(tree.text, tree.span)


def profile_schema(targets: Collection[str]) -> Schema:
    """The JSON Schema (draft-07) of a profile; which passes and steps there are the reader knows."""
    body = of_place(_places(targets))
    del body["description"]
    return {
        "$schema": DRAFT,
        "$id": f"urn:netspec:profile:{VERSION}",
        "title": f"netspec profile, version {VERSION}",
        **body,
    }
