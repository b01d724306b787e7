"""The targets of `--to`, and the options that each backend declares, as options of the command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import Field, dataclass, fields
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import click

from netspec import plugins
from netspec.backend import AnyBackend, Options, get, targets
from netspec.cli.options import Choice
from netspec.cli.request import names_in
from netspec.cli.spec_command import SpecCommand
from netspec.diagnostics.errors import MissingError, NetspecError, UsageError

OWN = "netspec.cli.targets"
"""Under this key a context has the options of the target that was asked for."""


class BackendName(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """The name of an installed backend, or with `json` of any target; which there are is looked up for the help."""

    name = "backend"

    def __init__(self, json: bool = False) -> None:
        self.json = json

    def get_metavar(self, *args: object, **more: object) -> str:
        """onnx|torch"""
        return "|".join(targets() if self.json else sorted(plugins.backends()))


@dataclass(frozen=True, slots=True)
class Declared:
    """An option of the command line that stands for a field of a backend's options."""

    field: str
    negated: bool
    """Whether the option turns the field off, as `--no-weights` does."""
    option: click.Option

    @classmethod
    def of(cls, found: Field[object], hint: object) -> Declared:
        """The option of a field by its type; raises TypeError for one that no option can have."""
        flag, more = (
            found.name.rstrip("_").replace("_", "-"),
            {"help": found.metadata["help"], "default": found.default},
        )
        short = found.metadata["short"]
        kinds = [k for k in get_args(hint) if k is not NoneType] if get_origin(hint) in (Union, UnionType) else [hint]
        kind = kinds[0] if len(kinds) == 1 else None
        if found.default is not None and not _fits(found.default, kind):
            raise TypeError(f"its option --{flag} is {hint}, and {found.default!r} is none")
        if kind is bool and found.default is None:
            return cls(found.name, False, click.Option([*short, f"--{flag}/--no-{flag}"], **more))
        if kind is bool:
            more["default"] = False
            declaration = f"--no-{flag}" if found.default else f"--{flag}"
            return cls(found.name, bool(found.default), click.Option([*short, declaration], is_flag=True, **more))
        more["show_default"] = found.default is not None
        if found.metadata.get("metavar"):
            more["metavar"] = found.metadata["metavar"]
        if get_origin(kind) is Literal:
            return cls(found.name, False, click.Option([*short, f"--{flag}"], type=Choice(get_args(kind)), **more))
        if get_origin(kind) is tuple and get_args(kind) == (str, ...):
            taken = names_in if found.default is not None else _names_or_none
            more |= {"multiple": True, "callback": taken, "show_default": False}
            return cls(found.name, False, click.Option([*short, f"--{flag}"], **more))
        if kind in (int, float, str):
            return cls(found.name, False, click.Option([*short, f"--{flag}"], type=kind, **more))
        raise TypeError(f"its option --{flag} is {hint}, which no option can be")

    def take(self, given: dict[str, object]) -> object:
        """Takes its value out of a command's options."""
        value = given.pop(str(self.option.name))
        return not value if self.negated else value


def declared(backend: AnyBackend, taken: Collection[str]) -> list[Declared]:
    """The options that a backend has; raises MissingError for one that a command line cannot have, or has `taken`."""
    try:
        hints = get_type_hints(backend.options)
        found = [Declared.of(f, hints[f.name]) for f in fields(backend.options) if "help" in f.metadata]
    except (TypeError, NameError) as e:  # NameError: a type that is imported for the type checker alone
        raise MissingError(f"the backend '{backend.name}' cannot be used: {e}") from None
    if twice := sorted(_names(found) & set(taken)):
        raise MissingError(
            f"the backend '{backend.name}' cannot be used: every target has the option {twice[0]}",
            "its author is to call it otherwise",
        )
    return found


def chosen(backend: AnyBackend, given: dict[str, object], origin: str) -> Options:
    """A backend's options, taken out of those of a command."""
    values = {one.field: one.take(given) for one in click.get_current_context().meta[OWN]}
    found: Options = backend.options(origin=origin, **values)
    return found


class TargetCommand(SpecCommand):
    """A command whose options are its own and those of the backend that `--to` names, which alone is imported."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments; an option that only other targets have is an error that names them."""
        target = _target(args)
        ctx.meta[OWN] = declared(get(target), self.taken) if target in targets() else self.first_of_each_name()
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as e:
            having = [name for name, options in self.all().items() if e.option_name in _names(options)]
            if not having:
                raise
            message = f"{e.option_name} goes with --to {' or '.join(having)}, not with {target}"
            raise UsageError(message, f"leave it out, or --to {having[0]}") from None

    @property
    def taken(self) -> set[str]:
        """What no target's option may be called: its own options, and the parameters of its function."""
        names = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        return names | {f"--{param.name}".replace("_", "-") for param in self.params} | {"--help"}

    def all(self) -> dict[str, list[Declared]]:
        """The options of every target that can be used; `netspec list backends` says why another cannot."""
        found = {}
        for name in targets():
            with suppress(NetspecError):
                found[name] = declared(get(name), self.taken)
        return found

    def first_of_each_name(self) -> list[Declared]:
        """The options of all targets, to parse a command line that names none, which is the error to be said."""
        return list({one.field: one for options in self.all().values() for one in options}.values())

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, then those of the target."""
        return [*super().get_params(ctx), *(one.option for one in ctx.meta.get(OWN, ()))]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options, then those of each target."""
        ctx.meta[OWN] = []
        super().format_options(ctx, formatter)
        for name, options in self.all().items():
            records = [record for one in options if (record := one.option.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(f"Options of --to {name}"):
                    formatter.write_dl(records)


def _target(args: list[str]) -> str | None:
    """What `--to` names; None where nothing is named."""
    named = None
    for word, after in zip(args, [*args[1:], ""], strict=True):
        if word == "--":
            break
        if word == "--to":
            named = after
        elif word.startswith("--to="):
            named = word.partition("=")[2]
    return named


def _names_or_none(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...] | None:
    """Names as `names_in` reads them; None of an option that is not given."""
    return names_in(ctx, param, values) if values else None


def _fits(value: object, kind: object) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    allowed = (int, float) if kind is float else kind
    return not isinstance(allowed, (type, tuple)) or isinstance(value, allowed)


def _names(options: list[Declared]) -> set[str]:
    return {name for one in options for name in (*one.option.opts, *one.option.secondary_opts)}
