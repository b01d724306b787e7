"""`netspec table`: its rows and cells where no paper prints them, what users may ask for, and what is an error."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from netspec.cli.main import cli, run
from netspec.cli.request import load
from netspec.reports.configuration.align import aligned
from netspec.reports.configuration.by_row import table_of_blocks, table_of_layers
from netspec.reports.configuration.by_stage import View, table_of_stages
from netspec.reports.configuration.notation import Notation
from netspec.reports.table import FORMS, shown


def document(body: str, more: str = "", input: str = "[3, 32, 32]") -> str:
    return f"netspec: 1\nname: tiny\nuse: [blocks/common]\n{more}input: {input}\nbody:\n{body}"


PLAIN = View()


def cells(path: str, view: View = PLAIN, sizes: bool = False) -> dict[str, str]:
    """The cells of the only network, by stage; of further rows of a stage by stage and size."""
    table = table_of_stages([load(path).inference], view, sizes)
    found: dict[str, str] = {}
    stage = ""
    for row in table.rows:
        name = str(row["stage"])
        stage = name or stage
        found[name or f"{stage} {row['output']}"] = shown(row[table.columns[-1].key])
    return found


@pytest.fixture
def spec(folder: Path) -> Path:
    return folder / "tiny.yaml"


def test_a_step_alone_is_a_table(spec: Path) -> None:
    spec.write_text(document("  - conv: [8, 3]\n"), encoding="utf-8")
    assert cells(str(spec)) == {"conv": "conv3-8", "depth": "1", "MACs": "194,400", "parameters": "224"}


def test_a_network_without_a_layer_has_its_sums_alone(spec: Path) -> None:
    spec.write_text(document("  - relu\n"), encoding="utf-8")
    assert cells(str(spec)) == {"depth": "0", "MACs": "0", "parameters": "0"}
    for rows in ("sizes", "blocks", "layers"):
        done = CliRunner().invoke(cli, ["table", str(spec), "--rows", rows])
        assert done.exit_code == 0, done.output


def test_two_inputs_and_a_skip_are_rows_of_their_own(spec: Path) -> None:
    body = """\
  - down = conv: [8, 3, 2, 1]
    from: image
  - deep = conv: [16, 3, 2, 1]
  - deeper = conv: [16, 3, 2, 1]
  - back = conv_transpose: [8, 4, 4, 0]
  - both = concat:
    from: [down, back]
  - out = conv: [4, 1]
  - also = concat:
    from: [out, hint]
"""
    spec.write_text(document(body, input="{image: [3, 32, 32], hint: [1, 16, 16]}"), encoding="utf-8")
    found = cells(str(spec))
    assert list(found)[:5] == ["down", "deep", "deeper", "back", "out"]
    assert (found["back"], found["out"]) == ("4x4 up, 8, stride 4", "1x1, 4")


def test_shortcuts_are_left_out_and_branches_are_not(spec: Path) -> None:
    body = """\
  - residual = add:
      main: [conv: [8, 3, 1, 1], conv: [8, 3, 1, 1]]
      projection: [conv: [8, 1]]
  - merged = add:
      small: [conv: [8, 3, 1, 1]]
      point: [conv: [8, 1]]
  - towers = concat:
      tower: {each: 3, do: [conv: [4, 3, 1, 1]]}
  - gated = mul:
      map: []
      gate: [global_avg_pool, conv: [3, 1], relu, conv: [12, 1], sigmoid]
