"""What a module of `to_torch` can become: pickles, copies, TorchScript, traces, exported programs, source."""

from __future__ import annotations

import copy
import doctest
import gc
import inspect
import io
import linecache
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conformance import EACH_OP, Reference, Shapes, arrays_of, one_op
from conftest import sampled
from netspec_torch import modules
from parity import TARGETS
from torch import nn

import netspec
from netspec.backend import get
from netspec.network import Network
from netspec.ops import OPS
from netspec.weights.initialise import draw
from netspec.weights.sample_inputs import sample

SPEC = """\
netspec: 1
name: digits
use: [blocks/common]
input: [3, 8, 8]
body:
  - 1a = conv_bn_relu: [4, 3]
  - 2b = conv_bn_relu: [4, 3]
  - drop_path: 0.2
  - global_avg_pool
  - flatten
  - fc = linear: 3
"""


# torch deprecates TorchScript; people have it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network with names that Python cannot write as attributes."""
    path = tmp_path_factory.mktemp("forms") / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return netspec.load(path)


X = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32))


def equal(a: Any, b: Any) -> bool:
    """Whether outputs are the same to rounding; what is compiled may fuse operations."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[name], b[name]) for name in a)
    return torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def saved(module: Any) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def scripted(module: nn.Module) -> Any:
    """TorchScript, through a file as it is used."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    return torch.jit.load(file)


FORMS: dict[str, Callable[[nn.Module], Any]] = {
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "pickle protocol 0": lambda m: pickle.loads(pickle.dumps(m, 0)),
    "torch.save": saved,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "script": scripted,
    "trace": lambda m: torch.jit.trace(m, X),
    "compile": lambda m: torch.compile(m, backend="eager", fullgraph=True),
    "export": lambda m: torch.export.export(m, (X,)).module(),
    "replicate": lambda m: nn.DataParallel(m),
    "wrapped": lambda m: pickle.loads(pickle.dumps(nn.Sequential(m)))[0],
}
SLOW = {"compile", "export"}


@pytest.mark.parametrize("freeze", [[], ["1a", "drop_path"]], ids=["", "frozen"])
@pytest.mark.parametrize("form", [pytest.param(f, marks=pytest.mark.slow) if f in SLOW else f for f in FORMS])
@pytest.mark.quick(5)
def test_every_form_gives_the_same(net: Network, form: str, freeze: list[str]) -> None:
    module = net.to_torch(seed=3, freeze=freeze)
    with torch.no_grad():
        assert equal(FORMS[form](module)(X), module(X))


FRESH = """
import inspect, pickle, torch, sys
assert not any(name.startswith("netspec") for name in sys.modules)
x, outputs = torch.load("data.pt")
for name, expected in outputs.items():
    if name.endswith(".pt"):
        model = torch.load(name, weights_only=False)
    else:
        with open(name, "rb") as file:
            model = pickle.load(file)
    frozen = model[0] if name == "part.pkl" else model.get_submodule("1a")
    assert model.train().training and not any(part.training for part in frozen.modules())
    assert torch.equal(model.eval()(x), expected), name
    assert inspect.getsource(type(frozen)).startswith("class FrozenConvBnRelu")
"""


