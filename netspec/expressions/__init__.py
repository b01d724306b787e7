"""Expressions: in goes the text of an expression or a name; out comes a tree with a value for every environment."""
