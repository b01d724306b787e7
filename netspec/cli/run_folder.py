"""`netspec run --images`: a folder of images in batches, as a table of classes and as arrays."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from netspec.backend import Result
from netspec.cli.output import say
from netspec.cli.output import size as bytes_text
from netspec.diagnostics.errors import DataError
from netspec.diagnostics.text import counted, one_line
from netspec.files.parts import scratch
from netspec.optional import importing
from netspec.reports.table import Cell, Column, Table, number
from netspec.running.convert import Say
from netspec.running.folder import Batch, batch_size, image_files, image_input, run_batches
from netspec.running.ports import Value, dims
from netspec.running.results import Ranked, Style, by_softmax, check_labels, classes, finite, ranked
from netspec.running.save import Collected
from netspec.running.sizes import Sizes
from netspec.syntax.published import Preprocessing

COLUMNS = (
    Column("image", "image"),
    Column("output", "output"),
    number("rank", "rank"),
    number("class", "class", text=str),
    Column("label", "label"),
    number("score", "score"),
)


@dataclass
class FolderRun:
    """A run of all images of a folder."""

    folder: Path
    sizes: Sizes
    run: Callable[[Mapping[str, Value]], Result]
    style: Style
    note: Say
    quiet: bool
    preprocessing: Preprocessing | None = None
    rows: list[tuple[Mapping[str, Cell], Ranked]] = field(default_factory=list)
    """The rows without their scores, and whose they are to be."""
    softmax: dict[str, bool] = field(default_factory=dict)
    """By output, whether the scores of all images are softmax probabilities."""
    provider: str = ""
    finite: bool = True

    def table(self, batch: int | None, target: Path | None) -> Table:
        """The most likely classes of each image, all outputs being kept in `target`; raises UsageError, DataError."""
        files, others = image_files(self.folder)
        if others:
            what = "files of {} are no images" if others > 1 else "file of {} is no image"
            self.note(f"{others:,} {what.format(self.folder)}: by the suffix, or since it is no regular file")
        name, port = image_input(self.sizes.ports)
        size = batch_size(port, batch, len(files))
        self.sizes.batch(size)
        if chosen := self.sizes.complete():
            self.note(f"{', '.join(chosen)}: {self.sizes.model} leaves these free; --size HxW sets them")
        for doubt in self.sizes.doubts():
            self.note(doubt)
        with importing("reading images", "PIL", "run"):
            from netspec.running.images import reader  # noqa: PLC0415 - pillow may be absent
        read = reader(name, port, self.sizes.shape(name), self.note, self.preprocessing)
        started = time.perf_counter()
        with scratch() as place, _progress(len(files), self.quiet) as done:
            kept = Collected(place, self.note) if target is not None else None
            for found in run_batches(files, size, read, lambda made: self._outputs({name: made})):
                self._take(found, kept is not None)
                if kept is not None:
                    kept.add(found.outputs)
                done(len(found.files))
            elapsed = time.perf_counter() - started
            if kept is not None and target is not None:
                kept.save(target, [self._name(file) for file in files])
        if target is not None and not self.quiet:
            say(f"outputs -> {target} ({bytes_text(target.stat().st_size)})")
        if not self.quiet:
            rate = f"{elapsed:.2f} s ({len(files) / elapsed:.1f} a second, reading included)"
            say(f"{counted(len(files), 'image')} in {rate}, batches of {size}, ran on: {self.provider}")
        if not self.finite:
            say("warning: the outputs hold infinite values or NaN")
        several = len(self.softmax) > 1
        skipped = {*([] if several else ["output"]), *([] if self.style.labels else ["label"])}
        rows = [{**row, "score": one.score(self.softmax[str(row["output"])])} for row, one in self.rows]
        return Table([c for c in COLUMNS if c.key not in skipped], rows, lead=1)

    def _outputs(self, inputs: Mapping[str, Value]) -> Mapping[str, Value]:
        result = self.run(inputs)
        self.provider = result.provider
        return result.outputs

    def _take(self, found: Batch, saved: bool) -> None:
        """The rows of a batch; raises DataError where no output is of classes, and nothing else keeps them."""
        style = replace(self.style, batch=len(found.files))
        ranks = {name: rows for name, value in found.outputs.items() if (rows := classes(value, style)) is not None}
        check_labels(found.outputs, style)
        if not ranks and not saved:
            said = ", ".join(f"'{name}' is {dims(value.shape)}" for name, value in found.outputs.items())
            raise DataError("NS701", f"no output is a vector of classes: {said}", "--save FILE.npz keeps the outputs")
        self.finite = self.finite and all(finite(value) for value in found.outputs.values())
        for name, rows in ranks.items():
            key = one_line(name)
            self.softmax[key] = self.softmax.get(key, False) or by_softmax(rows[: len(found.files)], style)
        for i, file in enumerate(found.files):
            for name, rows in ranks.items():
                for rank, one in enumerate(ranked(rows[i], style), 1):
                    cells: dict[str, Cell] = {"rank": rank, "class": one.number, "label": one.label}
                    self.rows.append(({"image": self._name(file), "output": one_line(name), **cells}, one))

    def _name(self, file: Path) -> str:
        """A file by its path in the folder; bytes that are no UTF-8 are escaped."""
        return os.fsencode(file.relative_to(self.folder)).decode("utf-8", "backslashreplace")


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal, which goes when all is done; gives what counts images."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda count: None
        return
    columns = (TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=total)
        yield lambda count: progress.advance(task, count)
