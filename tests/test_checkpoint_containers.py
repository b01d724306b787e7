"""Checkpoints as libraries write them: prefixes, mappings in mappings, averages, shards; what was taken is said."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import agreement, sampled
from parity import images, network, randomise, torch_run
from safetensors.torch import save_file
from test_checkpoints import model

import netspec
from netspec.diagnostics.errors import DataError, UsageError
from netspec.network import CheckpointWarning, Network

pytestmark = pytest.mark.slow

SIZE = (3, 64, 64)
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def theirs(torchvision: Any) -> torch.nn.Module:
    return randomise(model(torchvision, "torchvision:squeezenet1_1"), SIZE, 3)


@pytest.fixture(scope="module")
def net() -> Network:
    return network("squeezenet_11", input=SIZE)


def said(net: Network, path: Path, **options: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """The weights out of a file, and what was said of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        arrays = net.arrays(weights=path, **options)
    assert all(issubclass(w.category, CheckpointWarning) for w in caught)
    return arrays, [str(w.message) for w in caught]


def equal(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def right(net: Network, theirs: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The weights that every file below holds; that they give torchvision's outputs is tested in test_checkpoints."""
    path = tmp_path_factory.mktemp("right") / "w.pth"
    torch.save(theirs.state_dict(), path)
    return net.arrays(weights=path)


def below(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    return {prefix + key: value for key, value in state.items()}


def optimizer(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "state": {i: {"step": torch.tensor(3.0), "exp_avg": torch.zeros_like(v)} for i, v in enumerate(state.values())},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": list(range(len(state)))}],
    }


CONTAINERS: dict[str, tuple[Callable[[State], Any], list[str]]] = {
    "bare": (dict, []),
    "DataParallel": (lambda s: below("module.", s), ["stripped `module.`"]),
    "torch.compile": (lambda s: below("_orig_mod.", s), ["stripped `_orig_mod.`"]),
    "DDP of a compiled module": (lambda s: below("module._orig_mod.", s), ["stripped `module._orig_mod.`"]),
    "compiled DDP": (lambda s: below("_orig_mod.module.", s), ["stripped `_orig_mod.module.`"]),
    "compiled parts": (
        lambda s: {k.replace("features.", "features._orig_mod."): v for k, v in s.items()},
        ["stripped `_orig_mod.`"],
    ),
    "model": (lambda s: below("model.", s), ["stripped `model.`"]),
    "a name of its own": (lambda s: below("encoder_q.", s), ["stripped `encoder_q.`"]),
    "state_dict": (lambda s: {"state_dict": s, "epoch": 3}, ["took `state_dict`"]),
    "model of training": (
        lambda s: {"model": s, "optimizer": optimizer(s), "lr_scheduler": {"last_epoch": 3}},
        ["took `model`"],
    ),
    "model in model": (lambda s: {"model": {"state_dict": s}}, ["took `model.state_dict`"]),
    "net": (lambda s: {"net": s, "acc": 91.5, "epoch": 3}, ["took `net`"]),
    "params": (lambda s: {"params": s}, ["took `params`"]),
    "imagenet example": (
        lambda s: {
            "epoch": 90,
            "arch": "squeezenet1_1",
            "state_dict": below("module.", s),
            "best_acc1": torch.tensor(58.2),
            "optimizer": optimizer(s),
        },
        ["took `state_dict`", "stripped `module.`"],
    ),
    "lightning": (
        lambda s: {
            "epoch": 1,
            "global_step": 10,
            "pytorch-lightning_version": "2.5.0",
            "loops": {},
            "state_dict": below("model.", s),
            "callbacks": {},
            "optimizer_states": [optimizer(s)],
            "hyper_parameters": {"lr": 0.1},
        },
        ["took `state_dict`", "stripped `model.`"],
    ),
    "lightning with a loss": (
        lambda s: {"state_dict": {**below("net.", s), "criterion.weight": torch.ones(1000)}},
        ["took `state_dict`", "stripped `net.`", "left 1 tensor that is not below `net.`: criterion.weight"],
    ),
    "mmcv": (
        lambda s: {"meta": {"epoch": 1, "CLASSES": ["cat"]}, "state_dict": s, "optimizer": optimizer(s)},
        ["took `state_dict`"],
    ),
    "mmpretrain": (
        lambda s: {"state_dict": {("backbone." if "features" in k else "head.") + k: v for k, v in s.items()}},
        ["took `state_dict`", "stripped `backbone.` and `head.`"],
    ),
    "detectron": (lambda s: {"model": s, "__author__": "Facebook", "iteration": 3}, ["took `model`"]),
    "timm average": (
        lambda s: {"arch": "a", "state_dict": noise(s), "state_dict_ema": s, "optimizer": optimizer(s)},
        ['took `state_dict_ema`; `checkpoint_key="state_dict"` takes the raw weights'],
    ),
    "torchvision average": (
        lambda s: {
            "model": below("module.", noise(s)),
            "model_ema": {"n_averaged": torch.tensor(5), **below("module.", s)},
        },
        ['took `model_ema`; `checkpoint_key="model.module"` takes the raw weights', "stripped `module.`"],
    ),
    "params and their average": (lambda s: {"params": noise(s), "params_ema": s}, ["took `params_ema`"]),
    "an average that lacks tensors": (lambda s: {"model": s, "ema": dict(list(s.items())[:5])}, ["took `model`"]),
    "one state twice": (lambda s: {"model": s, "state_dict": s}, ["took `model`"]),
}


def noise(state: Mapping[str, torch.Tensor]) -> State:
    return {key: value + 1 for key, value in state.items()}


@pytest.mark.parametrize("name", sampled(CONTAINERS, 4))
@pytest.mark.quick(3)
def test_every_mapping_and_prefix_whose_meaning_is_clear_loads(
    net: Network, theirs: torch.nn.Module, right: dict[str, np.ndarray], name: str, tmp_path: Path
) -> None:
    write, notes = CONTAINERS[name]
    path = tmp_path / random.Random(name).choice(["w.pth", "w.ckpt", "w.pth.tar", "w.bin", "w.pt"])
    torch.save(write(theirs.state_dict()), path)
    arrays, texts = said(net, path)
    assert equal(arrays, right)
    assert len(texts) == len(notes) and all(note in text for note, text in zip(notes, texts, strict=True)), texts


def test_a_key_chooses_among_mappings_and_prefixes(
    net: Network, theirs: torch.nn.Module, right: dict[str, np.ndarray], tmp_path: Path
) -> None:
    state = theirs.state_dict()
    path = tmp_path / "w.pth"
    torch.save(
        {
            "student": noise(state),
            "teacher": below("module.", state),
            "flat": {**below("a.", state), **below("b.", noise(state))},
        },
        path,
    )
    with pytest.raises(DataError) as info:
        net.arrays(weights=path)
    assert "3 sets of tensors" in str(info.value)  # those of flat.a are the teacher's
    for key in ("student", "teacher.module", "flat.b"):
        assert f'checkpoint_key="{key}"' in info.value.help
    for key, state_is_right in (
        ("teacher", True),
        ("teacher.module", True),
        ("student", False),
        ("flat.a", True),
        ("flat.b", False),
    ):
        assert equal(said(net, path, checkpoint_key=key)[0], right) == state_is_right, key
    with pytest.raises(DataError, match="has no 'techer'") as info:
        net.arrays(weights=path, checkpoint_key="techer")
    assert "`teacher` (52 tensors)" in info.value.help


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_with_an_index(
    net: Network, theirs: torch.nn.Module, right: dict[str, np.ndarray], kind: str, tmp_path: Path
) -> None:
    state = list(below("model.", theirs.state_dict()).items())
    random.Random(1).shuffle(state)
    names, where = [], {}
    for i in range(3):
        part = dict(state[i::3])
        names.append(f"model-0000{i + 1}-of-00003.{kind}")
        (save_file if kind == "safetensors" else torch.save)(part, tmp_path / names[-1])  # type: ignore[operator]
        where |= dict.fromkeys(part, names[-1])
    index = tmp_path / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}), encoding="utf-8")
    arrays, notes = said(net, index)
    assert equal(arrays, right) and notes == ["stripped `model.` from the names"]
    with pytest.raises(DataError, match="missing in the file"):
        net.arrays(weights=tmp_path / names[0])
    with pytest.raises(UsageError) as info:
        net.arrays(weights=tmp_path)
    assert str(index) in info.value.help

    where["model.extra"] = names[0]
    index.write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    with pytest.raises(DataError, match=f"{names[0]}: it lacks model.extra"):
        net.arrays(weights=index)
    del where["model.extra"], where[state[0][0]]
    index.write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    with pytest.raises(DataError, match=f"the index does not list {state[0][0]}"):
        net.arrays(weights=index)
    where[state[0][0]] = names[0]
    index.write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    (tmp_path / names[1]).unlink()
    with pytest.raises(UsageError, match=names[1]):
        net.arrays(weights=index)


