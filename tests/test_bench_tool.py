"""`tools/dev bench`: what it times in turn, what it says of times, and where each table stands."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import bench  # noqa: E402 - of a folder that is no package
import bench_int8  # noqa: E402
import bench_pairs  # noqa: E402
import bench_processes  # noqa: E402


def test_every_part_has_its_place_in_the_page() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in (*bench.PARTS, "against"):
        assert page.count(f"<!-- {name}: begin -->") == page.count(f"<!-- {name}: end -->") == 1, name


def test_a_table_is_put_into_its_place_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\n\nold\n\n<!-- x: end -->\nb\n<!-- y: begin -->\n\nkept\n\n<!-- y: end -->\n")
    monkeypatch.setattr(bench, "PAGE", page)
    bench.write("x", "new")
    assert page.read_text() == (
        "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n<!-- y: begin -->\n\nkept\n\n<!-- y: end -->\n"
    )
    with pytest.raises(SystemExit, match="has no place <!-- z: begin -->"):
        bench.write("z", "new")


def test_calls_run_in_turn_and_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    now = [0.0]

    def takes(name: str, seconds: float) -> bench_pairs.Call:
        def call() -> None:
            ran.append(name)
            now[0] += seconds

        return call

    monkeypatch.setattr(bench_pairs, "clock", lambda: now[0])
    made = []

    def make() -> dict[str, bench_pairs.Call]:
        made.append(len(ran))
        return {"a": takes("a", 0.25), "b": takes("b", 1.0)}

    times = bench_pairs.interleaved(make, 0, 6)
    assert {name: len(found) for name, found in times.items()} == {"a": 6, "b": 6}
    assert set(times["a"]) == {0.25} and set(times["b"]) == {1.0}
    assert len(made) == bench_pairs.SITTINGS
    assert "".join(ran[:7]) == "aab" + "ab" + "ba"  # to warm up, then rounds in an order that rotates


def test_ratios_are_taken_round_by_round() -> None:
    """Twice as fast in each round, though rounds differ by a factor of ten."""
    base, mine = [1.0, 10.0, 2.0, 20.0], [0.5, 5.0, 1.0, 10.0]
    row = bench_pairs.Row(("net",), {"theirs": base, "again": base, "ours": mine}, "theirs")
    assert str(row.ratio("ours")) == "0.50 (0.50 to 0.50)"
    table = bench_pairs.table("Title", ["network"], [row])
    assert "| net | 6000.00 ms | 1.00 (1.00 to 1.00) | 0.50 (0.50 to 0.50) |" in table
    assert table.endswith("again 1.00 (1.00 to 1.00); ours 0.50 (0.50 to 0.50).")


def test_calibration_images_have_the_spectrum_of_photographs() -> None:
    """Amplitude is one over the frequency (Field 1987): in a log-log plot its slope is -1; white noise has 0."""
    images = bench_int8.photographs(8, 64)
    amplitude = np.abs(np.fft.rfft2(images)).mean((0, 1))
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)[None])
    inside = (frequency > 0) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[inside]), np.log(amplitude[inside]), 1)[0]
    assert math.isclose(slope, -1, abs_tol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "networks"), [("overfeat", 2)])
def test_the_networks_that_are_counted_are_those_that_are_drawn(family: str, networks: int) -> None:
    path = ROOT / "specs" / f"{family}.yaml"
    assert bench_processes.draw_family(path) == bench_processes.count([path]) == networks
