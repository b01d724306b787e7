"""Compares what two revisions of netspec write, byte for byte: `tools/dev compare REVISION`.

Every shipped network is compiled to ONNX (weights drawn with the same seed), PyTorch and JSON, drawn and summed up by
both; the errors of every spec under tests/, the help and the lists are compared too. Both read the specs and tests of
REVISION, so that a difference is one of the compiler; --own-specs gives each its own. Differences are grouped by what
changes. Those on purpose stand in a file for --expect, as TOML:

    [[expected]]
    reason = "scopes without nodes are dropped"
    kinds = ["json"]            # all where it is left out, as are the following two
    names = ["googlenet*"]      # patterns of networks, specs or command lines
    lines = ['"scopes"', ...]   # patterns that match, together, every line that changes

The exit code is 1 where anything else differs.
"""

from __future__ import annotations

import argparse
import fnmatch
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
GIT = ("git", "-C", str(ROOT))
KINDS = {
    "onnx": "compile --to onnx -o {out}/model.onnx",
    "onnx-forms": "compile --to onnx --functions keep --dtype float16 --seed 3 -o {out}/model.onnx",
    "torch": "compile --to torch --no-weights -o {out}/model.py",
    "torch-training": "compile --to torch --no-weights --training -o {out}/model.py",
    "json": "compile --to json -o -",
    "summary": "summary",
    "svg": "draw -f svg -o -",
    "dot": "draw -f dot --show names,shapes,params,macs,rf,activations,notes -o -",
    "dot-unfold": "draw -f dot --unfold --direct --heat rf -o -",
    "mermaid": "draw -f mermaid --inference -o -",
    "html": "draw -f html -o -",
}
"""What is written of every network."""
SAMPLED = ("onnx-forms", "dot-unfold")
"""What is written of the sample alone."""
SAMPLE = ("alexnet", "googlenet", "inception_v3", "mobilenet_v2", "nasnet", "resnet", "shufflenet", "squeezenet", "vgg")
"""Families that use, between them, every part of the language."""
LARGE = 80_000_000
"""Networks of more parameters are compiled to ONNX with --largest only: a file of 320 MB and more."""
COMMANDS = ("check", "summary", "draw", "plot", "compile", "run", "list", "explain", "schema", "new")
SHOWN = 12
"""Lines of a difference that are printed."""


@dataclass(frozen=True)
class Task:
    """A command line whose output is compared."""

    kind: str
    name: str
    command: str


@dataclass(frozen=True)
class Rule:
    """A difference on purpose, as --expect names it."""

    reason: str
    kinds: Sequence[str] = ()
    names: Sequence[str] = ()
    lines: Sequence[str] = ()

    def covers(self, task: Task, diff: Sequence[str]) -> bool:
        """Whether all that changes in an output is of this rule."""
        if self.kinds and task.kind not in self.kinds:
            return False
        if self.names and not any(fnmatch.fnmatch(task.name, pattern) for pattern in self.names):
            return False
        return not self.lines or all(any(re.search(pattern, line) for pattern in self.lines) for line in diff)


@dataclass
class Group:
    """Differences that look alike."""

    kind: str
    names: list[str] = field(default_factory=list)
    diff: list[str] = field(default_factory=list)


# The worker: one process for each revision, which runs all command lines in turn.


def worker(tree: Path, tasks: Path, out: Path, part: int, parts: int) -> None:
    """Runs every `parts`-th task with the netspec of a tree; writes what each gives below `out`."""
    sys.path[:0] = [str(tree), str(tree / "backends")]
    scripts = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, name = scripts["netspec"].partition(":")
    main = getattr(import_module(module), name)
    assert tree in Path(sys.modules["netspec"].__file__ or "").parents
    for number, row in enumerate(json.loads(tasks.read_text())):
        if number % parts == part:
            with tempfile.TemporaryDirectory() as folder, chdir(tree):
                found = outcome(main, row["command"].format(out=folder), Path(folder))
            with gzip.open(out / f"{number}.gz", "wb", compresslevel=1) as file:
                file.write(found.replace(folder.encode(), b"OUT").replace(str(tree).encode(), b"TREE"))


