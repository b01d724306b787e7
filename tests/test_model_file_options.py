"""Options of specs where an .onnx file is named: each is refused by `run` and `bench` alike, or holds for the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from onnx import TensorProto, helper
from run_harness import IMAGE, model

from netspec.cli.request import BUILD, CHOICE, CHOICE_OF_MANY
from netspec.cli.weights import weight_options

pytestmark = pytest.mark.usefixtures("folder")

Netspec = Callable[..., tuple[int, str, str]]
REFUSED = {
    "--variant": ["zzz"],
    "--set": ["k=5"],
    "--features": ["a"],
    "--pass": ["fold_batch_norm"],
    "-O": ["2"],
    "-I": ["."],
    "--max-nodes": ["5"],
    "--weights": ["x.pth"],
}
"""A value of each option that cannot hold for a file."""
ELSEWHERE = {
    "--all": [],
    "--profile": ["p.json"],
    "--checkpoint-key": ["k"],
    "--rules": ["r.yaml"],
    "--layers": ["a"],
    "--exclude": ["a"],
    "--adapt": [],
}
"""The same of those that are refused for want of another option, or of a spec."""
HOLDS = {"--strict": [], "--quiet": [], "--max-errors": ["3"], "--seed": ["7"]}
FAST = {"run": ["--repeat", "1"], "bench": ["--repeat", "1", "--warmup", "1", "-f", "json"]}


def names_of(command: str) -> set[str]:
    """The long names of the options that make what a command is to run of a spec."""
    choice = CHOICE_OF_MANY if command == "bench" else CHOICE

    def nothing() -> None: ...

    for option in (*choice, *BUILD, *weight_options):
        option(nothing)
    params = click.command(nothing).params
    return {max(p.opts, key=len) for p in params if isinstance(p, click.Option)}


def opened(name: str = "m.onnx", shape: object = IMAGE) -> str:
    return model(name, "Relu", {"x": (TensorProto.FLOAT, shape)}, TensorProto.FLOAT, shape)


@pytest.mark.parametrize("command", ["run", "bench"])
def test_every_option_of_specs_has_its_place_here(command: str) -> None:
    known = {*REFUSED, *ELSEWHERE, *HOLDS} - ({"--all"} if command == "run" else set())
    assert names_of(command) == known


@pytest.mark.parametrize("command", ["run", "bench"])
@pytest.mark.parametrize("option", REFUSED)
@pytest.mark.quick(1)
def test_what_cannot_hold_for_a_file_is_refused(option: str, command: str, netspec: Netspec) -> None:
    code, out, err = netspec(command, opened(), option, *REFUSED[option], *FAST[command])
    assert code == 2 and not out
    assert "an .onnx file has its weights and its layers already" in err and f"help: {option}: " in err
    assert "leave them out for a file" in err


@pytest.mark.parametrize("command", ["run", "bench"])
@pytest.mark.parametrize("option", ELSEWHERE)
@pytest.mark.slow
def test_what_goes_with_a_refused_option_is_refused(option: str, command: str, netspec: Netspec) -> None:
    code, out, err = netspec(command, opened(), option, *ELSEWHERE[option], *FAST[command])
    assert code == 2 and err and not out


@pytest.mark.parametrize("command", ["run", "bench"])
@pytest.mark.parametrize("option", HOLDS)
@pytest.mark.slow
def test_what_holds_for_a_file_is_taken(option: str, command: str, netspec: Netspec) -> None:
    assert netspec(command, opened(), option, *HOLDS[option], *FAST[command])[0] == 0


@pytest.mark.slow
def test_options_of_specs_are_refused_as_soon_as_a_file_is_among_them(netspec: Netspec) -> None:
    code, out, err = netspec("bench", "lenet5", opened(), "-O1", "--repeat", "1")
    assert code == 2 and "-O: these options go with a spec" in err and not out
    code, out, err = netspec("bench", f"{opened()},k=5", "--repeat", "1")
    assert code == 2 and "--set: these options go with a spec" in err and not out
    for target, expected in (("torch", 2), ("onnx+O2", 2), ("onnx", 0)):
        assert netspec("bench", opened(), "--target", target, "--repeat", "1")[0] == expected
    code, out, _ = netspec("bench", "lenet5", opened(), "--target", "onnx+O0", *FAST["bench"])
    assert code == 0 and [row["target"] for row in json.loads(out)] == ["onnx+O0", "m.onnx"]


@pytest.mark.slow
def test_a_size_that_a_file_leaves_free_is_said(netspec: Netspec) -> None:
    opened("fixed.onnx", (1, 3, 32, 32))
    code, _, err = netspec("bench", "fixed.onnx", "--input", "x=3x40x40", "--repeat", "1")
    assert code == 2 and "32" in err and "40 by --input" in err
    code, _, err = netspec("bench", opened(), *FAST["bench"])
    assert code == 0 and "note: m.onnx: h = 224, w = 224, which it leaves free" in err


SIZES = [
    (["m.onnx", "--input", "3x40x40"], 1),
    (["m.onnx", "--input", "x=4x3x40x40"], 4),
    (["m.onnx,input=3x40x40", "-b", "2"], 2),
]


@pytest.mark.parametrize("given, batch", SIZES)
@pytest.mark.slow
def test_a_file_that_leaves_its_size_free_is_timed_at_that_of_input(
    given: list[str], batch: int, netspec: Netspec
) -> None:
    opened()
    code, out, err = netspec("bench", *given, *FAST["bench"])
    assert code == 0 and not err and json.loads(out)[0]["batch"] == batch


@pytest.mark.parametrize("shape, batch", [((8, 3), 8), (None, 1), (("n", 3), 1), ((), 1)])
@pytest.mark.slow
def test_a_file_is_run_at_its_own_batch(shape: object, batch: int, netspec: Netspec) -> None:
    code, out, err = netspec("bench", opened("own.onnx", shape), *FAST["bench"])
    (row,) = json.loads(out)
    assert code == 0 and not err and row["batch"] == batch
    assert row["per_second"] == pytest.approx(batch / row["median_ms"] * 1000)


@pytest.mark.slow
def test_a_file_without_inputs_is_timed(netspec: Netspec) -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [2], [1, 2])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Constant", [], ["y"], value=value)], "g", [], [result])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    Path("none.onnx").write_bytes(made.SerializeToString())
    code, out, _ = netspec("bench", "none.onnx", *FAST["bench"])
    assert code == 0 and json.loads(out)[0]["batch"] == 1
    opened("rank.onnx", None)
    code, out, _ = netspec("bench", "rank.onnx", "--input", "x=2x3", *FAST["bench"])
    assert code == 0 and json.loads(out)[0]["batch"] == 2


@pytest.mark.slow
def test_a_broken_file_is_a_row_and_the_exit_code(netspec: Netspec) -> None:
    opened()
    Path("bad.onnx").write_text("rubbish", encoding="utf-8")
    code, out, err = netspec("bench", "m.onnx", "bad.onnx", "bad.onnx", "--repeat", "1")
    assert code == 1 and "error[NS703]" in err and out.count("bad.onnx was not run: ") == 1
    timed = ["m.onnx", "bad.onnx", "bad.onnx", "-b", "2", "--threads", "1", "--repeat", "1"]
    code, out, _ = netspec("bench", *timed, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1 and [(r["network"], r["provider"] == "not run", r["batch"], r["threads"]) for r in rows] == [
        ("m.onnx", False, "2", "1"),
        ("bad.onnx", True, "2", "1"),
        ("bad.onnx", True, "2", "1"),
    ]
    assert [bool(r["why"]) for r in rows] == [False, True, True]
    code, out, err = netspec("bench", "bad.onnx", "--repeat", "1")
    assert code == 1 and "error[NS703]" in err and not out


@pytest.mark.slow
def test_a_broken_spec_is_said_before_anything_is_run(netspec: Netspec) -> None:
    Path("bad.yaml").write_text("netspec: 1\nname: bad\ninput: [3, 8, 8]\nbody: [cnov: 3]\n", encoding="utf-8")
    code, out, err = netspec("bench", "lenet5", "bad.yaml", "--target", "onnx", "--repeat", "1")
    assert code == 1 and "bad.yaml:4:" in err and not out


@pytest.mark.slow
def test_what_has_no_kernel_is_named_as_the_network_has_it(netspec: Netspec) -> None:
    code, _, err = netspec("bench", "lenet5", "--target", "onnx+bfloat16", "--repeat", "1")
    if code == 0:
        pytest.skip("this onnxruntime has kernels in bfloat16")
    assert "'/c1/Conv'" in err and "product" not in err
