"""The op table: in goes a typed function for each primitive op; out comes what all stages know of it.

A function's positional-only parameters are tensors (`*xs` for any number), the parameters up to `*` are the
attributes in their positional order, those after it go by name only. The body is the rule: output shapes, weight
shapes and MACs. The docstring is the manual. The JSON Schema, `netspec list ops` and the suggestions derive from it.
"""

from netspec.ops.base import OPS, Op, OpError, Param, Rule, Shape, Tensor, lookup, op

from netspec.ops import activation, conv, join, norm, pool, sampled, shape  # noqa: F401, E402  isort: skip

__all__ = ["OPS", "Op", "OpError", "Param", "Rule", "Shape", "Tensor", "lookup", "op"]
