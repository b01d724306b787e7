"""The way from a spec's name to its graph, as the options ask for it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from os.path import exists
from pathlib import Path
from typing import Any, cast, get_args

import click
from click.shell_completion import CompletionItem

from netspec.cli.options import INPUT, Sizes, error_option
from netspec.cli.output import printer, say
from netspec.diagnostics.errors import Diagnostic, NetspecError, Reporter, SpecError, UsageError
from netspec.elaborate.budget import MAX_NODES
from netspec.elaborate.compiled import Compiled, compile_block, compile_variant
from netspec.elaborate.configuration import InputSize
from netspec.passes.base import Level
from netspec.passes.profile import read_profile
from netspec.syntax.document import Document
from netspec.syntax.library import Found, find, shipped, variant_names
from netspec.syntax.profile_reader import Profile
from netspec.syntax.reader import read_document


@dataclass(frozen=True, slots=True)
class Request:
    """What the options of spec_options ask for."""

    spec: str
    variant: str | None
    settings: dict[str, str]
    input_size: InputSize | None
    passes: tuple[str, ...]
    level: Level | None
    """How much the network is rewritten for a faster run; None where -O is not given."""
    include: tuple[Path, ...]
    max_nodes: int
    strict: bool
    quiet: bool
    features: tuple[str, ...] = ()
    """The steps whose values become the outputs."""
    own: str = ""
    """The settings that are written with the spec, as they are written."""
    profile: Profile | None = None
    """What -O2 is to have in place of its own table."""

    @property
    def label(self) -> str:
        """How it was asked for: a spec or a variant, with settings of its own."""
        return ",".join(filter(None, [self.variant or self.spec, self.own]))

    @classmethod
    def of(cls, options: dict[str, Any]) -> Request:
        """Takes its options out of a command's; raises UsageError."""
        settings = settings_of(options.pop("settings"))
        file = options.pop("profile")
        if file is not None and options["level"] not in (2, None):
            raise UsageError(f"--profile goes with -O2, not with -O{options['level']}", "-O2, or leave out --profile")
        return cls(
            options.pop("spec"),
            options.pop("variant"),
            settings,
            options.pop("input_size", None),
            options.pop("passes"),
            options.pop("level"),
            tuple(map(Path, options.pop("include"))),
            options.pop("max_nodes"),
            options.pop("strict"),
            options.pop("quiet"),
            options.pop("features"),
            profile=read_profile(file) if file is not None else None,
        )

    def other(self, spec: str, compiled: Compiled) -> Request:
        """Another spec as it is shipped, or with settings of its own, to be drawn next to this one; raises UsageError.

        A block next to a block takes what enters that, and those of its settings that it has.
        """
        shipped = replace(self.plain, spec=spec, variant=None, settings={}, input_size=None, passes=(), features=())
        other = with_own_settings(shipped)
        return other.beside(compiled, self.settings) if compiled.is_block else other

    def beside(self, first: Compiled, settings: Mapping[str, str] | None = None) -> Request:
        """The same; a block with the input of another block, and those of some settings that it has.

        Raises UsageError for a block of another number of inputs.
        """
        found, document, _ = self.read()
        if not found.block or found.block not in document.blocks:
            return self
        block = document.blocks[found.block]
        known = {p.name for p in block.params}
        own = {**{name: value for name, value in (settings or {}).items() if name in known}, **self.settings}
        if self.input_size is not None:
            return replace(self, settings=own)
        names = [name.text for name in block.inputs] or ["input"]
        sizes = [[int(size) for size in node.shape[1:]] for node in first.graph.inputs]
        if len(names) != len(sizes):
            message = f"'{self.spec}' takes {len(names)} inputs, '{first.name}' {len(sizes)}"
            raise UsageError(message, "blocks are compared at the same input: --input CxHxW, or name networks")
        size = sizes[0] if len(sizes) == 1 else dict(zip(names, sizes, strict=True))
        return replace(self, settings=own, input_size=size)

    def read(self) -> tuple[Found, Document, Reporter]:
        """The document, with what was found in reading it; raises SpecError, UsageError."""
        found = find(self.spec)
        reporter = Reporter()
        document = read_document(found, reporter, self.include)
        if document is None:
            raise SpecError(reporter.sorted())
        return found.among(document.blocks, document.variants), document, reporter

    def network_name(self) -> str | None:
        """What its network or block is called; None where that cannot be read, which compiling it says."""
        try:
            found, document, _ = self.read()
        except NetspecError:
            return None
        return found.block or self.variant or found.variant or document.default_variant or document.name

    def compile(self) -> Compiled:
        """Compiles it; warnings are printed; raises SpecError, UsageError."""
        try:
            compiled = self._compiled()
            compiled = compiled.tapped(self.features) if self.features else compiled
            compiled = self.optimised(compiled.after(self.passes), "", 0)
        except SpecError as e:
            raise SpecError(d for d in e.diagnostics if d.severity == "error") from None if self.quiet else e
        warn(compiled.warnings, self)
        for text in () if self.quiet else compiled.idle:
            say(f"note: --pass {text} changes nothing: it finds nothing there")
        return compiled

    def optimised(
        self, network: Compiled, runtime: str, usual: Level, dtype: str = "float32", dynamic: bool = False
    ) -> Compiled:
        """A network after the passes of -O, or of a level where it is not given, for a runtime; a profile is said.

        Raises UsageError for a profile without -O2, SpecError for one of another network or runtime.
        """
        level = usual if self.level is None else self.level
        found = network.optimised(level, runtime, self.profile_at(level), dtype, dynamic)
        self.say_profile()
        for doubt in () if self.quiet else found.doubts(dtype):
            say(f"note: {doubt}")
        return found

    def profile_at(self, level: Level) -> Profile | None:
        """The profile, of what is run at level 2; raises UsageError for one without -O2."""
        if self.profile is not None and self.level != 2:
            raise UsageError("--profile goes with -O2", f"-O2 --profile {self.profile.file}")
        return replace(self.profile, asked=self.words) if self.profile is not None and level == 2 else None

    def say_profile(self) -> None:
        """Says which profile is used."""
        if self.profile is not None and not self.quiet:
            say(f"note: -O2 as measured in {self.profile.said}")

    @property
    def words(self) -> str:
        """SPEC and the options that say what its network is, quoted for a shell, for a command of one SPEC."""
        words = [self.spec, *(["--variant", self.variant] if self.variant is not None else [])]
        words += [word for name, value in self.settings.items() for word in ("-s", f"{name}={value}")]
        sizes = self.input_size if isinstance(self.input_size, Mapping) else {"": self.input_size or []}
        texts = [f"{name}={'x'.join(map(str, dims))}".removeprefix("=") for name, dims in sizes.items() if dims]
        words += ["--input", ",".join(texts)] if texts else []
        words += [word for name in self.passes for word in ("--pass", name)]
        words += ["--features", ",".join(self.features)] if self.features else []
        words += [word for folder in self.include for word in ("-I", str(folder))]
        return shlex.join(words)

    @property
    def plain(self) -> Request:
        """The same without passes of a level."""
        return replace(self, level=0, profile=None)

    def _compiled(self) -> Compiled:
        found, document, reporter = self.read()
        if found.block:
            if self.variant is not None:
                raise UsageError(f"'{self.spec}' is a block", "--variant goes with a document")
            return compile_block(document, found.block, self.settings, reporter, self.input_size, self.max_nodes)
        if self.variant is not None and found.variant:
            raise UsageError(f"'{self.spec}' is a variant already", f"--variant goes with {found.path.stem}, {_ONE_OF}")
        variant = found.variant if self.variant is None else self.variant
        return compile_variant(document, variant, self.settings, reporter, self.input_size, self.max_nodes)


