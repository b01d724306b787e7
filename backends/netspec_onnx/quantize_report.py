"""What is said of a model in int8: its noise at the output and by layer, right answers, what should stay float."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from netspec.diagnostics.errors import UsageError
from netspec.diagnostics.text import counted
from netspec.files.atomic import write_text
from netspec.ir.graph import Graph
from netspec.reports.table import SUFFIXES, Cell, Column, Form, Table, number
from netspec_onnx.calibration import Calibration
from netspec_onnx.float_layers import layers
from netspec_onnx.noise import Answers, Noise, worst

ENOUGH = 20.0
"""Decibels at the output, centred: a noise of a tenth of what tells images apart; not so of images all alike."""
MEASURED = 32
"""Images at most that noise is measured on."""

COLUMNS = (
    Column("step", "step", wrap=False),
    Column("op", "op"),
    Column("dtype", "in"),
    number("snr", "SNR (dB)", lambda value: _text(value)),
    number("centred", "centred (dB)", lambda value: _text(value)),
)


def _text(value: Cell) -> str:
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Suggested:
    """The layers that should stay in float."""

    steps: Sequence[str]
    """As --keep-float takes them: the fewest paths."""
    layers: int
    """How many these are."""
    ratio: float
    """At the output that has most noise then, in decibels."""

    def text(self, layers: int, centred: str) -> str:
        """The line that says it, of a network of so many layers."""
        of = f"{self.layers} of {layers} layers in float32"
        return f"{_decibels(self.ratio)}{centred} with {of}: --keep-float {','.join(self.steps)}"


@dataclass(frozen=True)
class Report:
    """What came out."""

    graph: Graph
    data: Calibration
    kept: Set[str]
    noise: Mapping[str, Noise]
    outputs: Mapping[str, Noise]
    answers: Answers | None
    suggested: Suggested | None

    @property
    def output(self) -> Noise:
        """The noise of the output that has most of it."""
        return worst(self.outputs.values())

    def lines(self) -> list[str]:
        """What everybody should know, a line each."""
        found = self._at_outputs()
        if self.kept:
            layers = sorted(step for step in self.kept if step in self.noise)
            found.append(f"in float32: {', '.join(layers) or 'no layer, only ' + ', '.join(sorted(self.kept)[:8])}")
        if self.answers is not None:
            found.append(f"{self.answers.text}, of {counted(self.answers.images, 'image')}")
        output = self.output
        centred = "" if output.alike else " centred"
        if self.suggested is not None:
            found.append(self.suggested.text(len(self.noise), centred))
        elif output.deciding < ENOUGH and not output.silent:
            found.append(
                f"no choice of layers that was tried gives {ENOUGH:.0f} dB{centred}; "
                "images that the network hardly tells apart say nothing of what int8 loses"
            )
        return found

    def _at_outputs(self) -> list[str]:
        """The ratios at each output, by name where there are several."""
        several = len(self.outputs) > 1
        found = [
            f"signal to noise at the output {f'{name}: ' if several else ''}{_said(noise)}"
            for name, noise in self.outputs.items()
        ]
        return [f"int8 by {counted(self.data.count, 'image')} of {self.data.source}; {found[0]}", *found[1:]]

    def table(self) -> Table:
        """A row for each layer."""
        rows: list[dict[str, Cell]] = [
            {
                "step": node.path,
                "op": node.op,
                "dtype": "float32" if node.path in self.kept else "int8",
                "snr": _cell(self.noise[node.path].ratio),
                "centred": _cell(self.noise[node.path].centred),
            }
            for node in layers(self.graph)
            if node.path in self.noise
        ]
        title = f"{self.graph.name} in int8: signal to noise after each layer"
        notes = [
            f"on {counted(self.output.count, 'image')}; centred: signal and noise without their means over the images",
            "an empty cell: no noise, no signal, or one that is the same for all images",
        ]
        return Table(COLUMNS, rows, title, notes=notes, lead=1)


def _cell(decibels: float) -> float | None:
    return decibels if math.isfinite(decibels) else None


def _said(output: Noise) -> str:
    """The ratios at an output, as far as its images tell them."""
    if output.silent:
        return "is not known, the images give zeros there: give images of what the network is for"
    if output.alike:
        said = "the images give one answer: give some that differ, to know what int8 loses of what tells them apart"
        return f"{_decibels(output.ratio)}; {said}"
    return f"{_decibels(output.ratio)}, centred over {counted(output.count, 'image')} {_decibels(output.centred)}"


def _decibels(value: float) -> str:
    return f"{value:.1f} dB" if math.isfinite(value) else "no noise" if value > 0 else "no signal"


def check_report(path: str) -> None:
    """Raises UsageError for stdout, and for a suffix that is no form of tables."""
    if path == "-":
        raise UsageError("--report: '-' is stdout, and this goes to a file", "name one, as in --report noise.csv")
    if Path(path).suffix.lower() not in (".txt", *(suffix for own in SUFFIXES.values() for suffix in own)):
        known = ", ".join(["txt", *(own[0][1:] for own in SUFFIXES.values())])
        raise UsageError(f"--report {path}: its suffix is not a form of tables", f"known: {known}")


def write_report(table: Table, path: Path) -> Path:
    """Writes the table in the form that the suffix says."""
    form: Form = next((form for form, own in SUFFIXES.items() if path.suffix.lower() in own), "text")
    return write_text(path, table.render(form).rstrip("\n") + "\n")
