"""A network as a value of Python: what it shows of itself in a console and in a notebook, and what a spec offers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import MissingError, SpecError, UsageError
from netspec.draw.drawing import Drawing


@pytest.fixture(scope="module")
def resnet50() -> netspec.Network:
    return netspec.load("resnet50")


class Tags(HTMLParser):
    """The names of the elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def test_names_of_the_package_are_listed_and_lead_to_something() -> None:
    assert set(netspec.__all__) <= set(dir(netspec))
    assert all(getattr(netspec, name).__doc__ for name in netspec.__all__)


def test_completion_offers_the_public_names_alone() -> None:
    """What a shell or a notebook shows after `netspec.` is `__all__`, and what Python itself gives a module."""
    assert [name for name in dir(netspec) if not name.startswith("__")] == sorted(netspec.__all__)


@pytest.mark.slow
def test_networks_are_a_mapping_of_what_is_listed() -> None:
    listed = [row["name"] for row in netspec.list_specs().to_dict()]
    assert sorted(netspec.networks) == sorted(map(str, listed)) and len(netspec.networks) == len(listed) > 280
    assert repr(netspec.networks["lenet5"]) == repr(netspec.load("lenet5"))
    assert "resnet50" in netspec.networks and netspec.networks.get("resnett50") is None
    for kind in (KeyError, UsageError):
        with pytest.raises(kind, match="did you mean 'resnet50'"):
            netspec.networks["resnett50"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ['netspec.networks["resnet1', 'netspec.load("resnet1', "x = netspec.Session( 'resnet1"]
)
def test_ipython_completes_names_of_networks(text: str) -> None:
    """Each as IPython itself does it, with jedi as it has it by default."""
    completer = pytest.importorskip("IPython.core.completer")
    made = completer.IPCompleter(namespace={"netspec": netspec})
    netspec.load_ipython_extension(SimpleNamespace(Completer=made))
    with completer.provisionalcompleter():
        found = {text[: c.start] + c.text + text[c.end :] for c in made.completions(text, len(text))}
        others = {c.text for c in made.completions('open("resnet1', 13)}
    begun = text.removesuffix("resnet1")
    assert {f"{begun}{name}" for name in ("resnet18", "resnet101", "resnet152")} <= found
    assert all(one.startswith(text) for one in found) and not others & {"resnet18", "resnet101"}


def test_a_shell_completes_commands_and_networks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, expected in (
        ("netspec summ", {"summary"}),
        ("netspec summary resnet1", {"resnet18", "resnet101", "resnet152"}),
    ):
        monkeypatch.setenv("_NETSPEC_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
        assert run([]) == 0
        streams = capsys.readouterr()
        assert expected <= {item.partition(",")[2] for item in streams.out.split()} and streams.err == ""


def test_repr_has_two_lines(resnet50: netspec.Network) -> None:
    assert repr(resnet50) == (
        "resnet50: ResNet-50 (input 3x224x224 -> logits 1000)\n25,557,032 parameters, 4,089,184,256 MACs"
    )
    assert repr(netspec.load("blocks/residual:bottleneck")).count("\n") == 1


def test_a_notebook_shows_the_table_and_the_picture(resnet50: netspec.Network) -> None:
    bundle = resnet50._repr_mimebundle_()
    assert bundle["text/plain"] == repr(resnet50) and bundle["text/html"] == resnet50._repr_html_()
    cells = set(re.findall(r"<t[dh]\b[^>]*>", bundle["text/html"]))  # a notebook aligns on the right what says nothing
    assert cells == {f'<{tag} style="text-align: {side};">' for tag in ("th", "td") for side in ("left", "right")}
    tags = Tags(bundle["text/html"]).seen
    assert tags.count("table") == 1 and tags.count("svg") == 1
    assert "25,557,032" in bundle["text/html"] and "layer3" in bundle["text/html"]


@pytest.mark.slow
def test_without_graphviz_a_notebook_shows_the_table(
    resnet50: netspec.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> Drawing:
        raise MissingError("Graphviz is not there")

    monkeypatch.setattr(netspec.Network, "draw", absent)
    assert Tags(resnet50._repr_html_()).seen.count("svg") == 0
    assert "25,557,032" in resnet50._repr_html_()


def test_the_summary_is_that_of_the_command_line(
    resnet50: netspec.Network, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["summary", "resnet50", "--depth", "1", "--columns", "+depth,memory"]) == 0
    said = capsys.readouterr().out
    assert str(resnet50.summary("+depth,memory", depth=1)).split() == said.split()
    rows = resnet50.summary(["params", "depth"], depth=1).to_dict()
    assert {row["path"]: row["params"] for row in rows}["fc"] == 2048 * 1000 + 1000
    assert [*rows[0]] == ["path", "params", "depth"]
    with pytest.raises(UsageError, match="colour"):
        resnet50.summary(["colour"])


@pytest.mark.slow
def test_the_training_table_has_the_heads() -> None:
    net = netspec.load("googlenet")
    params = [sum(row["params"] for row in net.summary(["params"], 1, training=t).to_dict()) for t in (False, True)]  # type: ignore[misc]
    assert params == [6_998_552, 13_378_280]  # the lectures: the heads have 3,188,840 and 3,190,888


@pytest.mark.slow
def test_a_table_becomes_a_data_frame(resnet50: netspec.Network) -> None:
    table = resnet50.summary(["params"], depth=1)
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame["params"].sum() == 25_557_032


@pytest.mark.parametrize("kind", ["svg", "html", "dot", "mermaid", "png"])
@pytest.mark.quick(1)
def test_a_picture_shows_and_saves_itself(kind: str, tmp_path: Path) -> None:
    net = netspec.load("lenet5")
    made = net.draw(kind, depth=1, show=["names", "params"])
    shown = {"svg": made._repr_svg_(), "png": made._repr_png_(), "html": made._repr_html_()}
    assert {name for name, value in shown.items() if value is not None} == {kind} & {"svg", "png", "html"}
    assert made.save(tmp_path / f"net.{kind}").read_bytes() == made.data
    assert run(["draw", "lenet5", "--depth", "1", "--show", "names,params", "-o", str(tmp_path / f"cli.{kind}")]) == 0
    assert (tmp_path / f"cli.{kind}").read_bytes() == made.data
    if kind == "html":
        frame = re.fullmatch(r'<iframe srcdoc="([^"]*)" style="[^"]*"></iframe>', made._repr_html_() or "")
        assert frame is not None and "<" not in frame[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"shwo": ["names"]}, "did you mean 'show'?"), ({"heat": "mac"}, "did you mean 'macs'?"), ({"depth": 0}, "depth")],
)
def test_a_wrong_option_of_a_picture_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        netspec.load("lenet5").draw(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", ["", "3b", "3b.b3x3"])
@pytest.mark.quick(1)
def test_explain_says_what_the_command_says(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "googlenet", *([step] if step else [])]) == 0
    said = netspec.load("googlenet").explain(step)
    assert capsys.readouterr().out == f"{said}\n" and repr(said) == said
    with pytest.raises(UsageError, match="has no step"):
        netspec.load("googlenet").explain("3x")


