"""What there is to say of a network, a block or a library in a page: `netspec explain SPEC`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from netspec.analysis.cost import totals
from netspec.analysis.measures import MEASURES, Measured
from netspec.diagnostics.text import clip
from netspec.elaborate.compiled import Compiled
from netspec.elaborate.document import values_of
from netspec.ir.titles import labelled, titles
from netspec.ops.base import show
from netspec.reports.catalogue import year_of
from netspec.reports.table import digits
from netspec.syntax.document import Document, Expect, Fact
from netspec.syntax.results import Result

WIDTH = 120


def of_network(network: Compiled, argument: str) -> str:
    """A network or a block alone: its paper, sizes, params, blocks, variants and facts."""
    graph, document, variant = network.inference, network.document, network.variant
    alone = "" in network.graph.scopes
    title = graph.title if alone else document.title_of(variant)
    source = "" if alone else document.source_of(variant)
    steps, named = dict.fromkeys(path.split(".")[0] for path in network.graph.nodes), titles(network.graph)
    counts, trained = totals(graph.nodes.values()), totals(network.shown.nodes.values())
    more = f" ({trained.params - counts.params:,} more in training)" if trained.params > counts.params else ""
    lines: list[tuple[str, str]] = [
        ("source", source),
        ("year", str(year_of(source) or "")),
        ("doc", "" if alone else document.doc),
        ("spec", document.span.file),
        *(("input", f"{n.path} {show(n.shape)}") for n in graph.inputs),
        *(("output", f"{name} {show(graph.shape(o.ref))} from {o.ref.node}") for name, o in graph.outputs.items()),
        ("parameters", f"{counts.params:,}{more}"),
        ("MACs", f"{counts.macs:,} at batch 1"),
        *_measures(network),
        ("params", ", ".join(_params(network, alone))),
        *(("block", line) for line in _blocks(network)),
        *(() if alone else (("variants", ", ".join(document.variants)), *_facts(document, variant))),
        *(() if alone else (("results", cited(result)) for result in document.results_for(variant))),
        ("steps", ", ".join(labelled(step, named) for step in steps)),
        ("one step", f"netspec explain {argument} STEP"),
    ]
    return "\n".join([f"{graph.name}: {title}" if title else graph.name, *_aligned(lines)])


def _measures(network: Compiled) -> Iterator[tuple[str, str]]:
    """How deep it is, and what it needs next to its weights."""
    whole = Measured(network.inference, trained=network.shown).whole
    found = {name: MEASURES[name].of(whole) or 0 for name in ("depth", "memory", "training_memory")}
    yield "depth", f"{found['depth']} layer{'s' * (found['depth'] != 1)}"
    mebibytes = {name: digits(value / 2**20) for name, value in found.items()}
    yield "memory", f"{mebibytes['memory']} MiB for an image, {mebibytes['training_memory']} MiB kept in training"


def of_library(document: Document) -> str:
    """A library: its blocks with their parameters."""
    blocks = [
        ("block", f"{block.name}({', '.join(p.name for p in block.params)})" + (f": {block.doc}" if block.doc else ""))
        for block in document.blocks.values()
    ]
    lines = [("source", document.source), ("doc", document.doc), ("spec", document.span.file)]
    last = ("one block", f"netspec explain {document.argument}:{next(iter(document.blocks), 'BLOCK')}")
    head = f"{document.name}: {document.title}" if document.title else f"{document.name}: a library of blocks"
    return "\n".join([head, *_aligned([*lines, *blocks, last])])


def _aligned(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Rows of a name and a text that may be long; those without a text are left out."""
    before = ""
    for name, said in lines:
        if said:
            head = f"  {'' if name == before else name:<12}"
            yield textwrap.fill(said, WIDTH, initial_indent=head, subsequent_indent=" " * 14, break_long_words=False)
            before = name


def _params(network: Compiled, alone: bool) -> Iterator[str]:
    """The values that `--set` may change."""
    if alone:
        values = dict(network.graph.scopes[""].args)
        names = list(values)
    else:
        values = values_of(network.document, network.variant, network.settings)
        names = [p.name for p in network.document.params]
    for name in names:
        value = values.get(name)
        yield f"{name}={clip(written(value), 60)}"


def written(value: object) -> str:
    """A value as it is written in a spec."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _blocks(network: Compiled) -> Iterator[str]:
    """The blocks that the network calls, how often, and what they are."""
    calls: dict[str, int] = {}
    docs: dict[str, str] = {}
    for path, scope in network.graph.scopes.items():
        if scope.block and path:
            calls[scope.block] = calls.get(scope.block, 0) + 1
            docs.setdefault(scope.block, scope.doc)
    for block, count in calls.items():
        yield f"{block} x {count}" + (f": {docs[block]}" if docs[block] else "")


def cited(result: Result) -> str:
    """A result with its source, and that nobody verified it."""
    tops = {"top-1": result.top1, "top-5": result.top5}
    said = ", ".join(f"{top} {value} %" for top, value in tops.items() if value is not None)
    setting = f", {result.setting}" if result.setting else ""
    return f"{said} on {result.data}{setting}, cited from {result.source}, not verified"


def _facts(document: Document, variant: str | None) -> Iterator[tuple[str, str]]:
    """What `expect` states, one line for each key."""
    expect = document.expect_for(variant)
    for key in expect.keys if expect is not None else ():
        if expect is not None and key != "printed":
            yield "facts", f"{key} {', '.join(_stated(expect, key))}"
    for table in document.tables_for(variant):
        source = f" ({table.source})" if table.source else ""
        steps = []
        for row in document.rows_of(table, variant):
            if row.path.text in document.names_of(variant):
                cells = [(name, _fact(facts.items[0]).removeprefix("printed ")) for name, facts in row.counts.items()]
                yield "printed", ", ".join(f"{name} {said}" for name, said in cells)
            else:
                steps.append(row)
        what = dict.fromkeys(name for row in steps for name in (*(["shape"] if row.shapes else []), *row.counts))
        if steps:
            yield "printed", f"{', '.join(what)} of {', '.join(row.path.text for row in steps)}{source}"


def _stated(expect: Expect, key: str) -> Iterator[str]:
    """What it states of one thing: numbers, or the paths for which it does."""
    paths = {
        "shapes": [fact.path.text for fact in expect.shapes],
        "rows": [row.path.text for row in expect.rows],
        "receptive_field": [path.text for path, _ in expect.fields if path is not None],
    }.get(key)
    if paths:
        yield f"of {', '.join(paths)}"
    else:
        stated = [expect.counts[key]] if key in expect.counts else [facts for _, facts in expect.fields]
        yield from (_fact(fact) for facts in stated for fact in facts.items)


def stated_of(expect: Expect, path: str) -> list[str]:
    """What it states of one step beside what papers print, a line for each fact."""
    stated = [
        *(("receptive_field", facts) for at, facts in expect.fields if at is not None and at.text == path),
        *(item for row in expect.rows if row.path.text == path for item in row.counts.items()),
    ]
    numbers = [(what, fact) for what, facts in stated for fact in facts.items if fact.value is not None]
    return [f"expected: {what} {_fact(fact)}" for what, fact in numbers]


def _fact(fact: Fact) -> str:
    within = f" within {fact.within.text}" if fact.within is not None else ""
    printed = f"printed {fact.printed.text}" if fact.printed is not None else ""
    value = fact.value.text if fact.value is not None else ""
    stated = f"{value}{within}{', ' * bool(value and printed)}{printed}"
    return stated + (f" ({fact.source})" if fact.source else "")
