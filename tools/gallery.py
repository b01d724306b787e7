"""What is generated of docs/gallery.md: every shipped network with its counts, and the pictures of the families."""

from __future__ import annotations

import re
from pathlib import Path

from netspec.ops.base import show
from netspec.reports.catalogue import Entry, counted, documents, entry, year_of
from netspec.syntax.document import Document
from netspec.syntax.fact_places import TOPS
from netspec.syntax.results import DATA, reported

DOCS = Path(__file__).parent.parent / "docs"

MARKS = re.compile(r"(<!-- networks: .*? -->\n).*?(<!-- /networks -->)", re.DOTALL)


def page() -> str:
    """docs/gallery.md with its networks."""
    parts: list[str] = []
    named: list[tuple[str, str]] = []
    for path, document in documents():
        rows = [entry(document, variant) for variant in document.variants or [None]]
        names = {row.name: [other.name for other in rows if other.alias == row.name] for row in rows if not row.alias}
        named += [(row.family, row.alias) for row in rows]
        parts.append(f"## {heading(document)}\n")
        parts.append(f"{document.source}. [specs/{path.name}](../specs/{path.name})\n")
        parts.append(f"![{document.title}](img/gallery/{path.stem}.svg)\n")
        cited = any(row.results for row in rows)
        parts.append("| name | | parameters | MACs |" + " accuracy, % |" * cited + " input |")
        parts.append("| --- | --- | ---: | ---: |" + " ---: |" * cited + " --- |")
        for row in rows:
            if not row.alias:
                name = ", ".join(f"`{name}`" for name in (row.name, *names[row.name]))
                size = " + ".join(show(shape) for shape in row.inputs.values())
                parts.append(
                    f"| {name} | {row.title} | {row.params:,} | {row.macs:,} |{f' {accuracy(row)} |' * cited} {size} |"
                )
        parts.append("")
    found = "\n".join([f"{counted(named)}.\n", *parts])
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    return MARKS.sub(lambda m: m[1] + found + m[2], text)


def accuracy(row: Entry) -> str:
    """Top-1 and top-5 on the data of the first result, and what that is if it is not ImageNet."""
    if not row.results:
        return ""
    data = row.results[0].data
    tops = [reported(row.results, top, data) for top in TOPS]
    said = " / ".join("-" if value is None else f"{value:g}" for value in tops)
    return said.removesuffix(" / -") + (f" ({data})" if data != DATA else "")


def heading(document: Document) -> str:
    """The title of a family with its year."""
    year = year_of(document.source)
    return f"{document.title} ({year})" if year else document.title


def pictures(folder: Path) -> None:
    """Draws the first variant of every family."""
    from netspec.draw import draw
    from netspec.network import build

    folder.mkdir(parents=True, exist_ok=True)
    for path, document in documents():
        (folder / f"{path.stem}.svg").write_bytes(draw(build(document).graph, "svg"))