@pytest.mark.slow
def test_a_pickle_loads_in_a_fresh_process(net: Network, tmp_path: Path) -> None:
    """With netspec installed, from another folder, without the spec."""
    module = net.to_torch(seed=3, freeze=["1a"])
    part = nn.Sequential(module.get_submodule("1a"))
    with torch.no_grad():
        expected = {"model.pkl": module(X), "model.pt": module(X), "part.pkl": part(X)}
    torch.save((X, expected), tmp_path / "data.pt")
    torch.save(module, tmp_path / "model.pt")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(module))
    (tmp_path / "part.pkl").write_bytes(pickle.dumps(part))
    done = subprocess.run([sys.executable, "-c", FRESH], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_torch_load_refuses_a_whole_module_unless_it_is_told_to_run_it(net: Network, tmp_path: Path) -> None:
    torch.save(net.to_torch(), tmp_path / "model.pt")
    with pytest.raises(pickle.UnpicklingError, match="netspec_torch.modules.restore"):
        torch.load(tmp_path / "model.pt", weights_only=True)


def test_a_pickle_holds_the_source_once(net: Network) -> None:
    module = net.to_torch()
    assert len(list(module.modules())) > 3 and pickle.dumps(module).count(b"class Digits(nn.Module):") == 1


def test_source_is_shown(net: Network) -> None:
    module = net.to_torch(freeze=["1a"])
    for _ in range(2):
        assert inspect.getsource(type(module)).startswith('class Digits(nn.Module):\n    """digits"""')
        assert "def forward(self, x):" in inspect.getsource(type(module).forward)
        assert "stays in eval mode" in inspect.getsource(type(module.get_submodule("1a")).__mro__[1])
        linecache.clearcache()  # as a debugger may
    with pytest.raises(RuntimeError) as info:
        module(torch.zeros(1, 4, 8, 8))
    assert 'x = getattr(self, "1a")(x)' in "".join(traceback.format_exception(info.value))


def test_two_networks_never_share_a_module(tmp_path: Path) -> None:
    """They have one name, and differ in what they compute."""
    (tmp_path / "net.yaml").write_text(
        "netspec: 1\nname: net\ninput: [3, 8, 8]\nparams: {k: 1}\n"
        "body: [conv: {out: 2, kernel: =k, pad: half}, relu]\n",
        encoding="utf-8",
    )
    one, three = (netspec.load(tmp_path / "net.yaml", k=k).to_torch() for k in (1, 3))
    assert type(one).__name__ == type(three).__name__ == "Net" and type(one) is not type(three)
    assert type(netspec.load(tmp_path / "net.yaml", k=3).to_torch(seed=8)) is type(three)
    assert "kernel_size=1" in inspect.getsource(type(one)) and "kernel_size=3" in inspect.getsource(type(three))
    for module in (one, three):
        with torch.no_grad():
            assert equal(pickle.loads(pickle.dumps(module))(X), module(X)) and equal(scripted(module)(X), module(X))


def registered() -> int:
    return sum(name.startswith(modules.PREFIX) for name in sys.modules)


@pytest.mark.slow
def test_modules_of_which_nothing_is_alive_are_forgotten() -> None:
    def source(k: int) -> str:
        return f"from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x + {k}\n"

    first = modules.restore(source(-1), "Net")
    nn.Module.__init__(first)
    gc.collect()
    before = registered()
    for k in range(3 * modules.LIMIT):
        modules.module_of(source(k))
    assert registered() <= before + modules.LIMIT + 1
    cached = sum(str(file).startswith(f"<netspec>/{modules.PREFIX}") for file in linecache.cache)
    assert cached <= registered()
    assert "return x + -1" in inspect.getsource(type(first))  # it is alive
    again = pickle.loads(pickle.dumps(first))
    assert type(again) is type(first) and again(torch.tensor(3)) == 2


@pytest.mark.parametrize("op, attrs, shapes, reference", EACH_OP)
@pytest.mark.quick(17)
def test_every_op_scripts(op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference) -> None:
    graph = one_op(op, attrs, shapes)
    node = graph.nodes["step"]
    modes = (False, True) if OPS[op].acts_in_training(node.attrs) or node.result.stats else (False,)
    for training in modes:
        module = get("torch").to_module(graph, draw(graph, seed=3), training=training)
        inputs = [torch.from_numpy(value) for value in arrays_of(shapes, 2).values()]
        with torch.no_grad():
            torch.manual_seed(1)
            expected = copy.deepcopy(module)(*inputs)
            torch.manual_seed(1)
            assert equal(torch.jit.script(module)(*inputs), expected)


FAMILIES = {
    t["family"]: name
    for name, t in sorted(TARGETS.items(), key=lambda item: -(item[1]["params"] or 10**9))
    if "/" not in t["family"]
}
"""The smallest network of each family, of those whose parameters are known; any network where none is."""
QUICK = ("lenet5", "nin_cifar10")
LARGE = 10_000_000


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in (*QUICK, *sampled(sorted({*FAMILIES.values()} - {*QUICK}), 1, slow=20), "deformable_roi_pooling")
    ],
)
def test_every_family_scripts(name: str) -> None:
    """The small ones give the same outputs; of the others the source is compiled, with no memory for weights."""
    net = netspec.load(name)
    shapes = {node.path: node.shape for node in net.inference.inputs}
    kinds = {node.path: node.attrs["sample"] for node in net.inference.inputs}
    if sum(np.prod(shape, dtype=int) for shape, _, _ in net.inference.tensors().values()) > LARGE:
        with torch.device("meta"):
            module = next(reversed(modules.classes_of(modules.module_of(get("torch").source(net.graph))).values()))()
        assert torch.jit.script(module.eval()).code
    else:
        module = net.to_torch(seed=1)
        inputs = [torch.from_numpy(value) for value in sample(shapes, kinds, 1, 0).values()]
        with torch.no_grad():
            assert equal(torch.jit.script(module)(*inputs), module(*inputs))


@pytest.mark.slow
def test_heads_script_too() -> None:
    module = torch.jit.script(netspec.load("googlenet").to_torch(training=True))
    with torch.no_grad():
        assert list(module(torch.zeros(2, 3, 224, 224))) == ["logits", "aux1", "aux2"]
        assert module.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        "resnet20_cifar",
        pytest.param("googlenet", marks=pytest.mark.slow),
        pytest.param("nasnet_a_mobile", marks=pytest.mark.slow),
        pytest.param("fractalnet", marks=pytest.mark.slow),
    ],
)
def test_every_layer_is_at_the_place_that_the_emitter_says(name: str) -> None:
    """A block of expressions alone is a module without layers."""
    from netspec_torch.codegen import Emitter

    graph = netspec.load(name).graph
    emitter = Emitter(graph)
    with torch.device("meta"):
        module = modules.classes_of(modules.module_of(emitter.source("0")))[emitter.main]()
    places = {path: emitter.place(path) for path in graph.nodes}
    for path, node in graph.nodes.items():
        if node.result.weights or node.result.stats:
            assert places[path] == node.weights_at
    layers = {path for path, part in module.named_modules() if path and not list(part.children())}
    assert layers - set(emitter.written) == set(places.values()) - {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pytorch.md", "python.md", "train.md"])
def test_the_sessions_of_pages_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parent.parent / "docs" / name
    text = "\n\n".join(
        re.findall(r"^```python\n(>>> .*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
    said = io.StringIO()
    session = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=said.write)
    assert results.attempted > 4 and not results.failed, said.getvalue()
