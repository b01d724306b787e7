"""What users of Python may give to the public functions, and what is said of everything else: never a bare error."""

from __future__ import annotations

import ast
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.arguments import KINDS, in_python
from netspec.backend import get
from netspec.draw.drawing import ViewOptions
from netspec.network import TableOptions
from netspec.weights.checkpoints.choices import CheckpointChoices, ModuleChoices

METHODS = {
    "summary": (),
    "table": (),
    "draw": (),
    "explain": (),
    "arrays": (),
    "lazy_arrays": (),
    "to_torch": (),
    "features": (["c1"],),
    "tapped": (["c1"],),
    "after": ([],),
    "optimised": (1,),
    "to_onnx": ("net.onnx",),
}
MORE = {
    "asked": tuple(TableOptions.__annotations__),
    "view": tuple(ViewOptions.__annotations__),
    "options": (
        *CheckpointChoices.__annotations__,
        *(f.name for f in fields(get("onnx").options) if "help" in f.metadata),
    ),
}
WRONG: tuple[object, ...] = (object(), 2.5, {"a": object()}, b"x")
UNKNOWN = ("no such thing",)
"""A value of the right type for a text, a name and a path, that names nothing."""


def options_of(function: Callable[..., object]) -> list[str]:
    found: list[str] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            of_module = function.__name__ == "features"
            found += MORE.get(name) or (ModuleChoices if of_module else CheckpointChoices).__annotations__
        elif parameter.kind is not parameter.VAR_POSITIONAL and name != "self":
            found.append(name)
    return found


def calls() -> Iterator[tuple[str, str, Callable[..., object]]]:
    network = netspec.load("lenet5")
    for method, args in METHODS.items():
        function = getattr(network, method)
        names = [*inspect.signature(function).parameters]
        for option in options_of(function):
            given = dict(zip(names, args, strict=False))
            given.pop(option, None)
            yield method, option, partial(function, **given)
    for name in ("load", "show"):
        for option in ("spec", "variant", "include", *(("input", "max_nodes") if name == "load" else ())):
            given = {} if option == "spec" else {"spec": "lenet5"}
            yield name, option, partial(getattr(netspec, name), **given)
    for option in ("device", "threads", "cuda_graph", "seed", "weights", "model"):
        yield "Session", option, partial(netspec.Session, **({} if option == "model" else {"model": "lenet5"}))
    session = netspec.Session("lenet5")
    for option in ("files", "batch"):
        yield "Session.images", option, partial(session.images, **({} if option == "files" else {"files": "."}))
    yield "Session.latency", "repeat", session.latency
    yield "list_specs", "columns", netspec.list_specs


