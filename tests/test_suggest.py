"""What was meant: networks by the names of their papers and of other libraries, steps by what is near or below them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest

import netspec
from netspec.cli import list as list_command
from netspec.cli.main import run
from netspec.diagnostics import suggest
from netspec.ir.selection import step_help
from netspec.ir.titles import step_of
from netspec.reports.listing import chosen
from netspec.syntax.library import find, shipped, titles, variant_names

# As torchvision, timm, Keras, papers and people write them.
MEANT = {
    "VGG16": "vgg16",
    "vgg-16": "vgg16",
    "VGG-D": "vgg_d",
    "VGG_19": "vgg19",
    "vgg16bn": "vgg16_bn",
    "NiN": "nin",
    "inception-v1": "googlenet",
    "Inception v1": "googlenet",
    "GoogLeNet": "googlenet",
    "GoogleNet": "googlenet",
    "resnet_50": "resnet50",
    "ResNet-50": "resnet50",
    "ResNet50": "resnet50",
    "resnet-18": "resnet18",
    "InceptionV3": "inception_v3",
    "inceptionv4": "inception_v4",
    "DenseNet-121": "densenet121",
    "MobileNetV2": "mobilenet_v2",
    "mobilenetv2": "mobilenet_v2",
    "EfficientNet-B0": "efficientnet_b0",
    "EfficientNetB7": "efficientnet_b7",
    "Xception": "xception",
    "AlexNet": "alexnet",
    "LeNet-5": "lenet5",
    "SqueezeNet 1.1": "squeezenet_11",
    "squeezenet1_1": "squeezenet_11",
    "ResNeXt-50 (32x4d)": "resnext50_32x4d",
    "wide_resnet_50_2": "wide_resnet50_2",
    "SE-ResNet-50": "se_resnet50",
    "seresnet50": "se_resnet50",
    "InceptionResNetV2": "inception_resnet_v2",
    "PNASNet-5 (4 @ 4320)": "pnasnet5_large",
    "ZFNet": "zfnet",
    "Network in Network (CIFAR-10)": "nin_cifar10",
    "WRN-28-10": "wrn_28_10",
    "resnet5": "resnet50",
    "resnet51": "resnet50",  # one character from it, and more of its letters are in resnet50_v1
    "resnet81": "resnet18",
}


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = run(list(args))
    streams = capsys.readouterr()
    return code, streams.out, streams.err


@pytest.mark.parametrize("name", MEANT)
@pytest.mark.quick(4)
def test_shipped_names_in_other_spellings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a spec is named: the suggestion is one that works."""
    with pytest.raises(netspec.UsageError) as caught:
        find(name)
    assert caught.value.help == f"did you mean '{MEANT[name]}'?"
    assert find(MEANT[name]).path.is_file()


@pytest.mark.slow
def test_every_command_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (
        ["summary", "VGG16"],
        ["check", "VGG16"],
        ["draw", "VGG16"],
        ["draw", "--diff", "VGG16", "alexnet"],
        ["explain", "VGG16"],
        ["explain", "VGG16", "conv1"],
        ["run", "VGG16"],
        ["plot", "macs", "VGG16"],
        ["compile", "VGG16", "--to", "onnx"],
        ["plot", "pareto", "VGG16"],
    ):
        code, out, err = said(capsys, *args)
        assert (code, out) == (2, "") and "did you mean 'vgg16'?" in err, args
    code, _, err = said(capsys, "summary", "resnet", "--variant", "ResNet-101")
    assert code == 2 and "did you mean 'resnet101'?" in err


def test_a_name_like_none_gets_no_suggestion() -> None:
    for name in ("detr", "vit", "mamba", "qwertyuiop", "x", "???", "\u7db2"):
        with pytest.raises(netspec.UsageError) as caught:
            find(name)
        assert caught.value.help == "`netspec list specs` shows them all", name


@pytest.mark.slow
def test_every_title_finds_a_network_of_that_title() -> None:
    """Titles are another way to name what they belong to; no shipped name is hidden by the title of another."""
    named = titles()
    names = {name: () for path in shipped() for name in (*variant_names(path), path.stem)} | named
    by_title = {title: {n for n, t in named.items() if title in t} for texts in named.values() for title in texts}
    for title, holders in by_title.items():
        found = suggest.name(title, names)
        assert found in holders or suggest.key(str(found)) == suggest.key(title), title
    for name in names:
        assert suggest.name(name.upper().replace("_", "-"), names) == name


