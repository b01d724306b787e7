"""Published weights in the shipped specs: what torchvision and timm say of them, and pictures made as theirs are."""

from __future__ import annotations

import hashlib
import importlib
import io
import math
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hub_server import Hosted, serving
from parity import SPECS, TARGETS, randomise
from PIL import Image, ImageOps
from published_harness import SPEC as SMALL
from test_checkpoints import CHECKPOINTS, OPTIONS, model

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import Reporter
from netspec.running.images import read_images
from netspec.running.labels import imagenet
from netspec.running.ports import Port
from netspec.syntax.published import Preprocessing, Published
from netspec.syntax.reader import read_document

RGB = Port("tensor(float)", ("N", 3, "h", "w"))
NAMED = {v: c for v, c in CHECKPOINTS.items() if "(" not in c}
"""The models of libraries by their variants, but for those with options, of which nothing is published."""
TO_ONE = ("googlenet", "inception_v3")
"""Torchvision normalises twice for these: by ImageNet's mean, and in the module, for published weights, to -1 to 1."""


def published() -> dict[str, list[Published]]:
    """The weights of the shipped specs, by variant."""
    found: dict[str, list[Published]] = {}
    for family in sorted({target["family"] for target in TARGETS.values() if "checkpoint" in target}):
        document = read_document(SPECS / f"{family}.yaml", Reporter())
        assert document is not None
        for weights in document.published:
            found.setdefault(weights.variant, []).append(weights)
    return found


def _by_torchvision(torchvision: ModuleType, name: str) -> list[tuple[object, ...]]:
    enum = torchvision.models.get_model_weights(name)
    found = []
    for weights in sorted(enum, key=lambda w: w is not enum.DEFAULT):
        if weights.meta["categories"] is None:
            continue  # features of SSD, whose classifier is NaN
        preset = weights.transforms()
        mean, std = ([0.5] * 3, [0.5] * 3) if name in TO_ONE else (preset.mean, preset.std)
        crop = (preset.crop_size[0],) * 2 if hasattr(preset, "crop_size") else None
        how = Preprocessing(
            preset.resize_size[0], crop, preset.interpolation.value, preset.antialias, tuple(mean), tuple(std)
        )
        digits = re.findall(r"-([a-f0-9]+)\.", weights.url)[-1]
        categories = tuple(weights.meta["categories"])
        labels = "imagenet" if len(categories) == 1000 else categories
        found.append((weights.name, f"{weights.url}#sha256={digits}", how, labels))
    return found


def _by_timm(name: str) -> list[tuple[object, ...]]:
    registry = importlib.import_module("timm.models._registry")
    default, found = registry.get_pretrained_cfg(name), []
    for tag, cfg in sorted(registry.get_arch_pretrained_cfgs(name).items(), key=lambda kv: kv[1] != default):
        if not cfg.url and not cfg.hf_hub_id:
            continue
        size = cfg.input_size[1]
        how = Preprocessing(
            math.floor(size / cfg.crop_pct), (size, size), cfg.interpolation, True, tuple(cfg.mean), tuple(cfg.std)
        )
        url = f"{cfg.url}#sha256={re.findall(r'-([a-f0-9]+)[.]', cfg.url or '-0.')[-1]}"
        found.append((tag.partition(".")[2], f"hf:{cfg.hf_hub_id}" if cfg.hf_hub_id else url, how, "imagenet"))
        assert cfg.crop_mode == "center" and cfg.num_classes == 1000 and not cfg.label_offset
    return found


@pytest.mark.slow
def test_the_specs_name_what_torchvision_and_timm_publish(torchvision: ModuleType) -> None:
    found, count = published(), 0
    for variant, checkpoint in NAMED.items():
        library, _, name = checkpoint.partition(":")
        expected = _by_torchvision(torchvision, name) if library == "torchvision" else _by_timm(name)
        own = [w for w in found.pop(variant, []) if w.source == library]
        assert [(w.name, w.file, w.preprocessing, w.labels) for w in own] == expected, variant
        params = {name: str(value) for name, value in OPTIONS.get(variant, {}).items()}
        assert all({k: str(v) for k, v in w.params.items()} == params for w in own), variant
        count += bool(own)
    assert not found and count >= 100


