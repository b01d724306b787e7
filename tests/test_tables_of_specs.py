"""`netspec table` of every shipped spec: no layer is left out without a word, and columns add up to their totals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netspec.cli.request import load
from netspec.diagnostics.errors import Reporter
from netspec.elaborate.compiled import compile_variant
from netspec.ir.graph import Graph
from netspec.ops import OPS
from netspec.reports.configuration.by_row import table_of_blocks, table_of_layers
from netspec.reports.configuration.by_stage import View, left_out_note, table_of_stages
from netspec.reports.configuration.series import gated, layers
from netspec.reports.configuration.units import units_of
from netspec.syntax.reader import read_document

pytestmark = pytest.mark.slow

FAMILIES = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))
VIEW = View()
SHORTCUT = re.compile(r"shortcut|skip|bypass|identity|projection|downsample|\.g\.conv$")
"""What the specs call the branches that papers call shortcuts; `g` is the gate of one (He et al. 2016b, figure 2d)."""


def networks(path: Path) -> Iterator[Graph]:
    """The network of each variant of a family that is no other name of one."""
    reporter = Reporter()
    document = read_document(path, reporter)
    reporter.check()
    assert document is not None
    for name, variant in (document.variants or {None: None}).items():
        if variant is None or not variant.alias:
            yield compile_variant(document, name).inference


@pytest.mark.quick(1)
@pytest.mark.parametrize("path", FAMILIES, ids=lambda p: p.stem)
def test_the_tables_of_a_family(path: Path) -> None:
    for graph in networks(path):
        every_layer_with_weights_is_in_a_cell_or_on_a_shortcut(graph)
        the_costs_of_rows_add_up_to_their_total(graph)
        no_row_is_an_argument_of_the_latex_before_it(graph)


def every_layer_with_weights_is_in_a_cell_or_on_a_shortcut(graph: Graph) -> None:
    units = units_of(graph, VIEW.shows)
    said = {node.path for unit in units for node in (*layers(unit.series), *gated(unit.series))}
    lost = {node.path for node in graph.nodes.values() if OPS[node.op].kind == "weights"} - said
    unnamed = sorted(path for path in lost if not SHORTCUT.search(path))
    assert not unnamed, (graph.name, unnamed)
    assert not left_out_note(graph, units, VIEW)


def the_costs_of_rows_add_up_to_their_total(graph: Graph) -> None:
    for table in (table_of_layers(graph, VIEW), table_of_blocks(graph, VIEW)):
        for cost in ("params", "macs"):
            assert sum(int(str(row[cost])) for row in table.rows) == table.footer[cost], (graph.name, cost)


def no_row_is_an_argument_of_the_latex_before_it(graph: Graph) -> None:
    for cells in (None, "block"):
        latex = table_of_stages([graph], View(cells=cells)).render("latex")
        assert not re.search(r"(\\\\|\\(top|mid|bottom)rule)\s*[\[*]", latex), graph.name


def test_offsets_of_deformable_layers_are_in_cells() -> None:
    """Dai et al. 2017: 3x3 convolutions make the offsets of the last three 3x3 layers, those of conv5."""
    rows = {
        str(r["stage"]): str(r["deformable_resnet50"]) for r in table_of_stages(nets("deformable_resnet50"), VIEW).rows
    }
    assert rows["conv5"] == "[1x1, 512; offset: 3x3, 72; 3x3 deformable, 512; 1x1, 2048] x 3"
    (row, *_) = table_of_stages(nets("deformable_roi_pooling"), VIEW).rows
    assert str(row["deformable_roi_pooling"]) == "offset: 18-d fc"


def test_a_branch_that_reads_another_value_is_no_shortcut() -> None:
    """Both classifiers of Lite R-ASPP (Howard et al. 2019, figure 10) are layers of the head."""
    rows = {
        str(r["stage"]): str(list(r.values())[-1])
        for r in table_of_stages(nets("lraspp_mobilenet_v3_large"), VIEW).rows
    }
    assert rows["lite"].endswith("1x1, 21 + 1x1, 21)")


def test_layers_that_no_row_has_are_named() -> None:
    (graph,) = nets("alexnet")
    units = units_of(graph, VIEW.shows)
    assert left_out_note(graph, [u for u in units if u.path not in ("fc6", "fc7")], VIEW) == ["left out: fc6, fc7"]
    assert left_out_note(graph, units, VIEW) == []
    assert left_out_note(graph, [], View(hide=frozenset({"conv"})), "alexnet") == ["left out of alexnet: fc6, fc7, fc8"]


def nets(name: str) -> list[Graph]:
    return [load(name).inference]
