"""Which layers a checkpoint gives: other classes, excluded ones, patterns; and what is said of the others."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_harness import drawn_state, printed
from parity import network

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, UsageError

pytestmark = pytest.mark.slow


# Other classes
def compiled(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netspec", "compile", *options, "--to", "onnx", "-o", "net.onnx"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    "variant, name, head",
    [
        pytest.param("resnet18", "torchvision:resnet18", "fc", marks=pytest.mark.slow),
        pytest.param("squeezenet_11", "torchvision:squeezenet1_1", "conv10.conv", marks=pytest.mark.slow),
        pytest.param("googlenet_torchvision", "torchvision:googlenet", "fc", marks=pytest.mark.slow),
    ],
)
def test_other_classes_are_named_and_the_printed_options_load_the_rest(
    torchvision: Any, variant: str, name: str, head: str, tmp_path: Path
) -> None:
    torch.save(drawn_state(torchvision, name), tmp_path / "w.pth")
    line = (variant, "-s", "classes=10", "--weights", "w.pth")
    refused = compiled(tmp_path, *line)
    assert refused.returncode == 1
    assert f"the classifier '{head}' has 1000 classes in the file and 10 in the network" in refused.stderr
    options = re.findall(r"`(-s \S+|--exclude [^`]+)`", refused.stderr)
    assert options == ["-s classes=1000", f"--exclude {head}"]
    assert "`-s classes=1000` in place of yours" in refused.stderr
    for option in options:
        others = line if option.startswith("--exclude") else (variant, "--weights", "w.pth")
        done = compiled(tmp_path, *others, *option.split())
        assert done.returncode == 0, done.stderr
        assert (f"drawn, not from the checkpoint: {head}" in done.stderr) == option.startswith("--exclude")


def test_other_classes_of_several_heads(torchvision: Any, tmp_path: Path) -> None:
    state = drawn_state(torchvision, "torchvision:googlenet")
    torch.save(state, tmp_path / "w.pth")
    net = network("googlenet_torchvision", classes=7)
    with pytest.raises(DataError, match="the classifiers 'aux1.aux_head.fc2' and 'aux2.aux_head.fc2' and 'fc'") as info:
        net.arrays(weights=tmp_path / "w.pth", training=True)
    heads = re.findall(r'"(\S+?)"', re.findall(r"exclude=(\[.+?\])", info.value.help)[0])
    assert heads == ["aux1.aux_head.fc2", "aux2.aux_head.fc2", "fc"]
    with pytest.warns(netspec.network.CheckpointWarning, match="not from the checkpoint: aux1.aux_head.fc2, aux2"):
        net.arrays(weights=tmp_path / "w.pth", training=True, exclude=heads)


def test_a_param_that_does_not_load_it_is_not_printed(tmp_path: Path) -> None:
    spec = tmp_path / "n.yaml"
    spec.write_text(
        "netspec: 1\nname: n\nparams: {classes: 4, width: 4}\ninput: [3, 4, 4]\n"
        "body:\n  - conv: [=width, 1]\n  - flatten\n  - fc = linear: =classes\n",
        encoding="utf-8",
    )
    np.savez(tmp_path / "w.npz", **netspec.load(spec, classes=9).arrays())
    with pytest.raises(DataError, match="'fc' has 9 classes in the file and 4") as info:
        netspec.load(spec).arrays(weights=tmp_path / "w.npz")
    assert "`classes=9`" in info.value.help and "width" not in info.value.help


@pytest.mark.parametrize(
    "head, settings",
    [
        ("head", {}),
        pytest.param("fc.1", {"classes": 5}, marks=pytest.mark.slow),
        pytest.param("a.classifier", {"classes": 5}, marks=pytest.mark.slow),
    ],
)
def test_a_renamed_classifier_of_other_classes(
    torchvision: Any, head: str, settings: dict[str, int], tmp_path: Path
) -> None:
    """The rule and the options that are printed load it; the rules that the spec has are not printed again."""
    state = drawn_state(torchvision, "torchvision:resnet18")
    for t, shape in (("weight", (10, 512)), ("bias", (10,))):
        del state[f"fc.{t}"]
        state[f"{head}.{t}"] = torch.full(shape, 7.0)
    torch.save(state, tmp_path / "w.pth")
    ours = settings.get("classes", 1000)
    with pytest.raises(DataError) as info:
        network("resnet18", **settings).arrays(weights=tmp_path / "w.pth")
    assert f"'{head}' looks like 'fc': the classifier 'fc' has 10 classes in the file and {ours} in" in str(info.value)
    assert printed(info.value) == [f'- {{from: "{head}.{{t}}", to: "fc.{{t}}"}}']
    yours = " in place of yours" if settings else ""
    assert info.value.help == (
        f"`classes=10 rules=FILE`{yours} makes the network with the checkpoint's; "
        '`exclude="fc"` loads all else and draws fc'
    )
    (tmp_path / "rules.yaml").write_text("\n".join(printed(info.value)), encoding="utf-8")
    found = network("resnet18", classes=10).arrays(weights=tmp_path / "w.pth", rules=tmp_path / "rules.yaml")
    assert (found["fc.weight"] == 7).all()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = network("resnet18", **settings).arrays(weights=tmp_path / "w.pth", exclude=["fc"])
    assert [str(w.message) for w in said] == [
        f"left {head}.weight, {head}.bias: fc is excluded",
        "drawn, not from the checkpoint: fc",
    ]
    assert found["fc.weight"].shape == (ours, 512) and not (found["fc.weight"] == 7).any()


def test_classifiers_that_could_be_either_are_not_named(torchvision: Any, tmp_path: Path) -> None:
    """The auxiliary ones of GoogLeNet are alike: whose a renamed one is cannot be told by shapes."""
    state = drawn_state(torchvision, "torchvision:googlenet")
    for old, new in (("fc", "head"), ("aux1.fc2", "aux1.head"), ("aux2.fc2", "aux2.head")):
        del state[f"{old}.weight"], state[f"{old}.bias"]
        state |= {f"{new}.weight": torch.zeros(10, 1024), f"{new}.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DataError) as info:
        network("googlenet_torchvision").arrays(weights=tmp_path / "w.pth", training=True)
    assert "looks like" not in str(info.value)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"head.weight": (10, 512)}, "a tensor less"),
        ({"head.weight": (10, 512), "head.bias": (10,), "head.scale": (10,)}, "a tensor more"),
        ({"head.weight": (10, 512), "head.gain": (10,)}, "of another name"),
        ({"head.weight": (10, 512, 1, 1), "head.bias": (10,)}, "a convolution"),
        ({"head.weight": (10, 512), "head.bias": (10,), "fc.weight": (9, 512)}, "beside a part of the excluded one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.quick(2)
def test_what_an_excluded_layer_does_not_explain_is_unexpected(
    torchvision: Any, change: dict[str, tuple[int, ...]], what: str, tmp_path: Path
) -> None:
    state = drawn_state(torchvision, "torchvision:resnet18")
    del state["fc.weight"], state["fc.bias"]
    torch.save(state | {key: torch.zeros(shape) for key, shape in change.items()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="unexpected in the file"):
        network("resnet18").arrays(weights=tmp_path / "w.pth", exclude=["fc"])


@pytest.mark.parametrize(
    "gone, more",
    [
        (["layer3.0.conv1.weight"], []),
        (["layer1.1.bn2.running_var"], []),
        (["conv1.weight"], ["extra.weight"]),
        (["fc.bias"], []),
        ([f"layer4.1.conv{n}.weight" for n in (1, 2)], ["a.weight", "b.gain"]),
    ],
)
@pytest.mark.quick(2)
def test_no_rules_are_made_up_for_what_the_specs_own_map(
    torchvision: Any, gone: list[str], more: list[str], tmp_path: Path
) -> None:
    state = drawn_state(torchvision, "torchvision:resnet18")
    for key in gone:
        del state[key]
    torch.save(state | {key: torch.zeros(3) for key in more}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=rf"by torchvision\)\n  missing in the file \({len(gone)}\)") as info:
        network("resnet18").arrays(weights=tmp_path / "w.pth")
    assert not printed(info.value)
    option = re.search(r'`exclude="(\S+)"` loads all else', info.value.help)
    assert bool(option) == (gone == ["layer3.0.conv1.weight"])
    if option:
        with pytest.warns(netspec.network.CheckpointWarning, match=f"drawn, not from the checkpoint: {option[1]}$"):
            network("resnet18").arrays(weights=tmp_path / "w.pth", exclude=[option[1]])


# Layers
UNITS = """\
netspec: 1
name: units
use: [blocks/common]
input: [3, 16, 16]
blocks:
  unit:
    body:
      - add:
          residual: [conv1 = conv_bn_relu: [4, 3], conv2 = conv_bn: [4, 3]]
          shortcut: []
