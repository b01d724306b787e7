"""Transfer of the first n layers: which weights come from a file, which are trained (Yosinski et al. 2014)."""

from __future__ import annotations

import doctest
import json
import math
import re
import runpy
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import sampled
from safetensors.numpy import save_file

import netspec
from netspec.cli.main import cli, run
from netspec.diagnostics.errors import DataError, UsageError
from netspec.expressions.identifiers import Kind, why_not
from netspec.ir.selection import keys_of

pytestmark = pytest.mark.slow

LAYERS = ["net.conv1", "net.conv2", "net.conv3", "net.conv4", "net.conv5", "fc6", "fc7", "fc8"]
# trained parameters of the 8-layer network when the first n are frozen, by the number of classes
TRAINED = {
    500: [58916724, 58881780, 58574324, 57689204, 57025268, 56582644, 18829812, 2048500],
    449: [58707777, 58672833, 58365377, 57480257, 56816321, 56373697, 18620865, 1839553],
    551: [59125671, 59090727, 58783271, 57898151, 57234215, 56791591, 19038759, 2257447],
    1000: [60965224, 60930280, 60622824, 59737704, 59073768, 58631144, 20878312, 4097000],
}


def trained(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.slow
@pytest.mark.parametrize("classes", TRAINED)
def test_the_first_n_layers_of_alexnet_are_frozen(classes: int) -> None:
    net = netspec.load("alexnet", classes=classes)
    assert trained(net.to_torch(freeze=LAYERS[:6])) == TRAINED[classes][6]
    sizes = {key: math.prod(map(int, shape)) for key, (shape, _, _) in net.graph.tensors().items()}
    for n, left in enumerate(TRAINED[classes]):
        assert sum(sizes.values()) - sum(sizes[key] for key in keys_of(net.graph, LAYERS[:n])) == left


def counted(capsys: pytest.CaptureFixture[str], *args: str) -> int:
    """The trainable parameters that `netspec summary` counts."""
    assert run(["summary", *args, "-f", "json"]) == 0
    found: int = json.loads(capsys.readouterr().out)["totals"]["trainable"]
    return found


@pytest.mark.parametrize("n", sampled(range(1, 8), 2, slow=3))
def test_the_command_line_counts_what_is_trained(n: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same numbers, and those of torchvision's own layers."""
    line = ["alexnet", "-s", "classes=500", "--freeze"]
    assert counted(capsys, *line, f"{LAYERS[0]}..{LAYERS[n - 1]}") == TRAINED[500][n]
    assert counted(capsys, *line, f"..{LAYERS[n - 1]}") == TRAINED[500][n]
    assert counted(capsys, *line, ",".join(LAYERS[:n])) == TRAINED[500][n]


@pytest.mark.parametrize(
    ("layers", "left"),
    [("net.conv1", 61100840 - 23296), ("net.conv1..net.conv5", 61100840 - 2469696), ("fc6,fc7", 61100840 - 54534144)],
)
def test_counts_are_those_of_torchvisions_layers(
    layers: str, left: int, capsys: pytest.CaptureFixture[str], torchvision: ModuleType
) -> None:
    """The features of torchvision's AlexNet hold 2,469,696 parameters, its first convolution 3 * 64 * 121 + 64."""
    model = torchvision.models.alexnet(weights=None)
    assert sum(p.numel() for p in model.features.parameters()) == 2469696
    assert sum(p.numel() for p in model.classifier[:6].parameters()) == 54534144
    assert counted(capsys, "alexnet_torchvision", "--freeze", layers) == left


@pytest.mark.parametrize(
    ("spec", "patterns", "frozen", "training"),
    [
        ("resnet20_cifar", "conv1,layer1..layer2", ("conv1", "layer1", "layer2"), False),
        ("googlenet", "..3b", ("conv1", "conv2", "3a", "3b"), True),
        ("lenet5", "c1..output", ("c1", "c3", "c5", "f6", "output"), False),
    ],
)
def test_the_source_is_frozen_as_the_module_is(
    spec: str, patterns: str, frozen: tuple[str, ...], training: bool, tmp_path: Path
) -> None:
    line = ["compile", spec, "--to", "torch", "--freeze", patterns, "-o", str(tmp_path / "net.py"), "-q"]
    assert run([*line, *(["--training"] if training else [])]) == 0
    model = runpy.run_path(str(tmp_path / "net.py"))["load"]()
    other = netspec.load(spec).to_torch(training=training, freeze=patterns.split(","))
    assert model.frozen == frozen
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in other.parameters()]
    torch.nn.ModuleList([model]).train()
    for name, part in model.named_modules():
        assert part.training != name.startswith(frozen) or not [*part.parameters()], name
    if training:  # the rest takes its time
        return
    before = {key: value.clone() for key, value in model.state_dict().items()}
    size = [2, *netspec.load(spec).inference.inputs[0].shape[1:]]
    outputs = model(torch.randn([int(side) for side in size]))
    value = sum(v.square().sum() for v in outputs.values()) if isinstance(outputs, dict) else outputs.square().sum()
    if value.requires_grad:
        value.backward()
        torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1).step()
    same = {key for key, value in model.state_dict().items() if torch.equal(value, before[key])}
    assert same == {key for key in before if key.startswith(tuple(f"{name}." for name in frozen))}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("c3..c1", "ends before it begins"),
        ("c1..c9", "has no step 'c9'"),
        ("c1..c3..c5", "no range of steps"),
        ("s2", "has no step 's2' with weights"),
    ],
)
def test_a_range_that_is_none_is_an_error(pattern: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["summary", "lenet5"], ["compile", "lenet5", "--to", "torch", "--no-weights", "-o", "-x.py"]):
        assert run([*line, "--freeze", pattern]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError, match=said):
        keys_of(netspec.load("lenet5").graph, [pattern])


