"""How the source reads: as short as torchvision's, as ruff formats it, a class a block; and what it goes through."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import sampled
from netspec_torch import layout, modules
from netspec_torch.codegen import source
from netspec_torch.options import TorchOptions, WeightsFile
from shipped_networks import documents
from torch import nn

import netspec
from netspec.backend import get
from netspec.elaborate.compiled import compile_variant

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

MISC = "torchvision/ops/misc.py"
THEIRS = {
    "resnet50": {"torchvision/models/resnet.py": "conv3x3 conv1x1 Bottleneck ResNet _resnet"},
    "googlenet": {"torchvision/models/googlenet.py": "BasicConv2d Inception InceptionAux GoogLeNet"},
    "densenet121": {"torchvision/models/densenet.py": "_DenseLayer _DenseBlock _Transition DenseNet _densenet"},
    "mobilenet_v2": {
        "torchvision/models/mobilenetv2.py": "InvertedResidual MobileNetV2",
        MISC: "ConvNormActivation Conv2dNormActivation",
    },
    "efficientnet_b0": {
        "torchvision/models/efficientnet.py": "_MBConvConfig MBConvConfig MBConv EfficientNet _efficientnet "
        "_efficientnet_conf",
        MISC: "ConvNormActivation Conv2dNormActivation SqueezeExcitation",
    },
    "nasnet_a_large": {
        "timm/models/nasnet.py": "ActConvBn SeparableConv2d BranchSeparables CellStem0 CellStem1 FirstCell NormalCell "
        "ReductionCell0 ReductionCell1 NASNetALarge"
    },
}
"""The classes and builder functions that a network needs of other libraries; no weights, presets or registration."""


def code_lines(text: str) -> int:
    """Lines with code: neither empty, nor with comments alone, nor of a docstring."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            docs |= {*range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in nothing]
    return len({line for t in tokens for line in range(t.start[0], t.end[0] + 1)} - docs)


def theirs(name: str) -> str:
    """The architecture code of another library for a network, by its files alone."""
    parts = []
    for file, names in THEIRS[name].items():
        package, _, rest = file.partition("/")
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations
        text = (Path(spec.submodule_search_locations[0]) / rest).read_text(encoding="utf-8")
        known = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
        parts += [str(ast.get_source_segment(text, known[n])) for n in names.split()]
    return "\n\n".join(parts)


@pytest.mark.parametrize("name", [n if n == "googlenet" else pytest.param(n, marks=pytest.mark.slow) for n in THEIRS])
def test_the_source_is_no_longer_than_theirs(name: str) -> None:
    ours, others = code_lines(get("torch").source(netspec.load(name).graph)), code_lines(theirs(name))
    assert others > 100 and ours <= others, f"{ours} lines against {others}"


FIRST = {next(iter(d.variants), d.name): d for d in documents()}


