"""Normalisation and learned scales."""

from __future__ import annotations

from netspec.ops.base import OpError, Rule, Tensor, op


@op(weights=("weight", "bias"))
def batch_norm(x: Tensor, /, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> Rule:
    """Batch normalisation (Ioffe and Szegedy 2015), the shape stays.

    y = (x - running_mean) / sqrt(running_var + eps) * weight + bias, for each channel or feature.
    `momentum` is PyTorch's: the share of the new value (TensorFlow and ONNX count the old: 0.9).
    `eps` is 1e-5 in PyTorch, 1e-3 in TensorFlow's networks. Without `affine` there is no weight and no bias.
    """
    c = _channels(x, "batch_norm")
    _eps(eps)
    if not 0 <= momentum <= 1:
        raise OpError(f"'momentum' is between 0 and 1, got {momentum}", arg="momentum")
    weights = {"weight": (c,), "bias": (c,)} if affine else {}
    return Rule((x.shape,), weights, {"running_mean": (c,), "running_var": (c,)})


@op(weights=("weight", "bias"))
def layer_norm(x: Tensor, /, *, eps: float = 1e-6, affine: bool = True) -> Rule:
    """Layer normalisation over the channels of each pixel (ConvNeXt's form), the shape stays.

    y = (x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the channels.
    """
    c = _channels(x, "layer_norm")
    _eps(eps)
    return Rule((x.shape,), {"weight": (c,), "bias": (c,)} if affine else {})


@op()
def l2_norm(x: Tensor, /, *, eps: float = 1e-6) -> Rule:
    """x / max(|x|, eps) with the Euclidean norm over the channels of each pixel, or over the features."""
    _channels(x, "l2_norm")
    _eps(eps)
    return Rule((x.shape,))


@op(weights=("weight",))
def channel_scale(x: Tensor, /) -> Rule:
    """Multiplies each channel by a learned factor, the shape stays."""
    return Rule((x.shape,), {"weight": (_channels(x, "channel_scale"),)})


@op()
def lrn(x: Tensor, /, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Rule:
    """Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), the shape stays.

    y = x / (k + alpha / size * sum of x^2 over `size` neighbouring channels) ^ beta.
    `alpha` is divided by `size`, as in PyTorch, ONNX and Caffe; the paper's alpha is not: multiply it by `size`.
    """
    x.image("lrn")
    if size < 1 or size % 2 == 0:
        raise OpError(f"'size' is odd, got {size}", "PyTorch and ONNX mean two windows by an even one", "size")
    if alpha <= 0 or beta <= 0:
        name, value = ("alpha", alpha) if alpha <= 0 else ("beta", beta)
        raise OpError(
            f"'{name}' must be above 0, got {value}",
            "without it nothing is normalised: leave it out, or scale with `affine`",
            name,
        )
    if k < 0:
        raise OpError(f"'k' is 0 or more, got {k}", "below it the sum has no real power", "k")
    return Rule((x.shape,))


def _channels(x: Tensor, op_name: str) -> int:
    if x.rank not in (2, 4):
        raise OpError(f"'{op_name}' expects a value of shape N x C x H x W or N x F")
    return int(x.shape[1])


def _eps(eps: float) -> None:
    if not 0 <= eps < 1:
        raise OpError(f"'eps' is a small number that is not negative, got {eps}", arg="eps")
