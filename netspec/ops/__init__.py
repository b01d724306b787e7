"""Ops: in go operands and attributes; out comes what one gives: shapes, weights, MACs, and every fact about it.

One primitive op is one typed function. Its positional-only parameters are tensors (`*xs` for any number), the
parameters up to `*` are the attributes in their positional order, those after it go by name only. The body is the
rule: output shapes, weight shapes and MACs. The docstring is the manual. `@op(...)` states what else is known of it.
The JSON Schema, `netspec list ops`, pictures, analysis, suggestions and tests of conformance derive from it.
"""

from netspec.ops.base import OpError, OpResult, Param, Shape, Tensor
from netspec.ops.registry import OPS, Op, Sample, lookup, op

from netspec.ops import activation, conv, join, norm, pool, sampled, shape, spatial  # noqa: F401, E402  isort: skip

__all__ = ["OPS", "Op", "OpError", "OpResult", "Param", "Sample", "Shape", "Tensor", "lookup", "op"]