PRESETS = [
    Preprocessing(232, (224, 224)),
    Preprocessing(256, (224, 224), "bicubic"),
    Preprocessing(288, (288, 288), "bicubic", True, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    Preprocessing(48, (32, 40), "nearest"),
]


@pytest.mark.slow
@pytest.mark.quick(1)
@pytest.mark.parametrize("how", PRESETS)
@pytest.mark.parametrize("size", [(375, 500), (500, 333), (232, 232), (61, 301)])
def test_pictures_are_made_as_by_torchvisions_preset(
    torchvision: ModuleType, folder: Path, how: Preprocessing, size: tuple[int, int]
) -> None:
    preset = importlib.import_module("torchvision.transforms._presets").ImageClassification
    modes = importlib.import_module("torchvision.transforms.functional").InterpolationMode
    assert how.crop is not None
    theirs = preset(
        crop_size=how.crop[0],
        resize_size=how.resize,
        mean=how.mean,
        std=how.std,
        interpolation=modes(how.interpolation),
        antialias=True,
    )
    theirs.crop_size = list(how.crop)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for at, picture in enumerate((Image.fromarray(pixels), Image.fromarray(pixels).resize(size).resize(size[::-1]))):
        picture.save("cat.png")
        made = read_images(["cat.png"], "x", RGB, (1, 3, *how.crop), lambda text: None, how)
        assert np.abs(made[0] - theirs(picture).numpy()).max() <= 1e-6, at
        turned = picture.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        turned.save("turned.png", exif=exif)
        again = read_images(["turned.png"], "x", RGB, (1, 3, *how.crop), lambda text: None, how)
        assert np.array_equal(again, made)


@pytest.mark.slow
def test_pictures_without_antialias_are_those_of_torch(folder: Path) -> None:
    how = Preprocessing(64, (64, 64), "bilinear", False, (0.0,), (1.0,))
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save("cat.png")
    made = read_images(["cat.png"], "x", RGB, (1, 3, 64, 64), lambda text: None, how)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    theirs = torch.nn.functional.interpolate(tensor, (64, 64), mode="bilinear", antialias=False) / 255
    assert np.abs(made - theirs.numpy()).max() <= 1.01 / 255


@pytest.mark.slow
def test_pictures_of_another_size_than_the_weights_say_keep_their_proportion(folder: Path) -> None:
    """A network of 112 x 112 whose weights were trained at 224 of 256 sees the same part of the picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).resize((512, 512), Image.Resampling.BICUBIC).save("cat.png")
    small, large = (
        read_images(["cat.png"], "x", RGB, (1, 3, side, side), lambda text: None, Preprocessing(256, (224, 224)))
        for side in (112, 224)
    )
    assert np.abs(small - large.reshape(1, 3, 112, 2, 112, 2).mean((3, 5))).max() < 0.05


def spec_of(variant: str, data: bytes) -> str:
    """The spec of a shipped network, whose first weights have the sha256 of these bytes; gives FILE:VARIANT."""
    first = published()[variant][0].file
    family = TARGETS[variant]["family"]
    address, text = first.partition("#")[0], (SPECS / f"{family}.yaml").read_text(encoding="utf-8")
    assert text.count(first) == 1
    made = f"{address}#sha256={hashlib.sha256(data).hexdigest()[:8]}"
    Path(f"{family}.yaml").write_text(text.replace(first, made), encoding="utf-8")
    return f"{family}.yaml:{variant}"


def picture_of_stripes() -> Image.Image:
    """A picture that is smooth and not square."""
    y, x = np.mgrid[:300, :400] / 40.0
    planes = [np.sin(x + k) * np.cos(y * (k + 1) / 2) for k in range(3)]
    return Image.fromarray((127.5 + 127 * np.stack(planes, -1)).astype(np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", ["squeezenet_11", *(pytest.param(v, marks=pytest.mark.full) for v in ("resnet50", "efficientnet_b2"))]
)
def test_run_prints_five_names_with_probabilities_without_network(
    torchvision: ModuleType,
    variant: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The cache is filled by a server on the loopback address; the second run has none."""
    name = NAMED[variant].partition(":")[2]
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    theirs = randomise(model(torchvision, NAMED[variant]), (3, preset.crop_size[0], preset.crop_size[0]), 0)
    buffer = io.BytesIO()
    torch.save(theirs.state_dict(), buffer)
    spec = spec_of(variant, buffer.getvalue())
    picture = picture_of_stripes()
    picture.save("cat.png")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    line = ["run", spec, "--weights", "default", "--image", "cat.png", "--repeat", "1"]
    with serving() as hub:
        monkeypatch.setenv("NETSPEC_MIRROR", hub.url)
        hub.files[f"/download.pytorch.org/models/{weights.url.rpartition('/')[2]}"] = Hosted(buffer.getvalue())
        assert run(line) == 0, capsys.readouterr().err
        assert len(hub.asked) == 1
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    exif = Image.Exif()
    exif[0x0112] = 6  # as a telephone that was held upright says it
    picture.transpose(Image.Transpose.ROTATE_90).save("turned.jpg", exif=exif)
    for file in ("cat.png", "turned.jpg"):
        capsys.readouterr()
        assert run([file if word == "cat.png" else word for word in line]) == 0
        said = capsys.readouterr().out
        with torch.no_grad():
            best = theirs(preset(ImageOps.exif_transpose(Image.open(file)))[None]).softmax(1)[0].topk(5)
        found = re.findall(r"[:,] (\d+) ([^(]+) \(([\d.e-]+)\)", said.partition("top 5 by softmax")[2])
        names = [(n, weights.meta["categories"][n]) for n in best.indices.tolist()]
        assert [(int(number), label) for number, label, _ in found] == names, file
        assert [float(chance) for _, _, chance in found] == pytest.approx(best.values.tolist(), rel=2e-3), file
        assert "predictions" not in said and f"crop {preset.crop_size[0]}x{preset.crop_size[0]}" in said


@pytest.mark.slow
def test_labels_and_sizes_of_weights_give_way_to_what_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = netspec.load("squeezenet", variant="squeezenet_11")
    buffer = io.BytesIO()
    torch.save(net.to_torch().state_dict(), buffer)
    spec = spec_of("squeezenet_11", buffer.getvalue())
    picture_of_stripes().save("cat.png")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    Path("names.txt").write_text("\n".join(f"class {i}" for i in range(1000)))
    with serving() as hub:
        monkeypatch.setenv("NETSPEC_MIRROR", hub.url)
        hub.files["/download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"] = Hosted(buffer.getvalue())
        line = ["run", spec, "--weights", "default", "--image", "cat.png", "--repeat", "1"]
        assert run([*line, "--labels", "names.txt", "--size", "96x96"]) == 0
        said = capsys.readouterr().out
        assert "class " in said and "1x3x96x96" in said
        assert run([*line, "-s", "classes=10", "--adapt"]) == 0  # its labels are of 1,000 classes: none is printed
        assert imagenet()[0] not in capsys.readouterr().out
        Path("photos").mkdir()
        picture_of_stripes().save("photos/a.png")
        assert run([*line[:4], "--images", "photos", "-f", "csv"]) == 0
        rows = capsys.readouterr().out.splitlines()
        assert rows[0] == "image,rank,class,label,score" and len(rows) == 6
        session = netspec.Session(netspec.load(spec), weights="default")
        (batch,) = session.images("photos")
        best = np.argsort(-next(iter(batch.outputs.values())).ravel(), kind="stable")[:5]
        assert [row.split(",")[2] for row in rows[1:]] == [str(i) for i in best]


@pytest.mark.parametrize(
    "file, good",
    [
        ("hf:lab/small:model.h5", False),
        ("hf:lab/small@main:onnx/model.onnx", False),
        ("https://lab.org/a.zip#sha256=12345678", False),
        ("https://lab.org/a.safetensors.index.json#sha256=12345678", False),  # its shards would have no sha256
        ("https://lab.org/a.pth?of=b.zip#sha256=12345678", True),
        ("hf:lab/small:a.safetensors.index.json", True),
        ("hf:lab/small", True),
    ],
)
def test_check_reports_a_file_that_is_no_checkpoint_by_its_suffix(
    file: str, good: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SMALL.replace("DIGITS", "12345678").replace('"hf:lab/small"', f'"{file}"', 1)
    at = next(i for i, line in enumerate(text.splitlines(), 1) if file in line)
    column = text.splitlines()[at - 1].index(f'"{file}"') + 1
    (path := tmp_path / "suffix.yaml").write_text(text)
    assert run(["check", str(path)]) == (0 if good else 1)
    error = capsys.readouterr().err
    assert good or f"suffix.yaml:{at}:{column}: error[NS307]: 'file' is no checkpoint by its suffix" in error
    assert good or "checkpoints are .safetensors, .npz, .pth" in error
