"""Budgets: how many nodes, and how much work that makes no node, an elaboration may take."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.diagnostics.errors import Span
from netspec.elaborate.symbols import CallFrame

MAX_NODES = 100_000
# Work that makes no node, in units of about a microsecond, and what each node allows next to it.
MAX_WORK = 500_000
WORK_OF_NODE = 120
WORK_OF_STEP, WORK_OF_ITERATION, WORK_OF_CALL, WORK_OF_PARAM, WORK_OF_ERROR, WORK_OF_NETWORK = 15, 30, 50, 5, 50, 400
RAISE_LIMITS = "--max-nodes raises the limits of nodes and of work"
MAX_PARAMS = 2**36
MAX_SCOPES = 128
MAX_PATH = 500
MAX_CALLS = 64
"""So deep blocks call each other."""


class Enough(Exception):
    """Errors are reported already, and looking for more of them would take too long: elaboration stops."""


class OverBudget(Exception):
    """A limit is exceeded: elaboration stops."""

    def __init__(self, message: str, span: Span | None = None, frame: CallFrame | None = None) -> None:
        super().__init__(f"limit exceeded: {message}")
        self.span, self.frame = span, frame


@dataclass(eq=False)
class Budget:
    """What may still be done without making a node, in all networks of one document that are checked together."""

    max_nodes: int = MAX_NODES
    used: int = 0

    @classmethod
    def of(cls, limit: int | Budget) -> Budget:
        """A budget of so many nodes, or one that is given."""
        return limit if isinstance(limit, Budget) else cls(limit)

    def take(self, cost: int) -> None:
        """Counts work; raises OverBudget."""
        self.used += cost
        if self.used > MAX_WORK and self.spent:
            raise OverBudget(
                f"more than {self.limit:,} units of work that make no node (iterations, calls, parts of expressions)"
            )

    @property
    def limit(self) -> int:
        """--max-nodes raises it."""
        return max(MAX_WORK, 5 * self.max_nodes)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.used > self.limit