body:
  - conv1 = conv_bn_relu: [4, 3]
  - layer1 = unit: {}
    repeat: 2
  - layer2 = unit: {}
    repeat: 2
  - layer3 = unit: {}
    repeat: 2
  - layer4 = unit: {}
    repeat: 2
  - flatten
  - fc = linear: 5
"""


def test_patterns_of_layers(tmp_path: Path) -> None:
    (tmp_path / "units.yaml").write_text(UNITS, encoding="utf-8")
    net = netspec.load(tmp_path / "units.yaml")
    np.savez(tmp_path / "w.npz", **net.arrays(seed=9))
    other, own = net.arrays(seed=9), net.arrays()

    def taken(**options: Any) -> set[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays = net.arrays(weights=tmp_path / "w.npz", **options)
        drawn = {k for k in own if not np.array_equal(own[k], other[k])}
        assert all(np.array_equal(arrays[k], own[k]) or np.array_equal(arrays[k], other[k]) for k in own)
        return {k for k in drawn if np.array_equal(arrays[k], other[k])}

    def convs(pattern: str) -> set[str]:
        return {k for k in own if re.match(pattern, k) and k.endswith(("conv.weight", "fc.weight"))}

    everything = convs("")
    assert taken() == everything and len(everything) == 18
    assert taken(layers=["layer1", "conv1"]) == convs("layer1|conv1")
    assert taken(layers=["layer*.0"]) == convs(r"layer\d\.0\.")
    assert taken(layers=["layer?.*.residual"]) == convs(r"layer\d\.\d\.residual")
    assert taken(exclude=["fc"]) == everything - convs("fc")
    assert taken(layers=["layer*"], exclude=["layer4", "layer*.1"]) == convs(r"layer[123]\.0")
    for pattern, help_ in (
        ("layer5", "layer"),
        ("layer*.7", ""),
        ("zzz", "these have some"),
        ("fcc", "did you mean 'fc'?"),
    ):
        with pytest.raises(UsageError, match=f"no step '{re.escape(pattern)}' with weights") as info:
            taken(layers=[pattern])
        assert help_ in info.value.help
        with pytest.raises(UsageError):
            taken(exclude=[pattern])


def test_the_commands_options_are_those_of_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = netspec.load("lenet5")
    np.savez(tmp_path / "w.npz", **{f"a.{k}": v for k, v in net.arrays(seed=9).items()})
    (tmp_path / "r.yaml").write_text("- {from: 'a.{l}.{t}', to: '{l}.{t}'}\n", encoding="utf-8")
    done = compiled(
        tmp_path,
        "lenet5",
        "--weights",
        "w.npz",
        "--rules",
        "r.yaml",
        "--layers",
        "c*, f6",
        "--exclude",
        "c3",
        "--seed",
        "2",
    )
    assert done.returncode == 0, done.stderr
    from onnx import load, numpy_helper

    made = {t.name: numpy_helper.to_array(t) for t in load(tmp_path / "net.onnx").graph.initializer}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrays = net.arrays(2, tmp_path / "w.npz", layers=["c*", "f6"], exclude=["c3"], rules=tmp_path / "r.yaml")
        net.to_onnx(
            tmp_path / "same.onnx",
            2,
            tmp_path / "w.npz",
            layers=["c*", "f6"],
            exclude=["c3"],
            rules=tmp_path / "r.yaml",
        )
    assert all(np.array_equal(made[k], v) for k, v in arrays.items())
    assert (tmp_path / "same.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    for option in ("--layers", "--exclude", "--rules", "--checkpoint-key"):
        assert run(["compile", "lenet5", option, "c1", "--to", "onnx", "-o", str(tmp_path / "alone.onnx")]) == 2
        assert f"{option} goes with --weights" in capsys.readouterr().err
