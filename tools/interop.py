"""Compiles the default network of each family for every runtime of a table, runs it there, compares it with PyTorch.

Each runtime has an environment of its own in .interop, which is made when it is missing, and each run is a process of
its own. What became of a file is kept in docs/interop.json by the file's hash, so that a run that was stopped goes on
where it was, and a file that is written otherwise than before is run again. docs/interop.md is written from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / "tools" / "interop_runner.py"
PAGE = ROOT / "docs" / "interop.md"
RESULTS = ROOT / "docs" / "interop.json"
sys.path.insert(0, str(ROOT / "tests"))

from interop_cells import LATE, Cell, outcome, quoted, relative_error  # noqa: E402
from interop_reasons import named  # noqa: E402
from interop_runtimes import RUNTIMES, python_of  # noqa: E402
from parity import small, torch_outputs  # noqa: E402
from shipped_networks import documents  # noqa: E402

import netspec  # noqa: E402
from netspec.diagnostics.errors import NetspecError, SpecError  # noqa: E402
from netspec.files.atomic import write_text  # noqa: E402
from netspec.network import Network  # noqa: E402
from netspec.weights.initialise import draw  # noqa: E402
from netspec.weights.sample_inputs import contrasting  # noqa: E402

MOST = 8
"""So many families are named in a cell of the table of runtimes."""
FILES = ("preset", "default")
"""The files of a runtime: that of its options, and that of the default ones."""
CI = (
    ("OpenVINO 2026.4.1", "tract 0.23.9", "OpenCV 5.0.0.93"),
    ("lenet", "resnet_cifar", "squeezenet", "mobilenet_v2", "shufflenet_v2", "ghostnet"),
)
"""Runtimes and families of --ci: those that install within seconds, and what is small and of many operators."""

ROUNDS = ("efficientnet_v2",)
"""Networks that multiply what is rounded, with weights of a seed: PyTorch's own float32 is 1e-3, 0.4 and 0.1 off its
float64 with those of seeds 0, 1 and 2. They have the weights of `draw` in place of them, with which it is 6e-5."""

Entry: TypeAlias = dict[str, str]
"""A cell as it is kept: the hash of the file and its inputs, the kind of the cell, its text."""
Results: TypeAlias = dict[str, dict[str, dict[str, Entry]]]
"""By runtime, family and file."""


def families() -> dict[str, str]:
    """The families of the shipped specs, with the name of the default network of each."""
    return {each.name: next(iter(each.variants), each.name) for each in documents()}


def smaller(name: str) -> Network:
    """A network at a smaller input where its own is large, and where the spec allows it."""
    net = netspec.load(name)
    sizes = {str(n.path): [int(size) for size in n.shape[1:]] for n in net.inference.inputs if len(n.shape) == 4}
    try:
        return netspec.load(name, input={path: small(size) for path, size in sizes.items()})
    except SpecError:
        return net


@dataclass
class Comparison:
    """A family's default network, its files in a folder, and what PyTorch gives."""

    family: str
    name: str
    folder: Path
    drawn: bool = False
    """Whether its weights are those of `draw`, with biases and statistics of norms that are random too."""
    written: dict[str, tuple[Path, str] | Cell] = field(default_factory=dict)

    @cached_property
    def net(self) -> Network:
        """The network, read when it is needed."""
        return smaller(self.name)

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Its inputs at a batch of 1, which stand in the folder too, with the names of its outputs."""
        nodes = self.net.inference.inputs
        shapes = {str(n.path): n.shape for n in nodes}
        given = contrasting(shapes, {str(n.path): n.attrs.get("sample", "") for n in nodes}, 1, 0)
        np.savez(self.folder / "inputs.npz", **given)
        (self.folder / "outputs.txt").write_text("\n".join(self.net.inference.outputs), encoding="utf-8")
        return given

    @cached_property
    def weights(self) -> dict[str, np.ndarray] | None:
        """Its weights; none where they are those of seed 0."""
        return draw(self.net.inference) if self.drawn or self.family in ROUNDS else None

    @cached_property
    def rounding(self) -> float:
        """How far PyTorch's own float32 is off its float64, of the largest value of an output."""
        module = self.net.to_torch(weights=self.weights).double()
        exact = torch_outputs(module, *(value.astype(np.float64) for value in self.inputs.values()))
        return max(relative_error(own, right) for own, right in zip(self.expected, exact, strict=True))

    @cached_property
    def expected(self) -> list[np.ndarray]:
        """What PyTorch gives of them."""
        return torch_outputs(self.net.to_torch(weights=self.weights), *self.inputs.values())

    def file(self, options: Mapping[str, object]) -> tuple[Path, str] | Cell:
        """A file with these options and its hash, each written once; or a cell that says why there is none."""
        key = json.dumps(dict(options))
        if key not in self.written:
            path = self.folder / f"file{len(self.written)}" / "model.onnx"
            path.parent.mkdir()
            try:
                self.net.to_onnx(path, weights=self.weights, **options)  # type: ignore[arg-type]
            except NetspecError as e:
                said = e.diagnostics[0].message if isinstance(e, SpecError) else e.message
                self.written[key] = Cell("refused", f"not compiled: {quoted(said)}")
            else:
                digest = hashlib.sha256(path.read_bytes())
                for value in self.inputs.values():
                    digest.update(np.ascontiguousarray(value))
                self.written[key] = path, digest.hexdigest()[:16]
        return self.written[key]

    def run(self, runtime: str, file: Path) -> Cell:
        """What a file gives in a runtime."""
        row = RUNTIMES[runtime]
        with tempfile.TemporaryDirectory(dir=self.folder) as own:
            model, out = Path(own, "model.onnx"), Path(own, "out.npz")
            model.hardlink_to(file)
            names = self.folder / "outputs.txt"
            Path(own, "outputs.txt").write_bytes(names.read_bytes())
            command = (python_of(runtime), RUNNER, row.runner, model, self.folder / "inputs.npz", out)
            found = outcome(command, out, self.expected, row.bound)
            if found.kind == "differs" and found.error <= 10 * self.rounding:
                return Cell("ok", found.text)
            return found


