"""The comparison that the other tests rest on fails where it must."""

import numpy as np
import pytest
from conftest import agreement


def outputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 10)).astype(np.float32)


def test_equal_and_nearly_equal_outputs_agree() -> None:
    a = outputs()
    agreement(a, a * np.float32(1 + 5e-6))
    agreement({"logits": a, "aux": a}, {"logits": a, "aux": a})


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda a: a + 1e-3, r"max\|a - b\|"),
        (lambda a: a[:, :9], "shape"),
        (lambda a: np.where(a > 1, np.nan, a), "finite"),
    ],
)
def test_another_output_does_not_agree(spoil, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        agreement(outputs(), spoil(outputs()))


@pytest.mark.parametrize(
    "a, message",
    [
        (outputs() * 1e-3, "proves nothing"),
        (outputs() * 1e4, "proves nothing"),
        (np.repeat(outputs()[:1], 2, axis=0), "ignores its input"),
    ],
)
def test_outputs_that_agree_with_anything_are_refused(a: np.ndarray, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        agreement(a, a)


def test_outputs_of_other_names_do_not_agree() -> None:
    with pytest.raises(AssertionError, match="outputs"):
        agreement({"logits": outputs()}, {"logits": outputs(), "aux": outputs()})
