"""Frozen steps: no tensor and no buffer of theirs changes in training, and nothing in them is dropped."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from conformance import EACH_OP, Reference, Shapes, arrays_of, one_op
from conftest import sampled
from torch import nn

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import UsageError
from netspec.network import Network
from netspec.ops import OPS
from netspec.weights.initialise import draw

RESIDUAL = """\
netspec: 1
name: residual
use: [blocks/common]
input: [3, 16, 16]
blocks:
  unit:
    params: {out: int, stride: 1}
    body:
      - add:
          residual:
            - conv_bn_relu: {out: =out, kernel: 3, stride: =stride}
            - conv_bn: [=out, 3]
            - drop_path: 0.5
          shortcut:
            - downsample = conv_bn: {out: =out, kernel: 1, stride: =stride}
              when: stride != 1 or in.channels != out
      - relu
body:
  - stem = conv_bn_relu: [8, 3]
  - stage1 = do:
      - unit: 8
        repeat: 2
  - stage2 = do:
      - unit: [16, 2]
      - unit: 16
  - global_avg_pool
  - flatten
  - drop = dropout: 0.5
  - fc = linear: 5
"""

DENSE = """\
netspec: 1
name: dense
use: [blocks/common]
input: [3, 16, 16]
blocks:
  layer:
    params: {growth: int}
    body:
      - concat:
          before: []
          new:
            - bn = batch_norm
            - relu
            - conv: {out: =growth, kernel: 3, pad: half, bias: false}
            - dropout: 0.3
body:
  - stem = conv: {out: 8, kernel: 3, pad: half}
  - dense1 = do:
      - layer: 4
        repeat: 3
  - transition = conv_bn_relu: [8, 1]
  - dense2 = do:
      - layer: 4
        repeat: 3
  - norm = batch_norm
  - global_avg_pool
  - flatten
  - fc = linear: 5
"""

SHARED = """\
netspec: 1
name: shared
use: [blocks/common]
input: [8, 12, 12]
body:
  - a = conv_bn: [8, 3]
  - b = conv_bn: [8, 3]
    share: {of: a, own: [bn]}
  - loop = conv_bn_relu: [8, 3]
    repeat: 3
    share: true
  - global_avg_pool
  - flatten
  - fc = linear: 5
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def compiled(text: str) -> Network:
        (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
        return netspec.load(tmp_path / "spec.yaml")

    return compiled


def train(module: nn.Module, shape: Sequence[int], classes: int, steps: int = 3) -> dict[str, torch.Tensor]:
    """The state before some steps of training with all that moves a weight: momentum and decay too."""
    before = {key: value.clone() for key, value in module.state_dict().items()}
    torch.manual_seed(0)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    module.train()
    for _ in range(steps):
        optimiser.zero_grad()
        out = module(torch.randn(4, *shape))
        nn.functional.cross_entropy(out, torch.randint(classes, (4,))).backward()
        optimiser.step()
    return before


def moved(module: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    """The keys whose tensors have other bits than before."""
    return {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}


CASES_OF_NETWORKS = [
    (RESIDUAL, ["stem", "stage1"], ("stem.", "stage1.")),
    pytest.param(RESIDUAL, ["stage2.unit"], ("stage2.unit.",), marks=pytest.mark.slow),
    pytest.param(RESIDUAL, ["st*"], ("stem.", "stage1.", "stage2."), marks=pytest.mark.slow),
    (RESIDUAL, ["stem.bn", "stage2.*.residual"], ("stem.bn.", "stage2.unit.residual.", "stage2.unit_2.residual.")),
    pytest.param(DENSE, ["stem", "dense1", "transition"], ("stem.", "dense1.", "transition."), marks=pytest.mark.slow),
    (DENSE, ["dense2", "norm"], ("dense2.", "norm.")),
    (DENSE, ["dense?.layer.*.new.bn"], None),
    (SHARED, ["a"], ("a.",)),
    (SHARED, ["b"], ("b.", "a.conv.")),
    (SHARED, ["loop"], ("loop.",)),
    (SHARED, ["loop.1"], ("loop.",)),
    (SHARED, ["fc"], ("fc.",)),
]


@pytest.mark.parametrize(
    "text, freeze, prefixes", sampled(CASES_OF_NETWORKS, 1), ids=lambda v: "-".join(v) if isinstance(v, list) else ""
)
def test_training_moves_all_but_the_frozen_steps(
    load: Any, text: str, freeze: list[str], prefixes: tuple[str, ...] | None
) -> None:
    net = load(text)
    module = net.to_torch(training=True, freeze=freeze)
    keys = set(module.state_dict())
    if prefixes is None:
        frozen = {key for key in keys if key.startswith("dense") and ".bn." in key}
    else:
        frozen = {key for key in keys if key.startswith(prefixes)}
    assert frozen and keys - frozen
    before = train(module, net.graph.inputs[0].shape[1:], 5)
    assert moved(module, before) == keys - frozen


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size, freeze",
    [
        ("resnet20_cifar", (3, 32, 32), ["conv1", "layer1"]),
        ("resnet18", (3, 64, 64), ["conv1", "layer1", "layer2"]),
        ("densenet_bc100_k12", (3, 32, 32), ["conv0", "denseblock1", "transition1"]),
        ("densenet121", (3, 64, 64), ["features"]),
        ("mobilenet_v2", (3, 64, 64), ["conv1", "bottleneck"]),
        ("efficientnet_b0", (3, 64, 64), ["stage*"]),
    ],
)
def test_training_of_shipped_networks(name: str, size: tuple[int, ...], freeze: list[str]) -> None:
    net = netspec.load(name, input=size)
    module = net.to_torch(training=True, freeze=freeze)
    frozen = {key for key in module.state_dict() if any(fnmatchcase(key.split(".")[0], step) for step in freeze)}
    before = train(module, size, 10)
    assert frozen and moved(module, before) == set(before) - frozen


def stays(module: nn.Module) -> bool:
    return not any(part.training for part in module.modules())


def test_a_frozen_step_stays_in_eval_mode_whatever_holds_it(load: Any) -> None:
    module = load(RESIDUAL).to_torch(freeze=["stem", "stage1", "drop"])
    assert not module.training

    def holds(model: nn.Module) -> bool:
        return (
            stays(model.stem)
            and stays(model.stage1)
            and not model.drop.training
            and model.stage2.training
            and model.fc.training
            and model.training
        )

    assert holds(module.train())
    outer = nn.Sequential(module, nn.Linear(5, 2))
    outer.eval().train()
    assert holds(module) and outer[1].training
    taken = nn.Sequential(module.stem, module.stage1, nn.Dropout())
    assert not taken.train()[0].training and not taken[1].training and taken[2].training
    assert stays(module.stage1.unit[0].train())
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), _saved(module)):
        assert holds(again) and holds(again.eval().train())
        assert {k for k, p in again.named_parameters() if not p.requires_grad} == {
            k for k, _ in module.named_parameters() if k.startswith(("stem.", "stage1."))
        }