"""
    spec.write_text(document(body), encoding="utf-8")
    found = cells(str(spec))
    assert found["residual"] == "[3x3, 8; 3x3, 8]"
    assert found["merged"] == "(3x3, 8 + 1x1, 8)"
    assert found["towers"] == "(3x3, 4) x 3 paths, concat"
    assert found["gated"] == "fc, [3, 12]"


def test_a_pooling_is_in_the_stage_that_follows_unless_it_has_a_title(spec: Path) -> None:
    body = "  - a = conv: [8, 3]\n  - pool = max_pool: [2, 2]\n{}  - b = conv: [8, 3, 1, 1]\n"
    spec.write_text(document(body.format("")), encoding="utf-8")
    assert cells(str(spec))["b"] == "maxpool; conv3-8"
    spec.write_text(document(body.format("    title: Pooling (1)\n")), encoding="utf-8")
    assert cells(str(spec))["Pooling (1)"] == "maxpool" and cells(str(spec))["b"] == "conv3-8"


def test_the_iterations_of_a_loop_are_a_row_for_each_size() -> None:
    found = cells("mobilenet_v1")
    assert found["unit.5 to 10"] == "[3x3 dw, 256, stride 2; 1x1, 512]; [3x3 dw, 512; 1x1, 512] x 5"


def test_a_stride_is_left_out_of_equal_blocks_alone_and_a_note_says_so() -> None:
    table = table_of_stages([load("resnet18").inference], View())
    assert str(table.rows[2]["resnet18"]) == "[3x3, 128; 3x3, 128] x 2"
    assert "first of its repeated blocks has the stride" in table.notes[0]
    assert not table_of_stages([load("vgg_a").inference], View()).notes


def test_cells_too_large_to_read_name_their_block() -> None:
    found = list(cells("nasnet_a_mobile").values())
    assert "[normal_cell(filters=44)] x 4" in found
    assert cells("resnet18", View(cells="block"))["conv3_x"].startswith("basic(width=128, out=128, stride=2")


def test_blocks_that_alternate_are_counted_and_equal_layers_are_not(spec: Path) -> None:
    body = (
        "  - stage = do:\n"
        + 2 * "      - conv_relu: [8, 1]\n      - conv_relu: [8, 3]\n"
        + "      - max_pool: [2, 2]\n"
    )
    spec.write_text(document(body), encoding="utf-8")
    assert cells(str(spec))["stage"] == "[conv1-8; conv3-8] x 2"
    spec.write_text(
        document("  - stage = do:\n" + 4 * "      - conv_relu: [8, 3]\n" + "      - max_pool: [2, 2]\n"),
        encoding="utf-8",
    )
    assert cells(str(spec))["stage"] == "conv3-8; conv3-8; conv3-8; conv3-8"


@pytest.mark.slow
def test_very_deep_repeats_are_one_cell() -> None:
    assert "[3x3, 32; 3x3, 32] x 200" in cells("resnet1202_cifar").values()


def test_ops_are_shown_and_hidden(spec: Path) -> None:
    spec.write_text(document("  - a = conv: [8, 3]\n  - norm = lrn: 5\n  - relu\n"), encoding="utf-8")
    assert cells(str(spec))["a"] == "conv3-8; LRN"
    assert cells(str(spec), View(hide=frozenset({"lrn"})))["a"] == "conv3-8"
    assert cells(str(spec), View(show=frozenset({"relu"})))["a"] == "conv3-8; LRN; ReLU"


def test_networks_with_few_stages_in_common_are_compared_by_size() -> None:
    table = table_of_stages([load("alexnet").inference, load("resnet18").inference], View())
    assert [c.key for c in table.columns] == ["output", "alexnet", "resnet18"]
    rows = {str(row["output"]): row for row in table.rows}
    assert str(rows["55x55"]["alexnet"]) == "11x11, 96, stride 4; LRN" and rows["55x55"]["resnet18"] is None


def test_a_stage_that_one_network_lacks_is_empty_in_its_column() -> None:
    table = table_of_stages([load("densenet_three_blocks").inference, load("densenet121").inference], PLAIN)
    rows = {str(row["stage"]): row for row in table.rows}
    assert rows["Dense Block (4)"]["densenet_three_blocks"] is None
    assert str(rows["Dense Block (4)"]["densenet121"]) == "[1x1, 128; 3x3, 32] x 16"
    assert [str(rows["Dense Block (3)"][name]) for name in ("densenet_three_blocks", "densenet121")] == [
        "[1x1, 128; 3x3, 32] x 24"
    ] * 2
    assert list(rows).index("Dense Block (4)") < list(rows).index("Classification Layer")


def test_rows_of_blocks_have_their_arguments_and_repeats() -> None:
    table = table_of_blocks(load("mobilenet_v2").inference, View(), "input,t,c,n,s")
    assert table.cells(table.rows[3]) == ["56x56x24", "6", "32", "3", "2"]
    assert "t" in [column.key for column in table_of_blocks(load("mobilenet_v2").inference, View()).columns]


def test_rows_of_layers_have_their_filters() -> None:
    table = table_of_layers(load("alexnet").inference, View(), "step,type,filter")
    rows = [table.cells(row) for row in table.rows]
    assert rows[3] == ["conv2", "conv / s1", "5x5x48x256"] and rows[-1] == ["fc8", "fc / s1", "4096x1000"]


def test_sums_are_numbers_in_json_and_csv() -> None:
    """61,706 parameters and 416,520 MACs: LeNet-5 (LeCun et al. 1998) whose C3 sees all maps."""
    rows = json.loads(CliRunner().invoke(cli, ["table", "lenet5", "-f", "json"]).output)
    assert [row["lenet5"] for row in rows[-2:]] == [416520, 61706]
    lines = CliRunner().invoke(cli, ["table", "lenet5", "-f", "csv"]).output.splitlines()
    assert lines[-2:] == ["MACs,,416520", "parameters,,61706"]


def test_a_name_given_twice_has_two_columns() -> None:
    done = CliRunner().invoke(cli, ["table", "lenet5", "lenet5", "-f", "json"])
    assert list(json.loads(done.output)[0]) == ["stage", "output", "lenet5", "lenet5_2"]


def test_all_has_every_variant_and_an_option_holds_for_each() -> None:
    done = CliRunner().invoke(cli, ["table", "overfeat", "--all", "-s", "classes=7", "-f", "csv"])
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert [*rows[0]] == ["stage", "output", "overfeat_fast", "overfeat_accurate"]
    assert {rows[-4][name] for name in ("overfeat_fast", "overfeat_accurate")} == {"7-d fc"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["blocks/common"], "a library of blocks has no network"),
        (["lenet5", "alexnet", "--rows", "layers"], "is of one network"),
        (["lenet5", "--rows", "blocks", "--cells", "conv"], "has no --cells"),
        (["lenet5", "--rows", "blocks", "--columns", "inputs"], "did you mean 'input'?"),
        (["lenet5", "--columns", "input"], "goes with --rows"),
        (["lenet5", "--show", "rleu"], "did you mean 'relu'?"),
        (["resnet50", "--all"], "is one of its kind already"),
        (["lenet5", "-o", "t.csv", "-f", "md"], "t.csv"),
        ([], "SPEC"),
    ],
)
def test_what_cannot_be_asked_for(args: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", *args]) == 2
    assert said in capsys.readouterr().err and not list(folder.iterdir())


@pytest.mark.parametrize(
    ("sequences", "rows"),
    [
        (["abc", "abc"], ["aa", "bb", "cc"]),
        (["ac", "abc"], ["aa", "-b", "cc"]),
        (["abc", "ac", "abd"], ["aaa", "b-b", "cc-", "--d"]),
        (["", "ab"], ["-a", "-b"]),
        (["aa", "aaa"], ["aa", "aa", "-a"]),
    ],
)
def test_sequences_are_aligned(sequences: list[str], rows: list[str]) -> None:
    found = aligned(sequences, str)
    assert ["".join(item or "-" for item in row) for row in found] == rows
    for i, sequence in enumerate(sequences):
        assert [row[i] for row in found if row[i] is not None] == list(sequence)


def test_layers_that_are_no_series_and_no_parallel_are_named_or_listed(spec: Path) -> None:
    tangle = """\
      - a = conv: [8, 1]
      - b = conv: [8, 3, 1, 1]
      - c = conv: [8, 5, 1, 2]
        from: a
      - d = mul:
        from: [a, b]
      - e = add:
        from: [d, c]
      - f = add:
        from: [e, b]