@pytest.mark.slow
def test_check_gives_what_papers_print_or_says_what_is_wrong(tmp_path: Path) -> None:
    held = netspec.load("googlenet", classes=10).check().to_dict()
    assert {row["verdict"] for row in held} == {"exact", "rounds to", "truncates to", "misprint", "differs"}
    spec = tmp_path / "net.yaml"
    text = "netspec: 1\nname: net\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\nexpect: {params: %s}\n"
    spec.write_text(text % 112)
    assert netspec.load(spec).check().to_dict() == []
    spec.write_text(text % 113)
    with pytest.raises(SpecError, match="112") as error:
        netspec.load(spec).check()
    assert "^^^" in str(error.value) and "net.yaml:6:" in str(error.value)
    with pytest.raises(UsageError, match="`netspec check blocks/residual`"):
        netspec.load("blocks/residual:basic").check()


@pytest.mark.parametrize("text", ["body: [cnv: [4, 1]]", "body: [conv: [4, 30]]", "body: [conv: [", "blocks: {}"])
def test_an_error_stands_below_the_line_that_made_it(tmp_path: Path, text: str) -> None:
    """A notebook shows ten lines of each frame: of netspec there is none that it shows."""
    (tmp_path / "net.yaml").write_text(f"netspec: 1\nname: net\ninput: [3, 8, 8]\n{text}\n")
    with pytest.raises((SpecError, UsageError)) as error:
        netspec.load(tmp_path / "net.yaml")
    shown = [frame.name for frame in error.traceback if not frame.ishidden(error)]
    assert not shown[1:] and error.value.__suppress_context__


@pytest.mark.slow
def test_the_configuration_table_is_that_of_the_command_line(
    resnet50: netspec.Network, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["table", "resnet50", "resnet18", "--hide", "max_pool"]) == 0
    said = capsys.readouterr().out
    assert str(resnet50.table(netspec.load("resnet18"), hide=["max_pool"])).split() == said.split()
    rows = netspec.load("mobilenet_v1").table(rows="layers", columns="filter,input").to_dict()
    # Howard et al. 2017, Table 1
    assert [tuple(row.values())[-2:] for row in rows[:2]] == [("3x3x3x32", "224x224x3"), ("3x3x32 dw", "112x112x32")]
    for wrong, said in ({"row": "layers"}, "did you mean 'rows'"), ({"rows": "layer"}, "did you mean 'layers'"):
        with pytest.raises(UsageError, match=said):
            resnet50.table(**wrong)  # type: ignore[arg-type]


