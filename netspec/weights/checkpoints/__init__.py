"""Checkpoints: in goes a file of tensors under foreign names; out come the weights of a network."""

from __future__ import annotations

from netspec.weights.checkpoints.rules import check_rules, rules_of

# The modules that read files are imported where they are used: `netspec check` reads rules, and no arrays.
__all__ = ["check_rules", "rules_of"]