def test_no_step_has_the_name_of_an_attribute_of_the_source() -> None:
    """A step `frozen` would be hidden by the list of what is frozen, `channels` by those of features."""
    assert all(why_not(name, Kind.STEP) for name in ("channels", "frozen", "loss_weights", "strides"))


@pytest.mark.slow
def test_the_commands_of_the_page_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, ran = (Path(__file__).parent.parent / "docs" / "train.md").read_text(encoding="utf-8"), 0
    for body in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            done = CliRunner().invoke(cli, command.removeprefix("netspec ").split())
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(expected, done.output, flags), f"$ {command}\n{done.output}"
            ran += 1
    assert ran == 5


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the network on other classes, A."""
    path = tmp_path_factory.mktemp("transfer") / "a.safetensors"
    save_file(netspec.load("lenet5", classes=7).arrays(seed=5), path)
    return path


@pytest.mark.parametrize("frozen", [False, True], ids=["AnB+", "AnB"])
def test_n_layers_come_from_another_network(base: Path, frozen: bool) -> None:
    net, first = netspec.load("lenet5"), ["c1", "c3"]
    module = net.to_torch(weights=base, layers=first, freeze=first if frozen else ())
    other, own = netspec.load("lenet5", classes=7).arrays(seed=5), net.arrays()
    for key, value in module.state_dict().items():
        source = other if key.split(".")[0] in first else own
        assert np.array_equal(value.numpy(), source[key]), key
    assert trained(module) == 61706 - (156 + 2416 if frozen else 0)
    module(torch.randn(2, 1, 32, 32)).sum().backward()
    assert (module.c1.weight.grad is None) == frozen and module.f6.weight.grad is not None


def test_what_is_not_there_is_named(base: Path) -> None:
    net = netspec.load("lenet5")
    with pytest.raises(UsageError, match="no step 'conv1' with weights"):
        net.to_torch(freeze=["conv1"])
    with pytest.raises(DataError, match="output.weight"):
        net.to_torch(weights=base)  # its output has 7 classes
    with pytest.raises(DataError, match="output.weight"):
        net.to_torch(weights=base, layers=["output"])
