"""`netspec compare`: costs side by side, against what papers say of their ratios."""

from __future__ import annotations

import csv
import doctest
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import netspec
from netspec.analysis.cost import totals
from netspec.analysis.measures import MEASURES
from netspec.analysis.receptive_field import WHOLE_INPUT
from netspec.cli import main
from netspec.cli.main import cli
from netspec.cli.request import Request, with_own_settings
from netspec.diagnostics.errors import UsageError

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "compare.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```console\n\$ netspec (.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)


def run(*args: str) -> str:
    """What is printed; raises what the command raises."""
    result = CliRunner().invoke(cli, ["compare", *args], catch_exceptions=False, standalone_mode=False)
    return result.stdout


def rows(*args: str) -> list[dict[str, float]]:
    """The rows of a comparison, without the measures that take long."""
    columns = [] if "--columns" in args else ["--columns", "params,macs,depth,receptive_field"]
    found = json.loads(run(*args, *columns, "-f", "json"))
    assert isinstance(found, list)
    return found


def request(spec: str) -> Request:
    return Request(spec, None, {}, None, (), None, (), 1000, False, True)


def error(*args: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        run(*args)
    return caught.value


@pytest.mark.quick(3)
@pytest.mark.parametrize(("line", "expected"), FENCES, ids=[line[:60] for line, _ in FENCES])
def test_the_page_prints_what_it_says(line: str, expected: str) -> None:
    printed = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False, standalone_mode=False).stdout
    assert doctest.OutputChecker().check_output(expected, printed.rstrip() + "\n", doctest.ELLIPSIS), printed


def test_the_page_has_its_examples() -> None:
    assert len(FENCES) >= 8
    *_, drawn = re.findall(r"^    netspec (draw --diff .*) -o \S+$", PAGE, re.MULTILINE)
    assert "blocks/mbconv:fused_mbconv" in drawn


FAMILY = """\
netspec: 1
name: fam
params: {width: 8}
variants: {fam_s: {}, fam_l: {width: 16}}
input: [3, 8, 8]
blocks:
  fam_s:
    params: {out: 4}
    examples: [{input: [3, 8, 8]}]
    body: [conv: [=out, 1]]
body:
  - conv: [=width, 1]
  - fam_s: {out: =width}
"""
"""The block `fam_s` has 3 x 4 + 4 parameters; fam_l has 3 x 16 + 16 and 16 x 16 + 16."""


def test_a_variant_of_a_file_is_named_after_a_colon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "fam.yaml"
    spec.write_text(FAMILY, encoding="utf-8")
    large, half, shipped = rows(f"{spec}:fam_l", f"{spec}:fam_l,width=8", "resnet18")
    assert (large["params"], half["params"], shipped["params"]) == (336, 104, 11_689_512)
    assert totals(netspec.load(f"{spec}:fam_l").graph.nodes.values()).params == 336
    assert totals(netspec.load(f"{spec}:fam_s").graph.nodes.values()).params == 16, "a block comes first"
    for line in ("table", "summary", "explain", "check", "draw -f dot -o - --beside resnet18"):
        assert main.run([*line.split(), f"{spec}:fam_l"]) == 0
    capsys.readouterr()
    assert main.run(["summary", f"{spec}:fam_x"]) == 2
    assert "did you mean 'fam_" in capsys.readouterr().err
    assert main.run(["summary", f"{spec}:fam_l", "--variant", "fam_s"]) == 2
    assert main.run(["check", "resnet", "--variant", "nope"]) == 2
    assert "known: resnet18, resnet34, resnet50" in capsys.readouterr().err


def test_three_3x3_see_a_7x7_with_27_for_49_weights() -> None:
    """Simonyan and Zisserman 2014, section 2.3."""
    large, small = rows("blocks/cost:chain,kernel=7", "blocks/cost:chain,layers=3")
    assert (large["params"], small["params"]) == (49 * 64**2, 27 * 64**2)
    assert small["params_ratio"] == small["macs_ratio"] == 27 / 49
    assert large["receptive_field"] == small["receptive_field"] == 7
    assert (large["depth"], small["depth"]) == (1, 3)


