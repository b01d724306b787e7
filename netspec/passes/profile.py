"""A profile of one network: its passes are known, and the network that was measured has the hash of this one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from netspec.diagnostics.errors import Reporter, did_you_mean
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Graph
from netspec.passes import CHOSEN
from netspec.passes.base import Pass
from netspec.passes.runtimes import MEASURED
from netspec.syntax.profile_reader import Profile, parse_profile


def read_profile(path: str | Path) -> Profile:
    """The profile in a file; raises SpecError with its errors, UsageError where it cannot be read."""
    reporter, seen = Reporter(), set[str]()
    profile = parse_profile(path, MEASURED, reporter)
    for name in (chosen.name for chosen in profile.passes):
        if name.text not in CHOSEN:
            help = did_you_mean(name.text, CHOSEN, f"known: {', '.join(CHOSEN)}")
            reporter.error("NS202", f"there is no pass '{clipped(name.text)}' that a profile may name", name.span, help)
        if name.text in seen:
            reporter.error("NS103", f"the pass '{clipped(name.text)}' is there twice", name.span, "join their `at`")
        seen.add(name.text)
    reporter.check()
    return profile


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
