"""The numbers in a picture: what boxes say of their cost, and the heat that colours them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from netspec.draw.labels import short
from netspec.draw.model import Box, Frame
from netspec.draw.view import View
from netspec.graph import Graph, Node
from netspec.measure import memory, receptive_fields, totals


class Numbers:
    """Counts what a view asks for; `legend` says what the colours mean once boxes are heated."""

    def __init__(self, graph: Graph, view: View) -> None:
        self.graph, self.view, self.legend = graph, view, ""
        self.fields = receptive_fields(graph) if "rf" in view.show else {}

    def facts(self, run: Sequence[Sequence[Node]], docs: Sequence[str]) -> tuple[str, ...]:
        """The lines of numbers and notes of a box; of a repeat they speak of one round, but what the last sees."""
        found, asked, nodes = [], self.view.show, run[0]
        counts, each = totals(nodes), " each" if len(run) > 1 else ""
        if "params" in asked and counts.params:
            found.append(f"{short(counts.params)} parameters{each}")
        if "macs" in asked and counts.macs:
            found.append(f"{short(counts.macs)} MACs{each}")
        if "memory" in asked and nodes[0].op != "input":
            found.append(f"{short(memory(nodes))}B{each}")
        if "rf" in asked:
            field = self.fields[run[-1][-1].path]
            found.append(f"sees {field[0]}\u00d7{field[1]}" if field else "sees everything")
        if "notes" in asked:
            found += [line for doc in docs for line in wrap(doc, 40)]
        return tuple(found)

    def value(self, paths: Sequence[str]) -> float:
        """What heats a box with these nodes."""
        nodes = [self.graph.nx.nodes[path]["node"] for path in paths]
        if self.view.heat == "memory":
            return memory(nodes)
        counts = totals(nodes)
        return counts.params if self.view.heat == "params" else counts.macs

    def heated(self, frame: Frame) -> Frame:
        """The frame with its boxes coloured by the share of the largest; a repeat counts all its rounds."""
        if self.view.heat is None:
            return frame
        values = {box.path: self.value(box.nodes) * times for box, times in _times(frame, 1) if box.nodes}
        largest = max(values.values(), default=0.0)
        self.legend = f"heat: {self.view.heat}, darkest {short(largest)}"
        _heat(frame, {path: value / largest if largest else 0.0 for path, value in values.items()})
        return frame


def _times(frame: Frame, times: int) -> Iterator[tuple[Box, int]]:
    for item in frame.items:
        if isinstance(item, Frame):
            yield from _times(item, times * item.times)
        else:
            yield item, times * item.times


def _heat(frame: Frame, shares: dict[str, float]) -> None:
    for index, item in enumerate(frame.items):
        if isinstance(item, Frame):
            _heat(item, shares)
        elif item.path in shares:
            frame.items[index] = replace(item, heat=shares[item.path])