@contextmanager
def comparison(family: str, drawn: bool = False) -> Iterator[Comparison]:
    """The comparison of a family's default network, in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Comparison(family, families()[family], Path(folder), drawn)


def cell(of: Comparison, runtime: str, options: Mapping[str, object], kept: Sequence[Entry]) -> tuple[Entry, bool]:
    """The cell of a file in a runtime, out of those that are kept where one is of this file; whether it was run."""
    made = of.file(options)
    if isinstance(made, Cell):
        return {"file": "", "kind": made.kind, "text": made.text}, False
    path, digest = made
    if found := next((entry for entry in kept if entry["file"] == digest), None):
        return found, False
    result = of.run(runtime, path)
    return {"file": digest, "kind": result.kind, "text": result.text}, True


def worth_keeping(entry: Entry, again: str) -> bool:
    """Whether a kept cell of a file stays: not with --again, nor a failure with --failed, nor one for lack of time."""
    return again != "all" and not (again == "failed" and entry["kind"] != "ok") and not entry["text"].startswith(LATE)


def in_turn(known: Iterable[str], runtimes: Sequence[str], results: Results) -> list[str]:
    """Families in the order that a run takes them: those first that lack the most results."""
    lacking = {name: sum(name not in results.get(runtime, {}) for runtime in runtimes) for name in known}
    return sorted(lacking, key=lambda name: -lacking[name])


def compare(family: str, runtimes: Sequence[str], results: Results, files: Sequence[str], again: str = "") -> None:
    """Fills in the cells of a family, and keeps each as soon as it is there."""
    with comparison(family) as of:
        for runtime in runtimes:
            row = results.setdefault(runtime, {}).setdefault(family, {})
            kept = [entry for entry in row.values() if worth_keeping(entry, again)]
            for file in files:
                options = RUNTIMES[runtime].options if file == "preset" else {}
                row[file], ran = cell(of, runtime, options, kept)
                kept.append(row[file])
                print(family, runtime, file, row[file]["kind"], row[file]["text"], sep=" | ", flush=True)
                if ran:
                    keep(results)


def keep(results: Results) -> None:
    """Writes the results and the page of them."""
    ordered = {name: dict(sorted(results[name].items())) for name in RUNTIMES if name in results}
    write_text(RESULTS, json.dumps(ordered, indent=1) + "\n")
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8"), ordered))


def page(text: str, results: Results) -> str:
    """The page with its tables written anew."""
    parts = {"runtimes": runtimes_table(results), "families": families_table(results), "failures": failures(results)}
    for name, lines in parts.items():
        mark, end = f"<!-- interop: {name} -->\n", "<!-- /interop -->"
        before, found, rest = text.partition(mark)
        if not found or end not in rest:
            raise ValueError(f"docs/interop.md has lost its mark {mark.strip()}")
        text = before + mark + "".join(f"{line}\n" for line in lines) + rest[rest.index(end) :]
    return text


def runtimes_table(results: Results) -> list[str]:
    """How many families each runtime gives as PyTorch does, and which it does not."""
    head = "| runtime | compiled with | as PyTorch | not as PyTorch | refused | default files, as PyTorch |"
    return [head, "|" + " --- |" * 6, *(counts(name, results[name]) for name in RUNTIMES if name in results)]


def counts(name: str, cells: Mapping[str, Mapping[str, Entry]]) -> str:
    """The row of a runtime."""
    by_kind: dict[str, list[str]] = {"ok": [], "differs": [], "refused": []}
    for family, row in sorted(cells.items()):
        if "preset" in row:
            by_kind[row["preset"]["kind"]].append(f"`{family}`")
    run = sum(map(len, by_kind.values()))
    usual = Counter(row["default"]["kind"] for row in cells.values() if "default" in row)
    options = RUNTIMES[name].called
    listed = [
        ", ".join(those[:MOST]) + f" and {len(those) - MOST} more" * (len(those) > MOST) for those in by_kind.values()
    ]
    parts = [name, f"`{options}`" if options else "no option", f"{len(by_kind['ok'])} of {run}", *listed[1:]]
    return "| " + " | ".join([*parts, f"{usual['ok']} of {usual.total()}" if usual else ""]) + " |"


def families_table(results: Results) -> list[str]:
    """What each family gives in each runtime."""
    names = [name for name in RUNTIMES if name in results]
    lines = ["| family | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for family in sorted({family for name in names for family in results[name]}):
        cells = (shown(results[name].get(family, {}).get("preset")) for name in names)
        lines.append(f"| `{family}` | {' | '.join(cells)} |")
    return lines


def shown(entry: Entry | None) -> str:
    """A cell of the table of families; the reason of a failure stands above."""
    if entry is None:
        return ""
    return entry["text"] if entry["kind"] == "ok" else f"**{entry['kind']}**"


def failures(results: Results) -> list[str]:
    """What each runtime does not run as PyTorch does, and why."""
    lines = []
    for name in (name for name in RUNTIMES if name in results):
        found = reasons(name, results[name])
        lines += ["", f"**{name}**", "", *found] if found else []
    return [*lines[1:], ""] if lines else []


def reasons(name: str, cells: Mapping[str, Mapping[str, Entry]]) -> list[str]:
    """What a runtime said of the files that it did not run as PyTorch does, by what was found of it, with families."""
    lines = []
    for file in FILES:
        groups: dict[str, list[str]] = {}
        said: dict[str, str] = {}
        for family, row in sorted(cells.items()):
            entry = row.get(file)
            if entry is None or entry["kind"] == "ok" or (file == "default" and entry == row.get("preset")):
                continue
            words = f"differs by {entry['text']}" if entry["kind"] == "differs" else f"refused, `{entry['text']}`"
            found = named(name, family, f"{entry['kind']}: {entry['text']}")
            groups.setdefault(found or words, []).append(f"`{family}`")
            said.setdefault(found or words, words)
        about = "" if file == "preset" else "default file of "
        for key, those in groups.items():
            lines.append(f"- {about}{', '.join(those)}: {key}" + (f" ({said[key]})" if key != said[key] else ""))
    return lines


def check(results: Results) -> int:
    """Compares the cells of --ci with those of the page, and writes nothing; 1 where one that was good is not."""
    worse, skipped = [], []
    runtimes, chosen = CI
    for runtime in runtimes:
        try:
            python_of(runtime)
        except (subprocess.CalledProcessError, OSError) as e:
            skipped.append(f"{runtime} ({quoted(str(e))})")
    for family in chosen:
        with comparison(family) as of:
            for runtime in (name for name in runtimes if not any(each.startswith(name) for each in skipped)):
                found, _ = cell(of, runtime, RUNTIMES[runtime].options, [])
                print(family, runtime, found["kind"], found["text"], sep=" | ", flush=True)
                before = results.get(runtime, {}).get(family, {}).get("preset", {}).get("kind", "none")
                if found["kind"] != "ok" and before == "ok":
                    worse.append(f"{family} in {runtime}")
    if skipped:
        print(f"not run, since it could not be installed: {'; '.join(skipped)}")
    if worse:
        print(f"no longer as docs/interop.md says: {'; '.join(worse)}")
    return 1 if worse else 0


def with_drawn_weights(chosen: Iterable[str], runtimes: Sequence[str]) -> int:
    """Compares families with weights in which no bias is 0 and no norm is the identity; 1 where one is not ok."""
    bad = 0
    for family in chosen:
        with comparison(family, drawn=True) as of:
            for runtime in runtimes:
                found, _ = cell(of, runtime, RUNTIMES[runtime].options, [])
                print(family, runtime, found["kind"], found["text"], sep=" | ", flush=True)
                bad += found["kind"] != "ok"
    return 1 if bad else 0


def main() -> int:
    """Reads the command line; gives the exit status."""
    known = families()
    parser = argparse.ArgumentParser(prog="tools/dev interop", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="those to compare; all by default")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, metavar="NAME", help="this one; all by default")
    parser.add_argument("--default", action="store_true", help="run the files of the default options too")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--again", dest="again", action="store_const", const="all", help="run what is kept again")
    again.add_argument("--failed", dest="again", action="store_const", const="failed", help="run what failed again")
    parser.add_argument("--ci", action="store_true", help="run what CI does, compare it with the page, write nothing")
    parser.add_argument("--drawn", action="store_true", help="draw biases and statistics of norms too; write nothing")
    args = parser.parse_args()
    if unknown := sorted(set(args.families) - set(known)):
        parser.error(f"no family {json.dumps(unknown[0])}")
    results: Results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if args.ci:
        return check(results)
    runtimes = args.runtime or list(RUNTIMES)
    if args.drawn:
        return with_drawn_weights(args.families or known, runtimes)
    for family in args.families or in_turn(known, runtimes, results):
        compare(family, runtimes, results, FILES[: 2 if args.default else 1], args.again or "")
    keep(results)
    for runtime in runtimes:
        print(summary(runtime, results.get(runtime, {}), len(known)))
    return 0


def summary(runtime: str, cells: Mapping[str, Mapping[str, Entry]], families: int) -> str:
    """How many families agree with PyTorch in a runtime, and which of those that were run do not."""
    failed = [name for name, row in cells.items() if row["preset"]["kind"] != "ok"]
    beside = f"; not {', '.join(failed)}" if failed else ""
    return f"{runtime}: {len(cells) - len(failed)} of {families} families agree, {len(cells)} were run{beside}"


if __name__ == "__main__":
    sys.exit(main())
