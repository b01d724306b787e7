"""The tables with a row for each block or layer of one network: MobileNet's, GoogLeNet's, SqueezeNet's Table 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from netspec.analysis.cost import totals
from netspec.analysis.depth import layers_deep
from netspec.ir.graph import Graph, Node
from netspec.ir.titles import titles
from netspec.ops import Shape
from netspec.reports.columns import named_columns
from netspec.reports.configuration.by_stage import View, left_out_note
from netspec.reports.configuration.notation import filter_shape, kernel_of, stride_text, type_of, varying_args
from netspec.reports.configuration.series import layers, size, stride
from netspec.reports.configuration.stages import unique_labels
from netspec.reports.configuration.units import Unit, first_layer, units_of
from netspec.reports.table import Cell, Column, Table, number

TITLES = {
    "step": "step",
    "operator": "operator",
    "type": "type / stride",
    "filter": "filter shape",
    "kernel": "kernel / stride",
    "input": "input size",
    "output": "output size",
    "c": "c",
    "n": "n",
    "s": "s",
    "depth": "depth",
    "params": "params",
    "macs": "MACs",
}
OF_LAYERS = ("step", "type", "kernel", "filter", "input", "output", "c", "s", "params", "macs")
OF_BLOCKS = ("step", "operator", "kernel", "input", "output", "c", "n", "s", "depth", "params", "macs")
"""The columns that there are, next to the arguments of blocks; `c` are the channels that leave, `n` repeats."""

NOT_SHOWN = "norms and others, not shown"
"""The row of what the costs of the network have and no row above: with it they add up to the total."""

_BY_REQUEST = {"c", "s", "depth"}
_SAID_BY_OTHERS = {"kernel"}
"""Of layers: the column of filters has it, and that of the type has the stride."""


def table_of_layers(graph: Graph, view: View, columns: str = "") -> Table:
    """A row for each layer: `conv dw / s1`, `3x3x32 dw`, `112x112x32`; raises UsageError for an unknown column."""
    nodes = [node for node in graph.nodes.values() if view.shows(node)]
    labels = unique_labels([_own_path(node) for node in nodes], titles(graph))
    counted: set[str] = set()
    rows = []
    for node, label in zip(nodes, labels, strict=True):
        entered = graph.shape(node.inputs[0])
        rows.append({"step": label, **_of_layer(node, entered), **_costs(graph, [node], counted)})
    return _table(graph, rows, columns, OF_LAYERS, _SAID_BY_OTHERS)


def table_of_blocks(graph: Graph, view: View, columns: str = "") -> Table:
    """A row for each block or layer, repeats of one as one; raises UsageError for an unknown column."""
    units = units_of(graph, view.shows)
    varying = varying_args([unit for unit in units if size(unit.series) > 1])
    runs = _runs(units, varying)
    named = {
        block: [name for name in names if all(_is_same(run, name) for run in runs if run[0].block == block)]
        for block, names in varying.items()
    }
    arguments = tuple(dict.fromkeys(name for names in named.values() for name in names))
    of_stage = Counter(run[0].stage for run in runs)
    paths = [run[0].stage if of_stage[run[0].stage] == 1 else run[0].path for run in runs]
    labels = unique_labels(paths, titles(graph))
    counted: set[str] = set()
    rows = []
    for run, label in zip(runs, labels, strict=True):
        nodes = [node for unit in run for node in unit.nodes]
        row = {"step": label, **_of_run(run), **_costs(graph, nodes, counted)}
        for name in named.get(run[0].block, ()) if size(run[0].series) > 1 else ():
            row[_argument_key(name)] = _value(run[0].args[name])
        rows.append(row)
    known = (*OF_BLOCKS[:5], *map(_argument_key, arguments), *OF_BLOCKS[5:])
    return replace(_table(graph, rows, columns, known), notes=left_out_note(graph, units, view))


def _runs(units: Sequence[Unit], varying: Mapping[str, Sequence[str]]) -> list[list[Unit]]:
    """Units as rows have them: blocks that follow each other in one stage and are called alike are one."""
    runs: list[list[Unit]] = []
    for unit in units:
        if runs and _goes_on(runs[-1], unit, varying.get(unit.block, ())):
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return runs


def _goes_on(run: Sequence[Unit], unit: Unit, varying: Sequence[str]) -> bool:
    """Whether a block repeats those before it; the first of a stage, which has its stride, is called otherwise."""
    before = run[-1]
    if not unit.block or (before.stage, before.block) != (unit.stage, unit.block):
        return False
    if size(before.series) < 2 or size(unit.series) < 2:
        return False
    different = [name for name in varying if before.args.get(name) != unit.args.get(name)]
    strided = len(run) == 1 and stride(before.series) != stride(unit.series)
    return not different or (strided and not any(isinstance(unit.args[name], float) for name in different))


def _is_same(run: Sequence[Unit], name: str) -> bool:
    return all(unit.args.get(name) == run[0].args.get(name) for unit in run)


def _argument_key(name: str) -> str:
    """A column for a parameter of a block, whose name may be that of another column."""
    return f"{name}_" if name in TITLES and name not in ("c", "n", "s") else name


def _own_path(node: Node) -> str:
    """The path of a layer, without what it is called in `conv1.conv`."""
    before, _, last = node.path.rpartition(".")
    return before if before and last == node.op else node.path


def _of_layer(node: Node, entered: Shape) -> dict[str, Cell]:
    """Kind, stride, filters and sizes of a layer."""
    steps = stride_text(node.attrs) or "1"
    return {
        "type": f"{type_of(node)} / s{steps}",
        "filter": filter_shape(node, entered),
        "kernel": _kernel([node]),
        "input": _hwc(entered),
        "output": _hwc(node.shape),
        "c": int(node.shape[1]),
        "s": steps,
    }


def _of_run(run: Sequence[Unit]) -> dict[str, Cell]:
    """Operator, windows and sizes of a block and its repeats."""
    first, nodes = run[0], [node for unit in run for node in unit.nodes]
    only, by = first_layer(first), max(stride(unit.series) for unit in run)
    alone = list(layers(first.series)) if only is not None or not first.block else []
    kinds = list(dict.fromkeys(type_of(node) for node in layers(first.series)))
    return {
        "operator": type_of(only) if only is not None else first.block or ", ".join(kinds),
        "kernel": ", ".join(filter(None, [_kernel([node]) for node in alone])),
        "input": _hwc(first.entered),
        "output": _hwc(run[-1].left),
        "c": int(run[-1].left[1]),
        "n": len(run),
        "s": str(by),
        "depth": layers_deep(nodes),
    }


def _kernel(nodes: Iterable[Node]) -> str:
    """`7x7/2`, patch size and stride; nothing of a layer without a window."""
    return ", ".join(f"{kernel_of(n.attrs)}/{stride_text(n.attrs) or 1}" for n in nodes if kernel_of(n.attrs))


def _hwc(shape: Shape) -> str:
    """Height, width and channels, as the papers' tables have them."""
    return "x".join(map(str, (*shape[2:], shape[1]) if len(shape) == 4 else (1, 1, shape[1])))


