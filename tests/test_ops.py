"""Shape rules: PyTorch's sizes and counts on a grid, and absurd arguments that end in an OpError."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from netspec.ops import OPS, OpError, Tensor
from netspec.ops.base import Param

IMAGE = Tensor(("N", 6, 11, 9))

numbers = st.sampled_from([-5, -1, 0, 1, 2, 3, 4, 8, 2**31, 2**40, 10**30])
lists = st.lists(st.one_of(numbers, st.sampled_from([1.5, "a", True])), max_size=4)
shapes = st.sampled_from(
    [("N", 6, 11, 9), ("N", 6), ("N", 8, 1, 1), ("R", 5), ("N", 1, 4, 4), ("N", 2**31 - 1, 1, 1), ("N", 4, 5), ("N",)]
)


def values(param: Param) -> st.SearchStrategy[Any]:
    """Values of the declared type, absurd ones among them."""
    if param.one_of:
        return st.sampled_from([*param.one_of, "unknown"])
    return {
        "int": numbers,
        "float": st.floats(allow_nan=False, allow_infinity=False) | numbers,
        "bool": st.booleans(),
        "str": st.text(max_size=3),
        "list": st.just(["N", 3]),
        "size": numbers | lists,
        "pad": numbers | lists | st.sampled_from(["half", "same_upper", "valid", "same"]),
        "parts": numbers | lists,
    }[param.type]


@pytest.mark.parametrize("name", sorted(OPS))
@given(data=st.data())
@pytest.mark.quick(12)
def test_a_rule_raises_nothing_but_op_errors(name: str, data: st.DataObject) -> None:
    op = OPS[name]
    count = op.arity if op.arity is not None else data.draw(st.integers(1, 3))
    operands = [Tensor(data.draw(shapes)) for _ in range(count)]
    given_ = [p for p in op.params if p.required or data.draw(st.booleans())]
    attrs = {p.name: data.draw(values(p)) for p in given_}
    try:
        rule = op.infer(operands, attrs)
    except OpError as error:
        assert str(error)
        assert not error.arg or op.param(error.arg)
    else:
        assert all(d > 0 for shape in rule.shapes for d in shape if isinstance(d, int))
        assert op.infer(operands, rule.attrs) == rule, "settled attributes must give the same again"


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.booleans())
@example(2, 2, 1, 1, 3, False)
def test_max_pool_has_torchs_size(n: int, k: int, s: int, pad: int, d: int, ceil: bool) -> None:
    """A window of nothing but padding, whose largest value torch calls -inf, is refused."""
    pad = min(pad, k // 2)
    try:
        pooled = F.max_pool2d(torch.zeros(1, 1, n, n), k, s, pad, d, ceil)
        expected = pooled.shape[2] if pooled.isfinite().all() else 0
    except RuntimeError:
        expected = 0
    attrs = {"kernel": k, "stride": s, "pad": pad, "dilation": d, "ceil": ceil}
    try:
        found = OPS["max_pool"].infer([Tensor(("N", 1, n, n))], attrs).shapes[0][2]
    except OpError:
        found = 0
    assert found == expected


@pytest.mark.parametrize(
    "op, attrs, macs",
    [
        ("conv", {"out": 8, "kernel": 3, "pad": 1, "groups": 2}, 8 * 11 * 9 * 3 * 9),
        ("conv_transpose", {"out": 4, "kernel": 2, "stride": 2}, 6 * 11 * 9 * 4 * 4),
        ("conv_transpose", {"out": 4, "kernel": (2, 3), "stride": 2, "groups": 2}, 6 * 11 * 9 * 2 * 6),
        ("batch_norm", {}, 0),
        ("max_pool", {"kernel": 3, "stride": 2}, 0),
    ],
)
def test_macs(op: str, attrs: dict[str, Any], macs: int) -> None:
    assert OPS[op].infer([IMAGE], attrs).macs == macs


def test_macs_of_a_linear_are_its_weights() -> None:
    rule = OPS["linear"].infer([Tensor(("N", 7))], {"out": 5})
    assert rule.macs == 35 and rule.weights == {"weight": (5, 7), "bias": (5,)}


@pytest.mark.parametrize(
    "op, attrs, arg",
    [
        ("conv", {"out": 8, "kernel": 3, "groups": 4}, "groups"),
        ("conv", {"out": 8, "kernel": 2, "pad": "half"}, "pad"),
        ("conv", {"out": 8, "kernel": 20}, "kernel"),
        ("lrn", {"size": 4}, "size"),
        ("split", {"parts": 4}, "parts"),
        ("split", {"parts": [2, 2]}, "parts"),
        ("avg_pool", {"kernel": 3, "stride": 1, "pad": 2}, "pad"),
        ("upsample", {"scale": 2, "mode": "bicubic"}, "mode"),
    ],
)
def test_the_attribute_at_fault_is_named(op: str, attrs: dict[str, Any], arg: str) -> None:
    with pytest.raises(OpError) as caught:
        OPS[op].infer([IMAGE], attrs)
    assert caught.value.arg == arg


@pytest.mark.parametrize("op", ["add", "mean", "max", "concat", "mul"])
def test_branches_that_disagree(op: str) -> None:
    with pytest.raises(OpError, match=r"6x11x9.*5x4x4") as caught:
        OPS[op].infer([IMAGE, Tensor(("N", 5, 4, 4))], {})
    assert caught.value.code == "NS402"