def outcome(main: Callable[[], None], command: str, folder: Path) -> bytes:
    """The exit code, what is printed, and the files of a command line."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    code: object = 0
    sys.argv = ["netspec", *shlex.split(command)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        try:
            main()
        except SystemExit as e:
            code = e.code
    printed = [stream.buffer.getvalue() for stream in streams]
    files = [content(path) for path in sorted(folder.iterdir())]
    return b"\n".join((f"exit code {code or 0}".encode(), *printed, *files))


def content(path: Path) -> bytes:
    """A file that a command wrote; a model's hash, its graph and the hash of each tensor, to see what differs."""
    if path.suffix != ".onnx":
        return path.read_bytes()
    import onnx

    with open(path, "rb") as file:
        lines = [f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"]
    model = onnx.load(path)
    path.unlink()
    for tensor in model.graph.initializer:
        value = hashlib.sha256(tensor.raw_data).hexdigest()
        lines.append(f"tensor {tensor.name} {list(tensor.dims)} {tensor.data_type} {value}")
    del model.graph.initializer[:]
    return "\n".join((*lines, str(model))).encode()


# What is compared.


def tasks(tree: Path, args: argparse.Namespace) -> list[Task]:
    """The command lines that are run by both, read from the specs of a revision."""
    kinds = args.kinds.split(",") if args.kinds else [*KINDS, "check", "errors", "commands"]
    found = [task for task in networks(tree, args) if task.kind in kinds]
    if "errors" in kinds:
        specs = [
            p for name in ("bad", "cases", "good", "corpus") for p in sorted((tree / "tests" / name).glob("*.yaml"))
        ]
        found += [Task("errors", p.name, f"check {p.relative_to(tree)}") for p in specs]
    if "commands" in kinds:
        lines = ["--help", *(f"{name} --help" for name in COMMANDS), "schema", "list backends"]
        lines += [f"list {what}{form}" for what in ("specs", "blocks", "ops") for form in ("", " -f json")]
        found += [Task("commands", line, line) for line in lines]
    return found


def networks(tree: Path, args: argparse.Namespace) -> Iterator[Task]:
    """The command lines of the shipped networks."""
    command = [sys.executable, "-m", "netspec", "list", "specs", "-f", "json"]
    listed = subprocess.run(command, cwd=tree, env=environment(tree), stdout=subprocess.PIPE, check=True)
    params = {row["name"]: row["params"] for row in json.loads(listed.stdout)}
    for path in sorted((tree / "specs").glob("*.yaml")):
        if args.families and path.stem not in args.families:
            continue
        yield Task("check", path.stem, f"check specs/{path.name}")
        variants = list(yaml.safe_load(path.read_text(encoding="utf-8")).get("variants") or [path.stem])
        for i, variant in enumerate(variants):
            if args.quick and i not in (0, len(variants) // 2):
                continue
            option = f" --variant {variant}" if len(variants) > 1 or variant != path.stem else ""
            for kind, line in KINDS.items():
                first, _, rest = line.partition(" ")
                large = kind.startswith("onnx") and params[variant] > LARGE and not args.largest
                if not large and (kind not in SAMPLED or path.stem in SAMPLE):
                    yield Task(kind, variant, f"{first} specs/{path.name}{option} {rest}")


def environment(tree: Path) -> dict[str, str]:
    """The environment in which a revision runs: its own modules, and one core."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join((str(tree), str(tree / "backends"))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }


@contextmanager
def exported(revision: str, folder: Path) -> Iterator[Path]:
    """The tree of a revision, by `git worktree` while it is used; of `.` the working tree as it is."""
    if revision != ".":
        subprocess.run([*GIT, "worktree", "add", "--quiet", "--detach", str(folder), revision], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*GIT, "worktree", "remove", "--force", str(folder)], check=True)
        return
    for name in ("netspec", "backends", "specs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    yield folder


def run_all(trees: Sequence[Path], rows: Sequence[Task], folder: Path, jobs: int) -> list[Path]:
    """Runs all tasks with both revisions at the same time; gives the two folders of results."""
    listed = folder / "tasks.json"
    listed.write_text(json.dumps([vars(task) for task in rows]))
    outs, running = [], []
    parts = max(1, jobs // 2)
    for tree in trees:
        outs.append(folder / f"{tree.name}-out")
        outs[-1].mkdir()
        for part in range(parts):
            paths = [str(path) for path in (tree, listed, outs[-1])]
            command = [sys.executable, __file__, "--worker", *paths, str(part), str(parts)]
            running.append(subprocess.Popen(command, env=environment(tree)))
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit("tools/compare.py: a revision did not run to its end; its traceback stands above")
    return outs


# What differs.


def difference(base: bytes, head: bytes, folder: Path) -> list[str]:
    """The lines that change, with - and +."""
    files = [folder / "a", folder / "b"]
    for path, output in zip(files, (base, head), strict=True):
        path.write_bytes(b"\n".join(map(in_pieces, output.split(b"\n"))))
    command = ["git", "diff", "--no-index", "--no-color", "--text", "-U0", *map(str, files)]
    text = subprocess.run(command, stdout=subprocess.PIPE).stdout.decode(errors="replace")
    return [line for line in text.split("\n")[4:] if line[:1] in ("-", "+")]


def in_pieces(line: bytes) -> bytes:
    """A long line, such as the data of a page, as several, so that what changes is seen."""
    return line if len(line) < 2000 else re.sub(rb'(?<=[,{[])(?=["{[])', b"\n", line)


def shape(diff: Sequence[str]) -> tuple[str, ...]:
    """What differences of one cause have in common: their lines without numbers and names."""
    plain = (re.sub(r"\"[^\"]*\"(?!:)|'[^']*'|[\w./:-]*\d[\w./:-]*", "#", line) for line in diff)
    return tuple(sorted(set(plain))[:8])


def report(rows: Sequence[Task], outs: Sequence[Path], rules: Sequence[Rule], folder: Path) -> int:
    """Prints the differences, grouped; gives how many no rule expects."""
    groups: dict[tuple[str, ...], Group] = {}
    reasons: dict[str, list[str]] = defaultdict(list)
    differ = 0
    for number, task in enumerate(rows):
        base, head = (gzip.decompress((out / f"{number}.gz").read_bytes()) for out in outs)
        if base == head:
            continue
        diff = difference(base, head, folder)
        if rule := next((rule for rule in rules if rule.covers(task, diff)), None):
            reasons[rule.reason].append(f"{task.kind} {task.name}")
            continue
        differ += 1
        group = groups.setdefault((task.kind, *shape(diff)), Group(task.kind, diff=diff))
        group.names.append(task.name)
    for reason, names in reasons.items():
        print(f"expected, {reason}: {len(names)} ({few(names)})\n")
    for group in sorted(groups.values(), key=lambda group: (group.kind, -len(group.names))):
        print(f"{group.kind}: {len(group.names)} differ ({few(group.names)}); of the first:")
        print("\n".join(f"  {line[:160]}" for line in group.diff[:SHOWN]))
        print(f"  and {len(group.diff) - SHOWN} lines more\n" if len(group.diff) > SHOWN else "")
    return differ


def few(names: Sequence[str]) -> str:
    """The first names of a list."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/dev compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", help="the revision before")
    parser.add_argument(
        "--head", default=".", metavar="REVISION", help="the revision after; the working tree by default"
    )
    parser.add_argument("--quick", action="store_true", help=f"two networks each of {len(SAMPLE)} families")
    parser.add_argument("--families", type=lambda text: text.split(","), default=[], help="these alone: resnet,vgg")
    parser.add_argument("--kinds", help=f"these alone, of {','.join(KINDS)},check,errors,commands")
    parser.add_argument("--largest", action="store_true", help=f"ONNX of networks over {LARGE:,} parameters too")
    parser.add_argument("--own-specs", action="store_true", help="each revision reads its own specs and tests")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="differences on purpose, as above")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="processes; half of them for each revision (2)")
    args = parser.parse_args()
    if args.quick and not args.families:
        args.families = list(SAMPLE)
    return args


def main() -> int:
    """Compares; the exit code is 1 where something differs that is not expected."""
    args = arguments()
    started = time.monotonic()
    stated = tomllib.loads(args.expect.read_text(encoding="utf-8"))["expected"] if args.expect else []
    rules = [Rule(**row) for row in stated]
    with tempfile.TemporaryDirectory(prefix="netspec-compare-") as name:
        folder = Path(name)
        (folder / "diff").mkdir()
        with exported(args.revision, folder / "base") as base, exported(args.head, folder / "head") as head:
            if not args.own_specs:
                for part in ("specs", "tests"):
                    shutil.rmtree(head / part)
                    shutil.copytree(base / part, head / part)
            rows = tasks(base, args)
            outs = run_all((base, head), rows, folder, args.jobs)
        differ = report(rows, outs, rules, folder / "diff")
    names = len({task.name for task in rows if task.kind in KINDS})
    took = time.monotonic() - started
    print(f"{len(rows)} outputs of {names} networks and all specs compared in {took:.0f} s: {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
    else:
        sys.exit(main())