@pytest.mark.parametrize(("kernel", "out"), [(3, 512), (5, 64)])
def test_a_separable_convolution_costs_a_sum_of_two_fractions(kernel: int, out: int) -> None:
    """Howard et al. 2017, section 3.1: 1 / N + 1 / D_K^2."""
    settings = ["-s", f"kernel={kernel}", "-s", f"out={out}", "--input", "512x14x14"]
    separable = rows("blocks/cost:chain", "blocks/cost:separable", *settings)[1]
    assert separable["macs_ratio"] == pytest.approx(1 / out + 1 / kernel**2, rel=1e-12)
    assert separable["params_ratio"] == pytest.approx(1 / out + 1 / kernel**2, rel=1e-12)


def test_groups_divide_the_cost() -> None:
    found = rows("blocks/cost:chain", *(f"blocks/cost:chain,groups={g}" for g in (2, 4, 64)))
    assert [row["macs_ratio"] for row in found] == [1, 1 / 2, 1 / 4, 1 / 64]


def test_fully_connected_layers_against_a_pooled_map() -> None:
    """Of VGG-16 the last layers have 123,642,856 of its 138,357,544 parameters."""
    connected, pooled = rows("blocks/cost:fully_connected", "blocks/cost:pooled")
    assert connected["params"] == 138_357_544 - 14_714_688
    assert pooled["params"] == 512 * 1000 + 1000


def test_resnext_has_one_cost_for_all_its_widths() -> None:
    """Xie et al. 2016, Table 2: C and d of about 70 thousand parameters."""
    widths = {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}
    found = rows(*(f"blocks/resnext:resnext_block_c,C={c},d={d}" for c, d in widths.items()))
    assert [row["params"] for row in found] == [c * (256 * d + 9 * d * d + d * 256) for c, d in widths.items()]
    assert all(0.97 < row["params_ratio"] < 1.03 for row in found)


@pytest.mark.slow
def test_networks_have_their_own_sizes_or_the_one_asked_for() -> None:
    own = json.loads(run("resnet18", "inception_v3", "--columns", "params", "-f", "json"))
    assert [row["input"] for row in own] == [[3, 224, 224], [3, 299, 299]]
    sized = ["resnet18", "mobilenet_v2", "resnet18,input=3x64x64", "--input", "3x128x128"]
    asked = json.loads(run(*sized, "--columns", "params", "-f", "json"))
    assert [row["input"] for row in asked] == [[3, 128, 128], [3, 128, 128], [3, 64, 64]]
    assert own[0]["params"] == asked[0]["params"] == 11_689_512  # torchvision's resnet18


def test_blocks_take_the_input_of_the_first_block() -> None:
    """The examples of both have other sizes, 24x56x56 and 24x112x112."""
    found = json.loads(run("blocks/mbconv:mbconv", "blocks/mbconv:fused_mbconv", "-f", "json"))
    assert [row["input"] for row in found] == [[24, 56, 56], [24, 56, 56]]


def test_settings_are_for_all_and_own_ones_come_first() -> None:
    found = rows("resnet18", "resnet18,classes=10", "resnet34", "-s", "classes=100")
    base = {"resnet18": 11_689_512, "resnet34": 21_797_672}  # torchvision's, with 1000 classes
    less = [(1000 - classes) * 513 for classes in (100, 10, 100)]
    assert [row["params"] for row in found] == [
        base[name] - cut for name, cut in zip(("resnet18", "resnet18", "resnet34"), less, strict=True)
    ]


@pytest.mark.slow
def test_variants_are_rows_of_their_own() -> None:
    found = rows("resnet,classes=10", "--variant", "resnet18", "--variant", "resnet34", "--columns", "params")
    assert [row["network"] for row in found] == ["resnet18,classes=10", "resnet34,classes=10"]
    assert found[0]["params"] == 11_689_512 - 990 * 513
    # VGG's Table 1 has six columns.
    networks = [row["network"] for row in rows("vgg", "--all", "--columns", "params")]
    assert networks[:6] == ["vgg_a", "vgg_a_lrn", "vgg_b", "vgg_c", "vgg_d", "vgg_e"]


