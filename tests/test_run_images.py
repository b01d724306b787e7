"""Pictures as inputs, names of classes: torchvision says how they are cut and called, Pillow what stands in them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_harness import CASES, Netspec, identity

from netspec.diagnostics.errors import DataError
from netspec.running.images import read_images
from netspec.running.labels import imagenet
from netspec.running.ports import Port

pytestmark = pytest.mark.usefixtures("folder")

RGB = Port("tensor(float)", ("N", 3, "h", "w"))
GRAY = Port("tensor(float)", ("N", 1, "h", "w"))
RAW = Port("tensor(uint8)", ("N", 3, "h", "w"))
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 70, 3), np.uint8)
SMOOTH = np.asarray(Image.fromarray(PIXELS).resize((210, 150), Image.Resampling.BICUBIC))


def read(
    picture: Any, port: Port = RGB, size: tuple[int, int] = (32, 32), said: Any = None, **saved: Any
) -> np.ndarray:
    """A picture, or the bytes of one, as an input."""
    if isinstance(picture, bytes):
        Path("p").write_bytes(picture)
    else:
        picture.save("p", **({"format": "PNG"} | saved))
    channels = int(port.shape[1])  # type: ignore[arg-type]
    return read_images(["p"], "x", port, (1, channels, *size), (said if said is not None else []).append)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape, size",
    [
        ((150, 210), (112, 112)),
        ((150, 210), (64, 96)),
        ((40, 300), (32, 32)),
        ((300, 40), (48, 16)),
        ((10, 10), (224, 224)),
    ],
)
@pytest.mark.quick(2)
def test_a_picture_is_cut_and_normalised_as_by_torchvision(
    torchvision: ModuleType, shape: tuple[int, int], size: tuple[int, int]
) -> None:
    from torchvision.transforms import v2

    picture = Image.fromarray(SMOOTH).resize(shape[::-1], Image.Resampling.BICUBIC)
    height, width = size
    scale = max(height * 8 / 7 / picture.height, width * 8 / 7 / picture.width)
    resized = v2.functional.resize(
        picture, [max(height, round(picture.height * scale)), max(width, round(picture.width * scale))]
    )
    top, left = (resized.height - height) // 2, (resized.width - width) // 2
    cut = v2.functional.to_dtype(
        v2.functional.to_image(v2.functional.crop(resized, top, left, height, width)), scale=True
    )
    theirs = v2.functional.normalize(cut, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).numpy()
    assert np.abs(read(picture, size=size)[0] - theirs).max() < 1.01 / 255 / 0.224


@pytest.mark.parametrize(
    "mode", ["I;16", "I;16B", "I", "F", "F255", "L", "1", "P", "LA", "La", "RGBA", "LAB", "CMYK", "YCbCr"]
)
def test_every_mode_gives_the_same_gray(mode: str) -> None:
    """The same picture in every mode that can hold it: 16 bits and floats are scaled, never clipped."""
    gray = np.zeros((40, 60), np.uint8)
    gray[:, 30:] = 255
    if mode not in ("1",):
        gray[10:30, 10:50] = 128
    plain = Image.fromarray(gray)
    expected = read(plain)
    if mode.startswith("I;16"):
        made = Image.fromarray(gray.astype(np.uint16) * 257)
        data = io.BytesIO()
        made.save(data, "PNG" if mode == "I;16" else "TIFF")
        picture: Any = data.getvalue()
        if mode == "I;16B":
            big = (gray.astype(">u2") * 257).astype(">u2").tobytes()
            picture = Image.frombytes("I;16B", plain.size, big)
            picture.save(data := io.BytesIO(), "TIFF")
            picture = data.getvalue()
            assert Image.open(io.BytesIO(picture)).mode == "I;16B"
    elif mode in ("I", "F", "F255"):
        cells = gray.astype(np.int32) * 257 if mode == "I" else gray.astype(np.float32) / (255 if mode == "F" else 1)
        Image.fromarray(cells).save(data := io.BytesIO(), "TIFF")
        picture = data.getvalue()
        assert Image.open(io.BytesIO(picture)).mode == mode[0]
    elif mode == "La":  # which Pillow reads and does not write: of the tag ExtraSamples, 2 is LA and 1 is La
        plain.convert("LA").save(data := io.BytesIO(), "TIFF")
        written = data.getvalue()
        at = written.index(struct.pack("<HHI", 338, 3, 1)) + 8
        picture = written[:at] + b"\1" + written[at + 1 :]
        assert Image.open(io.BytesIO(picture)).mode == "La"
    else:
        source = plain.convert("RGB") if mode in ("LAB", "CMYK", "YCbCr") else plain
        made = source.convert(mode)
        made.save(
            data := io.BytesIO(),
            {"LAB": "TIFF", "CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG"),
            **({"quality": 100, "subsampling": 0} if mode in ("CMYK", "YCbCr") else {}),
        )
        picture = data.getvalue()
    notes: list[str] = []
    found = read(picture, said=notes)
    tolerance = 4 if mode in ("LAB", "CMYK", "YCbCr") else 1.01  # of 255; JPEG loses some, and so does L*a*b*
    assert np.abs(found - expected).max() < tolerance / 255 / 0.224
    assert bool(notes) == (mode[0] == "F")
    one = read(picture, GRAY)
    assert one.shape == (1, 1, 32, 32)
    assert np.abs(one * 0.226 + 0.449 - (expected[:, :1] * 0.229 + 0.485)).max() < tolerance / 255


@pytest.mark.parametrize("highest, said", [(200, "integers of 32 bits up to 200"), (60_000, "")])
def test_a_picture_of_32_bits_that_holds_bytes_is_said_to_be_dark(highest: int, said: str) -> None:
    data, notes = io.BytesIO(), list[str]()
    Image.fromarray(np.full((40, 60), highest, np.int32)).save(data, "TIFF")
    read(data.getvalue(), said=notes)
    assert len(notes) == bool(said) and all(said in note for note in notes)


@pytest.mark.slow
def test_the_two_cases_have_the_same_classes(netspec_run: Netspec) -> None:
    """Of 16 and of 8 bits: through a network, and as pixels within two steps of 8 bits: one of each rounding."""
    found = [read_images([str(CASES / name)], "x", RGB, (1, 3, 24, 24), print) for name in ("gray16.png", "gray8.png")]
    assert np.abs(found[0] - found[1]).max() < 2.01 / 255 / 0.224
    assert found[1].std() > 0.1
    tops = []
    for name in ("gray16.png", "gray8.png"):
        code, out, _ = netspec_run("squeezenet", "--image", str(CASES / name), "--input", "3x64x64")
        assert code == 0
        tops.append([part.split()[-2] for part in out.split("top 5 by softmax:")[1].split(")")[:5]])
    assert tops[0] == tops[1] and len(tops[0]) == 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_its_exif_data_says(orientation: int) -> None:
    """EXIF 2.3, tag 274: how the stored rows and columns lie in the upright picture."""
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    upright = SMOOTH[:120, :200]
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn(upright)))
    assert np.array_equal(read(stored, exif=exif), read(Image.fromarray(upright)))


def test_damaged_exif_data_do_not_stop_a_picture() -> None:
    picture = Image.fromarray(SMOOTH)
    assert np.array_equal(read(picture, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"), read(picture))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_transparent_is_white(mode: str) -> None:
    alpha = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
    alpha.paste((10, 20, 30, 0), (0, 0, 20, 40))
    saved: dict[str, Any] = {}
    if mode in ("RGBA", "LA"):
        picture = alpha.convert(mode)
    else:
        picture = Image.new(mode, (40, 40), 1 if mode in "PL" else (1, 1, 1))
        picture.paste(0 if mode in "PL" else (0, 0, 0), (20, 0, 40, 40))
        if mode == "P":
            picture.putpalette([0, 0, 0, 7, 8, 9])
        saved = {"transparency": 1 if mode in "PL" else (1, 1, 1)}
    found = read(picture, RAW, **saved)
    assert found[0, :, 16, 2].tolist() == [255] * 3 and found[0, :, 16, 29].tolist() == [0] * 3


@pytest.mark.parametrize(
    "cells, said",
    [
        (np.float32([[0, 1e6]]), "values from 0 to 1e\\+06"),
        (np.float32([[-1, 1]]), "from -1 to 1"),
        (np.float32([[np.nan, 1]]), "from nan to nan"),
        (np.int32([[0, 2**20]]), "from 0 to 1.04858e\\+06"),
    ],
)
def test_a_picture_without_a_known_white_is_refused(cells: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(Image.fromarray(cells), format="TIFF")


def test_channels_may_be_last_and_bytes_are_taken_as_they_are() -> None:
    flat = Image.new("RGB", (50, 50), (10, 20, 30))
    Path("p").write_bytes(b"")
    flat.save("p", "PNG")
    last = read_images(["p", "p"], "x", Port("tensor(uint8)", (None, "h", "w", 3)), (2, 20, 30, 3), print)
    assert last.shape == (2, 20, 30, 3) and last.dtype == np.uint8 and last[1, 5, 5].tolist() == [10, 20, 30]
    assert read(flat, RAW)[0, :, 3, 3].tolist() == [10, 20, 30]


def test_a_strip_is_cut_without_being_enlarged_whole() -> None:
    """One pixel by 65,000 would be 256 by 16,000,000."""
    strip = Image.fromarray(np.full((1, 65000), 77, np.uint8))
    assert set(read(strip, RAW, (224, 224)).flat) == {77}


def test_images_are_a_batch_and_other_inputs_are_refused(netspec_run: Netspec) -> None:
    image = str(CASES / "gray8.png")
    path = identity(shape=("n", 3, "h", "w"))
    code, out, _ = netspec_run(path, "--image", image, "--image", f"x={image}", "--size", "8x9", "--save", "o.npz")
    assert code == 0 and "input x: 2x3x8x9 float32, from 2 images" in out
    assert np.array_equal(np.load("o.npz")["y"][0], read_images([image], "x", RGB, (1, 3, 8, 9), print)[0])
    code, _, err = netspec_run(path, "--image", image, "-b", "2")
    assert code == 2 and "-b 2: one image is a batch of 1" in err
    for shape, said in (
        (("n", 4, 8, 8), "needs an input of 3 or 1 x H x W, 'x' is nx4x8x8"),
        ((3, 8, 8), "no input has four dimensions"),
    ):
        code, _, err = netspec_run(identity(shape=shape), "--image", image)
        assert code == 2 and said in err
    code, _, err = netspec_run(identity(7, ("n", 3, 8, 8)), "--image", image)
    assert code == 2 and "the input 'x' takes tensor(int64)" in err
    code, _, err = netspec_run(identity(shape=("n", 3, "h", "w")), "--image", "none.png")
    assert code == 2 and "there is no file none.png" in err


# Names of classes.


@pytest.mark.slow
def test_the_names_of_imagenet_are_those_of_torchvision(torchvision: ModuleType) -> None:
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert imagenet() == _IMAGENET_CATEGORIES and len(imagenet()) == 1000


def scores(count: int, best: int) -> list[str]:
    values = np.zeros((1, count), np.float32)
    values[0, best] = 9
    np.save("a.npy", values)
    return [identity(shape=[1, count]), "--npy", "a.npy"]


def test_classes_are_named(netspec_run: Netspec) -> None:
    code, out, _ = netspec_run(*scores(1000, 281), "--labels", "imagenet")
    assert code == 0 and "top 5 by softmax: 281 tabby (0.8902), 0 tench (0.0001099)" in out
    Path("l.txt").write_bytes("\ufeffcat\r\ndög \r\n\r\n".encode())
    code, out, _ = netspec_run(*scores(2, 1), "--labels", "l.txt")
    assert code == 0 and "1 dög (0.9999), 0 cat (0.0001234)" in out
    np.save("a.npy", np.float32([1, 2]))  # a vector without a batch, as long as the names
    code, out, _ = netspec_run(identity(shape=[2]), "--npy", "a.npy", "--labels", "l.txt")
    assert code == 0 and "1 dög (0.7311)" in out
    code, out, err = netspec_run(*scores(3, 1), "--labels", "l.txt")
    assert (code, out) == (1, "") and "--labels l.txt has 2 names, 'y' has 3 classes" in err
    code, _, err = netspec_run(*scores(3, 1), "--labels", "imagenet")
    assert code == 1 and "has 1,000 names" in err
    Path("e.txt").write_text("\n\n")
    code, _, err = netspec_run(*scores(3, 1), "--labels", "e.txt")
    assert code == 1 and "holds no names" in err


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_random_weights_are_said(netspec_run: Netspec, backend: str) -> None:
    said = "weights: random, seed 3: the outputs are not predictions\n"
    code, out, _ = netspec_run("lenet5", "--backend", backend, "--seed", "3")
    assert code == 0 and said in out and out.index(said) < out.index("top 5 by softmax")
    import netspec

    np.savez("w.npz", **netspec.load("lenet5").arrays(1))  # type: ignore[arg-type]
    code, out, _ = netspec_run("lenet5", "--backend", backend, "--weights", "w.npz")
    assert code == 0 and "weights:" not in out


def test_a_model_says_that_its_weights_are_random(netspec_run: Netspec, capsys: Any) -> None:
    import netspec
    from netspec.cli.main import run

    net = netspec.load("lenet5")
    np.savez("w.npz", **net.arrays(1))  # type: ignore[arg-type]
    for args, random in (([], True), (["--weights", "w.npz"], False)):
        assert run(["compile", "lenet5", "--to", "onnx", "-o", "m.onnx", "--seed", "4", *args]) == 0
        assert ("weights: random, seed 4" in netspec_run("m.onnx")[1]) == random
        net.to_onnx("p.onnx", 5, *args[1:])
        assert ("weights: random, seed 5" in netspec_run("p.onnx")[1]) == random
