"""Checkpoints: tensors out of a file, and the rules that map foreign keys to the paths of a spec."""

from __future__ import annotations

from netspec.weights.checkpoints.rules import check_rules, rules_of

# The modules that read files are imported where they are used: `netspec check` reads rules, and no arrays.
__all__ = ["check_rules", "rules_of"]
