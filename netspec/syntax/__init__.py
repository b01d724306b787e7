"""Syntax: in goes YAML text; out comes a located tree and the document that it declares, or structural errors."""
