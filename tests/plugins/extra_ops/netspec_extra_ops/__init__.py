"""Two ops that netspec does not have: a function of a number, and a pool with a learned exponent."""

from __future__ import annotations

from netspec.ops import OpError, OpResult, Sample, Tensor, op
from netspec.ops.moments import elementwise, kept
from netspec.ops.receptive_field import own_cell, whole_map
from netspec.ops.registry import by_size


@op(
    kind="other",
    receptive_field=own_cell,
    moments=elementwise(lambda x, attrs: x * min(max(x + 2, 0.0), 2.0) / 2),
    label="hard Mish",
    samples=[Sample(), Sample({}, ((5,),))],
)
def hard_mish(x: Tensor, /) -> OpResult:
    """x * min(max(x + 2, 0), 2) / 2, the shape stays."""
    return OpResult((x.shape,))


@op(
    kind="pool",
    receptive_field=whole_map,
    moments=kept,
    scaling=by_size,
    label="GeM pool",
    weights=("weight",),
    init={"weight": 3.0},
    aliases="generalizedmeanpooling generalizedmeanpool",
    samples=[Sample(), Sample({"eps": 0.1}, ((4, 3, 5),))],
)
def gem_pool(x: Tensor, /, *, eps: float = 1e-6) -> OpResult:
    """The generalised mean of each channel (Radenovic et al. 2018), (N, C, H, W) -> (N, C, 1, 1).

    y = mean(max(x, eps) ^ p) ^ (1 / p) with a learned exponent p, which is called `weight` and begins at 3.
    """
    x.image("gem_pool")
    if eps <= 0:
        raise OpError(f"'eps' must be above 0, got {eps}", arg="eps")
    return OpResult(((*x.shape[:2], 1, 1),), {"weight": (1,)})