def _costs(graph: Graph, nodes: Sequence[Node], counted: set[str]) -> dict[str, Cell]:
    """Parameters and MACs; shared weights count where they stand first."""
    fresh = [node for node in nodes if node.weights_at not in counted]
    counted.update(node.weights_at for node in fresh)
    return {"params": totals(fresh).params, "macs": totals(nodes).macs}


def _value(value: object) -> Cell:
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    return str(list(value)) if isinstance(value, (list, tuple)) else str(value)


def _table(
    graph: Graph, rows: Sequence[dict[str, Cell]], columns: str, known: Sequence[str], silent: Set[str] = frozenset()
) -> Table:
    """Rows with the columns that were asked for, or with those that say something, and their sums."""
    usual = [name for name in known if name not in silent and _says_something(name, rows)]
    chosen = named_columns(columns, known, usual, f"the table of '{graph.name}'") if columns else usual
    counts = totals(graph.nodes.values())
    footer: dict[str, Cell] = {"params": counts.params, "macs": counts.macs}
    if {*chosen} & {*footer}:
        footer[chosen[0]] = footer.get(chosen[0], "total")
    shown = [_column(key, rows) for key in chosen]
    rest = {
        key: total - sum(_count(row[key]) for row in rows)
        for key, total in (("params", counts.params), ("macs", counts.macs))
    }
    if any(rest[key] for key in rest if key in chosen):
        rows = [*rows, {**rest, chosen[0]: rest.get(chosen[0], NOT_SHOWN)}]
    return Table(shown, rows, graph.title or graph.name, footer if {*chosen} & {"params", "macs"} else {})


def _count(value: Cell) -> int:
    return value if isinstance(value, int) else 0


def _column(key: str, rows: Sequence[dict[str, Cell]]) -> Column:
    """A column of costs, of small numbers as papers write them, or of texts."""
    title = TITLES.get(key, key.rstrip("_"))
    if key in ("params", "macs"):
        return number(key, title)
    values = [row[key] for row in rows if row.get(key) not in (None, "")]
    numbers = key == "s" or (bool(values) and all(type(value) is int for value in values))
    return number(key, title, _written) if numbers else Column(key, title)


def _written(value: Cell) -> str:
    return "" if value is None else str(value)


def _says_something(name: str, rows: Sequence[dict[str, Cell]]) -> bool:
    """Whether a column that was not asked for is shown: it has values, repeats are some."""
    if name in _BY_REQUEST:
        return False
    values = {row.get(name) for row in rows}
    return values != {1} if name == "n" else bool(values - {None, ""})