_ONE_OF = "and FILE.yaml:VARIANT names one of a file"


def settings_of(texts: Sequence[str]) -> dict[str, str]:
    """`name=value` of each text; raises UsageError."""
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text} gives no value", f"-s {text.strip() or 'name'}=VALUE")
        if name.strip() in settings:
            raise UsageError(f"--set gives '{name.strip()}' twice", "leave out one of the two")
        settings[name.strip()] = value.strip()
    return settings


def with_own_settings(request: Request) -> Request:
    """A request whose spec may have settings of its own, `SPEC,width=128,input=3x160x160`; raises UsageError.

    A comma begins a setting where a name and `=` follow it, so that lists stay whole; a file that exists is a file.
    """
    spec, *texts = [request.spec] if exists(request.spec) else _SETTING.split(request.spec)
    own = settings_of(texts)
    size = own.pop("input", None)
    sizes = request.input_size
    if size is not None:
        try:
            sizes = Sizes().convert(size, None, None)
        except click.UsageError as e:
            raise UsageError(f"{request.spec[:80]}: {e.message}") from None
    settings = {**request.settings, **own}
    return replace(request, spec=spec, settings=settings, input_size=sizes, own=",".join(texts))


_SETTING = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=)")


class LevelOfPasses(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """0, 1 or 2"""

    name = "0|1|2"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Level:
        """The level; fails for anything else."""
        for level in get_args(Level):
            if str(value) == str(level):
                return cast(Level, level)
        self.fail(f"'{value}' is no level; write -O0, -O1 or -O2", param, ctx)


def names_like(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shipped networks whose names begin so, for a shell that completes a line; or else files."""
    names = sorted({name for path in shipped() for name in (path.stem, *variant_names(path))})
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


CHOICE = (
    click.argument("spec", shell_complete=names_like),
    click.option("--variant", metavar="NAME", help="A variant of the spec; the first is the default."),
    click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param."),
)
"""What is compiled."""

CHOICE_OF_MANY = (
    click.argument("specs", nargs=-1, required=True, metavar="SPEC[,NAME=VALUE]...", shell_complete=names_like),
    click.option("--variant", "variants", multiple=True, metavar="NAME", help="A variant of each SPEC; repeatable."),
    click.option("--all", "every", is_flag=True, help="Every variant of each SPEC, other names of one left out."),
    click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param of each."),
)
"""What is compiled by a command for several networks."""


def names_in(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Names between commas, of an option that may be repeated."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


BUILD = (
    click.option(
        "--features",
        multiple=True,
        callback=names_in,
        metavar="STEP,...",
        help="End the network at these steps: their values, by path or title, are its outputs, in this order.",
    ),
    click.option(
        "--pass",
        "passes",
        multiple=True,
        metavar="NAME",
        help="Run a pass, such as fold_batch_norm, or NAME@STEP at one step; `netspec list passes` shows them.",
    ),
    click.option(
        "-O",
        "level",
        type=LevelOfPasses(),
        help="0: every step as in SPEC; 1: fold what is exact; 2: what needs less work as well. 1 of a target that "
        "runs the network as it is, as ONNX; else 0.",
    ),
    click.option(
        "--profile",
        metavar="FILE",
        help="With -O2: the passes that `netspec tune` found to pay for SPEC, in place of the built-in ones.",
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


def spec_options(
    command: Callable[..., int], input: Callable[..., Callable[..., int]] = INPUT, refused: Collection[str] = ()
) -> Callable[..., int]:
    """A command that takes a `request`, with the options that say what; one may have another --input.

    Options that it refuses, by the names of their arguments, are not in its help: it says itself why it has none.
    """

    @wraps(command)
    def taking(**options: Any) -> int:
        return command(request=Request.of(options), **options)

    for option in reversed((*CHOICE, input, *BUILD)):
        taking = option(taking)
    for param in taking.__click_params__:  # type: ignore[attr-defined]
        param.hidden = param.name in refused
    return taking


def requests_options(command: Callable[..., int]) -> Callable[..., int]:
    """A command that takes `requests`, one for each SPEC and variant; all other options hold for each of them.

    A SPEC may have settings of its own, as `with_own_settings` reads them.
    """

    @wraps(command)
    def taking(**options: Any) -> int:
        specs, variants, every = options.pop("specs"), options.pop("variants"), options.pop("every")
        requests: list[Request] = []
        for spec in specs:
            for variant in variants or [None]:
                given = {**options, "spec": spec, "variant": variant}
                requests.append(with_own_settings(Request.of(given)))
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
    return Request(spec, None, {}, None, (), 0, (), MAX_NODES, False, True).compile()
