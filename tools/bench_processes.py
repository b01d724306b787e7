"""Whole processes, as a user waits for them, run in turn; parts of `tools/dev bench`, which has the tables."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from compare import exported
from exporters import NETWORKS, export

ROOT = Path(__file__).resolve().parent.parent
NETSPEC = Path(sys.executable).with_name("netspec")
SPEC = ROOT / "specs" / "googlenet.yaml"
WORKER = [sys.executable, str(Path(__file__).resolve()), "--worker"]
IMPORTS = "import yaml, networkx, jsonschema, numpy"
Command = list[str]


# What is timed beside netspec; each function is the whole work of one process.


def plain_bytes(outline: str, target: str) -> None:
    """Draws as many numbers as the model has, writes and syncs them: what no compiler can do without."""
    import numpy as np

    shapes = [tensor["shape"] for tensor in json.loads(Path(outline).read_text(encoding="utf-8"))["tensors"]]
    draw = np.random.default_rng(0)
    with open(target, "wb") as file:
        for shape in shapes:
            file.write(draw.standard_normal(shape, np.float32).tobytes())
        file.flush()
        os.fsync(file.fileno())


def by_helper(outline: str, target: str) -> None:
    """The same, wrapped as a model with the same nodes by onnx.helper; no shape is inferred, nothing is checked."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    plan = json.loads(Path(outline).read_text(encoding="utf-8"))
    draw = np.random.default_rng(0)
    tensors = [
        helper.make_tensor(
            t["name"], TensorProto.FLOAT, t["shape"], draw.standard_normal(t["shape"], np.float32).tobytes(), raw=True
        )
        for t in plan["tensors"]
    ]
    nodes = [helper.make_node(n["op"], n["inputs"], n["outputs"], **n["attributes"]) for n in plan["nodes"]]
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in plan[side].items()]
        for side in ("inputs", "outputs")
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "googlenet", *values, tensors)), target)


def draw_family(path: Path) -> int:
    """Draws every network of a family as SVG and HTML; gives their number."""
    from netspec.diagnostics.errors import Reporter
    from netspec.draw import draw
    from netspec.network import build
    from netspec.syntax.reader import read_document

    document = read_document(path, Reporter())
    assert document is not None
    graphs = [build(document, variant).graph for variant in document.variants or [None]]
    return sum(bool(draw(graph, "svg") and draw(graph, "html")) for graph in graphs)


def count(families: Sequence[Path]) -> int:
    """How many networks families have."""
    from netspec.syntax.library import variant_names

    return sum(len(variant_names(path)) or 1 for path in families)


def catalogue() -> None:
    """Draws every network of the catalogue as SVG and HTML, on two processes."""
    from concurrent.futures import ProcessPoolExecutor

    from netspec.syntax.library import shipped

    with ProcessPoolExecutor(2) as pool:
        print(sum(pool.map(draw_family, shipped())))


def write_outline(model: Path, target: Path) -> None:
    """Writes what plain_bytes and by_helper need to know of a model as JSON."""
    import onnx

    graph = onnx.load(model).graph

    def plain(value: object) -> object:
        return value.decode() if isinstance(value, bytes) else value

    def values(infos: object) -> dict[str, list[int | str]]:
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in infos}  # type: ignore

    target.write_text(
        json.dumps(
            {
                "tensors": [{"name": t.name, "shape": list(t.dims)} for t in graph.initializer],
                "nodes": [
                    {
                        "op": n.op_type,
                        "inputs": list(n.input),
                        "outputs": list(n.output),
                        "attributes": {a.name: plain(onnx.helper.get_attribute_value(a)) for a in n.attribute},
                    }
                    for n in graph.node
                ],
                "inputs": values(graph.input),
                "outputs": values(graph.output),
            },
            default=list,
        ),
        encoding="utf-8",
    )


WORKERS = {
    "torchscript": lambda *args: export(False, *args),
    "dynamo": lambda *args: export(True, *args),
    "numpy": plain_bytes,
    "helper": by_helper,
    "catalogue": catalogue,
}


# Timing.


def clock() -> float:
    """The wall clock, or with --cpu the processor time of all processes that have ended."""
    if "--cpu" not in sys.argv:
        return time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(command: Command, cwd: Path) -> float:
    """The time of a process; ends the benchmark if it fails."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as pip leaves it
    started = clock()
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    elapsed = clock() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return elapsed


def compare(commands: dict[str, Command], rounds: int, folder: Path, warm: bool = True) -> dict[str, list[float]]:
    """Times of each command; a round runs all of them one after the other, and one round goes before to warm up."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(0 if warm else 1, rounds + 1):
        for name, command in commands.items():
            elapsed = seconds(command, folder)
            if number:
                times[name].append(elapsed)
    return times


