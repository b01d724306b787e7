"""Options that several commands have, and the way from a spec's name to a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netspec.diagnostics.errors import SHOWN_ERRORS, Diagnostic, Reporter, SpecError, UsageError
from netspec.diagnostics.streams import put, tell
from netspec.elaborate.interface import InputSize
from netspec.files.atomic import check_place
from netspec.network import Network

if TYPE_CHECKING:
    from netspec.syntax.library import Found
    from netspec.syntax.reader import Document
    from netspec.weights.lazy import Arrays

F = TypeVar("F", bound=Callable[..., Any])


class Sizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """3x224x224"""

    name = "CxHxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The sizes; fails for anything else."""
        parts = str(value).lower().split("x")
        if not all(p.isdigit() and p.isascii() and 0 < int(p) < 2**31 for p in parts if len(p) < 12) or any(
            len(p) > 11 for p in parts
        ):
            self.fail(f"'{value}' is not a size; write 3x224x224", param, ctx)
        return [int(p) for p in parts]


def _most(ctx: click.Context, param: click.Parameter, value: int) -> None:
    ctx.find_root().obj["max_errors"] = value


error_option = click.option(
    "--max-errors",
    metavar="N",
    type=click.IntRange(1),
    default=SHOWN_ERRORS,
    show_default=True,
    expose_value=False,
    callback=_most,
    help="Print at most so many errors and warnings.",
)
"""The option of every command that prints the errors of a spec."""

INPUT = click.option("--input", "input_size", type=Sizes(), help="Another input size, as 3x160x160.")


class OutputFile(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A file to write, in a folder that is there; - is stdout where a command says so."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; fails for one that cannot be a file's, before any work is done."""
        text = str(value)
        if not text.strip():
            self.fail("an empty name is given", param, ctx)
        if text.endswith(("/", os.sep)):
            self.fail(f"'{text}' is the name of a folder; name a file in it", param, ctx)
        if text != "-":
            check_place(text)
        return text


def suffix_of(output: str | None) -> str:
    """The suffix of an output file in lower case, without its dot: `svg` of x.svg and of .svg alike."""
    return Path(output or "").name.rpartition(".")[2].lower() if "." in Path(output or "").name else ""


def spec_options(fn: F, input: Callable[[F], F] = INPUT) -> F:
    """Options that choose what is compiled; a command may have another --input."""
    for option in reversed(
        (
            click.argument("spec"),
            click.option("--variant", metavar="NAME", help="A variant of the spec; the first is the default."),
            click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param."),
            input,
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
    ):
        fn = option(fn)
    return fn


weight_options = (
    click.option(
        "--weights",
        metavar="FILE",
        help="A checkpoint: .safetensors, .npz, .pth, .ckpt, .bin, or the .index.json of shards.",
    ),
    click.option(
        "--checkpoint-key",
        metavar="KEY",
        help="Which weights of the checkpoint, where it has several: the name of a mapping in it, or a prefix.",
    ),
    click.option(
        "--rules", type=click.Path(), metavar="FILE", help="Rules for its names, as under `checkpoints:` of a spec."
    ),
    click.option(
        "--layers",
        multiple=True,
        metavar="PATTERN",
        help="Take the weights of these steps alone (`layer1`, `layer*.0`; commas between several); draw the others.",
    ),
    click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Do not take the weights of these steps; draw them."
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**64 - 1),
        default=0,
        show_default=True,
        help="Seed of the weights that no checkpoint gives.",
    ),
)


def with_weights(fn: F) -> F:
    """Options that choose the weights."""
    for option in reversed(weight_options):
        fn = option(fn)
    return fn


