"""What is said where something else was meant: a target, a word, a folder, a part that does not fit."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import onnx
import pytest
from run_harness import Netspec

import netspec as api
from netspec.diagnostics.errors import SpecError
from netspec.reports.timing import Run, table_of_parts, table_of_runs
from netspec.running.measure import Times

SPEC = """\
netspec: 1
name: my
input: [3, 8, 8]
blocks:
  unit:
    params: {out: 4}
    body: [conv: {out: =out, kernel: 3, pad: 1}, relu: ]
body:
  - a = unit
  - b = conv: [4, 1]
"""


@pytest.fixture
def netspec(netspec: Netspec) -> Netspec:
    """The command line, in a folder of its own: the exit code, stdout and stderr."""
    Path("my.yaml").write_text(SPEC, encoding="utf-8")
    Path("lab").mkdir()
    return netspec


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("verify my.yaml my.yaml", 2, "known: onnx, torch; or an .onnx file"),
        ("bench my.yaml --target cuda", 2, "known: onnx, torch; or an .onnx file"),
        ("verify my.yaml torch+int8", 2, "int8 is of onnx alone, not of torch"),
        ("verify my.yaml torch+int8+O1", 2, "such as onnx+int8+O1"),
        ("run my.yaml --image lab", 2, "--images lab takes all images in it"),
        ("list pases", 2, "did you mean 'passes'?"),
        ("summary my.yaml -f jsn", 2, "did you mean 'json'?"),
        ("plot parms my.yaml", 2, "did you mean 'params'?"),
        ("compile my.yaml --to onnx --dtype flot16", 2, "did you mean 'float16'?"),
        ("compile my.yaml --to json -O2 --profile my.yaml", 1, "my.yaml is not a profile"),
        ("compile googlenet --input 3x64x64 --to json", 1, "or `-s aux=false`: without that part it fits"),
        ("compile inception_v3 --input 3x75x75 --to json -o x.json", 1, "or `-s aux=false`: without that part it fits"),
    ],
)
@pytest.mark.quick(1)
def test_what_was_meant_is_said(line: str, code: int, said: str, netspec: Netspec) -> None:
    found, out, err = netspec(*line.split())
    assert found == code and said in err and not out, err
    assert err.count("error[") <= 2 and "NS111" not in err


@pytest.mark.slow
def test_what_helps_where_a_part_does_not_fit_works(netspec: Netspec) -> None:
    """Without its auxiliary heads GoogLeNet runs at 64 (Szegedy et al. 2015); where no switch helps, none is named."""
    assert (
        netspec("compile", "googlenet", "--input", "3x64x64", "-s", "aux=false", "--to", "json", "-o", "g.json")[0] == 0
    )
    code, _, err = netspec("compile", "googlenet", "--input", "3x2x2", "-s", "aux=false", "--to", "json")
    assert code == 1 and "=false" not in err


@pytest.mark.slow
def test_python_names_the_switch_too_in_its_own_words() -> None:
    """As `load` takes it; where one is given already, or none helps, none is named."""
    for name, size in (("googlenet", [3, 64, 64]), ("inception_v3", [3, 75, 75])):
        with pytest.raises(api.SpecError, match="or `aux=False`: without that part it fits") as error:
            api.load(name, input=size)
        assert "-s " not in str(error.value) and error.value.diagnostics[0].span is not None
        assert api.load(name, input=size, aux=False).inference.outputs.keys() == {"logits"}
    for given in ({"aux": True, "input": [3, 64, 64]}, {"aux": False, "input": [3, 2, 2]}):
        with pytest.raises(api.SpecError) as error:
            api.load("googlenet", **given)  # type: ignore[arg-type]
        assert "aux=" not in str(error.value)


@pytest.mark.slow
def test_the_line_after_compile_has_the_numbers_of_the_spec_and_of_the_file(netspec: Netspec) -> None:
    """Of RepVGG-A0, 9.11 M in training and 8.31 M merged (Ding et al. 2021, table 2 and the code of its authors)."""
    code, _, err = netspec("compile", "repvgg_a0", "--to", "onnx", "-O2", "-o", "r.onnx")
    found = re.search(r"([\d,]+) parameters, ([\d,]+) MACs \(([\d,]+) and ([\d,]+) after passes\)", err)
    assert code == 0 and found, err
    before, _, after, _ = (int(text.replace(",", "")) for text in found.groups())
    stored = {t.name: t for t in onnx.load("r.onnx").graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert before == 9_108_968 and round(after / 1e6, 2) == 8.31
    assert after == sum(math.prod(t.dims) for t in stored.values())
    assert " after passes" not in netspec("compile", "repvgg_a0", "--to", "onnx", "-O0", "-o", "r.onnx")[2]


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["my.yaml:unit", "my.yaml"])
def test_python_frees_the_sizes_of_a_block_as_the_command_line_does(spec: str, netspec: Netspec) -> None:
    network = api.load(spec, input=[3, 8, 8], **({"out": 6} if ":" in spec else {}))
    network.to_onnx("python.onnx", dynamic=True)
    dims = onnx.load("python.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param != "" for d in dims] == [True, False, True, True]
    more = ["-s", "out=6"] if ":" in spec else []
    asked = ["compile", spec, *more, "--input", "3x8x8", "--to", "onnx", "--dynamic", "-o", "line.onnx"]
    assert netspec(*asked)[0] == 0
    assert onnx.load("line.onnx").graph.input == onnx.load("python.onnx").graph.input


@pytest.mark.slow
def test_a_block_that_does_not_allow_it_names_its_step(netspec: Netspec) -> None:
    text = "blocks:\n  flat:\n    body: [flatten: , linear: 3]\n    examples: [{input: [4, 8, 8]}]\n"
    Path("flat.yaml").write_text(f"netspec: 1\n{text}", encoding="utf-8")
    with pytest.raises(SpecError):
        api.load("flat.yaml:flat").to_onnx("f.onnx", dynamic=True)


def test_what_was_not_measured_is_no_time_and_more_than_the_peak_is_explained(netspec: Netspec) -> None:
    graph = api.load("my.yaml").inference
    table = table_of_parts(graph, {"a.conv": 2.0}, 1, 1, [])
    (first, second) = csv.DictReader(table.render("csv").splitlines())
    assert (first["part"], first["ms"]) == ("a", "2.0") and (second["part"], second["ms"]) == ("b", "")
    assert json.loads(table.render("json"))[1].get("ms") is None
    text = table.render("text")
    assert re.search(r"^ *b +- ", text, re.MULTILINE) and "-: not measured" in text
    assert "not measured" not in table_of_parts(graph, {"a.conv": 2.0, "b": 1.0}, 1, 1, []).render("text")
    for peak, beyond in ((1e6, True), (1e9, False)):
        made = Run("my", "onnx", "cpu", 1, 1, Times([1.0, 1.0, 1.0]), macs=7000, peak=peak)
        assert ("above 100% of peak" in table_of_runs([made], []).render("text")) == beyond