def table(title: str, times: dict[str, list[float]]) -> str:
    """A Markdown table: median, range, and the median ratio to the first row, taken round by round."""
    first = next(iter(times.values()))
    count = f"{len(first)} round{'s' * (len(first) > 1)}"
    rows = [
        f"**{title}** ({count})",
        "",
        "| process | median | fastest to slowest | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, mine in times.items():
        ratio = statistics.median(a / b for a, b in zip(mine, first, strict=True))
        spread = f"{min(mine):.2f} to {max(mine):.2f} s"
        rows.append(f"| {name} | {statistics.median(mine):.2f} s | {spread} | {ratio:.2f} |")
    return "\n".join(rows)


def pairs(
    commands: dict[str, tuple[Command, Command]], rounds: int, folder: Path, warm: bool = True
) -> dict[str, tuple[list[float], list[float]]]:
    """Times of two commands for each network, which run one right after the other."""
    flat = {f"{name} {which}": both[which] for name, both in commands.items() for which in (0, 1)}
    times = compare(flat, rounds, folder, warm)
    return {name: (times[f"{name} 0"], times[f"{name} 1"]) for name in commands}


def table_of_pairs(
    title: str, columns: tuple[str, str, str], times: dict[str, tuple[list[float], list[float]]], faster: bool
) -> str:
    """A Markdown table of a row a network: both medians, and those of difference and ratio, taken round by round."""
    count = len(next(iter(times.values()))[0])
    rows = [
        f"**{title}** ({count} round{'s' * (count > 1)}, medians)",
        "",
        f"| network | {' | '.join(columns)} |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, (ours, theirs) in times.items():
        rounds = list(zip(ours, theirs, strict=True))
        more, ratio = (statistics.median(found) for found in ([a - b for a, b in rounds], [a / b for a, b in rounds]))
        times_ = statistics.median(b / a for a, b in rounds)
        said = f"{times_:.1f}" if faster else f"{more:+.2f} s, {ratio:.2f} times"
        rows.append(f"| {name} | {statistics.median(ours):.2f} s | {statistics.median(theirs):.2f} s | {said} |")
    return "\n".join(rows)


def compiling(name: str) -> Command:
    """Compiles a network to ONNX as a user does."""
    return [str(NETSPEC), "compile", name, "--to", "onnx", "-o", f"{name}.onnx"]


FLOOR = {"googlenet": "GoogLeNet", "resnet50": "ResNet-50", "vgg16": "VGG-16"}
"""The networks that are compared with drawing and writing their bytes."""


def against_floor(rounds: int, folder: Path) -> str:
    """Compiling, and drawing and writing the same bytes with numpy alone."""
    commands = {}
    for name, title in FLOOR.items():
        subprocess.run(compiling(name), check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        write_outline(folder / f"{name}.onnx", folder / f"{name}.json")
        commands[title] = compiling(name), [*WORKER, "numpy", f"{name}.json", "plain.bin"]
    columns = ("netspec compile --to onnx", "numpy alone", "over it")
    return table_of_pairs("Compiling to ONNX: the floor", columns, pairs(commands, rounds, folder), faster=False)


def against_exporter(exports: int, folder: Path) -> str:
    """Compiling, and PyTorch's TorchScript exporter."""
    commands = {
        network.title: (compiling(name), [*WORKER, "torchscript", name, "t.onnx"]) for name, network in NETWORKS.items()
    }
    columns = ("netspec compile --to onnx", "torch.onnx.export (TorchScript)", "times faster")
    return table_of_pairs(
        "Compiling to ONNX: the exporter", columns, pairs(commands, exports, folder, warm=False), faster=True
    )


def checking(rounds: int, folder: Path) -> str:
    """Checking a spec, and importing what it cannot do without."""
    small = {
        f"python -c '{IMPORTS}'": [sys.executable, "-c", IMPORTS],
        "netspec check specs/googlenet.yaml": [str(NETSPEC), "check", str(SPEC)],
    }
    return table("Checking a spec", compare(small, rounds, folder))


def otherwise(exports: int, folder: Path) -> str:
    """Compiling GoogLeNet, by onnx.helper and by PyTorch's newer exporter."""
    name = "googlenet_torchvision"
    subprocess.run(compiling(name), check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    write_outline(folder / f"{name}.onnx", folder / f"{name}.json")
    others = {
        f"netspec compile {name} --to onnx": compiling(name),
        "onnx.helper: the same nodes and bytes": [*WORKER, "helper", f"{name}.json", "h.onnx"],
        "torch.onnx.export of torchvision's (dynamo)": [*WORKER, "dynamo", name, "d.onnx"],
    }
    return table("Compiling GoogLeNet to ONNX otherwise", compare(others, exports, folder))


LARGE = """\
netspec: 1
name: large
input: [8, 8, 8]
blocks:
  unit:
    body:
      - add:
          path: [{{conv: {{out: 8, kernel: 3, pad: half}}}}, batch_norm, relu, {{conv: [8, 1]}}, batch_norm]
          shortcut: []
      - relu
body:
  - unit:
    repeat: {count}
"""
"""Residual blocks of 7 nodes each."""
SHORT: dict[str, list[str | Path]] = {
    "GoogLeNet to ONNX": ["compile", SPEC, "--to", "onnx", "-o", "m.onnx"],
    "GoogLeNet to PyTorch": ["compile", SPEC, "--to", "torch", "--no-weights", "-o", "m.py"],
    "GoogLeNet to JSON": ["compile", SPEC, "--to", "json", "-o", "m.json"],
    "GoogLeNet as SVG": ["draw", SPEC, "-q", "-o", "g.svg"],
    "The layer table of GoogLeNet": ["summary", SPEC, "-o", "g.txt"],
}
"""What a user waits for, by what it gives."""


def revisions(revision: str, rounds: int, folder: Path) -> Iterator[str]:
    """The tables of this revision and another, every command by both in turn."""
    with exported(revision, folder / "before") as before, exported(".", folder / "after") as after:
        trees = {revision: before, "now": after}
        check = {f"check, {name}": by(tree, "check", SPEC) for name, tree in trees.items()}
        bare = {"the four bare imports": [sys.executable, "-c", IMPORTS]}
        yield table("Checking GoogLeNet", compare({**bare, **check}, rounds, folder))
        for title, command in SHORT.items():
            both = {name: by(tree, *command) for name, tree in trees.items()}
            yield table(title, compare(both, rounds, folder))
        for size in (25_000, 50_000, 100_000):
            path = folder / "large.yaml"
            path.write_text(LARGE.format(count=(size - 1) // 7), encoding="utf-8")
            times = compare({name: by(tree, "check", path) for name, tree in trees.items()}, 3, folder, warm=False)
            each = {name: statistics.median(mine) / size * 1e6 for name, mine in times.items()}
            said = ", ".join(f"{name} {value:.0f} us a node" for name, value in each.items())
            yield f"{table(f'Checking {size:,} nodes', times)}\n\n{said}"


def by(tree: Path, *command: str | Path) -> Command:
    """A command of the netspec of a tree, which is found before the one that is installed."""
    paths = os.pathsep.join((str(tree), str(tree / "backends")))
    return ["env", f"PYTHONPATH={paths}", sys.executable, "-m", "netspec", *map(str, command)]


def drawing(rounds: int, folder: Path) -> list[str]:
    """The tables of pictures: what a page shows, and once each, what takes long."""
    page = [str(NETSPEC), "draw", "googlenet", "-q", "-o"]
    pages = compare(
        {
            "netspec draw googlenet -o g.svg": [*page, "g.svg"],
            "netspec draw googlenet -o g.html": [*page, "g.html"],
            "netspec draw googlenet -o g.mmd": [*page, "g.mmd"],
        },
        rounds,
        folder,
    )
    large = {
        f"netspec draw {name} --unfold": [str(NETSPEC), "draw", name, "--unfold", "-q", "-o", "u.svg"]
        for name in ("nasnet_a_large", "densenet264", "resnet1202_cifar")
    }
    from netspec.syntax.library import shipped

    name = f"the catalogue, {count(shipped())} networks, as SVG and HTML, two processes"
    once = compare({name: [*WORKER, "catalogue"], **large}, 1, folder)
    return [table("Drawing what fits a page", pages), table("Drawing the whole", once)]


if __name__ == "__main__":
    WORKERS[sys.argv[2]](*sys.argv[3:])
