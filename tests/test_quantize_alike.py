"""Models in int8 by images that are all alike: what is said of them, and what decides then."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from int8_harness import INT8, SPEC, outputs, pictures, written
from netspec_onnx.noise import Noise
from netspec_onnx.options import OnnxOptions

PLAIN = """\
netspec: 1
name: plain
input: [3, 16, 16]
body:
  - conv: {out: 4, kernel: 3, bias: false}
  - relu
  - global_avg_pool
  - flatten
  - linear: {out: 4, bias: false}
"""


@pytest.fixture
def net(folder: Path) -> Path:
    (folder / "net.yaml").write_text(SPEC)
    return folder


@pytest.mark.parametrize("count", [1, 3, 40])
def test_images_that_are_all_alike_are_decided_on_by_the_plain_ratio(count: int) -> None:
    rng = np.random.default_rng(count)
    x = np.repeat(rng.standard_normal((1, 50)).astype(np.float32), count, 0)
    for loss in (0.01, 0.5):
        q = x + np.float32(loss) * rng.standard_normal(x.shape).astype(np.float32)
        noise = Noise()
        noise.add(x, q)
        expected = 10 * np.log10((x.astype(np.float64) ** 2).sum() / ((q.astype(np.float64) - x) ** 2).sum())
        assert noise.alike and noise.deciding == pytest.approx(expected, abs=1e-6) and np.isnan(noise.centred)
        assert (noise.deciding > 20) == (loss < 0.1)
    other = Noise()
    other.add(x + np.arange(count, dtype=np.float32)[:, None], x)
    assert other.alike == (count == 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "pictures", "zeros", "nothing"])
def test_images_that_are_all_alike_are_said_to_be(net: Path, kind: str) -> None:
    """Zeros have one answer too, that of the biases; without biases zeros are left of them. Ratios are numpy's."""
    spec = "plain.yaml" if kind == "nothing" else "net.yaml"
    Path("plain.yaml").write_text(PLAIN)
    images = {
        "copies": np.repeat(pictures(1), 3, 0),
        "pictures": pictures(3),
    }.get(kind, np.zeros((3, 3, 16, 16), np.float32))
    np.savez("images.npz", input=images)
    written(OnnxOptions(), "f.onnx", spec)
    done, _ = written(INT8, spec=spec)
    x, q = (outputs(name, images) for name in ("f.onnx", "q.onnx"))
    said = done.remarks[0]
    assert ("the images give one answer" in said) == (kind in ("copies", "zeros")), said
    assert ("the images give zeros there" in said) == (not x.any()) == (kind == "nothing")
    assert "no noise" not in said and "no signal" not in said and ("centred" in said) == (kind == "pictures")
    assert len(done.remarks) == 1
    if kind != "nothing":
        raw = 10 * np.log10((x**2).sum() / ((q - x) ** 2).sum())
        assert f"at the output {raw:.1f} dB" in said


@pytest.mark.slow
def test_layers_stay_in_float_where_one_answer_is_lost(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is enough is put above what int8 gives of copies: the parts are tried, and the plain ratio is said."""
    np.savez("images.npz", input=np.repeat(pictures(1), 3, 0))
    done, _ = written(INT8)
    found = re.search(r"output ([\d.]+) dB", done.remarks[0])
    assert found and len(done.remarks) == 1
    for place in ("netspec_onnx.quantize.ENOUGH", "netspec_onnx.quantize_report.ENOUGH"):
        monkeypatch.setattr(place, float(found[1]) + 3)
    done, _ = written(OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=()))
    said = re.search(r"([\d.]+) dB with (\d) of 6 layers in float32: --keep-float \w", done.remarks[-1])
    assert said and float(said[1]) >= float(found[1]) + 2.9