def test_params_and_variants_are_those_of_the_spec(resnet50: netspec.Network) -> None:
    assert netspec.load("resnet18", classes=10).params["classes"] == 10
    assert resnet50.params["layers"] == [3, 4, 6, 3] and resnet50.params["block"] == "bottleneck"
    assert {"resnet18", "resnet152", "resnet50_v1"} <= set(resnet50.variants)
    assert netspec.load("blocks/residual:bottleneck").params["width"] == 64


@pytest.mark.slow
def test_show_has_a_row_for_all_that_a_spec_offers(capsys: pytest.CaptureFixture[str]) -> None:
    rows = netspec.show("googlenet").to_dict()
    of = {what: [row for row in rows if row["what"] == what] for what in {row["what"] for row in rows}}
    assert [row["name"] for row in of["variant"]] == ["googlenet", "googlenet_torchvision", "googlenet_caffe2"]
    assert [(row["name"], row["type"], row["value"]) for row in of["output"]] == [
        ("logits", "1000", "fc"),
        ("aux1", "1000", "aux1.aux_head.fc2"),
        ("aux2", "1000", "aux2.aux_head.fc2"),
    ]
    assert {row["doc"] for row in of["output"][1:]} == {"in training alone, loss weight 0.3"}
    assert ("pool4", "int", "3") in {(row["name"], row["type"], row["value"]) for row in of["param"]}
    assert [row["name"] for row in of["checkpoint"]] == ["torchvision"]
    for spec in ("googlenet", "blocks/residual", "blocks/residual:bottleneck", "resnet18"):
        assert run(["show", spec]) == 0
        assert capsys.readouterr().out.split() == str(netspec.show(spec)).split()
    with pytest.raises(UsageError, match="did you mean"):
        netspec.show("resnett50")


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 100])
def test_show_is_one_table_on_a_terminal(width: int) -> None:
    """Each thing has its row: nothing is cut into parts below each other, and published weights are named by files."""
    text = netspec.show("resnet50").render("text", width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width and sum(line.split()[:2] == ["what", "name"] for line in lines) == 1
    words = " ".join(text.split())
    assert "weights torchvision:IMAGENET1K_V2 resnet50: resnet50-11ad3fa6.pth; resize 232 (bilinear)," in words
    assert "param option str, one of [A, B, C, none] = B; the shortcuts of section 3.3" in words
    assert "https://" not in text and words.count("mean 0.485") == 1
    files = [row["value"] for row in netspec.show("resnet50").to_dict() if row["what"] == "weights"]
    assert len(files) == 12 and all(str(file).startswith("https://download.pytorch.org/models/") for file in files)


@pytest.mark.slow
def test_specs_are_found_by_words() -> None:
    assert "vgg16" in {row["name"] for row in netspec.list_specs("VGG-16", columns=["params"]).to_dict()}
    assert len(netspec.list_specs().to_dict()) > 280


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"freez": ["c1"]}, "did you mean 'freeze'"),
        ({"wieghts": "a.pth"}, "did you mean 'weights'"),
        ({"laers": ["c1"]}, "did you mean 'layers'"),
        ({"layers": ["c1"]}, "'layers' goes with weights"),
        ({"adapt": True}, "'adapt' goes with weights"),
    ],
)
def test_an_option_of_python_that_does_nothing_is_an_error(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """As on the command line: a slip in a name does not leave a model untouched without a word."""
    net = netspec.load("lenet5")
    for made in (
        net.arrays,
        net.to_torch,
        lambda **o: net.features(["c1"], **o),
        lambda **o: net.to_onnx(tmp_path / "n.onnx", **o),
    ):
        with pytest.raises(UsageError, match=said):
            made(**options)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("name", "where"), [("conv_bn", "blocks/common"), ("cell", "mine.yaml")])
def test_a_block_of_a_library_that_a_spec_uses_is_named_where_it_is(
    folder: Path, name: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "netspec: 1\nname: %s\nuse: [blocks/common%s]\n"
    cell = "blocks:\n  cell: {examples: [{input: [4, 8, 8]}], body: [conv_bn: [4, 3]]}\n"
    Path("mine.yaml").write_text(head % ("mine", "") + cell)
    Path("net.yaml").write_text(head % ("net", ", ./mine") + "input: [3, 8, 8]\nbody: [conv_bn: [4, 3], cell]\n")
    with pytest.raises(UsageError, match=f"net.yaml has no block '{name}', it uses that of {where}") as error:
        netspec.load(f"net.yaml:{name}")
    assert error.value.help == f"name it as {where}:{name}"
    assert netspec.load(f"{where}:{name}").name == name
    assert run(["check", f"net.yaml:{name}"]) == 2 and error.value.help in capsys.readouterr().err


def test_a_spec_without_blocks_has_help_too(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("netspec: 1\nname: net\ninput: [3, 8, 8]\nbody: [relu]\n")
    with pytest.raises(UsageError, match="has no block 'unit'\nhelp: it has no blocks and no variants"):
        netspec.load(f"{tmp_path / 'net.yaml'}:unit")
