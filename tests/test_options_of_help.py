"""What the help of a command lists it takes: each option by itself, or with those that it goes with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
import torch
from cli_harness import TINY, spec_commands
from PIL import Image

from netspec.backend import get
from netspec.cli.main import cli, run
from netspec.cli.targets import declared
from netspec.cli.ways import target_of
from netspec.network import load
from netspec.weights.initialise import draw

LINES = {
    **spec_commands(),
    "compile onnx": ["compile", "SPEC", "--to", "onnx", "-o", "made.onnx"],
    "compile torch": ["compile", "SPEC", "--to", "torch", "-o", "made.py"],
    "list": ["list", "specs", "lenet5"],
    "schema": ["schema"],
}
del LINES["compile"]
VALUES = {
    "--all": "",
    "--variant": "wide",
    "--set": "classes=4",
    "--input": "3x16x16",
    "--features": "unit",
    "--pass": "fold_batch_norm",
    "--profile": "onnx.json",
    "compile torch --profile": "torch.json",
    "--opset": "18",
    "--ir-version": "8",
    "-I": ".",
    "--max-nodes": "100",
    "--output": "made",
    "--columns": "params",
    "--freeze": "unit",
    "--show": "params",
    "table --show": "relu",
    "--hide": "relu",
    "--collapse": "unit",
    "--expand": "unit",
    "--heat": "macs",
    "--diff": "tiny.yaml:wide",
    "--beside": "tiny.yaml:wide",
    "--weights": "weights.npz",
    "--rules": "rules.yaml",
    "--layers": "linear",
    "--exclude": "linear",
    "--checkpoint-key": "model",
    "--calibrate": "images.npz",
    "--keep-float": "linear",
    "--report": "report.csv",
    "--target": "onnx",
    "--times": "times.json",
    "--tolerance": "0.1",
    "--try": "winograd",
    "--backend": "onnx",
    "--device": "cpu",
    "--size": "32x32",
    "--npy": "image.npy",
    "--image": "photos/0.png",
    "--images": "photos",
    "--pb": "values",
    "--labels": "labels.txt",
    "--save": "made.npz",
    "--data": "CIFAR-10",
}
"""What an option of one command, or of all, is given, where it is not the first of its choices or its least number."""
INT8 = ["--dtype", "int8", "--calibrate", "images.npz"]
WITH: dict[str, list[str]] = {
    "--profile": ["-O2"],
    "schema --profile": [],
    **dict.fromkeys(("--rules", "--layers", "--exclude", "--adapt"), ["--weights", "weights.npz"]),
    "--checkpoint-key": ["--weights", "nested.pth"],
    "check -o": ["--facts"],
    "table --columns": ["--rows", "layers"],
    "compile onnx --format": ["--explain-passes"],
    "compile torch --format": ["--explain-passes"],
    "compile onnx --calibrate": ["--dtype", "int8"],
    **dict.fromkeys((f"compile onnx {name}" for name in ("--keep-float", "--reduce-range", "--report")), INT8),
}
"""What an option goes with: of one command, or of all."""
PARETO = ["plot", "pareto", "SPEC", "SPEC", "-o", "-"]
FOLDER = ["run", "SPEC", "--images", "photos"]
INSTEAD = {
    "compile onnx --all": ["compile", "SPEC", "--to", "onnx", "-o", "made/"],
    "compile torch --all": ["compile", "SPEC", "--to", "torch", "-o", "made/"],
    "verify --profile": ["verify", "SPEC", "torch+O0", "onnx", "--outputs-only"],
    "verify --all": ["verify", "SPEC", "--outputs-only"],
    "run --images": ["run", "SPEC"],
    **dict.fromkeys(("run --format", "run -o"), FOLDER),
    **dict.fromkeys((f"plot --{name}" for name in ("x", "y")), PARETO),
    "plot --data": ["plot", "pareto", "--y", "top1", "-o", "-"],
}
"""The line of an option that goes with another form of its command."""
ELSEWHERE = {"run --cuda-graph"}
"""What needs a GPU."""


@pytest.fixture
def there(folder: Path) -> Path:
    """Everything that an option may be given."""
    (folder / "tiny.yaml").write_text(TINY.replace("  - relu\n", "  - relu\n  - unit = do: [conv: [4, 1]]\n"))
    (folder / "rules.yaml").write_text("other:\n  - {from: linear.weight, to: linear.weight}\n")
    for target in ("onnx", "torch"):
        assert run(["tune", "tiny.yaml", "--target", target, "--seconds", "1", "-o", f"{target}.json", "-q"]) == 0
    weights = draw(load("tiny.yaml").inference, 1)
    np.savez("weights.npz", **weights)
    torch.save({"model": {key: torch.from_numpy(value) for key, value in weights.items()}}, "nested.pth")
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    np.savez("images.npz", input=images)
    np.save("image.npy", images[:1])
    (folder / "photos").mkdir()
    for i in range(2):
        Image.new("RGB", (32, 32), (90 * i, 5, 6)).save(f"photos/{i}.png")
    (folder / "values").mkdir()
    value = onnx.numpy_helper.from_array(images[:1])
    (folder / "values" / "input_0.pb").write_bytes(value.SerializeToString())
    (folder / "labels.txt").write_text("\n".join("abcdefghij"))
    return folder


def options(line: list[str]) -> Iterator[click.Option]:
    """What the help of a command lists, but for what it cannot do without."""
    command = cli.get_command(click.Context(cli), line[0])
    assert command is not None
    own = declared(get(line[3]), ()) if "--to" in line else []
    for option in [*command.params, *(one.option for one in own)]:
        if isinstance(option, click.Option) and not option.hidden and not option.required:
            yield option


def given(command: str, option: click.Option) -> list[str]:
    """The option with a value."""
    name = option.opts[-1]
    if option.is_flag:
        return [name]
    kind = option.type
    usual = kind.choices[0] if isinstance(kind, click.Choice) else getattr(kind, "min", None) or 1
    return [name, VALUES.get(f"{command} {name}", VALUES.get(name, str(usual)))]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(LINES))
def test_what_the_help_lists_is_taken(
    name: str, there: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netspec.processes.in_fresh_process", lambda work, job: None)  # the memory of each bench
    monkeypatch.setattr("netspec.cli.bench.peak", lambda backend, way: 1e9)
    monkeypatch.setattr("netspec.cli.verify.every_target", lambda: [target_of("onnx"), target_of("onnx+O2")])
    refused = []
    for option in options(LINES[name]):
        words = given(name, option)
        key = f"{name} {words[0]}"
        line = INSTEAD.get(key, LINES[name]) + WITH.get(key, WITH.get(words[0], [])) + words
        code = run(["tiny.yaml" if word == "SPEC" else word for word in line])
        said = capsys.readouterr().err
        if code and key not in ELSEWHERE:
            refused.append(f"{' '.join(line)}: {said}")
    assert refused == [], "\n".join(refused)
