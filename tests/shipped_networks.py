"""The shipped documents, each read once for all tests that go through them."""

from __future__ import annotations

from functools import cache

from netspec.diagnostics.errors import Reporter
from netspec.syntax.document import Document
from netspec.syntax.library import shipped
from netspec.syntax.reader import read_document


@cache
def documents() -> tuple[Document, ...]:
    """Every shipped family, in the order of their names."""
    found = [read_document(path, Reporter()) for path in sorted(shipped())]
    assert all(document is not None for document in found)
    return tuple(document for document in found if document is not None)


def networks() -> list[str]:
    """The name of every shipped network; one that only names another anew is left out."""
    return [
        variant or document.name
        for document in documents()
        for variant in document.variants or [None]
        if variant is None or not document.variants[variant].alias
    ]


def firsts() -> list[str]:
    """One network of every shipped family: its default."""
    return [next(iter(document.variants), document.name) for document in documents()]
