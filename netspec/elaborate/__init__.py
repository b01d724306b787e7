"""Elaboration: in goes a document; out comes a graph, its shapes inferred as each node is made."""

from netspec.elaborate.document import elaborate

__all__ = ["elaborate"]
