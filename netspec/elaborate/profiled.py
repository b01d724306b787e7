"""Whether a profile is one of this network and runtime, and its steps are there."""

from __future__ import annotations

from netspec.diagnostics.errors import Reporter, did_you_mean
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.passes import CHOSEN, PASSES
from netspec.passes.places import changed, scopes_of
from netspec.passes.runtimes import MEASURED
from netspec.syntax.profile_reader import Chosen, Profile


def check_profile(profile: Profile, graph: Graph, digest: str, module: Module, runtime: str) -> None:
    """Raises SpecError where a profile does not fit a network, its hash, its module after `-O1`, and a runtime.

    An empty runtime is any.
    """
    reporter, target, name = Reporter(), profile.target, graph.name
    again = f"measure it: `netspec tune {profile.asked or 'SPEC'} --target {runtime or target.text}`"
    if runtime and runtime not in MEASURED:
        again = f"leave out --profile: `netspec tune` measures in {', '.join(MEASURED)}"
    if runtime not in ("", target.text):
        reporter.error("NS605", f"this is a profile for {target.text}, not for {runtime}", target.span, again)
    if profile.graph.text != digest:
        what = f"is of another network, '{clipped(profile.network.text)}'"
        if profile.network.text == name:
            what = f"is of another state of '{clipped(name)}': its spec, a param, its size or a --pass is another"
        reporter.error("NS605", f"this profile {what}", profile.graph.span, again)
    reporter.check()
    known, there = [*graph.nodes, *graph.scopes], scopes_of(graph.nodes)
    for place in (place for chosen in profile.passes for place in chosen.at):
        if place.text not in there:
            help = did_you_mean(place.text, known)
            reporter.error("NS203", f"'{clipped(name)}' has no step '{clipped(place.text)}'", place.span, help)
    reporter.check()
    by_name = {chosen.name.text: chosen for chosen in profile.passes}
    for p in PASSES:
        if p.name in by_name:
            module = _changed(by_name[p.name], module, reporter)
    reporter.check()


def _changed(chosen: Chosen, module: Module, reporter: Reporter) -> Module:
    """The module after a pass; a place at which it changes nothing is reported, and one that others have already."""
    p, paths = CHOSEN[chosen.name.text], [place.text for place in chosen.at]
    after = (p.at(paths) if paths else p)(module)
    if not paths and after is module:
        reporter.error("NS605", f"'{p.name}' finds nothing in the network", chosen.name.span, "leave it out")
    found = scopes_of(changed(module.graph, after.graph)) if paths else set()
    seen = set[str]()
    for place in chosen.at:
        if place.text not in found or place.text in seen:
            message = f"'{p.name}' finds nothing at '{clipped(place.text)}'"
            again = "it is there twice" if place.text in found else "leave it out"
            reporter.error("NS605", message, place.span, again)
        seen.add(place.text)
    return after
