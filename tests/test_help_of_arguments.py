"""The error of a wrong argument says how it is right: `str` of every NetspecError of Python ends with its help."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sampled

import netspec
from netspec.diagnostics.errors import did_you_mean

pytestmark = pytest.mark.slow


def net(**params: Any) -> netspec.Network:
    return netspec.load("lenet5", **params)


def with_weights(weights: object, **choices: Any) -> object:
    return net().arrays(weights=weights, **choices)  # type: ignore[arg-type]


def resnet(**params: Any) -> netspec.Network:
    return netspec.load("resnet18", **params)


CASES: dict[str, tuple[Callable[[], object], str]] = {
    "a pass": (lambda: net().after(["zz"]), "known: add_softmax, "),
    "the beginning of passes": (lambda: net().after("fold"), "did you mean 'fold_batch_norm' or 'fold_scale'?"),
    "a profile": (lambda: net().to_onnx("x.onnx", profile="no.json"), "`netspec tune SPEC --target TARGET` measures"),
    "an option of ONNX": (lambda: net().to_onnx("x.onnx", zz=3), "known: adapt, "),
    "a slip in an option of ONNX": (lambda: net().to_onnx("x.onnx", opse=3), "did you mean 'opset'?"),
    "a shipped name with a suffix": (lambda: netspec.load("resnet18.yaml"), "did you mean 'resnet18'"),
    "a shipped name in another folder": (lambda: netspec.load("../resnet18"), "did you mean 'resnet18'"),
    "a file of no network": (lambda: netspec.load("none.yaml"), "netspec list specs"),
    "weights as a spec": (lambda: netspec.load("hf:foo/bar"), 'weights="hf:foo/bar"'),
    "a folder of includes": (lambda: netspec.load("resnet18", include="abc"), "a folder"),
    **{f"classes={v}": (partial(resnet, classes=v), "as in classes=1000") for v in ("ten", True, None, np.nan)},
    "classes=2**63": (lambda: resnet(classes=2**63), "at most 2^63 - 1"),
    "layers in a text": (lambda: resnet(layers="1,1,1,1"), "as in layers=[2, 2, 2, 2]"),
    **{f"input={v}": (partial(net, input=v), "[C, H, W]") for v in (0, 224.0, (0, 32, 32), "a", [])},
    "a step that is a number": (lambda: net().explain(5), "summary()"),  # type: ignore[arg-type]
    "steps that are a number": (lambda: net().features(5), "summary()"),  # type: ignore[arg-type]
    "depth": (lambda: net().summary(depth=0), "as in depth=1"),
    "seed": (lambda: net().arrays(seed=-1), "as in seed=1"),
    "rows": (lambda: net().table(rows="zz"), "as in rows='stages'"),
    "training": (lambda: net().to_torch(training="yes"), "as in training=True"),  # type: ignore[arg-type]
    "a file of weights": (lambda: with_weights("/nonexist.pth"), "hf:ORG/NAME"),
    "a name of weights": (lambda: with_weights("nope"), "`default`"),
    "no name of weights": (lambda: with_weights(""), "`default`"),
    "a folder of weights": (lambda: with_weights("/"), "name a file in it"),
    "a network as weights": (lambda: with_weights(net()), ".to_torch()"),
    "a number as weights": (lambda: with_weights(5), "a state dict"),
    "a block to expand": (lambda: resnet().draw("dot", expand=["zz"]), "known: "),
    "a step to collapse": (lambda: resnet().draw("dot", collapse=["fc"]), "there are "),
    "a block where there is none": (lambda: net().draw("dot", expand=["zz"]), "has no blocks"),
    "a word that is a number": (lambda: netspec.list_specs(5), "a text"),  # type: ignore[arg-type]
    "no step": (lambda: with_weights(net().arrays(), layers=[]), "name other steps"),
    "all steps excluded": (lambda: with_weights(net().arrays(), exclude=["*"]), "name other steps"),
    "a step of both": (lambda: with_weights(net().arrays(), layers=["c1"], exclude=["c1"]), "name other steps"),
}


@pytest.mark.parametrize("case", sampled(CASES, 3))
def test_an_error_ends_with_its_help(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, help = CASES[case]
    with pytest.raises(netspec.UsageError) as caught:
        call()
    last = str(caught.value).rpartition("\n")[2]
    assert last.startswith("help: ") and help in last, str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_text_that_is_no_spec_or_checkpoint_says_what_is_one(tmp_path: Path) -> None:
    for name in ("passwd", "passwd.txt"):
        (tmp_path / name).write_text("root:x:0:0:root:/root:/bin/bash\n", encoding="utf-8")
        for error, call in ((netspec.SpecError, netspec.load), (netspec.UsageError, with_weights)):
            with pytest.raises(error) as caught:
                call(str(tmp_path / name))
            assert "help: " in str(caught.value).rpartition("\n")[2]


@pytest.mark.parametrize("weights", ["hf:a/b", "https://localhost/a.pth#sha256=00000000"])
def test_what_may_not_be_downloaded_says_what_to_do(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(netspec.UsageError, match="HF_HUB_OFFLINE.*\nhelp: unset it, or "):
        with_weights(weights)


@pytest.mark.parametrize("kind", ["meta", "sparse"])
def test_a_tensor_without_values_is_named(kind: str) -> None:
    state = net().to_torch().state_dict()
    state["f6.weight"] = state["f6.weight"].to("meta") if kind == "meta" else state["f6.weight"].to_sparse()
    with pytest.raises(netspec.UsageError, match=f"'f6.weight' of weights is {kind}.*\nhelp: "):
        with_weights(state)


@pytest.mark.parametrize("layers", [np.array([1, 1, 1, 1]), (1, 1, 1, 1), [np.int64(1)] * 4])
def test_an_array_is_the_list_of_its_values(layers: object) -> None:
    assert resnet(layers=layers).params["layers"] == [1, 1, 1, 1]
    assert resnet(classes=np.int32(7)).params["classes"] == 7


@pytest.mark.parametrize("count", [1, 12, 13, 400])
def test_some_names_are_said_however_many_there_are(count: int) -> None:
    assert str(did_you_mean("zz", [f"name{i:03}" for i in range(count)])).startswith("known: name000")
