"""Files with free heights and widths at other sizes: what the file says of them is said where it is run."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from run_harness import Netspec

import netspec as api
from netspec.diagnostics.errors import DataError
from netspec.network import ExportWarning
from netspec.running.sizes import Sizes, doubts

BODIES = {
    "rounds": "body: [pool = max_pool: {kernel: 2, stride: 2, ceil: true}]\n",
    "meets": (
        "body:\n  - sum = add:\n      kept: []\n"
        "      low: [max_pool: {kernel: 2, stride: 2}, upsample: {scale: 2, mode: nearest}]\n"
    ),
    "any": "body: [conv: {out: 3, kernel: 3, pad: 1}]\n",
}
STEPS = "height and width are free in steps of 2 from 3x32x32 on"


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    for name, body in BODIES.items():
        Path(f"{name}.yaml").write_text(f"netspec: 1\nname: {name}\ninput: [3, 32, 32]\n{body}", encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExportWarning)
            api.load(f"{name}.yaml").to_onnx(f"{name}.onnx", dynamic=True)


def given(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, height, width), np.float32)


@pytest.mark.parametrize(("size", "right"), [((32, 34), True), ((36, 32), True), ((33, 32), False), ((32, 35), False)])
def test_a_size_between_the_steps_gives_another_map_and_is_said(
    size: tuple[int, int], right: bool, netspec_run: Netspec
) -> None:
    """PyTorch's pool rounds up there; the file, which runs, does not."""
    value = given(*size)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = api.Session("rounds.onnx").run(value)["output"]
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(value), 2, 2, ceil_mode=True).numpy()
    assert (
        isinstance(found, np.ndarray) and (found.shape == expected.shape and np.array_equal(found, expected)) == right
    )
    assert [w.category for w in said] == [ExportWarning] * (not right)
    assert right or (STEPS in str(said[0].message) and said[0].filename == __file__)
    code, _, err = netspec_run("rounds.onnx", "--input", f"3x{size[0]}x{size[1]}")
    note = f"note: the input 'input' is 1x3x{size[0]}x{size[1]}, and the model says: {STEPS}"
    assert code == 0 and (note in " ".join(err.split())) == (not right)


def test_a_size_that_the_runtime_refuses_is_explained(netspec_run: Netspec, netspec: Netspec) -> None:
    code, out, err = netspec_run("meets.onnx", "--input", "3x33x32")
    assert code == 1 and not out and "NS703" in err and f"help: the model says: {STEPS}" in " ".join(err.split())
    assert not any(line.isspace() or not line for line in err.splitlines()), err
    with pytest.raises(DataError, match=f"help: the model says: {STEPS}"), pytest.warns(ExportWarning, match=STEPS):
        api.Session("meets.onnx").run(given(33, 32))
    assert netspec_run("meets.onnx", "--input", "3x34x32")[0] == 0
    code, _, err = netspec("bench", "meets.onnx", "--input", "3x33x32", "--repeat", "1")
    assert code == 1 and f"note: meets.onnx: the input 'input' is 1x3x33x32, and the model says: {STEPS}" in err


def test_where_nothing_gives_a_size_it_is_that_of_the_spec(netspec_run: Netspec) -> None:
    """224, which a model of anyone's gets, is none of a network in steps of 2 from 33 on."""
    with pytest.warns(ExportWarning, match="from 3x33x35 on"):
        api.load("rounds.yaml", input=[3, 33, 35]).to_onnx("odd.onnx", dynamic=True)
    code, out, err = netspec_run("odd.onnx")
    assert code == 0 and "input input: 1x3x33x35" in out and "height = 33, width = 35" in err and "says" not in err
    assert "1x3x224x224" in netspec_run("any.onnx")[1]


def test_a_folder_of_images_at_another_size(netspec_run: Netspec) -> None:
    Path("photos").mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save("photos/a.png")
    code, _, err = netspec_run("rounds.onnx", "--images", "photos", "--size", "33x33", "--save", "y.npz")
    assert code == 0 and STEPS in " ".join(err.split()) and "1 image in " in err
    code, _, err = netspec_run("rounds.onnx", "--images", "photos", "--size", "34x34", "--save", "y.npz")
    assert code == 0 and "steps" not in err


def test_what_other_files_say_is_nothing() -> None:
    assert not [*doubts({"x": (1, 3, 33, 33)}, "height and width are free")]
    assert not [*doubts({"x": (1, 3, 33, 33)}, "free in steps of two")] and not [*doubts({}, STEPS)]
    assert not [*doubts({"x": (3, 33, 33)}, STEPS)]  # which is refused for its rank
    assert [*doubts({"x": (1, 3, 30, 32)}, STEPS)] and not [*Sizes({}, said=STEPS).doubts()]


def test_a_file_of_another_size_says_the_option_that_gives_it(netspec: Netspec) -> None:
    api.load("any.yaml").to_onnx("fixed.onnx")
    code, _, err = netspec("verify", "any.yaml", "fixed.onnx", "--input", "3x48x40")
    assert code == 1 and "the input 'input' of the network is 2x3x48x40, fixed.onnx expects Nx3x32x32" in err
    option = err.partition("help: --input ")[2].split()[0]
    assert netspec("verify", "any.yaml", "fixed.onnx", "--input", option)[0] == 0
