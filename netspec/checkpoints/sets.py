"""The rule sets that are tried for a network: none, its document's, and those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.checkpoints.account import Layer, RuleSet
from netspec.checkpoints.rules import rules_of
from netspec.errors import Reporter

if TYPE_CHECKING:
    from netspec.network import Network

OWN = "its own names"


def rule_sets(network: Network, file: Path | None = None) -> list[RuleSet]:
    """The sets to try in order: the names of the spec, then the document's by source; raises SpecError."""
    reporter = Reporter()
    values = plain_values(network)
    sets = {OWN: (), **rules_of(network.document.checkpoints, reporter, values)}
    reporter.check()
    found = []
    for source, rules in sets.items():
        found.append(RuleSet(source, (Layer("", "", tuple(rules), values),) if rules else ()))
    return found


def plain_values(network: Network) -> Mapping[str, Any]:
    """What rules may read: the params and `let` of the document."""
    from netspec.elaborate.top import values_of

    if network.document.checkpoints is None:
        return {}
    values = values_of(network.document, network.variant, network.settings)
    return {name: value for name, value in values.items() if isinstance(value, (int, float, str, list))}