def _saved(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_what_is_not_frozen_is_of_the_usual_classes(load: Any) -> None:
    module = load(RESIDUAL).to_torch(training=True, freeze=["stem.bn"])
    assert type(module.stem.conv) is nn.Conv2d and isinstance(module.stem.bn, nn.BatchNorm2d)
    assert type(module.stage1.unit[0].residual.conv_bn_relu.bn) is nn.BatchNorm2d
    assert list(module.state_dict()) == list(load(RESIDUAL).to_torch(training=True).state_dict())


HOSTILE = """\
netspec: 1
name: frozen
input: [3, 8, 8]
blocks:
  conv2d:
    params: {out: int}
    body: [c = conv: [=out, 1], r = relu]
  nothing:
    body: [relu]
  frozen_conv2d:
    body: [c = conv: [4, 1], b = batch_norm]
body:
  - a = do:
      - one = conv2d: 4
      - nothing
      - two = frozen_conv2d
  - b = conv2d: 4
"""


def test_names_and_blocks_without_layers_do_not_disturb(load: Any) -> None:
    """Blocks called as the classes of PyTorch and of frozen layers are, and one in which nothing can be frozen."""
    module = load(HOSTILE).to_torch(training=True, freeze=["a"])
    assert stays(module.a) and module.b.training and module.training
    assert len({type(part) for part in module.a.modules()}) == len({type(part).__name__ for part in module.a.modules()})
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(module)(torch.ones(2, 3, 8, 8)), module(torch.ones(2, 3, 8, 8)))


@pytest.mark.parametrize(
    "pattern, help", [("layer1", ""), ("stem.con", "stem.conv"), ("global_avg_pool", ""), ("*.nothing", "")]
)
def test_a_pattern_in_which_nothing_can_be_frozen_is_an_error(load: Any, pattern: str, help: str) -> None:
    with pytest.raises(UsageError, match="has no step") as info:
        load(RESIDUAL).to_torch(freeze=["stem", pattern])
    assert help in info.value.help


@pytest.mark.parametrize("op, attrs, shapes, reference", EACH_OP)
@pytest.mark.quick(6)
def test_every_kind_of_layer_can_be_frozen(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    """In training a frozen one gives what it gives in eval mode, and keeps its state; else it is known to differ."""
    graph, torch_backend = one_op(op, attrs, shapes), get("torch")
    arrays = draw(graph, seed=3)
    inputs = [torch.from_numpy(value) for value in arrays_of(shapes, 7).values()]

    def outputs(module: nn.Module) -> list[torch.Tensor]:
        torch.manual_seed(1)
        found = module(*inputs)
        return list(found.values()) if isinstance(found, dict) else [found]

    expected = outputs(torch_backend.to_module(graph, arrays))
    frozen = torch_backend.to_module(graph, arrays, True, {"step"})
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    assert all(map(torch.equal, outputs(frozen.train()), expected)) and not moved(frozen, before)
    assert not any(p.requires_grad for p in frozen.parameters())
    free = torch_backend.to_module(graph, arrays, training=True)
    if not all(map(torch.equal, outputs(free), expected)) or moved(free, before):
        assert OPS[op].acts_in_training(graph.nodes["step"].attrs) or graph.nodes["step"].result.stats