@dataclass(frozen=True, slots=True)
class Weights:
    """What the options of with_weights ask for."""

    file: str | None
    seed: int
    choices: dict[str, Any]

    @classmethod
    def of(cls, options: dict[str, Any]) -> Weights:
        """Takes its options out of a command's; raises UsageError."""
        file, seed = options.pop("weights"), options.pop("seed")
        choices: dict[str, Any] = {name: options.pop(name) for name in ("checkpoint_key", "rules")}
        for name in ("layers", "exclude"):
            choices[name] = [p.strip() for text in options.pop(name) for p in text.split(",") if p.strip()]
        choices = {name: value for name, value in choices.items() if value}
        if choices and file is None:
            raise UsageError(f"--{next(iter(choices)).replace('_', '-')} goes with --weights")
        return cls(file, seed, choices)

    def arrays(self, network: Network, request: Request, training: bool = False) -> Arrays:
        """The weights; what was chosen is said, warnings are printed; raises DataError, UsageError, SpecError."""
        if self.file is None:
            return network.lazy_arrays(self.seed, None, training)
        arrays, found = network.read_weights(self.file, self.seed, training, **self.choices)
        warn(found.warnings, request)
        for note in found.notes if not request.quiet else ():
            say(f"{self.file}: {note}")
        return arrays


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
            options.pop("input_size"),
            options.pop("passes"),
            tuple(map(Path, options.pop("include"))),
            options.pop("max_nodes"),
            options.pop("strict"),
            options.pop("quiet"),
        )

    def read(self) -> tuple[Found, Document, Reporter]:
        """The document, with what was found in reading it; raises SpecError, UsageError."""
        from netspec.syntax.library import find
        from netspec.syntax.reader import read_document

        found = find(self.spec)
        reporter = Reporter()
        document = read_document(found, reporter, self.include)
        if document is None:
            raise SpecError(reporter.sorted())
        return found, document, reporter

    def network(self) -> Network:
        """Compiles it; warnings are printed; raises SpecError, UsageError."""
        try:
            network = self._compiled().after(self.passes)
        except SpecError as e:
            raise SpecError(d for d in e.diagnostics if d.severity == "error") from None if self.quiet else e
        warn(network.warnings, self)
        return network

    def _compiled(self) -> Network:
        from netspec.network import build, build_block

        found, document, reporter = self.read()
        if found.block:
            if self.variant is not None:
                raise UsageError(f"'{self.spec}' is a block", "--variant goes with a document")
            return build_block(document, found.block, self.settings, reporter, self.input_size, self.max_nodes)
        if self.variant is not None and found.variant:
            raise UsageError(f"'{self.spec}' is a variant already", f"--variant goes with {found.path.stem}")
        variant = found.variant if self.variant is None else self.variant
        return build(document, variant, self.settings, reporter, self.input_size, self.max_nodes)


def warn(warnings: Sequence[Diagnostic], request: Request) -> None:
    """Prints warnings and notes, or raises the warnings under --strict."""
    if request.strict and warnings:
        reporter = Reporter(list(warnings))
        reporter.strict()
        reporter.check()
    if not request.quiet:
        printer().print(warnings)


def printer() -> Any:
    """The printer of findings that the options ask for."""
    from netspec.diagnostics.printer import Printer

    options = click.get_current_context().find_root().obj
    return Printer(options.get("findings", "text"), options.get("color", "auto"), most=options["max_errors"])


def shown(text: str) -> str:
    """A text as a terminal or the log of a workflow may have it."""
    from netspec.diagnostics.printer import logged

    return logged(text)


def say(text: str) -> None:
    """A line on stderr, where progress and summaries go."""
    tell(shown(text))


def out(text: str) -> None:
    """A result on stdout, as people read it."""
    put(shown(text))


def write_result(text: str, output: str | None) -> None:
    """A text to the file of -o, or to stdout, where control characters are escaped."""
    from netspec.diagnostics.printer import printable
    from netspec.files.atomic import write_text

    if output in (None, "-"):
        put(printable(text))
    else:
        write_text(Path(str(output)), text if text.endswith("\n") else text + "\n")


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError
