"""Calls of every entry where libraries are hidden: `python optional_harness.py torch,PIL`, in a prepared folder.

Prints a line of JSON for each: its name, what it needs, the exit status (0, 3 for MissingError), and what it said.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib.metadata import EntryPoint, requires
from pathlib import Path
from typing import Any

from optional_spec import SPEC

READS = {
    ".npz": [],
    ".safetensors": ["safetensors"],
    ".safetensors.index.json": ["safetensors"],
    **dict.fromkeys((".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl"), ["torch"]),
}
DRAWS = {
    "svg": ["pygraphviz", "PIL"],
    "png": ["pygraphviz"],
    "pdf": ["pygraphviz"],
    "html": [],
    "dot": [],
    "mermaid": [],
}
PLOTS = ["matplotlib", "PIL"]
ONNX = ["onnx", *(["ml_dtypes"] if any(r.startswith("ml_dtypes") for r in requires("onnx") or ()) else [])]
RUNS = {"onnx": [*ONNX, "onnxruntime"], "torch": ["torch"]}
WRITES = {"onnx": ONNX, "torch": [], "json": []}
TABLES: dict[str, list[str]] = {
    **{kind: [] for kind in ("text", "json", "csv", "latex")},
    **{kind: ["tabulate"] for kind in ("md", "html")},
}
"""What each kind needs; `a|b` is either."""

MEASURES = (
    *("params", "macs", "depth", "neurons", "weights", "activations", "memory", "training_memory", "intensity"),
    "receptive_field",
)

COMMANDS: list[tuple[str, list[str]]] = [
    ("check net.yaml", []),
    *((f"check net.yaml -f {kind}", []) for kind in ("text", "json", "github")),
    *((f"check net.yaml --facts -f {kind}", needs) for kind, needs in TABLES.items()),
    *((f"summary net.yaml -f {kind} -o table", needs) for kind, needs in TABLES.items()),
    *((f"draw net.yaml -f {kind} -o drawn.{kind}", needs) for kind, needs in DRAWS.items()),
    *((f"draw net.yaml --heat {heat} -o drawn.svg", DRAWS["svg"]) for heat in ("params", "macs", "rf", "activations")),
    ("draw net.yaml --diff net.yaml -o diff.svg", DRAWS["svg"]),
    ("draw net.yaml --diff net.yaml -o diff.html", []),
    *(
        (f"plot {what} net.yaml -f {kind} -o plot.{kind}", PLOTS)
        for what in ("params", "pareto")
        for kind in ("svg", "png")
    ),
    *((f"plot {what} net.yaml -o plot.svg", PLOTS) for what in MEASURES),
    *((f"plot pareto net.yaml --x {what} --y {what} -o plot.svg", PLOTS) for what in MEASURES[:-1]),
    *((f"plot pareto --x {what} --y {what} -o plot.svg", PLOTS) for what in ("top1", "top5")),
    *((f"compile net.yaml --to {target} -o made.{target}", needs) for target, needs in WRITES.items()),
    *(
        (f"compile net.yaml --to {target} --weights w{suffix} -o made.{target}", [*WRITES[target], *READS[suffix]])
        for target in ("onnx", "torch")
        for suffix in READS
    ),
    ("compile net.yaml --to torch --no-weights -o made.py", []),
    ("compile net.yaml --to torch --training -o made.py", WRITES["torch"]),
    ("compile net.yaml --to torch --no-weights --features stem --freeze stem -o made.py", []),
    ("summary net.yaml --features stem --freeze stem", []),
    *((f"compile net.yaml --to json -o a.json --explain-passes -f {kind}", needs) for kind, needs in TABLES.items()),
    *(
        (f"compile net.yaml --to onnx --external-data --functions {kind} --dtype float16 -o a.onnx", WRITES["onnx"])
        for kind in ("keep", "inline")
    ),
    *((f"compile net.yaml --to onnx --dtype {kind} -o a.onnx", WRITES["onnx"]) for kind in ("float32", "float16")),
    ("compile net.yaml --to onnx --dtype bfloat16 --io-dtype bfloat16 -o a.onnx", [*ONNX, "ml_dtypes"]),
    (
        "compile net.yaml --to onnx --dtype int8 --calibrate photos --keep-float stem --report r.csv -o a.onnx",
        [*RUNS["onnx"], "PIL", "ml_dtypes"],
    ),
    *((f"run net.yaml --backend {backend} --device cpu", needs) for backend, needs in RUNS.items()),
    *(
        (f"run net.yaml --backend {backend} --weights w{suffix}", [*needs, *READS[suffix]])
        for backend, needs in RUNS.items()
        for suffix in (".npz", ".safetensors", ".pth")
    ),
    ("compile net.yaml --to onnx --weights w.npz --rules rules.yaml -o a.onnx", WRITES["onnx"]),
    ("run net.yaml --weights w.npz --rules rules.yaml --labels labels.txt", RUNS["onnx"]),
    *((f"run net.yaml --backend {backend} --image x.png", [*needs, "PIL"]) for backend, needs in RUNS.items()),
    *((f"run net.yaml --backend {backend} --images .", [*needs, "PIL"]) for backend, needs in RUNS.items()),
    *(
        (f"run net.yaml --images . -f {kind} -o table", [*RUNS["onnx"], "PIL", *needs])
        for kind, needs in TABLES.items()
    ),
    ("run net.yaml --npy x.npy", RUNS["onnx"]),
    ("run net.onnx", RUNS["onnx"]),
    ("run net.onnx --pb . --save outputs.npz --labels labels.txt", RUNS["onnx"]),
    ("run net.yaml --backend torch --pb .", ["torch", *ONNX]),
    *((f"verify net.yaml onnx onnx -f {kind} -o table", [*RUNS["onnx"], *needs]) for kind, needs in TABLES.items()),
    *(
        (f"bench net.yaml --target onnx --repeat 1 -f {kind} -o table", [*RUNS["onnx"], *needs])
        for kind, needs in TABLES.items()
    ),
    ("bench net.onnx --repeat 1", RUNS["onnx"]),
    (
        "bench net.yaml --target torch --repeat 1 --blocks --times t.json --weights w.npz --rules rules.yaml",
        RUNS["torch"],
    ),
    *((f"{looks} net.yaml -O2 --profile tuned.json", []) for looks in ("summary", "table", "show", "explain")),
    ("compare net.yaml net.yaml -O2 --profile tuned.json", []),
    ("draw net.yaml -O2 --profile tuned.json -o drawn.svg", DRAWS["svg"]),
    ("compile net.yaml --to json -O2 --profile tuned.json -o a.json", []),
    ("run net.yaml -O2 --profile tuned.json", RUNS["onnx"]),
    ("bench net.yaml --target onnx --repeat 1 -O2 --profile tuned.json", RUNS["onnx"]),
    ("verify net.yaml onnx onnx -O2 --profile tuned.json", RUNS["onnx"]),
    ("verify net.yaml onnx onnx --calibrate photos", [*RUNS["onnx"], "PIL"]),
    ("verify net.yaml torch torch --weights w.npz --rules rules.yaml", RUNS["torch"]),
    *((f"tune net.yaml --target onnx --try pool_first -f {kind}", [*RUNS["onnx"], *n]) for kind, n in TABLES.items()),
    ("tune net.yaml --target torch --try pool_first --weights w.npz --rules rules.yaml -o t.json", RUNS["torch"]),
    *((f"list {what}", []) for what in ("specs", "blocks", "ops", "passes", "backends")),
    *((f"list specs -f {kind}", []) for kind in ("text", "json", "csv")),
    *((f"list passes -f {kind} -o table", needs) for kind, needs in TABLES.items()),
    *((f"compare net.yaml net.yaml -f {kind} -o table", needs) for kind, needs in TABLES.items()),
    *((f"table net.yaml --rows {rows}", []) for rows in ("stages", "sizes", "blocks", "layers")),
    *((f"table net.yaml --cells {cells}", []) for cells in ("bracket", "conv", "kernel", "filters", "block")),
    *((f"table net.yaml -f {kind} -o table", needs) for kind, needs in TABLES.items()),
    *((f"show net.yaml -f {kind} -o table", needs) for kind, needs in TABLES.items()),
    ("explain NS402", []),
    ("explain net.yaml stem.conv", []),
    *((f"schema{which} -o schema.json", []) for which in ("", " --profile")),
    ("new block mine -o mine.yaml", []),
    ("new network mine -o own.yaml", []),
    ("new training -o own.py", []),
]


Calls = dict[str, tuple[Callable[[], Any], list[str]]]
"""Calls by the name of what is called, with what each needs."""


def python_calls() -> Calls:
    """A call of every public function and method; one with arguments of several kinds has several."""
    return {**network_calls(), **checkpoint_calls(), **backend_calls(), **input_calls(), **drawing_calls()}


def network_calls() -> Calls:
    """The package and its networks."""
    import netspec
    from netspec import optional

    net = netspec.load("net.yaml")
    calls: Calls = {
        "netspec.load": (lambda: netspec.load("lenet5"), []),
        "netspec.optional.importing": (lambda: optional.importing("nothing"), []),
        "netspec.show": (lambda: netspec.show("net.yaml"), []),
        "netspec.list_specs": (lambda: netspec.list_specs("lenet5"), []),
        "netspec.network.Network.name": (lambda: net.name, []),
        "netspec.network.Network.params": (lambda: net.params, []),
        "netspec.network.Network.variants": (lambda: net.variants, []),
        "netspec.network.Network.summary": (lambda: str(net.summary(depth=1)), []),
        "netspec.network.Network.table": (lambda: net.table(), []),
        "netspec.network.Network.draw": (lambda: net.draw(), DRAWS["svg"]),
        "netspec.network.Network.explain": (lambda: net.explain(), []),
        "netspec.network.Network.check": (lambda: net.check(), []),
        "netspec.network.Network.tapped": (lambda: net.tapped(["stem"]), []),
        "netspec.network.Network.features": (lambda: net.features(["stem"]), ["torch"]),
        "netspec.reports.table.Table.to_pandas": (lambda: net.summary(depth=1).to_pandas(), ["pandas"]),
        "netspec.network.Network.inference": (lambda: netspec.load("net.yaml").inference, []),
        "netspec.network.Network.of": (lambda: netspec.Network.of(net), []),
        "netspec.network.Network.module": (lambda: netspec.load("net.yaml").module, []),
        "netspec.network.Network.trained": (lambda: net.trained, []),
        "netspec.network.Network.shown": (lambda: net.shown, []),
        "netspec.network.Network.stored": (lambda: net.stored(True), []),
        "netspec.network.Network.after": (lambda: net.after(["fold_batch_norm"]).inference, []),
        "netspec.network.Network.forget": (lambda: netspec.load("net.yaml").forget(), []),
        "netspec.network.Network.arrays": (lambda: net.arrays(seed=3), []),
        "netspec.network.Network.lazy_arrays": (lambda: net.lazy_arrays(weights="w.pth"), ["torch"]),
        "netspec.network.Network.to_torch": (lambda: net.to_torch(), ["torch"]),
        "netspec.network.Network.to_torch freeze": (lambda: net.to_torch(True, freeze=["stem"]), ["torch"]),
        "netspec.network.Network.to_torch weights": (lambda: net.to_torch(weights="w.npz"), ["torch"]),
        "netspec.network.Network.to_onnx": (lambda: net.to_onnx("a.onnx"), ONNX),
        "netspec.network.Network.to_onnx weights": (lambda: net.to_onnx("a.onnx", weights="w.pth"), [*ONNX, "torch"]),
    }
    for suffix, needs in READS.items():
        calls[f"netspec.network.Network.arrays {suffix}"] = (partial(net.arrays, weights=f"w{suffix}"), needs)
    return calls


def checkpoint_calls() -> Calls:
    """What reads checkpoints."""
    import netspec
    from netspec import backend
    from netspec.weights.checkpoints import files, load, safetensors
    from netspec.weights.checkpoints.choices import Choices
    from netspec.weights.checkpoints.stored import Need

    net, need, tensors = netspec.load("net.yaml"), Need(), Path("w.safetensors")
    read, choices = backend.read_checkpoint, Choices()
    prefix = "netspec.weights.checkpoints"
    calls: Calls = {
        f"{prefix}.load.load": (lambda: load.load(net, Path("w.pth"), False, choices, read), ["torch"]),
        f"{prefix}.safetensors.read_safetensors": (
            lambda: safetensors.read_safetensors(tensors, need),
            ["safetensors"],
        ),
    }
    for suffix, needs in READS.items():
        calls[f"{prefix}.files.states_of {suffix}"] = (partial(files.states_of, Path(f"w{suffix}"), need, read), needs)
    return calls


def backend_calls() -> Calls:
    """Both backends, and how they are found."""
    import netspec
    from netspec import backend, plugins
    from netspec.backend import Result, get
    from netspec.cli.run_folder import FolderRun
    from netspec.running.place import Place
    from netspec.running.ports import Port
    from netspec.running.results import Style
    from netspec.running.sizes import Sizes
    from netspec.running.ways import Way
    from netspec.weights.checkpoints.stored import Need
    from netspec.weights.published.fetch import fetch, source_of
    from netspec.weights.published.meant import meant

    net = netspec.load("net.yaml")
    graph, x, arrays = net.inference, {"input": _numbers(1, 3, 8, 8)}, net.arrays()
    torch, onnx, model = get("torch"), get("onnx"), Path("net.onnx")
    session = partial(netspec.Session, "net.onnx")

    def folder_run(made: Callable[[], Any]) -> FolderRun:
        sizes = Sizes({"input": Port("tensor(float)", ("N", 3, 8, 8))})
        return FolderRun(Path("."), sizes, lambda x: Result(made().run(**x), "it"), Style(1), str, True)

    calls: Calls = {
        "netspec.backend.get": (lambda: (get("torch"), get("onnx")), []),
        "netspec.backend.able": (lambda: backend.able("torch", backend.Runs), []),
        "netspec.plugins.load": (lambda: plugins.load(EntryPoint("json", "netspec.backend:JSON", ""), "it"), []),
        "netspec.plugins.load_ops": (plugins.load_ops, []),
        "netspec.plugins.load_lowerings": (lambda: plugins.load_lowerings("onnx"), []),
        "netspec.backend.plugin_row": (lambda: backend.plugin_row("onnx", "none"), []),
        "netspec.backend.read_module": (lambda: backend.read_module(net.to_torch()), ["torch"]),
        "netspec_torch.TorchBackend.read_module": (lambda: torch.read_module(net.to_torch()), ["torch"]),
        "netspec.weights.published.fetch.fetch": (lambda: fetch(meant("w.npz", net), net), []),
        "netspec.weights.published.fetch.source_of": (lambda: source_of(arrays, net, backend.read_module), []),
        "netspec.backend.read_checkpoint": (lambda: backend.read_checkpoint(Path("w.pth"), Need()), ["torch"]),
        "netspec.backend.importing": (lambda: backend.importing("torch"), []),
        "netspec_torch.TorchBackend.source": (lambda: torch.source(graph), []),
        "netspec_torch.TorchBackend.to_module": (lambda: torch.to_module(graph, arrays), ["torch"]),
        "netspec_torch.TorchBackend.read_checkpoint": (lambda: torch.read_checkpoint(Path("w.pth"), Need()), ["torch"]),
        "netspec.session.Session.images": (lambda: [*session().images(["x.png"])], [*RUNS["onnx"], "PIL"]),
        "netspec.cli.run_folder.FolderRun.table": (lambda: folder_run(session).table(1, None), [*RUNS["onnx"], "PIL"]),
        "netspec_onnx.OnnxBackend.run_file": (lambda: onnx.run_file(model, x), RUNS["onnx"]),
        "netspec_onnx.OnnxBackend.open": (lambda: onnx.open(model), RUNS["onnx"]),
        "netspec_onnx.OnnxBackend.read_images": (lambda: onnx.read_images(Path("photos"), graph, 2), [*ONNX, "PIL"]),
        "netspec_onnx.OnnxBackend.look": (lambda: onnx.look(model), RUNS["onnx"]),
        "netspec_onnx.OnnxBackend.read_pb": (lambda: onnx.read_pb(Path("input_0.pb"), "tensor(float)"), ONNX),
    }
    for name, own, target in (("torch.Torch", torch, "torch"), ("onnx.Onnx", onnx, "onnx")):
        emit = partial(own.emit, graph, arrays, Path("made"), own.options())
        calls[f"netspec_{name}Backend.emit"] = (emit, WRITES[target])
        calls[f"netspec_{name}Backend.run"] = (partial(own.run, graph, arrays, x), RUNS[target])
        calls[f"netspec_{name}Backend.ready"] = (partial(own.ready, graph, arrays, Place()), RUNS[target])
        calls[f"netspec_{name}Backend.prepare"] = (partial(own.prepare, graph, arrays, Way()), RUNS[target])
    return calls


def input_calls() -> Calls:
    """The inputs of a run."""
    from netspec.running import feeds, ports, sizes

    fed = feeds.Feeds(sizes.Sizes({"input": ports.Port("tensor(float)", ("N", 3, 8, 8))}), str)
    fed.pictures(["x.png"])
    fed.sizes.complete()
    return {
        "netspec.running.ports.dtype_of": (lambda: ports.dtype_of("float"), []),
        "netspec.running.ports.dtype_of bfloat16": (lambda: ports.dtype_of("bfloat16"), ["ml_dtypes"]),
        "netspec.running.feeds.Feeds.all": (lambda: fed.all(0), ["PIL"]),
    }


def drawing_calls() -> Calls:
    """Pictures and plots."""
    import netspec
    from netspec import draw
    from netspec.draw.formats import graphviz
    from netspec.reports import plot

    graph, point = netspec.load("net.yaml").inference, plot.Point("net", "net", 10, 10)
    calls: Calls = {
        "netspec.reports.plot.bars": (lambda: plot.bars(graph, "params"), []),
        "netspec.reports.plot.plot_bars": (lambda: plot.plot_bars([graph], "params", "svg"), PLOTS),
        "netspec.reports.plot.plot_pareto": (lambda: plot.plot_pareto([point], "svg", ["net"]), PLOTS),
        "netspec.draw.formats.graphviz.graphviz": (lambda: graphviz.graphviz("digraph {a}", "svg"), ["pygraphviz"]),
        "netspec.draw.formats.graphviz.text_width": (lambda: graphviz.text_width("a", 10), ["PIL"]),
        "netspec.draw.formats.graphviz.shrunk": (lambda: graphviz.shrunk(b"\0" * 24), []),
        "netspec.draw.draw": (lambda: draw.draw(graph, "svg"), DRAWS["svg"]),
        "netspec.draw.render": (lambda: draw.render(draw.picture(graph), "svg"), DRAWS["svg"]),
        "netspec.draw.picture": (lambda: draw.picture(graph), []),
        "netspec.draw.difference": (lambda: draw.difference(graph, graph), []),
        "netspec.draw.beside": (lambda: draw.beside([graph, graph]), []),
        "netspec.draw.to_dot": (lambda: draw.to_dot(draw.picture(graph)), []),
    }
    for kind, needs in DRAWS.items():
        calls[f"netspec.draw.draw {kind}"] = (partial(draw.draw, graph, kind), needs)
    return calls


def _numbers(*shape: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape, np.float32)


def prepare(folder: Path) -> None:
    """Writes the files that the calls read; needs every library."""
    import numpy as np
    import torch
    from PIL import Image
    from safetensors.numpy import save_file

    import netspec

    (folder / "net.yaml").write_text(SPEC, encoding="utf-8")
    net = netspec.load(folder / "net.yaml")
    arrays = net.arrays(seed=1)
    save_file(arrays, folder / "w.safetensors")
    np.savez(folder / "w.npz", **arrays)  # type: ignore[arg-type]
    for suffix in (s for s, needs in READS.items() if needs == ["torch"]):
        torch.save({key: torch.from_numpy(value) for key, value in arrays.items()}, folder / f"w{suffix}")
    index = {"metadata": {}, "weight_map": dict.fromkeys(arrays, "w.safetensors")}
    (folder / "w.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    net.to_onnx(folder / "net.onnx")
    (folder / "rules.yaml").write_text('- {from: "nothing.{t}", to: "stem.{t}"}\n', encoding="utf-8")
    tuned = {"netspec_profile": 1, "network": net.name, "graph": net.digest, "target": "onnxruntime", "passes": []}
    (folder / "tuned.json").write_text(json.dumps(tuned), encoding="utf-8")
    np.save(folder / "x.npy", _numbers(1, 3, 8, 8))
    from onnx import numpy_helper

    (folder / "input_0.pb").write_bytes(numpy_helper.from_array(_numbers(1, 3, 8, 8)).SerializeToString())
    (folder / "labels.txt").write_text("a\nb\nc\nd\n", encoding="utf-8")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "x.png")
    (folder / "photos").mkdir()
    for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)):
        Image.fromarray(image).save(folder / "photos" / f"{i}.png")


class Hidden:
    """A finder before all others, for which these libraries are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuses a hidden library and what is in it."""
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(hidden: Sequence[str], few: bool, part: int, parts: int) -> None:
    """Makes one of so many parts of all calls, or of the few that need a library, and prints what came of them."""
    sys.meta_path.insert(0, Hidden(hidden))
    from netspec.cli.main import run
    from netspec.diagnostics.errors import MissingError

    for made in ("mine.yaml", "own.yaml", "own.py"):  # of the run before
        Path(made).unlink(missing_ok=True)
    real = sys.stdout
    for line, needs in COMMANDS[part::parts]:
        if few and not needs and "--to torch" not in line:
            continue
        said = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            status = run(line.split())
        print(json.dumps([f"netspec {line}", needs, status, said.getvalue()]), file=real)
    for name, (call, needs) in list(python_calls().items())[part::parts]:
        if few and not needs:
            continue
        try:
            with redirect_stdout(io.StringIO()):
                call()
            status, text = 0, ""
        except MissingError as e:
            status, text = 3, f"{e}\n{e.help}"
        except Exception as e:  # noqa: BLE001 - what was raised is the result
            status, text = 4, f"{type(e).__name__}: {e}"
        print(json.dumps([name, needs, status, text]), file=real)
    seen = {name.partition(".")[0] for name in sys.modules}
    assert not seen & set(hidden), "a library was not hidden"


if __name__ == "__main__":
    main([name for name in sys.argv[1].split(",") if name], sys.argv[2] == "few", *map(int, sys.argv[3:]))
