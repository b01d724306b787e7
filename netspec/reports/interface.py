"""What a spec offers: its params, variants, inputs, outputs, blocks and checkpoints, as the table of `netspec show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from netspec.diagnostics.errors import Span
from netspec.elaborate.compiled import Compiled
from netspec.elaborate.document import values_of
from netspec.ops.base import show
from netspec.reports.overview import written
from netspec.reports.table import Cell, Column, Table
from netspec.syntax.ast import Literal, ValueNode
from netspec.syntax.document import BlockDecl, Document, ParamDecl, Variant
from netspec.syntax.published import Preprocessing, Published

Row: TypeAlias = Mapping[str, Cell]
_NORMAL = str(Preprocessing())
"""How pictures are normalised where a spec says nothing: with the mean and the deviation of ImageNet."""
LONGEST = 80
"""Letters of a value; of a longer one the beginning is shown."""


def interface(document: Document, network: Compiled | None) -> Table:
    """A row for each thing of a spec that can be named; of a library, which is no network, the blocks."""
    rows = [
        *(_of_network(document, network) if network is not None else ()),
        *(row for block in document.blocks.values() for row in _of_block(block)),
        *(_row("checkpoint", source) for source, _ in (document.checkpoints.sources if document.checkpoints else ())),
        *map(_of_weights, document.published),
    ]
    notes = ["checkpoint: names of tensors that it has rules for, under `checkpoints`."] if document.checkpoints else []
    if document.published:
        notes.append(
            "weights: published ones, by their variant: `--weights default` is the first, `--weights NAME` any of them."
        )
        notes.append(f"pictures: with {_NORMAL}, where nothing else is said. The whole addresses are in `-f json`.")
    name = network.name if network is not None else document.name
    title = document.title_of(network.variant) if network is not None else document.title
    return _table(rows, f"{name}: {title}" if title else name, notes)


def _table(rows: Sequence[Row], title: str, notes: Sequence[str] = ()) -> Table:
    """The rows side by side, or where a terminal is narrow with one text for all that is said of each."""
    names = [Column(key, key, wrap=False) for key in ("what", "name")]
    columns = [Column("type", "type"), Column("value", "value", text=_short), Column("doc", "doc", text=_without_usual)]
    merged = Column("said", "type = value; doc")
    return Table([*names, *columns], rows, title, notes=notes, lead=2, narrow=[*names, merged])


def block_interface(block: BlockDecl, network: Compiled) -> Table:
    """The params of a block with the values of its example, and its outputs."""
    args = network.graph.scopes[""].args
    rows = [
        *(_of_param(param, args.get(param.name)) for param in block.params),
        *_ends(network),
    ]
    return _table(rows, f"{block.name}: {block.doc}" if block.doc else block.name)


def _of_network(document: Document, network: Compiled) -> Iterator[Row]:
    values = values_of(document, network.variant, network.settings)
    for param in document.params:
        yield _of_param(param, values.get(param.name))
    yield from _ends(network)
    for variant in document.variants.values():
        yield _row("variant", variant.name, "", _settings(variant), document.title_of(variant.name))


def _of_weights(weights: Published) -> Row:
    """Published weights: their variant, where they are, and what their pictures and classes are."""
    labels = weights.labels if isinstance(weights.labels, str) else f"{len(weights.labels)} classes"
    params = ", ".join(f"{name}={value}" for name, value in weights.params.items())
    said = [params, str(weights.preprocessing or ""), labels, weights.license]
    return _row("weights", weights.title, weights.variant, weights.file, "; ".join(filter(None, said)), ": ")


def _short(value: Cell) -> str:
    """A value; of an address the name of the file, which has the digits of its sha256 where publishers put them."""
    text = str(value or "")
    return text.partition("#sha256=")[0].rpartition("/")[2] if text.startswith("https://") else text


def _without_usual(doc: Cell) -> str:
    """What is said, without how most pictures are normalised."""
    return str(doc or "").replace(f", {_NORMAL}", "")


def _ends(network: Compiled) -> Iterator[Row]:
    """The inputs, and the outputs of training too."""
    graph = network.shown
    for node in graph.inputs:
        yield _row("input", node.path, show(node.shape))
    for name, output in graph.outputs.items():
        more = f"in training alone, loss weight {output.loss_weight:g}" if output.training_only else ""
        yield _row("output", name, show(graph.shape(output.ref)), output.ref.node, more, " from ")


def _of_block(block: BlockDecl) -> Iterator[Row]:
    yield _row("block", block.name, "", "", block.doc)
    for param in block.params:
        yield _of_param(param, None, f"{block.name}.")


def _of_param(param: ParamDecl, value: object, before: str = "") -> Row:
    """A param with its type and range, its value or else its default, and what it is."""
    default = "" if param.default is None else text_of(param.default)
    bounds = [f"at least {text_of(param.min)}"] if param.min is not None else []
    bounds += [f"one of {text_of(param.one_of)}"] if param.one_of is not None else []
    literal = param.default.value if isinstance(param.default, Literal) else None
    of_value = value if value is not None else literal
    kind = ", ".join([param.type or ("" if of_value is None else type(of_value).__name__), *bounds])
    said = _clipped(written(value)) if value is not None else default
    return _row("param", f"{before}{param.name}", kind, said, param.doc)


def _settings(variant: Variant) -> str:
    of = [f"of {variant.of.text}"] if variant.of is not None else []
    return ", ".join([*of, *(f"{name}={text_of(value)}" for name, (_, value) in variant.settings.items())])


def _row(what: str, name: str, type: str = "", value: str = "", doc: str = "", between: str = " = ") -> Row:
    """A row; where all that is said of a thing is one text, `between` stands between its type and its value."""
    valued = between.join(filter(None, (type, _short(value))))
    said = "; ".join(filter(None, (valued, _without_usual(doc))))
    return {"what": what, "name": name, "type": type, "value": value, "doc": doc, "said": said}


def text_of(node: ValueNode) -> str:
    """A value as it is written in the spec, on one line."""
    return _clipped(" ".join(_lines(node.span)))


def _lines(span: Span) -> Sequence[str]:
    lines = [span.source.line(number) for number in range(span.line, min(span.end_line, span.line + LONGEST) + 1)]
    lines[-1] = lines[-1][: span.end_col - 1]
    lines[0] = lines[0][span.col - 1 :]
    return [line.strip() for line in lines if line.strip()]


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
