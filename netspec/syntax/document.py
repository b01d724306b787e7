"""The syntax tree of a file: its declarations, its interface and its facts; steps are in `ast`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netspec.diagnostics.errors import Reporter, Span, did_you_mean
from netspec.expressions.identifiers import clipped
from netspec.syntax import ast
from netspec.syntax.ast import Computed, Error, Literal, Name, ValueNode
from netspec.syntax.published import Published
from netspec.syntax.results import Result
from netspec.syntax.rules import RuleSets
from netspec.syntax.steps import Step
from netspec.syntax.tree import Plain

MAX_LINEAGE = 64


@dataclass(eq=False, slots=True)
class ParamDecl:
    """A declared parameter, not yet evaluated."""

    name: str
    at: Name
    type: str
    """A type, or '' where the default decides."""
    default: ValueNode | None = None
    one_of: ValueNode | None = None
    min: ValueNode | None = None
    doc: str = ""
    failed: bool = False
    """Whether it cannot be read: it is an error value."""

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is None


@dataclass(frozen=True, slots=True, eq=False)
class LetDecl:
    """A value of `let`."""

    at: Name
    value: ValueNode


@dataclass(frozen=True, slots=True, eq=False)
class InputDecl:
    """The size of one input: a list, or {shape, sample}; a symbol may begin the list."""

    name: Name
    shape: ValueNode
    sample: str = ""
    has_symbol: bool = False
    """Whether the shape may begin with a symbol, as it does next to `sample`."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The inputs of a network, a variant or an example of a block."""

    items: tuple[InputDecl, ...]
    by_name: bool
    """Whether they are written with names; a single one without is `input`."""
    span: Span

    def get(self, name: str) -> InputDecl | None:
        """The input of a name; one that is written without a name is that of any."""
        return next((item for item in self.items if not self.by_name or item.name.text == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class OutputDecl:
    """One output: a path, or {from, loss_weight, training_only, only_if}."""

    name: str
    """Empty in a list, where its path is its name."""
    span: Span
    path: ast.Path | Error
    only_if: Computed | None = None
    loss_weight: ValueNode | None = None
    training_only: Computed | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The outputs of a network."""

    items: tuple[OutputDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Printed:
    """A number or a size as the paper prints it, and how the paper counts."""

    text: str
    span: Span
    k: int = 1000
    """What the unit K stands for; M and G are its powers."""
    biases: bool = True
    """Whether the biases of layers are counted."""
    norms: bool = True
    """Whether the parameters of normalization are."""
    statistics: bool = False
    """Whether the running statistics of batch normalization are."""


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """One fact: a number, {value, within, source}, or what a paper prints with what explains it."""

    value: Literal | None
    within: Literal | None
    source: str
    span: Span
    printed: Printed | None = None
    misprint: Name | None = None
    """The true value, in the digits of the paper."""
    why: str = ""
    """What shows that it is a misprint."""
    differs: Name | None = None
    """Why the printed number cannot be reproduced."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is stated of one thing: a fact, or a list of them."""

    items: tuple[Fact, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class ShapeFact:
    """The shape of what is at a path."""

    path: Name
    sizes: Plain
    span: Span
    fact: Fact | None = None
    """What is printed, in place of the sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What is known of what is at a path: counts, and its shape."""

    path: Name
    counts: dict[str, Facts]
    shapes: tuple[ShapeFact, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PrintedTable:
    """A table of a paper: its rows, of steps or of networks, each of which states what its cells print."""

    source: str
    variants: tuple[Name, ...]
    """Of which its rows of steps are; none for the network whose `expect` has it."""
    input: tuple[int, ...]
    """The size of the input where it is another one than the network's; empty where it is not."""
    input_span: Span
    rows: tuple[Row, ...]
    too_long: tuple[Span, ...]
    """The first cell of each row that is beyond the columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Expect:
    """The facts of a paper, under `expect`."""

    span: Span
    counts: dict[str, Facts]
    """By what is counted."""
    fields: tuple[tuple[Name | None, Facts], ...]
    """Receptive fields, by path; of the output without one."""
    shapes: tuple[ShapeFact, ...]
    rows: tuple[Row, ...]
    tables: tuple[PrintedTable, ...]
    keys: tuple[str, ...]
    """What it states, in source order."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Arguments and inputs with which a block is built alone."""

    args: ValueNode | None
    inputs: Inputs | None
    span: Span
    expect: Expect | None = None
    """The facts of the block with these."""

    @property
    def given(self) -> str:
        """The arguments as they are written, `C=2, d=40`."""
        if isinstance(self.args, ast.MapNode):
            return ", ".join(f"{name.text}={_text(value)}" for name, value in self.args.entries)
        return ", ".join(map(_text, self.args.items if isinstance(self.args, ast.ListNode) else ()))


def _text(value: ValueNode) -> str:
    return value.text if isinstance(value, (ast.Literal, ast.Expression)) else "..."


@dataclass(eq=False, slots=True)
class BlockDecl:
    """A block as written: its parameters, its inputs and outputs, and its body."""

    name: str
    at: Name
    span: Span
    """Of what is written below its name."""
    home: Document
    """The file that declares it: it sees the blocks of that file and what the file uses."""
    params: tuple[ParamDecl, ...]
    lets: tuple[LetDecl, ...]
    inputs: tuple[Name, ...]
    """Empty for a block of one input, `x`."""
    outputs: tuple[Name, ...]
    body: tuple[Step, ...]
    doc: str = ""
    examples: tuple[Example, ...] = ()
    failed: bool = False
    """Whether its name, parameters, inputs or outputs cannot be read: its calls are error values."""
    open: bool = False
    """Whether its `params` or `let` cannot be read, so that any name may be one of theirs."""


@dataclass(eq=False, slots=True)
class Variant:
    """A named setting of the params, with what it says in place of the document."""

    name: str
    at: Name
    of: Name | None
    settings: dict[str, tuple[Name, ValueNode]]
    input: Inputs | None = None
    expect: Expect | None = None
    title: str = ""
    source: str = ""
    passes: tuple[Name, ...] = ()
    results: tuple[Result, ...] = ()

    @property
    def alias(self) -> str:
        """The variant that this one only names anew; empty where it says something of its own."""
        same = self.of is not None and not (self.settings or self.passes) and self.input is None
        return self.of.text if self.of is not None and same else ""


@dataclass(eq=False)
class Document:
    """One spec file; elaboration makes graphs of it."""

    path: Path
    name: str
    span: Span
    title: str = ""
    source: str = ""
    doc: str = ""
    params: tuple[ParamDecl, ...] = ()
    variants: dict[str, Variant] = field(default_factory=dict)
    lets: tuple[LetDecl, ...] = ()
    input: Inputs | None = None
    blocks: dict[str, BlockDecl] = field(default_factory=dict)
    """The blocks of this file."""
    used: dict[str, BlockDecl | Document] = field(default_factory=dict)
    """What `use` brings: blocks of libraries, and networks by their name."""
    body: tuple[Step, ...] = ()
    body_span: Span | None = None
    """None where no body is written; a body without a good step, or with none, is a network with an error."""
    outputs: Outputs | None = None
    expect: Expect | None = None
    results: tuple[Result, ...] = ()
    checkpoints: RuleSets | None = None
    published: tuple[Published, ...] = ()
    refused: set[str] = field(default_factory=set)
    """Names of variants that cannot be read, which is reported: they are known."""
    open: frozenset[str] = frozenset()
    """Sections that cannot be read or a file of which is missing: any unknown name may be one of theirs."""
    dropped: tuple[ValueNode, ...] = ()
    """What is written in sections, entries and items that cannot be read."""
    argument: str = ""
    """What names it on a command line, where this is not its path."""
    digest: str = ""
    """A hash of what its graphs are built of: facts, texts and comments may change without it."""

    def __post_init__(self) -> None:
        self.argument = self.argument or str(self.path)

    @property
    def is_library(self) -> bool:
        """Whether no body is written."""
        return self.body_span is None

    @property
    def default_variant(self) -> str | None:
        """The first variant."""
        return next(iter(self.variants), None)

    @property
    def values(self) -> list[str]:
        """The names of its params and of what `let` computes."""
        return [p.name for p in self.params] + [let.at.text for let in self.lets]

    def callable(self, name: str) -> BlockDecl | Document | None:
        """The block or network of that name that this file sees."""
        return self.blocks.get(name) or self.used.get(name)

    def expect_for(self, variant: str | None) -> Expect | None:
        """The facts that hold for a variant: its own, those of what it is an alias of, for the first the document's."""
        own = next((v.expect for v in self._chain(variant, aliases=True) if v.expect is not None), None)
        last = [v.name for v in self._chain(variant, aliases=True)][-1:]
        if own is None and (variant is None or last == [self.default_variant]):
            own = self.expect
        return own

    def tables_for(self, variant: str | None) -> list[PrintedTable]:
        """The tables with rows that may be of a variant: those of its own facts, and of the document's."""
        own = self.expect_for(variant)
        shared = self.expect.tables if self.expect is not None and self.expect is not own else ()
        return [*(own.tables if own is not None else ()), *shared]

    def rows_of(self, table: PrintedTable, variant: str | None) -> list[Row]:
        """The rows of a table that are of a variant: those that name it, and of steps where the table is of it."""
        own, names = self.expect_for(variant), self.names_of(variant)
        of_it = own is not None and table in own.tables and not table.variants
        steps = of_it or bool(names & {name.text for name in table.variants})
        networks = {*self.variants, self.name}
        return [row for row in table.rows if row.path.text in names or (steps and row.path.text not in networks)]

    def names_of(self, variant: str | None) -> set[str]:
        """The names of a variant: its own, that of what it is an alias of, for the first that of the document."""
        names = {found.name for found in self._chain(variant, aliases=True)}
        return names | ({self.name} if variant is None or self.default_variant in names else set())

    def results_for(self, variant: str | None) -> tuple[Result, ...]:
        """What papers report of a variant: its own, of what it is an alias of, for the first the document's."""
        chain = list(self._chain(variant, aliases=True))
        first = variant is None or self.default_variant in {v.name for v in chain}
        return next((v.results for v in chain if v.results), self.results if first else ())

    def published_for(self, variant: str | None) -> list[Published]:
        """The published weights of a variant: its own, or, where it has the same params, those of what it is `of`."""
        for found in self._chain(variant or self.default_variant):
            own = [weights for weights in self.published if weights.variant == found.name]
            if own or found.settings:
                return own
        return [weights for weights in self.published if not self.variants and weights.variant == self.name]

    def source_of(self, variant: str | None) -> str:
        """The paper of a variant: its own, that of what it is `of`, or the document's."""
        return next((v.source for v in self._chain(variant) if v.source), self.source)

    def title_of(self, variant: str | None) -> str:
        """The title of a variant: its own, that of what it is `of`, or the document's."""
        return next((v.title for v in self._chain(variant) if v.title), self.title)

    def lineage(self, variant: str | None, reporter: Reporter) -> list[Variant]:
        """A variant and what it is `of`, the most basic first; errors in that go to the reporter."""
        chain: list[Variant] = []
        at: Span | None = None
        while variant is not None:
            if variant not in self.variants:
                # where its name or that of the whole section is refused, it is perhaps misspelt there
                if not self.refused and "variants" not in self.open:
                    help_ = did_you_mean(variant, self.variants)
                    reporter.error("NS202", f"there is no variant '{clipped(variant)}'", at, help_)
                break
            found = self.variants[variant]
            if len(chain) == MAX_LINEAGE:
                message = f"limit exceeded: variants are `of` each other more than {MAX_LINEAGE} deep"
                reporter.error("NS404", message, at)
                break
            if found in chain:
                first = min(chain[chain.index(found) :], key=list(self.variants.values()).index)
                reporter.error("NS208", f"the variant '{first.name}' is of itself", first.at.span)
                break
            chain.append(found)
            variant, at = (found.of.text, found.of.span) if found.of is not None else (None, None)
        return chain[::-1]

    def _chain(self, variant: str | None, aliases: bool = False) -> Iterator[Variant]:
        """A variant and what it is `of`, or an alias of; a cycle, which is reported elsewhere, is followed once."""
        seen: set[str | None] = set()
        while variant in self.variants and variant not in seen and len(seen) < MAX_LINEAGE:
            seen.add(variant)
            yield (found := self.variants[variant])
            variant = found.alias if aliases else found.of.text if found.of is not None else None


def passes_of(chain: Sequence[Variant]) -> tuple[Name, ...]:
    """What the last variant of a lineage, or what it is `of`, asks for under `passes`."""
    return next((variant.passes for variant in reversed(chain) if variant.passes), ())
