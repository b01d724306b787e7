"""Elaboration: params, blocks, loops and branches become nodes; shapes are inferred as each node is made."""

from netspec.elaborate.document import elaborate

__all__ = ["elaborate"]
