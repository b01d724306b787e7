"""`netspec check`: what every command checks of a document, and the closed list of what only `check` looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netspec import collector
from netspec.check.expect import verify_example, within_limits
from netspec.check.printed import Held
from netspec.check.unused import check_names, warn_unused
from netspec.diagnostics.errors import Reporter, SpecError, TooManyErrors
from netspec.elaborate.block_alone import elaborate_block
from netspec.elaborate.budget import MAX_NODES, RAISE_LIMITS, Budget, OverBudget
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.elaborate.configuration import Configuration
from netspec.syntax.document import BlockDecl, Document, Example
from netspec.syntax.library import Found
from netspec.syntax.reader import read_document

KEPT_NODES = 20_000
"""So many nodes of networks stay in memory until a document is checked; those of further variants are let go."""
FACTS = "facts under `expect`"


@dataclass
class Checking:
    """One document being checked: what was found so far, and the networks that compiled."""

    document: Document
    reporter: Reporter
    budget: Budget
    only: str | None
    """The one variant that was asked for."""
    read: Reporter
    """What reading the document reported."""
    networks: list[Compiled] = field(default_factory=list)
    verifies: bool = True
    """Whether the facts under `expect` are looked at."""
    verified: dict[Compiled, list[Held]] = field(default_factory=dict)
    """The printed numbers of each network whose facts were looked at."""
    of_blocks: list[Held] = field(default_factory=list)
    """The printed numbers of blocks."""
    called: set[str] = field(default_factory=set)
    """The blocks that some network has."""
    kept: int = 0
    """Nodes of the networks that are still there."""

    def compile(self, variant: str | None) -> None:
        """Compiles a variant as every other command does, with the errors of reading the document."""
        own = Reporter()
        own.errors = min(self.read.errors, 1)
        try:
            network = compile_variant(self.document, variant, None, own, max_nodes=self.budget)
        except SpecError:
            return
        finally:
            _join(own, self.reporter)
        self.networks.append(network)
        self.called.update(scope.block for scope in network.graph.scopes.values())
        self.kept += len(network.graph)
        if self.kept > KEPT_NODES:
            if self.verifies:
                self.verify(network)
            self.kept -= len(network.graph)
            network.forget()

    def verify(self, network: Compiled) -> None:
        """Compares a network with the facts under `expect`, once."""
        if network not in self.verified:
            self.verified[network] = []
            own = Reporter()
            try:
                self.verified[network] = within_limits(network, own, self.budget)
            finally:
                _join(own, self.reporter)


@dataclass
class Checked:
    """What a document was found to have: the networks that compiled, and what is printed of them."""

    networks: list[Compiled] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    count: int = 0
    """How many networks these are: another name of one is none."""


def check_file(
    spec: Path | Found,
    reporter: Reporter,
    include: Sequence[Path] = (),
    variant: str | None = None,
    max_nodes: int = MAX_NODES,
    parts: Iterable[str] | None = None,
) -> list[Compiled]:
    """Checks a document as `checked` does; gives the networks that compiled."""
    return checked(spec, reporter, include, variant, max_nodes, parts).networks


@collector.paused()
def checked(
    spec: Path | Found,
    reporter: Reporter,
    include: Sequence[Path] = (),
    variant: str | None = None,
    max_nodes: int = MAX_NODES,
    parts: Iterable[str] | None = None,
) -> Checked:
    """Checks every variant of a document (or one), its blocks and expectations.

    `parts` names the parts of ONLY_CHECK to look at: all by default.
    """
    read = Reporter()
    found = Checked()
    try:
        try:
            document = read_document(spec, read, include)
        finally:
            _join(read, reporter)
        if document is None:
            return found
        parts = list(ONLY_CHECK if parts is None else parts)
        checking = Checking(document, reporter, Budget(max_nodes), variant, read, found.networks, FACTS in parts)
        if not document.is_library:
            checking.compile(document.default_variant if variant is None else variant)
        for name in parts:
            ONLY_CHECK[name](checking)
        for network in found.networks:
            alias = variant is None and network.variant is not None and document.variants[network.variant].alias
            found.held += [] if alias else checking.verified.get(network, [])
            found.count += not alias
        found.held += checking.of_blocks
    except TooManyErrors:
        pass  # they are in the reporter
    return found


def _other_variants(checking: Checking) -> None:
    if checking.only is None and not checking.document.is_library:
        for name in list(checking.document.variants)[1:]:
            if checking.budget.spent:
                break  # which an error says
            checking.compile(name)


def _facts(checking: Checking) -> None:
    for network in checking.networks:
        checking.verify(network)


def _uncalled_blocks(checking: Checking) -> None:
    """Checks the blocks of a library that no network calls, through their examples."""
    document = checking.document
    for block in document.blocks.values():
        uncalled, missing = document.is_library and block.name not in checking.called, set[str]()
        for example in block.examples if not block.failed else ():
            if uncalled or (checking.verifies and example.expect is not None):
                _example(checking, block, example, missing)


def _example(checking: Checking, block: BlockDecl, example: Example, missing: set[str]) -> None:
    """Builds a block by one of its examples, and compares it with the facts that stand there."""
    if checking.budget.spent:
        return
    own, document, budget = Reporter(), checking.document, checking.budget
    graph = elaborate_block(document, block.name, Configuration(), own, example, budget)
    if graph is not None and checking.verifies and not own.failed:
        try:
            checking.of_blocks += verify_example(Compiled(document, None, graph), example, own, budget, missing)
        except OverBudget as e:
            own.error("NS404", str(e), document.span, RAISE_LIMITS)
    _join(own, checking.reporter)


def _steps_not_run(checking: Checking) -> None:
    """The names in steps that no condition or loop reaches, as far as they can be known without running them."""
    check_names(checking.document, checking.reporter)


def _unused_names(checking: Checking) -> None:
    warn_unused(checking.document, checking.reporter)


ONLY_CHECK: Mapping[str, Callable[[Checking], None]] = {
    "other variants": _other_variants,
    FACTS: _facts,
    "blocks that nothing calls": _uncalled_blocks,
    "steps that nothing runs": _steps_not_run,
    "unused names": _unused_names,
}
"""All that `netspec check` looks at and no other command does, in this order; everything else is the same for all."""


def _join(found: Reporter, all_: Reporter) -> None:
    for diagnostic in found.diagnostics:
        all_.report(diagnostic)
