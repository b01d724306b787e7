"""Checks: in goes a document and its graph; out come the errors and warnings that only `netspec check` looks for."""
