"""Elementwise functions, softmax, dropout."""

from __future__ import annotations

from netspec.ops.base import OpError, Rule, Tensor, op


@op()
def relu(x: Tensor, /) -> Rule:
    """max(x, 0), the shape stays."""
    return Rule((x.shape,))


@op()
def relu6(x: Tensor, /) -> Rule:
    """min(max(x, 0), 6), the shape stays."""
    return Rule((x.shape,))


@op()
def sigmoid(x: Tensor, /) -> Rule:
    """1 / (1 + exp(-x)), the shape stays."""
    return Rule((x.shape,))


@op()
def tanh(x: Tensor, /) -> Rule:
    """The hyperbolic tangent, the shape stays."""
    return Rule((x.shape,))


@op()
def silu(x: Tensor, /) -> Rule:
    """x * sigmoid(x), also called swish, the shape stays."""
    return Rule((x.shape,))


@op()
def gelu(x: Tensor, /) -> Rule:
    """x * Phi(x) with the exact normal distribution function (not the tanh form), the shape stays."""
    return Rule((x.shape,))


@op()
def hard_sigmoid(x: Tensor, /) -> Rule:
    """relu6(x + 3) / 6, as in PyTorch and MobileNetV3 (ONNX's own default has slope 0.2), the shape stays."""
    return Rule((x.shape,))


@op()
def hard_swish(x: Tensor, /) -> Rule:
    """x * relu6(x + 3) / 6, the shape stays."""
    return Rule((x.shape,))


@op()
def leaky_relu(x: Tensor, /, slope: float) -> Rule:
    """x where it is positive, slope * x elsewhere; frameworks disagree on a default, so there is none."""
    return Rule((x.shape,))


@op(weights=("weight",), init={"weight": 0.25})
def prelu(x: Tensor, /) -> Rule:
    """x where it is positive, a learned slope for each channel elsewhere (He et al. 2015, Delving Deep, equation 1).

    The slopes are called `weight`, as in PyTorch, and begin at 0.25.
    """
    if x.rank < 2:
        raise OpError("'prelu' expects a value with channels or features")
    return Rule((x.shape,), {"weight": (int(x.shape[1]),)})


@op()
def softmax(x: Tensor, /) -> Rule:
    """exp(x) / sum(exp(x)) over the channels or features, the shape stays."""
    if x.rank < 2:
        raise OpError("'softmax' expects a value with channels or features")
    return Rule((x.shape,))


@op()
def identity(x: Tensor, /) -> Rule:
    """The value itself."""
    return Rule((x.shape,))


@op()
def affine(x: Tensor, /, *, scale: float = 1.0, power: float = 1.0, shift: float = 0.0) -> Rule:
    """scale * x ^ power + shift with constants, elementwise (not Caffe's (shift + scale * x) ^ power)."""
    return Rule((x.shape,))


@op()
def dropout(x: Tensor, /, p: float) -> Rule:
    """Zeroes elements with probability p in training and scales the rest by 1 / (1 - p); the identity at inference."""
    _probability(p)
    return Rule((x.shape,))


@op()
def drop_path(x: Tensor, /, p: float) -> Rule:
    """Zeroes whole items with probability p in training (stochastic depth, Huang et al. 2016) and scales the others.

    The scale is 1 / (1 - p); at inference it is the identity.
    """
    _probability(p)
    return Rule((x.shape,))


def _probability(p: float) -> None:
    if not 0 <= p < 1:
        raise OpError(f"'p' is a probability below 1, got {p}", arg="p")
