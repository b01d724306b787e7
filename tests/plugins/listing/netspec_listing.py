"""A backend that lists a network in the style of Keras's functional API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from netspec.backend import Backend, Options, WritesText, Written, option
from netspec.files.atomic import write_text
from netspec.ir.graph import Graph


@dataclass(frozen=True, kw_only=True)
class ListingOptions(Options):
    shapes: bool = option(True, "Without the shapes of values.")
    first: int | None = option(None, "So many layers and no more.")
    comments: Literal["#", "//"] = option("#", "What begins a comment.")


class Listing(Backend[ListingOptions], WritesText[ListingOptions]):
    name = "listing"
    suffix = ".txt"
    summary = "listing in the style of Keras"
    options = ListingOptions
    holds_weights = False

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: ListingOptions) -> Written:
        return Written([write_text(target, self.text(graph, options) + "\n")], f"{len(graph)} layers")

    def text(self, graph: Graph, options: ListingOptions) -> str:
        return "\n".join(self.lines(graph, options))

    def lines(self, graph: Graph, options: ListingOptions) -> Iterator[str]:
        values = {path: f"x{number}" for number, path in enumerate(graph.nodes)}
        for node in list(graph.nodes.values())[: options.first]:
            layer = "".join(word.capitalize() for word in node.op.split("_"))
            arguments = [repr(str(node.path)), *(f"{name}={value!r}" for name, value in node.attrs.items())]
            inputs = ", ".join(f"{values[ref.node]}{f'[{ref.out}]' if ref.out else ''}" for ref in node.inputs)
            shape = f"  {options.comments} {' x '.join(map(str, node.shape))}" if options.shapes else ""
            yield f"{values[node.path]} = {layer}({', '.join(arguments)}){f'({inputs})' if inputs else ''}{shape}"


BACKEND = Listing()