"""
    block = "blocks:\n  tangle:\n    params: {width: 8}\n    body:\n" + tangle.replace("[8,", "[=width,")
    spec.write_text(document("  - tangle\n  - other = tangle: 9\n", block), encoding="utf-8")
    assert [cells(str(spec))[step] for step in ("tangle", "other")] == ["tangle(width=8)", "tangle(width=9)"]
    spec.write_text(document(f"  - group = do:\n{tangle}"), encoding="utf-8")
    assert cells(str(spec))["group"] == "[1x1, 8; 3x3, 8; 5x5, 8]"


def test_plain_dense_blocks_are_layers_in_series() -> None:
    assert "3x3, 12 x 12" in cells("densenet40_k12").values()


@pytest.mark.slow
def test_large_graphs_take_time_in_proportion_to_their_nodes(spec: Path) -> None:
    seconds = []
    for count in (5_000, 20_000):
        body = f"  - g = do:\n      - c = conv: [1, 1]\n        repeat: {count}\n"
        spec.write_text(document(body, input="[1, 8, 8]"), encoding="utf-8")
        graph = load(str(spec)).inference
        start = time.process_time()
        assert f"1x1, 1 x {count}" in [str(row["tiny"]) for row in table_of_stages([graph], View()).rows]
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * seconds[0] + 0.5, seconds


FACTOR = """\
blocks:
  b:
    params: {ratio: 1.0, rate: 0.0}
    body:
      - conv: {out: "=int(64 * ratio)", kernel: 3, pad: 1}
      - dropout: =rate
      - conv: {out: 64, kernel: 3, pad: 1}
