"""Damaged files as inputs of `netspec run`: a result or one error, whatever stands in them."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from run_harness import IMAGE, Netspec, identity

pytestmark = pytest.mark.usefixtures("folder")


def pictures() -> list[bytes]:
    cells = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    kinds: list[tuple[Any, str, dict[str, Any]]] = [
        (Image.fromarray(cells), "PNG", {}),
        (Image.fromarray(cells), "JPEG", {"exif": exif}),
        (Image.fromarray(cells[..., 0].astype(np.uint16) * 257), "PNG", {}),
        (Image.fromarray(cells[..., 0].astype(np.float32)), "TIFF", {}),
        (Image.fromarray(cells).convert("P"), "GIF", {}),
        (Image.fromarray(cells).convert("RGBA"), "WEBP", {}),
        (Image.fromarray(cells).convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray(cells), "BMP", {}),
    ]
    found = []
    for picture, form, more in kinds:
        picture.save(data := io.BytesIO(), form, **more)
        found.append(data.getvalue())
    return found


def arrays() -> list[bytes]:
    found = []
    for array in (np.arange(5.0), np.arange(5), np.array(["a", "bb"]), np.float32([1, 2]), np.zeros(3, "V2")):
        np.save(data := io.BytesIO(), array)
        found.append(data.getvalue())
    return found


def protos() -> list[bytes]:
    floats = np.arange(3, dtype=np.float32)
    made = [
        numpy_helper.from_array(floats),
        numpy_helper.from_array(np.array(["a", "b"], object)),
        numpy_helper.from_list([floats, floats]),
        numpy_helper.from_optional(floats),
        helper.make_tensor("x", TensorProto.BFLOAT16, [2], [1.0, 2.0]),
    ]
    return [proto.SerializeToString() for proto in made]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, left out or put in; or the end cut off."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        at, kind = rng.randrange(len(found) + 1), rng.random()
        if kind < 0.6:
            found[at : at + 1] = bytes([rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])])
        elif kind < 0.8:
            del found[at : at + rng.choice([1, 2, 8, 64])]
        elif kind < 0.9:
            found[at:at] = rng.randbytes(rng.choice([1, 4, 9]))
        else:
            del found[at:]
    return bytes(found)


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["pictures", "arrays", "protos", "labels"])
@pytest.mark.quick(1)
def test_a_damaged_file_is_an_error_or_has_a_result(netspec_run: Netspec, kind: str, count: int) -> None:
    rng = random.Random(count)
    types = [TensorProto.FLOAT, TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.INT64]
    np.save("three.npy", np.float32([1, 2, 3]))
    sources = {
        "pictures": pictures,
        "arrays": arrays,
        "protos": protos,
        "labels": lambda: ["cat\ndög\nmaus\n".encode()],
    }[kind]()
    codes = set()
    for _ in range(count):
        if kind == "pictures":
            model, args = identity(shape=IMAGE), ["--image", "input_0.pb", "--size", "8x8"]
        elif kind == "labels":
            model, args = identity(shape=("n",)), ["--npy", "three.npy", "--labels", "input_0.pb"]
        else:
            model = identity(rng.choice(types), ("n",))
            args = ["--npy", "input_0.pb"] if kind == "arrays" else ["--pb", "."]
        Path("input_0.pb").write_bytes(damaged(rng.choice(sources), rng))
        code, out, err = netspec_run(model, *args)  # which refuses "a bug of netspec", and an error without a message
        assert (code == 0) == bool(out) and (code == 0 or "error" in err)
        codes.add(code)
    assert 1 in codes and codes <= {0, 1}


@pytest.mark.parametrize("old", [b"input name", b"symbol name", b"netspec.weights", b"output name"])
def test_names_of_a_model_may_be_any_bytes(netspec_run: Netspec, old: bytes) -> None:
    """onnxruntime takes them; a model in which one is not UTF-8 is refused by name, or runs."""
    info = [
        helper.make_tensor_value_info(f"{kind} name", TensorProto.FLOAT, ["symbol name"])
        for kind in ("input", "output")
    ]
    graph = helper.make_graph([helper.make_node("Identity", ["input name"], ["output name"])], "g", info[:1], info[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made.metadata_props.add(key="netspec.weights", value="netspec.weights")
    data = made.SerializeToString()
    Path("m.onnx").write_bytes(data.replace(old, b"\xff" + old[1:]))
    code, _, err = netspec_run("m.onnx")
    assert code == 1 and "the model has a name that is not UTF-8: b'\\xff" in err
    Path("m.onnx").write_bytes(data.replace(old, b"\x1b" + old[1:]))
    code, out, err = netspec_run("m.onnx")
    assert code == 0 and "\x1b" not in out + err