@pytest.mark.slow
def test_it_is_said_by_the_command_and_not_with_quiet(net: Network, theirs: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(
        {"state_dict": noise(theirs.state_dict()), "state_dict_ema": below("module.", theirs.state_dict())},
        tmp_path / "w.ckpt",
    )
    line = [
        sys.executable,
        "-m",
        "netspec",
        "compile",
        "squeezenet_11",
        "--input",
        "3x64x64",
        "--to",
        "onnx",
        "--weights",
        "w.ckpt",
        "--exclude",
        "conv10",
        "--seed",
        "4",
    ]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "took `state_dict_ema`; `--checkpoint-key state_dict` takes the raw weights" in done.stderr
    assert "stripped `module.`" in done.stderr and "drawn, not from the checkpoint: conv10.conv\n" in done.stderr
    quiet = subprocess.run([*line, "-q"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert quiet.returncode == 0 and not quiet.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, variant",
    [
        ("torchvision:resnet18", "resnet18"),
        ("timm:seresnet50", "se_resnet50"),
        ("torchvision:mobilenet_v2", "mobilenet_v2"),
    ],
)
def test_prefixed_shards_give_the_outputs_of_the_library(
    torchvision: Any, name: str, variant: str, tmp_path: Path
) -> None:
    from parity import TARGETS

    name = TARGETS[variant].get("checkpoint", name)
    theirs = randomise(model(torchvision, name), SIZE, 5)
    state = list(below("module.model.", theirs.state_dict()).items())
    where = {}
    for i in range(4):
        part = {k: v.contiguous() for k, v in state[i::4]}
        save_file(part, tmp_path / f"m-{i}.safetensors")
        where |= dict.fromkeys(part, f"m-{i}.safetensors")
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    ours = network(variant, input=SIZE).to_torch(weights=tmp_path / "m.safetensors.index.json")
    x = images(SIZE, 2, 5)
    agreement(torch_run(theirs, x), torch_run(ours, x))


# A network that is used as a block


def test_a_network_in_a_network_brings_its_rules(torchvision: Any, tmp_path: Path) -> None:
    (tmp_path / "det.yaml").write_text(
        """\
netspec: 1
name: det
use: [resnet]
input: [3, 64, 64]
body:
  - body = do:
    - net = resnet: {variant: resnet18, until: layer4}
  - conv: [4, 1]
""",
        encoding="utf-8",
    )
    net = netspec.load(tmp_path / "det.yaml")
    with torch.device("meta"):
        shapes = model(torchvision, "torchvision:resnet18").state_dict()
    theirs = {k: torch.rand(v.shape) if v.is_floating_point() else torch.tensor(0) for k, v in shapes.items()}
    own = {"conv.weight": torch.randn(4, 512, 1, 1), "conv.bias": torch.randn(4)}
    body = {k: v for k, v in theirs.items() if not k.startswith("fc.")}
    torch.save({"model": below("module.", {**below("body.net.", body), **own})}, tmp_path / "whole.pth")
    arrays, _ = said(net, tmp_path / "whole.pth")
    assert np.array_equal(
        arrays["body.net.layer3.1.residual.conv2.conv.weight"], theirs["layer3.1.conv2.weight"].numpy()
    )
    assert np.array_equal(arrays["conv.weight"], own["conv.weight"].numpy())

    torch.save(theirs, tmp_path / "backbone.pth")  # with its classifier, which `until` has cut off
    taken, notes = said(net, tmp_path / "backbone.pth", layers=["body"])
    assert notes == ["drawn, not from the checkpoint: conv"]
    assert all(np.array_equal(taken[k], arrays[k]) for k in arrays if k.startswith("body."))
    assert np.array_equal(taken["conv.weight"], net.arrays()["conv.weight"])
