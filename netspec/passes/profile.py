"""A profile: the passes that a measurement found to pay for one network in one runtime, as a file of JSON.

It is read like a spec, with its reader and its budgets, and checked against one table of places, from which its JSON
Schema comes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from netspec.diagnostics.errors import Reporter, Source, Span, UsageError, did_you_mean
from netspec.expressions.identifiers import clipped
from netspec.files.pipes import MAX_BYTES, from_file
from netspec.ir.graph import Graph
from netspec.passes import CHOSEN
from netspec.passes.base import Pass
from netspec.passes.runtimes import MEASURED
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

_NAME = Place(types=("string",), least=1, expected="a name")
PROFILE = mapping(
    {
        KEY: Place(types=("integer",), one_of=(VERSION,), expected=f"{VERSION}, the version of profiles"),
        "network": _NAME,
        "graph": Place(types=("string",), least=1, expected="the hash of a network, as `netspec tune` writes it"),
        "target": Place(types=("string",), one_of=tuple(MEASURED), expected=f"one of {', '.join(MEASURED)}"),
        "passes": Place(
            types=("array",),
            expected="a list of passes",
            item=mapping(
                {
                    "name": _NAME,
                    "at": Place(types=("array",), item=_NAME, least=1, expected="a list of steps or scopes"),
                },
                "name",
            ),
        ),
        "measured": Place(types=("object",), expected="what was measured"),
    },
    KEY,
    "network",
    "graph",
    "target",
    "passes",
)
"""What a file holds; `measured` is for people, and nothing is made of it."""


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

    @property
    def texts(self) -> list[str]:
        """The passes as `--pass` takes them."""
        return [text for chosen in self.passes for text in chosen.texts]

    @property
    def said(self) -> str:
        """What is said of it: its file and its passes."""
        return f"{Path(self.file).name}: {', '.join(self.texts) or 'no pass pays'}"


def read_profile(path: str | Path) -> Profile:
    """The profile in a file; raises SpecError with its errors, UsageError where it cannot be read."""
    name, reporter = str(path), Reporter()
    data = from_file(Path(path), name)
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
    Validator(reporter).mapping(tree, PROFILE, None)
    reporter.check()
    passes = tuple(_chosen(tree.get("passes"), reporter))
    reporter.check()
    return Profile(name, _name(tree.get("network")), _name(tree.get("graph")), _name(tree.get("target")), passes)


def _chosen(listed: Tree | None, reporter: Reporter) -> Iterator[Chosen]:
    """The passes of a list that was checked; one that is not to be chosen is reported, and one that is there twice."""
    seen: set[str] = set()
    for item in listed.items if isinstance(listed, Seq) else ():
        assert isinstance(item, Map)
        name, at = _name(item.get("name")), item.get("at")
        if name.text not in CHOSEN:
            help = did_you_mean(name.text, CHOSEN, f"known: {', '.join(CHOSEN)}")
            reporter.error("NS202", f"there is no pass '{clipped(name.text)}' that a profile may name", name.span, help)
        if name.text in seen:
            reporter.error("NS103", f"the pass '{clipped(name.text)}' is there twice", name.span, "join their `at`")
        seen.add(name.text)
        yield Chosen(name, tuple(map(_name, at.items)) if isinstance(at, Seq) else ())


def _name(tree: Tree | None) -> Name:
    assert isinstance(tree, Scalar)
    return Name(tree.text, tree.span)


def digest(graph: Graph, passes: Sequence[Pass]) -> str:
    """The hash of what a network is: its steps with their ops, attributes, operands, shapes and shared weights.

    What a scope and the network give by name, and `passes` that its variant or `--pass` name, are in it; titles, docs,
    comments and where a step stands in its file are not.
    """
    parts: list[object] = [
        [n.path, n.op, [str(r) for r in n.inputs], dict(n.attrs), n.shapes, n.weights_at] for n in graph.nodes.values()
    ]
    parts.append([[s.path, {name: str(ref) for name, ref in s.outs.items()}] for s in graph.scopes.values()])
    parts.append({name: str(output.ref) for name, output in graph.outputs.items()})
    parts.append([[p.name, sorted(p.only) if p.only is not None else None] for p in passes])
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()


def profile_schema() -> Schema:
    """The JSON Schema (draft-07) of a profile; which passes and steps there are the reader knows."""
    body = of_place(PROFILE)
    del body["description"]
    return {
        "$schema": DRAFT,
        "$id": f"urn:netspec:profile:{VERSION}",
        "title": f"netspec profile, version {VERSION}",
        **body,
    }
