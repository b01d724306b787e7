"""Plants a difference in every step of a network's ONNX file, one at a time: does `netspec verify` name that step?

`tools/dev plant` does so with GoogLeNet at a small input, or with the networks that are named, and prints which were
missed; `--write` puts the figures into docs/verify.md. In every step the value is a hundredth larger; `--kinds` plants
what may go wrong in its op too: the weights or the bias of one output, a padding on the other side, another `alpha`,
two operands that change places.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import planted  # noqa: E402

import netspec  # noqa: E402
from netspec.cli.main import run  # noqa: E402
from netspec.ir.graph import Node  # noqa: E402

PAGE = ROOT / "docs" / "verify.md"
BEGIN, END = "<!-- planted: begin -->", "<!-- planted: end -->"
SEED = 3


@dataclass(frozen=True)
class Trial:
    """A difference that was planted in a step, and the step that was named, empty where none was."""

    kind: str
    step: str
    named: str


def kinds_of(node: Node) -> Iterator[planted.Plant]:
    """What may go wrong in a step of its op."""
    padded = any(node.attrs.get("pad", ()))
    if "weight" in node.result.weights and node.op != "batch_norm":
        yield planted.weight
    if "bias" in node.result.weights and node.op != "batch_norm":
        yield planted.bias
    if node.op in ("conv", "max_pool") and padded:
        yield planted.shifted_pads
    by_op = {
        "lrn": planted.alpha,
        "batch_norm": planted.epsilon,
        "relu": planted.leaky,
        "global_avg_pool": planted.maximum,
        "concat": planted.swapped,
    }
    if node.op in by_op:
        yield by_op[node.op]


def trials(name: str, size: int, kinds: bool) -> Iterator[Trial]:
    """Every step of a network in its flat file, in the current folder; its auxiliary heads are left out."""
    settings = ["-s", "aux=false"] if name.startswith("googlenet") else []
    channels = netspec.load(name).graph.inputs[0].shape[1]
    options = [*settings, "--input", f"{channels}x{size}x{size}"]
    network = netspec.load(name, input=[int(channels), size, size], **({"aux": False} if settings else {}))
    network.to_onnx("right.onnx", seed=SEED, functions="inline", level=0)
    text = Path("right.onnx").read_bytes()
    for node in network.inference.nodes.values():
        for plant in (planted.scaled_after, *(kinds_of(node) if kinds else ())) if node.op != "input" else ():
            model = onnx.load_model_from_string(text)
            plant(model, node.path)
            Path("planted.onnx").write_bytes(model.SerializeToString())
            yield Trial(plant.__name__, node.path, named(name, options))


def named(name: str, options: Sequence[str]) -> str:
    """The step that `netspec verify` names, as its table in JSON has it."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["verify", name, "planted.onnx", *options, "-f", "json"])
    if code not in (0, 1):
        raise SystemExit(f"netspec verify {name} ended with {code}: {err.getvalue()}")
    (row,) = json.loads(out.getvalue())
    return row["step"] or "" if code else ""


def table(found: dict[str, list[Trial]]) -> str:
    """The figures as Markdown."""
    lines = ["| network | what was planted | steps | named by their line |", "| --- | --- | ---: | ---: |"]
    for name, each in found.items():
        counts = Counter(trial.kind for trial in each)
        right = Counter(trial.kind for trial in each if trial.named == trial.step)
        lines += [f"| {name} | {planted.KINDS[kind]} | {counts[kind]} | {right[kind]} |" for kind in counts]
    return "\n".join(lines)


def main() -> int:
    """Reads the command line; gives 1 where a step was missed."""
    parser = argparse.ArgumentParser(prog="tools/dev plant", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=["googlenet"])
    parser.add_argument("--size", type=int, default=64, help="height and width of the input")
    parser.add_argument("--kinds", action="store_true", help="plant what may go wrong in each op too")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/verify.md")
    args = parser.parse_args()
    found: dict[str, list[Trial]] = {}
    with tempfile.TemporaryDirectory(prefix="netspec-planted-") as folder:
        os.chdir(folder)
        for name in args.networks:
            for trial in trials(name, args.size, args.kinds):
                found.setdefault(name, []).append(trial)
                what = "named" if trial.named == trial.step else f"MISSED: {trial.named or 'nothing'} is named"
                print(f"{name} {trial.kind} {trial.step}: {what}", flush=True)
        os.chdir(ROOT)
    text = table(found)
    print(text)
    missed = [trial for each in found.values() for trial in each if trial.named != trial.step]
    if args.write:
        head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