def test_ruff_has_nothing_to_change(tmp_path: Path) -> None:
    """At ruff's defaults, with heads and `load`; of both forms of the weights."""
    for i, name in enumerate(sampled(FIRST, 2, slow=25)):
        graph = compile_variant(FIRST[name], next(iter(FIRST[name].variants), None)).graph
        weights = WeightsFile(f"{name}{('.pth', '.safetensors')[i % 2]}", "0" * 64)
        (tmp_path / f"{name}.py").write_text(source(graph, TorchOptions(training=True), weights), encoding="utf-8")
    (tmp_path / "linear.yaml").write_text("netspec: 1\nname: net\ninput: [4]\nbody: [linear: 2]\n", encoding="utf-8")
    (tmp_path / "linear.py").write_text(source(netspec.load(tmp_path / "linear.yaml").graph), encoding="utf-8")
    for command in (["format", "--check", "--diff"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr


LONG = "a" * 40
STATEMENTS = [
    f"x = self.{LONG}({LONG}, {LONG})",
    f"x = torch.cat([{', '.join([LONG] * 3)}], dim=1)",
    f"x = torch.cat([{LONG}, {LONG[:30]}], dim=1)",
    f"x = {' + '.join([LONG] * 3)}",
    f"x = {LONG} + {LONG[:35]} + {LONG[:3]}",
    f"x = ({' + '.join([LONG] * 3)}) / 3",
    f"x = (({' + '.join([LONG] * 3)}) + ({LONG[:20]} + {LONG[:20]}) + {LONG[:5]}) / 6",
    f'return {{"a": {LONG}, "b": {LONG}}}',
    f"return {LONG}, {LONG}, {LONG}",
    f"x = F.interpolate({LONG}, scale_factor=(2.0, 2.0), mode={LONG!r})".replace("'", '"'),
]


def test_long_statements_are_broken_as_ruff_does(tmp_path: Path) -> None:
    shown = ["def f():"]
    for statement in STATEMENTS:
        shown += layout.statement(statement, 4, "# (N, C, H, W)")
    path = tmp_path / "long.py"
    path.write_text("\n".join(shown) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--diff", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


CLASSES = {
    # as many classes as torchvision has for these blocks; two where it chooses an activation or branches by a number
    "resnet50": ["ConvBnRelu", "ConvBn", "Bottleneck", "Resnet50"],
    "mobilenet_v2": ["ConvBnAct", "ConvBn", "InvertedResidual", "MobilenetV2"],
    "densenet121": ["DenseLayer", "Transition", "DenseBlock", "Densenet121"],
    "efficientnet_b0": ["DropPath", "ConvBnSilu", "SqueezeExcite", "Mbconv", "EfficientnetB0"],
    "shufflenet_v2_x1_0": ["ConvBnRelu", "ConvBn", "Branch", "UnitDown", "Unit", "ShufflenetV2X10"],
    "mobilenet_v3_large": ["ConvBnAct", "ConvBnAct2", "ConvBn", "SeLayer", "Bneck", "Bneck2", "MobilenetV3Large"],
}


@pytest.mark.parametrize("name", [n if n == "resnet50" else pytest.param(n, marks=pytest.mark.slow) for n in CLASSES])
def test_a_block_that_may_lack_a_step_is_one_class(name: str) -> None:
    text = get("torch").source(netspec.load(name).graph)
    assert re.findall(r"^class (\w+)", text, re.MULTILINE) == CLASSES[name]


BLOCKS = """\
netspec: 1
name: net
input: [4, 6, 6]
blocks:
  unit:
    params: {out: int, stride: 1, plain: false, twice: 1, mid: 0}
    body:
      - add:
          a:
            - narrow = conv: {out: =2 * mid + 1, kernel: 1}
              when: mid != 0
            - wide = conv: {out: 4, kernel: 1}
              when: mid != 0
            - first = conv: {out: =out, kernel: 3, pad: 1}
              when: twice != 1
            - last = conv: {out: =out, kernel: 3, pad: 1, stride: =stride}
          b:
            do:
              - fit = conv: {out: =out, kernel: 1, stride: =stride}
                when: stride != 1 or x.channels != out
      - relu:
        when: not plain
body: [BODY]
"""
LOOPS = """\
netspec: 1
name: net
input: [4, 6, 6]
blocks:
  grow:
    params: {by: 3}
    body: [concat: {a: [], b: [conv: {out: =by, kernel: 3, pad: 1}, relu]}]
  stack:
    params: {last: 3}
    body: [l0 = grow, l1 = grow, l2 = grow: =last]
body: [a = stack: ARGS, b = stack]
"""
FIT = "if stride != 1 or in_channels != out:"
FORMS = {
    "unit: 4, unit: 8, unit: [8, 2]": (1, FIT),
    "unit: 4, unit: [4, 1, true]": (1, "if not self.plain"),
    "unit: {out: 4, twice: 2}, unit: 4": (1, "if twice != 1:"),
    "unit: {out: 4, twice: 2}, unit: {out: 8, plain: true}": (2, ""),
    "unit: {out: 4, mid: 1}, unit: {out: 4, mid: 2}, unit: 4": (1, "is not None:"),
}


@pytest.mark.parametrize("body", FORMS)
def test_what_says_that_a_step_is_there(body: str, tmp_path: Path) -> None:
    """Their outputs are those of the same blocks alone, one after another, which have classes of their own."""
    calls = re.findall(r"unit: (?:\{[^}]*\}|\[[^\]]*\]|\d+)", body)
    path = tmp_path / "net.yaml"
    path.write_text(BLOCKS.replace("BODY", ", ".join(f"{{s{i} = {c}}}" for i, c in enumerate(calls))), encoding="utf-8")
    net = netspec.load(path)
    text = get("torch").source(net.graph)
    count, condition = FORMS[body]
    assert text.count("(nn.Module):") == count + 1 and condition in text
    module = net.to_torch(seed=4)
    assert sorted(module.state_dict()) == sorted(net.inference.tensors())
    x = value = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for i, call in enumerate(calls):
        shape = list(value.shape[1:])
        path.write_text(BLOCKS.replace("BODY", f"{{s{i} = {call}}}").replace("[4, 6, 6]", str(shape)), encoding="utf-8")
        alone = netspec.load(path).to_torch()
        alone.load_state_dict({k: v for k, v in module.state_dict().items() if k.startswith(f"s{i}.")})
        value = alone(value)
    assert torch.allclose(module(x), value, atol=1e-6)


ORDER = ("googlenet", "densenet121", "nasnet_a_large", "resnet50", "mobilenet_v2", "efficientnet_b0")
"""The one with auxiliary heads first; --full-size takes all."""


@pytest.mark.parametrize("last, base", [(3, "nn.Sequential"), (4, "nn.Module")])
def test_numbered_blocks_are_a_loop_where_they_grow_evenly(last: int, base: str, tmp_path: Path) -> None:
    """By the definition: three times x -> (x, relu(conv(x))), twice."""
    path = tmp_path / "net.yaml"
    path.write_text(LOOPS.replace("ARGS", str(last)), encoding="utf-8")
    net = netspec.load(path)
    text = get("torch").source(net.graph)
    assert f"class Stack({base}):" in text and text.count("for i in range(3):") == 1
    assert text.count("class Stack") == (1 if last == 3 else 2)  # the other of them grows evenly
    module = net.to_torch(seed=2)
    arrays = module.state_dict()
    assert list(arrays) == list(net.inference.tensors())
    x = value = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for key in list(arrays)[::2]:
        more = torch.conv2d(value, arrays[key], arrays[f"{key.removesuffix('weight')}bias"], padding=1)
        value = torch.cat([value, more.relu()], dim=1)
    assert value.shape[1] == 19 + last and torch.allclose(module(x), value, atol=1e-6)
    assert torch.allclose(torch.jit.script(module)(x), value, atol=1e-6)


CUT = """\
netspec: 1
name: net
input: [1, 6, 9]
blocks:
  cut:
    body:
      - crop: {offset: [1, 2], size: ["=x.height - 1", "=x.width - 3"]}
body: [a = cut, b = cut]
"""


def test_a_crop_to_the_edge_says_no_size(tmp_path: Path) -> None:
    """So that maps of two sizes share the class; NASNet's path through every second pixel is such a one."""
    path = tmp_path / "net.yaml"
    path.write_text(CUT, encoding="utf-8")
    net = netspec.load(path)
    assert "x[:, :, 1:, 2:" in get("torch").source(net.graph)
    x = torch.arange(54.0).reshape(1, 1, 6, 9)
    assert torch.equal(net.to_torch()(x), x[:, :, 2:6, 4:7])


PILES = """\
netspec: 1
name: net
input: [4, 6, 6]
blocks:
  pile:
    body:
      - one = concat: {a: [], b: [conv: [3, 1]]}
      - two = concat: {a: [], b: [conv: [3, 1]]}
body: [first = pile, second = pile]
"""


def test_what_takes_more_channels_by_a_constant_says_so(tmp_path: Path) -> None:
    """By the definition: four times x -> (x, conv(x)), of 4, 7, 10 and 13 channels."""
    path = tmp_path / "net.yaml"
    path.write_text(PILES, encoding="utf-8")
    net = netspec.load(path)
    text = get("torch").source(net.graph)
    assert "nn.Conv2d(in_channels + 3, 3, kernel_size=1)" in text and text.count("class Pile") == 1
    module = net.to_torch(seed=2)
    arrays = module.state_dict()
    x = value = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for key in list(arrays)[::2]:
        value = torch.cat([value, torch.conv2d(value, arrays[key], arrays[f"{key.removesuffix('weight')}bias"])], 1)
    assert value.shape[1] == 16 and torch.allclose(module(x), value, atol=1e-6)


LEVELS = """\
netspec: 1
name: net
input: [1, 3, 5]
blocks:
  level:
    params: {size: list}
    body: [upsample: {size: =size, mode: nearest}]
body: [a = level: [[6, 20]], b = level: [[12, 80]], c = level: [[36, 90]]]
"""


def test_levels_that_are_enlarged_by_a_power_of_two_share_a_class(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(LEVELS, encoding="utf-8")
    net = netspec.load(path)
    text = get("torch").source(net.graph)
    assert text.count("class Level") == 2 and "scale_factor=(2.0, 4.0)" in text and "size=(36, 90)" in text
    x = value = torch.arange(15.0).reshape(1, 1, 3, 5)
    for size in ((6, 20), (12, 80), (36, 90)):
        value = torch.nn.functional.interpolate(value, size=size, mode="nearest")
    assert torch.equal(net.to_torch()(x), value)


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network with heads on the meta device, whose tensors have no memory, and an input."""
    graph = netspec.load(name).graph
    with torch.device("meta"):
        text = get("torch").source(graph, TorchOptions(training=True))
        module = next(reversed(modules.classes_of(modules.module_of(text)).values()))()
        return module, torch.zeros(2, *map(int, graph.inputs[0].shape[1:]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ORDER, 1, slow=1))
def test_torch_compile_takes_it_as_one_graph(name: str) -> None:
    module, x = built(name)
    for training in (True, False):
        torch.compile(module.train(training), backend="eager", fullgraph=True)(x)


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ORDER, 1, slow=2))
def test_torch_export_takes_it_with_a_free_batch(name: str) -> None:
    module, x = built(name)
    program = torch.export.export(module.eval(), (x,), dynamic_shapes={"x": {0: torch.export.Dim("n")}})
    given, *_ = [n for n in program.graph.nodes if n.op == "placeholder" and n.target == "x"]
    assert isinstance(given.meta["val"].shape[0], torch.SymInt)


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ORDER, 1, slow=2))
def test_torchscript_takes_it(name: str) -> None:
    module, _ = built(name)
    for training in (True, False):
        assert torch.jit.script(module.train(training)).code
