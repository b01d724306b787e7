"""What a model in int8 loses: signal-to-noise ratios at its outputs and layers, and right answers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime as ort

from netspec_onnx.calibration import Calibration
from netspec_onnx.runtime import session

CELLS = 2**16
"""Values of a tensor that are compared, evenly spaced where it has more, so that memory is bounded."""


@dataclass
class Noise:
    """The signal x of a tensor and its noise e = q - x, summed over images; q is the value of the model in int8."""

    count: int = 0
    _sums: list[np.ndarray] = field(default_factory=list)
    _squares: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, exact: np.ndarray, quantised: np.ndarray) -> None:
        """Takes the values of some images, which are the first axis."""
        step = max(1, exact[0].size // CELLS) | 1  # an odd step meets all channels of the usual even sizes
        x, q = (array.reshape(len(array), -1)[:, ::step].astype(np.float64) for array in (exact, quantised))
        for i, values in enumerate((x, q - x)):
            if len(self._sums) < 2:
                self._sums.append(np.zeros(values.shape[1]))
            self._sums[i] += values.sum(0)
            self._squares[i] += float((values**2).sum())
        self.count += len(x)

    @property
    def ratio(self) -> float:
        """Signal over noise in decibels, 10 log10(sum x^2 / sum e^2)."""
        return _decibels(*self._squares)

    @property
    def centred(self) -> float:
        """The same without the mean over the images, of signal and noise: what tells one image from another.

        NaN where nothing does.
        """
        return math.nan if self.alike else _decibels(*(self._varying(i) for i in (0, 1)))

    @property
    def deciding(self) -> float:
        """The ratio that says whether a model is good enough: the centred one, the plain one of images all alike."""
        return self.ratio if self.alike else self.centred

    @property
    def alike(self) -> bool:
        """Whether the signal is the same for all images."""
        return self._varying(0) <= 1e-12 * self._squares[0]  # what is left is the rounding of the sums

    @property
    def silent(self) -> bool:
        """Whether the signal is zero everywhere."""
        return self._squares[0] == 0

    def _varying(self, i: int) -> float:
        """The squares of the signal, or of the noise, about its mean over the images."""
        return max(0.0, self._squares[i] - float((self._sums[i] ** 2).sum()) / self.count)


def worst(outputs: Collection[Noise]) -> Noise:
    """The output that has most noise, of those that have a signal where any has."""
    return min([one for one in outputs if not one.silent] or outputs, key=lambda noise: noise.deciding)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def values(model: onnx.ModelProto, names: Sequence[str], data: Calibration, most: int) -> Iterator[list[np.ndarray]]:
    """The values of tensors for the images of each run, of so many images at most."""
    run = showing(model, names)
    for feed, new in data.batches(most):
        yield [value[:new] for value in run.run(list(names), feed)]


def compare(
    names: Iterable[str], exact: Iterable[Sequence[np.ndarray]], quantised: Iterable[Sequence[np.ndarray]]
) -> dict[str, Noise]:
    """The noise of tensors by name, of their values run by run in both models."""
    found = {name: Noise() for name in names}
    for left, right in zip(exact, quantised, strict=True):
        for noise, x, q in zip(found.values(), left, right, strict=True):
            noise.add(x, q)
    return found


def showing(model: onnx.ModelProto, names: Sequence[str]) -> ort.InferenceSession:
    """A session that gives these tensors as outputs too."""
    more = onnx.ModelProto()
    more.CopyFrom(model)
    known = {output.name for output in more.graph.output}
    more.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return session(more)


@dataclass(frozen=True, slots=True)
class Answers:
    """How many images were given their class, by the model in float32 and by the one in int8."""

    images: int
    before: int
    after: int

    @property
    def text(self) -> str:
        """The shares, as they are printed."""
        return f"top-1 {self.before / self.images:.2%} in float32, {self.after / self.images:.2%} in int8"


def answers(exact: onnx.ModelProto, quantised: onnx.ModelProto, output: str, data: Calibration) -> Answers:
    """The right answers of both models over all images, by the largest value of an output."""
    labels, runs = iter(data.labels or ()), [session(model) for model in (exact, quantised)]
    images, right = 0, [0, 0]
    for feed, new in data.batches():
        expected = [next(labels) for _ in range(new)]
        for i, run in enumerate(runs):
            (values,) = run.run([output], feed)
            right[i] += _right(values[:new].reshape(new, -1), expected)
        images += new
    return Answers(images, *right)


def _right(values: np.ndarray, labels: Iterable[int]) -> int:
    return int((values.argmax(1) == np.fromiter(labels, np.int64)).sum())