"""


def test_calls_that_make_different_layers_are_told_apart(spec: Path) -> None:
    spec.write_text(document("".join(f"  - b: {{ratio: {r}}}\n" for r in (1.0, 0.5, 0.25)), FACTOR), encoding="utf-8")
    found = list(cells(str(spec), View(cells="block")).values())
    assert found[:3] == ["b(ratio=1.0)", "b(ratio=0.5)", "b(ratio=0.25)"]
    assert list(cells(str(spec)).values())[:2] == ["[3x3, 64; 3x3, 64]", "[3x3, 32; 3x3, 64]"]


def test_rows_of_blocks_repeat_calls_that_are_alike(spec: Path) -> None:
    calls = "".join(f"      - b: {{ratio: {r}}}\n" for r in (1.0, 0.5, 0.25, 0.25))
    spec.write_text(document(f"  - g = do:\n{calls}", FACTOR), encoding="utf-8")
    table = table_of_blocks(load(str(spec)).inference, View(), "ratio,n")
    assert [table.cells(row) for row in table.rows] == [["1.0", "1"], ["0.5", "1"], ["0.25", "2"]]


def test_calls_that_differ_in_a_rate_of_dropout_are_counted(spec: Path) -> None:
    spec.write_text(document("".join(f"  - b: {{rate: {r}}}\n" for r in (0.1, 0.2, 0.3)), FACTOR), encoding="utf-8")
    assert cells(str(spec), View(cells="block"))["b to b_3"] == "[b] x 3"


def test_long_groups_are_equal_by_their_layers(spec: Path) -> None:
    def group(first: int) -> str:
        return "  - do:\n" + "".join(f"      - conv: [{first + i}, {1 + i % 2 * 2}, 1, half]\n" for i in range(13))

    spec.write_text(document(group(8) + group(28)), encoding="utf-8")
    assert list(cells(str(spec)).values())[:2] == ["13 layers", "13 layers"]
    spec.write_text(document(group(8) + group(8)), encoding="utf-8")
    assert cells(str(spec))["do to do_2"] == "[13 layers] x 2"
    inside = [group(n).replace("\n", "\n      ") for n in (8, 28, 8, 48)]
    spec.write_text(document("  - all = do:\n      " + "".join(inside).rstrip(" ")), encoding="utf-8")
    assert " x 2" not in "".join(cells(str(spec)).values())


def test_equal_branches_say_how_they_meet(spec: Path) -> None:
    paths = "          - - conv: {out: 8, kernel: 3, pad: 1}\n" * 2
    block = "blocks:\n  a:\n    params: {sum: {type: bool}}\n    body:\n"
    block += f"      - add:\n{paths}        when: =sum\n      - concat:\n{paths}        when: =not sum\n"
    body = "  - a: {sum: true}\n  - a: {sum: true}\n  - a: {sum: false}\n"
    spec.write_text(document(body, block), encoding="utf-8")
    found = cells(str(spec))
    assert found["a to a_2"] == "[(3x3, 8) x 2 paths, add] x 2"
    assert found["a_3"] == "(3x3, 8) x 2 paths, concat"


def test_branches_of_different_widths_are_not_counted_as_one(spec: Path) -> None:
    body = "  - a = concat:\n      - - conv: [{}, 3, 1, 1]\n      - - conv: [{}, 3, 1, 1]\n"
    for widths, cell in (((8, 9), "(3x3 conv | 3x3 conv)"), ((8, 8), "(3x3 conv) x 2 paths, concat")):
        spec.write_text(document(body.format(*widths)), encoding="utf-8")
        assert cells(str(spec), View(cells="kernel"))["a"] == cell


def test_titles_are_compared_whole_and_the_last_is_said(spec: Path) -> None:
    block = "blocks:\n  b:\n    body:\n" + "      - conv: {out: 64, kernel: 3, pad: 1}\n" * 2
    for titles, stages in (
        (("Up to sky", "Up to moon 2", "Up to Mars"), ["Up to sky", "Up to moon 2", "Up to Mars"]),
        (("Up to 1", "Up to 2", "Up to 3"), ["Up to 1 to 3"]),
    ):
        body = "".join(f"  - s{i} = b:\n    title: {title}\n" for i, title in enumerate(titles))
        spec.write_text(document(body, block), encoding="utf-8")
        assert list(cells(str(spec)))[: len(stages) + 1] == [*stages, "depth"]


def test_each_unit_of_repeated_rows_is_looked_at_so_many_times(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time grows with their number, not with its square."""
    looks, key = [], Notation.key
    monkeypatch.setattr(Notation, "key", lambda self, unit: looks.append(unit) or key(self, unit))
    block = "blocks:\n  b:\n    body:\n      - conv: [8, 1]\n      - conv: [8, 1]\n"
    spec.write_text(document("  - b\n" * 40, block), encoding="utf-8")
    assert cells(str(spec))["b to b_40"] == "[1x1, 8; 1x1, 8] x 40"
    assert len(looks) < 40 * 6


HOSTILE = "a|b *c* `e` <script>alert(1)</script> &amp; \\end{tabular} $x$ 50% #1 ]] x 3"


def test_hostile_texts_are_quoted_in_every_form(spec: Path) -> None:
    block = (
        "blocks:\n  b:\n    params: {mode: str}\n    body:\n"
        + 13 * "      - conv: [8, 3, 1, 1]\n      - conv: [8, 1]\n"
    )
    title = HOSTILE.replace("{tabular}", "")
    body = f"  - one = b: '{HOSTILE}'\n    title: '{title}'\n  - two = b: other\n"
    spec.write_text(document(body, block), encoding="utf-8")
    for rows in (["--rows", "stages", "--cells", "block"], ["--rows", "blocks"]):
        made = {f: CliRunner().invoke(cli, ["table", str(spec), *rows, "-f", f]).output for f in FORMS}
        assert "<script>" not in made["html"] and "\\<script\\>" in made["md"]
        assert made["latex"].count("\\end{tabular}") == made["latex"].count("\\begin{tabular}")
        assert "\\textless{}script" in made["latex"] and "\\$x\\$" in made["latex"]
        assert HOSTILE in json.dumps(json.loads(made["json"])).replace("\\\\", "\\")
        assert HOSTILE in made["csv"].replace('""', '"')
