"""The way from a spec's name to its graph, as the options ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from netspec.cli.options import INPUT, error_option
from netspec.cli.output import printer
from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError
from netspec.elaborate.budget import MAX_NODES
from netspec.elaborate.compiled import Compiled, compile_block, compile_variant
from netspec.elaborate.configuration import InputSize
from netspec.syntax.document import Document
from netspec.syntax.library import Found, find
from netspec.syntax.reader import read_document


@dataclass(frozen=True, slots=True)
class Request:
    """What the options of spec_options ask for."""

    spec: str
    variant: str | None
    settings: dict[str, str]
    input_size: InputSize | None
    passes: tuple[str, ...]
    include: tuple[Path, ...]
    max_nodes: int
    strict: bool
    quiet: bool

    @classmethod
    def of(cls, options: dict[str, Any]) -> Request:
        """Takes its options out of a command's; raises UsageError."""
        settings = {}
        for text in options.pop("settings"):
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--set {text}: write name=value")
            if name.strip() in settings:
                raise UsageError(f"--set gives '{name.strip()}' twice")
            settings[name.strip()] = value.strip()
        return cls(
            options.pop("spec"),
            options.pop("variant"),
            settings,
            options.pop("input_size", None),
            options.pop("passes"),
            tuple(map(Path, options.pop("include"))),
            options.pop("max_nodes"),
            options.pop("strict"),
            options.pop("quiet"),
        )

    def read(self) -> tuple[Found, Document, Reporter]:
        """The document, with what was found in reading it; raises SpecError, UsageError."""
        found = find(self.spec)
        reporter = Reporter()
        document = read_document(found, reporter, self.include)
        if document is None:
            raise SpecError(reporter.sorted())
        return found, document, reporter

    def compile(self) -> Compiled:
        """Compiles it; warnings are printed; raises SpecError, UsageError."""
        try:
            compiled = self._compiled().after(self.passes)
        except SpecError as e:
            raise SpecError(d for d in e.diagnostics if d.severity == "error") from None if self.quiet else e
        warn(compiled.warnings, self)
        return compiled

    def _compiled(self) -> Compiled:
        found, document, reporter = self.read()
        if found.block:
            if self.variant is not None:
                raise UsageError(f"'{self.spec}' is a block", "--variant goes with a document")
            return compile_block(document, found.block, self.settings, reporter, self.input_size, self.max_nodes)
        if self.variant is not None and found.variant:
            raise UsageError(f"'{self.spec}' is a variant already", f"--variant goes with {found.path.stem}")
        variant = found.variant if self.variant is None else self.variant
        return compile_variant(document, variant, self.settings, reporter, self.input_size, self.max_nodes)


CHOICE = (
    click.argument("spec"),
    click.option("--variant", metavar="NAME", help="A variant of the spec; the first is the default."),
    click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param."),
)
"""What is compiled."""

CHOICE_OF_MANY = (
    click.argument("specs", nargs=-1, required=True, metavar="SPEC..."),
    click.option("--variant", "variants", multiple=True, metavar="NAME", help="A variant of each SPEC; repeatable."),
    click.option("--all", "every", is_flag=True, help="Every variant of each SPEC, other names of one left out."),
    click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param of each."),
)
"""What is compiled by a command for several networks."""

BUILD = (
    click.option(
        "--pass",
        "passes",
        multiple=True,
        metavar="NAME",
        help="Run a pass, such as fold_batch_norm; `netspec list passes` shows them.",
    ),
    click.option(
        "-I",
        "include",
        multiple=True,
        metavar="DIR",
        type=click.Path(file_okay=False, exists=True),
        help="A folder in which `use: [./name]` looks too.",
    ),
    click.option(
        "--max-nodes",
        type=click.IntRange(1),
        default=100_000,
        show_default=True,
        help="The largest graph that is built.",
    ),
    error_option,
    click.option("--strict", is_flag=True, help="Warnings are errors."),
    click.option("-q", "--quiet", is_flag=True, help="No warnings and no summary line."),
)
"""How it is compiled, and what is said."""


def spec_options(command: Callable[..., int], input: Callable[..., Callable[..., int]] = INPUT) -> Callable[..., int]:
    """A command that takes a `request`, with the options that say what; one may have another --input."""

    @wraps(command)
    def taking(**options: Any) -> int:
        return command(request=Request.of(options), **options)

    for option in reversed((*CHOICE, input, *BUILD)):
        taking = option(taking)
    return taking


def requests_options(command: Callable[..., int]) -> Callable[..., int]:
    """A command that takes `requests`, one for each SPEC and variant; all other options hold for each of them."""

    @wraps(command)
    def taking(**options: Any) -> int:
        specs, variants, every = options.pop("specs"), options.pop("variants"), options.pop("every")
        requests: list[Request] = []
        for spec in specs:
            for variant in variants or [None]:
                given = {**options, "spec": spec, "variant": variant}
                requests.append(Request.of(given))
        if every:
            requests = [each for request in requests for each in _of_each_variant(request)]
        own = {name: value for name, value in options.items() if name in given}
        return command(requests=tuple(requests), **own)

    for option in reversed((*CHOICE_OF_MANY, INPUT, *BUILD)):
        taking = option(taking)
    return taking


def _of_each_variant(request: Request) -> list[Request]:
    """The same request for every variant of its document; raises UsageError for what has none."""
    found, document, _ = request.read()
    if found.block or found.variant or request.variant:
        raise UsageError(f"'{request.spec}' is one of its kind already", "--all goes with a document and its variants")
    own = [name for name, variant in document.variants.items() if not variant.alias]
    return [replace(request, variant=variant) for variant in own] or [request]


def warn(warnings: Sequence[Diagnostic], request: Request) -> None:
    """Prints warnings and notes, or raises the warnings under --strict."""
    if request.strict and warnings:
        reporter = Reporter(list(warnings))
        reporter.strict()
        reporter.check()
    if not request.quiet:
        printer().print(warnings)


def load(spec: str) -> Compiled:
    """What a spec's name means, without options; raises SpecError, UsageError."""
    return Request(spec, None, {}, None, (), (), MAX_NODES, False, True).compile()