CALLS = list(calls())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "option", "call"), CALLS, ids=[f"{name}-{option}" for name, option, _ in CALLS])
def test_every_option_of_every_function_refuses_what_it_cannot_be(
    name: str, option: str, call: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong type is refused by every option; a text that names nothing by all but a file's name."""
    monkeypatch.chdir(tmp_path)
    for value in WRONG:
        with pytest.raises(netspec.NetspecError) as caught:
            call(**{option: value})
        assert option.rstrip("_") in str(caught.value) or option in ("weights", "model"), (value, str(caught.value))
    for value in UNKNOWN if option not in ("path", "include") else ():
        with pytest.raises(netspec.NetspecError):
            call(**{option: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_public_function_is_checked() -> None:
    """What takes a keyword that is known by its name has the decorator."""
    of_session = [getattr(netspec.Session, name) for name in ("__init__", "run", "latency", "images")]
    public = [f for name, f in vars(netspec.Network).items() if inspect.isfunction(f) and not name.startswith("_")]
    for function in (*public, *of_session, netspec.load, netspec.show, netspec.list_specs):
        if set(inspect.signature(function).parameters) & KINDS.keys():
            assert hasattr(function, "__wrapped__"), function


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 7}, "level is 7, expected one of 0, 1, 2"),
        ({"functions": "kep"}, "functions is 'kep', .*\nhelp: did you mean 'keep'?"),
        ({"for_": "trakt"}, "did you mean 'tract'"),
        ({"opset": "18"}, "opset is '18', expected a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"dtype": "float61"}, "float32, float16, bfloat16, int8"),
        ({"io_dtype": "float16"}, 'io_dtype="float16" goes with dtype="float16"'),
        ({"batch": 0}, "batch is 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.quick(1)
@pytest.mark.slow
def test_what_an_onnx_model_is_asked_for(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(netspec.UsageError, match=message):
        netspec.load("lenet5").to_onnx(tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_one_text_is_a_list_of_one_and_sizes_are_those_of_the_command_line() -> None:
    network = netspec.load("resnet18")
    assert network.after("fold_batch_norm").inference.nodes.keys() == (
        network.after(["fold_batch_norm"]).inference.nodes.keys()
    )
    with pytest.raises(netspec.UsageError, match="has no step 'middle' with weights"):
        network.to_torch(freeze="middle")
    frozen = {key for key, p in network.to_torch(freeze="conv1,layer1").named_parameters() if not p.requires_grad}
    assert frozen == {
        key for key, p in network.to_torch(freeze=["conv1", "layer1"]).named_parameters() if not p.requires_grad
    }
    assert str(netspec.load("lenet5", input="1x36x36").inference.inputs[0].shape[1:]) == "(1, 36, 36)"
    assert netspec.load("siamese", input="left=1x105x105,right=1x105x105").name == "siamese"
    assert "ResNet-50" in str(netspec.load("resnet18").table("resnet50"))
    assert netspec.load("lenet5").arrays(seed=np.int64(3)).keys() == netspec.load("lenet5").arrays().keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "googlenet", "vgg16"])
def test_a_network_is_pickled(name: str) -> None:
    for network in (netspec.load(name, classes=7), netspec.load(name).optimised(1)):
        again = pickle.loads(pickle.dumps(network))
        assert repr(again) == repr(network) and again.passes == network.passes and again.params == network.params
        for key, value in network.arrays(seed=2).items():
            assert np.array_equal(again.arrays(seed=2)[key], value)
            break


@pytest.mark.slow
def test_a_prompt_shows_the_tables() -> None:
    network = netspec.load("lenet5")
    for table in (network.summary(), network.check(), netspec.list_specs("lenet"), netspec.show("lenet5")):
        assert repr(table) == table.render() and "Column(" not in repr(table)


@pytest.mark.slow
def test_a_session_takes_tensors() -> None:
    torch = pytest.importorskip("torch")
    session = netspec.Session("lenet5")
    value = np.random.default_rng(0).standard_normal((2, 1, 32, 32), np.float32)
    (expected,) = session.run(value).values()
    (found,) = session.run(torch.tensor(value, requires_grad=True)).values()
    assert np.array_equal(found, expected)
    with pytest.raises(netspec.UsageError, match="'input' is a Tensor that is no array"):
        session.run(torch.zeros(1, 1, 32, 32, dtype=torch.bfloat16))
    with pytest.raises(netspec.UsageError, match="'input' is a text"):
        session.run("picture.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "keyword"),
    [
        ("--set classes: 'x' is not a value", "classes: 'x' is not a value"),
        ("as in: --input 1x32x32", "as in: input=[1, 32, 32]"),
        ("two: --input NAME=CxHxW", 'two: input={"NAME": [C, H, W]}'),
        ("--device cuda", 'device="cuda"'),
        ("--exclude fc --exclude aux1.fc", 'exclude=["fc", "aux1.fc"]'),
        ("--adapt --layers mid", 'adapt=True layers="mid"'),
        ("ask for one of --collapse and --expand", "ask for one of collapse and expand"),
        ("leave out --no-external-data", "leave out external_data=False"),
        ("a profile goes with -O2", "a profile goes with level=2"),
    ],
)
def test_errors_speak_of_keywords(option: str, keyword: str) -> None:
    assert in_python(option) == keyword


RESULTS: dict[str, Callable[[netspec.Network], object]] = {
    "summary": lambda net: net.summary(),
    "summary with every column": lambda net: net.summary(columns="+depth,memory,shape,type,kernel", freeze="c1"),
    "table": lambda net: net.table("lenet5"),
    "table by layer": lambda net: net.table(rows="layers"),
    "check": lambda net: net.check(),
    "explain": lambda net: net.explain(),
    "explain a step": lambda net: net.explain("c1"),
    "draw": lambda net: net.draw("dot"),
    "list_specs": lambda net: netspec.list_specs("lenet", columns="+year,top1,memory,params"),
    "show": lambda net: netspec.show("lenet5"),
    "lazy_arrays": lambda net: net.lazy_arrays(),
    "networks": lambda net: netspec.networks,
}


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.quick(1)
@pytest.mark.slow
def test_every_result_is_pickled(result: str) -> None:
    """What a worker process gives back: the same text, and of a table the same forms."""
    made = RESULTS[result](netspec.load("lenet5"))
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    if result != "lazy_arrays":
        assert str(again) == str(made)


def test_no_column_is_shown_by_a_function_without_a_name() -> None:
    """Such a function has no name by which another process finds it."""
    folder = Path(netspec.__file__).parent
    found = []
    for path in (*folder.glob("reports/**/*.py"), *folder.glob("cli/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Column", "number"):
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                found += [f"{path.name}:{node.lineno}" for value in given if isinstance(value, ast.Lambda)]
    assert not found


@pytest.mark.parametrize("word", [5, None, ["lenet"], b"lenet"])
@pytest.mark.slow
def test_a_word_to_search_for_is_a_text(word: Any) -> None:
    with pytest.raises(netspec.UsageError, match="words is .*, expected a text"):
        netspec.list_specs("lenet", word)
