"""Writes the table of published weights into docs/parity.md: which file fits which network, by which rules."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from netspec.diagnostics.errors import Reporter
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.syntax.document import Document
from netspec.syntax.published import Published
from netspec.syntax.reader import read_document
from netspec.syntax.rules import rules_of

ROOT = Path(__file__).resolve().parent.parent
MARKS = re.compile(r"(<!-- published: .*? -->\n).*?(<!-- /published -->)", re.DOTALL)
HEAD = """\
| network | weights | file | rules | tensors | MiB | pictures |
| --- | --- | --- | --- | ---: | ---: | --- |
"""


def documents() -> Iterator[Document]:
    """The shipped specs that name published weights, by the names of their files."""
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        document = read_document(path, Reporter())
        if document is not None and document.published:
            yield document


def size_of(network: Compiled) -> tuple[int, float]:
    """How many tensors a checkpoint of a network has, those of training too, and their MiB in float32."""
    shapes = [shape for shape, _, _ in network.graph.tensors().values()]
    return len(shapes), 4 * sum(math.prod(int(str(d)) for d in shape) for shape in shapes) / 2**20


def row(document: Document, weights: Published, network: Compiled) -> str:
    """A line of the table."""
    count, size = size_of(network)
    rules = rules_of(document.checkpoints, Reporter(), document.values)
    own = rules.get(weights.source)
    said = f"{len(own)} of `{weights.source}`" if own else ", ".join(f"{len(v)} of `{k}`" for k, v in rules.items())
    file = weights.file.partition("#")[0].rpartition("/")[2] if "#" in weights.file else weights.file
    how = weights.preprocessing
    pictures = f"{how.crop[0] if how.crop else '-'} of {how.resize}, {how.interpolation}" if how is not None else ""
    cells = (f"`{weights.variant}`", weights.title, f"`{file}`", said or "its own names", str(count), f"{size:.1f}")
    return f"| {' | '.join((*cells, pictures))} |\n"


def table() -> str:
    """The table of all shipped specs."""
    lines = [HEAD]
    for document in documents():
        made: dict[str, Compiled] = {}
        for weights in document.published:
            if weights.variant not in made:
                variant = weights.variant if weights.variant in document.variants else None
                made[weights.variant] = compile_variant(document, variant)
            lines.append(row(document, weights, made[weights.variant]))
    return "".join(lines)


def main() -> None:
    """Writes the page."""
    page = ROOT / "docs" / "parity.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(MARKS.sub(lambda m: m[1] + table() + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
