"""Syntax: in goes YAML text; out comes a `Document`, its typed syntax tree, in which an error has its node."""
