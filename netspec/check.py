"""`netspec check`: everything that can be said of a file, in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from netspec.document import Document, read_document
from netspec.elaborate.alone import elaborate_block
from netspec.elaborate.run import MAX_NODES
from netspec.errors import Reporter, SpecError
from netspec.names import check_block, warn_unused
from netspec.network import Network, build
from netspec.steps import items


def check_file(
    path: Path, reporter: Reporter, include: Sequence[Path] = (), variant: str | None = None, max_nodes: int = MAX_NODES
) -> list[Network]:
    """Checks every variant of a document (or one), its blocks and expectations; gives the networks that compiled."""
    document = read_document(path, reporter, include)
    if document is None:
        return []
    warn_unused(document, reporter)
    if document.is_library:
        _check_library(document, reporter, max_nodes)
        return []
    names: Iterable[str | None] = [variant] if variant else list(document.variants) or [None]
    networks = []
    for name in names:
        network = _try(document, name, reporter, max_nodes)
        if network is not None:
            networks.append(network)
    if document.checkpoints is not None:
        from netspec.checkpoints import check_rules

        check_rules(document.checkpoints, reporter, document.values)
    for block in document.blocks.values():
        if not _called(document, block.name, networks):
            check_block(block, reporter)
    return networks


def _try(document: Document, variant: str | None, reporter: Reporter, max_nodes: int) -> Network | None:
    """One variant; its findings join the reporter's, which keeps those of all variants once each."""
    from netspec.expect import verify

    own = Reporter()
    try:
        network = build(document, variant, None, own, max_nodes=max_nodes)
        verify(network, own)
    except SpecError:
        network = None
    for found in own.diagnostics:
        reporter.report(found)
    return network


def _called(document: Document, name: str, networks: Sequence[Network]) -> bool:
    """Whether a variant has the block in its graph, so that elaboration has checked it."""
    return any(s.block == name for n in networks for s in n.graph.scopes.values())


def _check_library(document: Document, reporter: Reporter, max_nodes: int) -> None:
    """Every block: through its examples, or without arguments as far as that goes."""
    for block in document.blocks.values():
        count = len(items(block.examples, document.bad))
        for index in range(count):
            own = Reporter()
            elaborate_block(document, block.name, own, example=index, max_nodes=max_nodes)
            for found in own.diagnostics:
                reporter.report(found)
        if not count:
            check_block(block, reporter)