def test_tables_and_pictures_take_settings_of_their_own_too() -> None:
    """Zagoruyko and Komodakis 2016: a factor on the widths of the 3x3 convolutions."""
    done = CliRunner().invoke(cli, ["table", "resnet18", "resnet18,widen=2"], catch_exceptions=False)
    assert "ResNet-18 (widen=2)" in done.stdout
    line = ["draw", "blocks/mbconv:mbconv", "--beside", "blocks/mbconv:fused_mbconv,t=4", "-f", "dot", "-o", "-"]
    drawn = CliRunner().invoke(cli, line, catch_exceptions=False).stdout
    assert "24x56x56" in drawn
    assert "24x112x112" not in drawn


def test_a_list_is_one_setting(tmp_path: Path) -> None:
    read = with_own_settings(request("resnet50,layers=[1,2,3,4],widen=2"))
    assert (read.spec, read.settings) == ("resnet50", {"layers": "[1,2,3,4]", "widen": "2"})
    odd = tmp_path / "a,b=c.yaml"
    odd.write_text("netspec: 1\ninput: [3, 8, 8]\nbody: [relu]\n", encoding="utf-8")
    assert with_own_settings(request(str(odd))).spec == str(odd)


def test_forms_have_exact_numbers_and_people_three_digits() -> None:
    line = ["alexnet_single", "lenet5", "--columns", "params,depth,receptive_field"]
    table = list(csv.DictReader(io.StringIO(run(*line, "-f", "csv"))))
    counts = [62_378_344, 61_706]  # Keras' AlexNet; LeCun et al. 1998 with full connections in C3
    assert [int(row["params"]) for row in table] == counts
    assert float(table[1]["params_ratio"]) == counts[1] / counts[0]
    assert (table[0]["receptive_field"], table[0]["depth"]) == ("", "8")
    assert rows(*line)[0]["receptive_field"] is None
    text = run(*line)
    assert re.search(r"lenet5 .* 61,706 \(0\.000989\) ", text)
    assert "whole input" in text
    assert run(*line, "-f", "md").count("|") > 20
    assert "\\toprule" in run(*line, "-f", "latex")


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_is_a_column(name: str) -> None:
    (row,) = rows("lenet5", "--columns", name)
    assert set(row) == {"network", "input", name, f"{name}_ratio"}
    more = json.loads(run("lenet5", "--columns", f"+{name}", "-f", "json"))
    assert {"params", "memory_ratio", name} <= set(more[0])


def test_mistakes_say_what_is_meant() -> None:
    assert "resnet50" in error("resnet50", "resnet_50").help
    assert "cannot be read" in str(error("a" * 3000))
    assert "widen" in error("resnet50,wide=2").help
    assert "is not a size" in str(error("resnet50,input=3x"))
    assert "twice" in str(error("resnet50,widen=2,widen=3"))
    assert "takes 2 inputs" in str(error("blocks/residual:basic", "blocks/gates:gru"))
    assert "macs" in error("resnet50", "--columns", "mac").help


def test_a_difference_of_blocks_is_drawn_at_one_input(tmp_path: Path) -> None:
    """Figure 2 of Tan and Le 2021: the expansion is another, and four layers of the gate and the depthwise one go."""
    line = ["draw", "--diff", "blocks/mbconv:mbconv", "blocks/mbconv:fused_mbconv", "-s", "t=4", "-s", "eps=1e-3"]
    drawn = CliRunner().invoke(cli, [*line, "--input", "24x56x56", "-f", "dot", "-o", "-"], catch_exceptions=False)
    assert "boxes: 0 added (green), 5 removed (red), 1 changed (yellow)" in drawn.stdout
    # Without --input it is that of the second.
    drawn = CliRunner().invoke(cli, [*line, "-f", "dot", "-o", "-"], catch_exceptions=False)
    assert "24x112x112" in drawn.stdout
    assert "24x56x56" not in drawn.stdout


@pytest.mark.slow
def test_a_receptive_field_without_bound_is_said_alike() -> None:
    """In `compare`, `summary`, and the boxes of pictures."""
    lines = (
        ["compare", "lenet5", "alexnet", "--columns", "receptive_field"],
        ["summary", "alexnet", "--columns", "receptive_field"],
        ["draw", "alexnet", "--show", "names,rf", "-f", "dot", "-o", "-"],
        ["draw", "alexnet", "-f", "html", "-o", "-"],
    )
    for line in lines:
        said = CliRunner().invoke(cli, line, catch_exceptions=False, standalone_mode=False).stdout
        assert WHOLE_INPUT in " ".join(said.replace("\\n", " ").split()), line