READ = list_command.specs


@lru_cache(maxsize=1)
def specs() -> list[dict[str, object]]:
    return list(READ())


@pytest.mark.parametrize(
    ("asked", "first", "count"),
    [
        (["VGG16"], "vgg16", 3),
        (["NiN"], "nin_imagenet", 3),
        (["inception-v1"], "googlenet", 1),
        (["resnet_50"], "resnet50", 5),
        (["Inception", "v1"], "googlenet", 1),
        (["googlenet"], "googlenet", 2),
    ],
)
@pytest.mark.quick(3)
def test_list_finds(asked: list[str], first: str, count: int) -> None:
    rows = chosen(specs(), " ".join(asked), "specs")
    assert rows[0]["name"] == first and len(rows) >= count
    assert all(suggest.key(asked[0]) in suggest.key(row["name"] + row["title"]) for row in rows[:count])


@pytest.mark.slow
def test_list_finds_blocks_and_ops_and_says_where_there_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_command, "specs", specs)  # all are read once in this module
    rows = json.loads(said(capsys, "list", "ops", "batchnorm", "-f", "json")[1])
    assert [row["name"] for row in rows] == ["batch_norm"]
    for asked, op in (("bn", "batch_norm"), ("Conv2d", "conv"), ("swish", "silu"), ("gap", "global_avg_pool")):
        assert json.loads(said(capsys, "list", "ops", asked, "-f", "json")[1])[0]["name"] == op
    rows = json.loads(said(capsys, "list", "blocks", "bottleneck", "-f", "json")[1])
    assert rows[0]["name"] == "bottleneck" and len(rows) < 40
    assert json.loads(said(capsys, "list", "specs", "Inception", "v1", "-f", "json")[1])[0]["name"] == "googlenet"
    for asked, found in (
        (["segmentation"], {"unet", "fcn8s_vgg16", "deeplabv3_resnet50"}),
        (["detection"], {"ssd300_vgg16", "yolo_v1", "faster_rcnn_resnet50_fpn"}),
        (["super", "resolution"], {"espcn_x3"}),
    ):
        rows = json.loads(said(capsys, "list", "specs", *asked, "-f", "json")[1])
        assert found <= {row["name"] for row in rows}
    code, out, err = said(capsys, "list", "specs", "qwertyuiop")
    assert (code, out) == (2, "") and "there is nothing like 'qwertyuiop'" in err
    code, _, err = said(capsys, "list", "specs", "rensett50")
    assert code == 2 and "did you mean 'resnet50'?" in err


@pytest.mark.parametrize(
    ("step", "help"),
    [
        ("layer9.0", "did you mean 'layer4'?"),
        ("Layer1", "did you mean 'layer1'?"),
        ("layer1_0", "did you mean 'layer1.0'?"),
        ("layer1.0.residual.conv9", "did you mean 'layer1.0.residual.conv3'?"),
        ("shortcut.downsample.conv", "'layer1.0.shortcut.downsample.conv' or 'layer2.0.shortcut.downsample.conv'"),
        ("bottleneck", "the block 'bottleneck' is called as layer1.0, layer1.1, layer1.2, or 13 more"),
        ("fc.linear", "'fc' is one step, without parts"),
        ("logits", "the output 'logits' is the step 'fc'"),
        ("zzz", "known: input, conv1, maxpool, layer1 (conv2_x), layer2 (conv3_x), layer3 (conv4_x), layer4 (conv5_x)"),
        ("conv3", "did you mean 'conv3_x', the title of 'layer2'?"),
        ("conv6_x", "did you mean 'conv5_x'?"),
        ("", "known: input, conv1, maxpool"),
        ("...", "known: input, conv1, maxpool"),
        ("layer1.0.zzz", "did you mean 'layer1.0'?"),
    ],
)
@pytest.mark.quick(3)
def test_unknown_step(step: str, help: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "explain", "resnet50", step)
    assert (code, out) == (2, "") and f"'resnet50' has no step '{step}'" in err and help in err


def test_every_unknown_step_of_some_networks_gets_help() -> None:
    """Whatever is asked for, the help says something, and a path that it suggests is there."""
    for spec in ("googlenet", "blocks/residual:bottleneck"):
        graph = netspec.load(spec).graph
        known = {p[:i] for p in graph.nodes for i, c in enumerate(p + ".") if c == "."}
        for path in sorted(known)[::61]:
            for asked in (path + "x", path[1:], path.upper(), path + ".x", "x." + path, path.replace(".", "/")):
                if asked not in known:
                    help = step_help(asked, graph)
                    assert help, asked
                    if help.startswith("did you mean '"):
                        assert step_of(graph, help.split("'")[1]) in known, (asked, help)


def test_a_title_that_begins_so_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    """Szegedy et al. 2015 stack three modules of Figure 5, of which none is called Inception-A alone."""
    code, _, err = said(capsys, "explain", "inception_v3", "Inception-A")
    assert code == 2 and "did you mean 'Inception-A 1', the title of 'mixed5b'?" in err


@pytest.mark.parametrize(("step", "meant"), [("stemm", "stem"), ("conv2_3", "conv2_2"), ("zzz", "layer1 (stem)")])
def test_titles_are_suggested_under_expect(
    step: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninput: [3, 32, 32]\nbody:\n  - layer1 = conv: [8, 3]\n    title: stem\n"
        "  - conv1 = conv: [8, 3]\n  - layer2 = conv: [8, 3]\n    title: conv2_1\n"
        f"  - layer3 = conv: [8, 3]\n    title: conv2_2\nexpect:\n  shapes: {{{step}: [8, 30, 30]}}\n",
        encoding="utf-8",
    )
    code, _, err = said(capsys, "check", str(path))
    assert code == 1 and f"there is no step '{step}'" in err and meant in err


@pytest.mark.slow
def test_explain_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers of torchvision's resnet50; the facts are those of the papers that stand in the spec."""
    code, out, err = said(capsys, "explain", "resnet50")
    assert (code, err) == (0, "")
    assert out.startswith("resnet50: ResNet-50\n")
    for piece in (
        "He et al. 2015, Deep Residual Learning",
        "year        2015",
        "input 3x224x224",
        "logits 1000",
        "25,557,032",
        "4,089,184,256",
        "bottleneck x 16: Bottleneck residual block",
        "wide_resnet50_2",
        "params 25557032",
        "params 25.5x10^6 (ResNeXt paper, Table 1)",
        "shapes of layer1, layer2, layer3, layer4",
        "layers=[3, 4, 6, 3]",
        "classes=1000",
    ):
        assert piece in out, piece
    assert all(len(line) <= 120 for line in out.splitlines())
    assert "classes=10" in said(capsys, "explain", "resnet50", "-s", "classes=10")[1]
    assert "11,689,512" in said(capsys, "explain", "resnet", "--variant", "resnet18")[1]
    assert "6,379,728 more in training" in said(capsys, "explain", "googlenet")[1]


@pytest.mark.slow
def test_explain_every_shipped_family_and_block(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(path for path in shipped() if path.stem in ("lenet", "deformable", "highway", "nin", "vgg")):
        code, out, err = said(capsys, "explain", str(path))
        assert (code, err) == (0, "") and "parameters" in out and "Scalar(" not in out
    code, out, _ = said(capsys, "explain", "blocks/residual:bottleneck")
    assert code == 0 and out.startswith("bottleneck: Bottleneck residual block") and "70,400" in out
    code, out, _ = said(capsys, "explain", "blocks/common")
    assert code == 0 and "conv_bn_relu(out, kernel, stride" in out
    code, _, err = said(capsys, "summary", "blocks/common")
    assert code == 2 and "name one of its blocks: blocks/common:conv_relu" in err


def test_expectation_of_an_output_names_its_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`output` is what a result is called, not where it is made."""
    text = "netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n  - conv: [8, 1]\n  - last = relu\n"
    for more, line in (
        ("expect: {shapes: {output: [8, 8, 8]}}\n", "the output 'output' is the step 'last'"),
        (
            "outputs: {logits: conv, y: last}\nexpect: {rows: {logits: {params: 32}}}\n",
            "the output 'logits' is the step 'conv'",
        ),
        ("expect: {receptive_field: {output: 1}}\n", "the output 'output' is the step 'last'"),
    ):
        (tmp_path / "t.yaml").write_text(text + more)
        code, _, err = said(capsys, "check", str(tmp_path / "t.yaml"))
        assert code == 1 and "NS502" in err and line in err
