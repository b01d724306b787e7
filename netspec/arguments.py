"""What users of Python give to public functions: each keyword means one thing everywhere, and is checked by its name.

A name that belongs to a list may stand alone, and a text is read as the command line reads it. An error that speaks of
an option of the command line says the keyword of Python in its place.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from inspect import Parameter, signature
from itertools import islice
from operator import index
from os import PathLike, fspath
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, ParamSpec, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, runtime_checkable
from warnings import warn

from netspec.diagnostics.errors import SHOWN_ERRORS, DataError, SpecError, UsageError, did_you_mean


@runtime_checkable
class Read(Protocol):
    """What was read of a file, which it names."""

    @property
    def file(self) -> str:
        """The name of the file."""


P = ParamSpec("P")
R = TypeVar("R")

Kind = Callable[[str, object], object]
"""Gives the value of a keyword as functions take it; raises UsageError for one that it cannot have."""


def wrong(name: str, value: object, expected: str, help: str = "") -> UsageError:
    """The error that a keyword has a value of another kind."""
    shown = repr(value) if isinstance(value, str | int | float | bool | NoneType) else f"a {type(value).__name__}"
    return UsageError(f"{name} is {shown[:80]}, expected {expected}", help or _example(name, expected))


_STEPS = "paths of steps, which `network.summary()` lists"
_EXAMPLES = {
    **dict.fromkeys(("step", "steps", "freeze", "layers", "exclude", "collapse", "expand"), _STEPS),
    "spec": "the path of a file, or a name that `netspec.list_specs()` shows",
    "passes": "`netspec list passes` shows the passes that there are",
    "input": "[C, H, W] of the only input, or {name: [C, H, W]}, all from 1 on",
}
"""What is given for keywords that few examples would explain."""


def _example(name: str, expected: str) -> str:
    """How a keyword is given, for who gave something else."""
    word = name.removeprefix("one of ").partition("[")[0]
    if word in _EXAMPLES:
        return _EXAMPLES[word]
    least = re.search(r"whole number(?: from (\d+) on)?\Z", expected)
    if least is not None:
        return f"as in {word}={max(1, int(least[1] or 1))}"
    if expected.startswith("one of "):
        first = expected.removeprefix("one of ").partition(",")[0]
        return f"as in {word}={first if first.isdigit() else repr(first)}"
    return f"as in {word}=True" if expected == "True or False" else f"give {expected} as {word}"


def whole(least: int | None = None) -> Kind:
    """A whole number, also one of numpy's."""
    expected = "a whole number" if least is None else f"a whole number from {least} on"

    def check(name: str, value: object) -> int:
        try:
            number = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
        except TypeError:
            number = None
        if number is None or (least is not None and number < least):
            raise wrong(name, value, expected)
        return number

    return check


def choice(*known: str | int) -> Kind:
    """One of some values."""

    def check(name: str, value: object) -> object:
        if isinstance(value, bool) or not any(type(one) is type(value) and one == value for one in known):
            texts = [one for one in known if isinstance(one, str)]
            help = did_you_mean(value, texts, " ") if isinstance(value, str) else ""
            raise wrong(name, value, f"one of {', '.join(map(str, known))}", str(help).strip())
        return value

    return check


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
        raise wrong(name, value, "True or False")
    return bool(value)


def text(name: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise wrong(name, value, "a text")
    return value


def file(name: str, value: object) -> object:
    """The name of a file."""
    found = fspath(value) if isinstance(value, PathLike) else value
    if not isinstance(found, str):
        raise wrong(name, value, "a path")
    if not found:
        raise wrong(name, value, "the name of a file")
    return value


def profile(name: str, value: object) -> object:
    """The name of the file of a profile, or what was read of one."""
    return value if isinstance(value, Read) else file(name, value)


def files(name: str, value: object) -> object:
    """The names of files; one may stand alone."""
    if isinstance(value, (str, PathLike)):
        return (file(name, value),)
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise wrong(name, value, "a list of paths")
    return tuple(file(f"one of {name}", one) for one in value)


def images(name: str, value: object) -> object:
    """A folder of images, or the names of some."""
    if isinstance(value, (str, PathLike)):
        return file(name, value)
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise wrong(name, value, "a folder, or a list of images")
    return files(name, value)


def folders(given: Iterable[str | PathLike[str]]) -> tuple[Path, ...]:
    """The folders of `include`; raises UsageError for one that is not there."""
    found = tuple(map(Path, given))
    for folder in found:
        if not folder.is_dir():
            message = f"include: there is no folder '{str(folder)[:80]}'"
            near = [path.name for path in islice(folder.parent.glob("*/"), 200)] if folder.parent.is_dir() else []
            raise UsageError(message, did_you_mean(folder.name, near, "a folder in which the files of `use` lie"))
    return found


def names(name: str, value: object) -> tuple[str, ...]:
    """A list of texts; one may stand alone, or several between commas as on the command line."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, Collection) or isinstance(value, (bytes, Mapping)):
        raise wrong(name, value, "a list of texts")
    for one in value:
        if not isinstance(one, str):
            raise wrong(f"one of {name}", one, "a text")
    return tuple(value)


def columns(name: str, value: object) -> str:
    """Names of columns as one text; `+` at its beginning keeps the usual ones."""
    return value if isinstance(value, str) else ",".join(names(name, value))


def sizes(name: str, value: object) -> object:
    """The size of the only input, or of some by name: a list of numbers, or a text as `3x224x224`."""
    if isinstance(value, str) and "=" in value:
        named = [part.partition("=") for part in value.split(",")]
        return {one.strip(): _size(name, size.strip()) for one, _, size in named}
    if isinstance(value, Mapping):
        return {text(f"a name in {name}", one): _size(f"{name}[{one!r}]", size) for one, size in value.items()}
    return _size(name, value)


def _size(name: str, value: object) -> list[int]:
    expected = "a size such as [3, 224, 224]"
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,10}(x[0-9]{1,10})*", value.lower()):
            raise wrong(name, value, expected)
        value = [int(part) for part in value.lower().split("x")]
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise wrong(name, value, expected)
    found = [*value]
    if not found:
        raise wrong(name, value, expected)
    return [_side(f"one of {name}", one) for one in found]


def _side(name: str, value: object) -> int:
    number = whole(1)(name, value)
    assert isinstance(number, int)
    if number >= 2**31:
        raise wrong(name, value, "less than 2**31")
    return number


def optional(kind: Kind) -> Kind:
    """What may be None."""
    return lambda name, value: None if value is None else kind(name, value)


KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("training", "inference", "adapt", "transpose", "unfold", "direct", "dynamic", "cuda_graph"), flag),
    **dict.fromkeys(("passes", "freeze", "exclude", "steps", "show", "hide", "collapse", "expand"), names),
    **dict.fromkeys(("checkpoint_key", "heat", "variant", "cells"), optional(text)),
    **dict.fromkeys(("kind", "step", "device", "runtime", "words"), text),
    **dict.fromkeys(("spec", "path"), file),
    "rules": optional(file),
    "profile": optional(profile),
    "layers": optional(names),
    "columns": columns,
    "rows": choice("stages", "sizes", "blocks", "layers"),
    "depth": optional(whole(1)),
    "level": optional(choice(0, 1, 2)),
    "dtype": choice("float32", "float16", "bfloat16", "int8"),
    "seed": whole(0),
    "threads": whole(0),
    "repeat": whole(1),
    "batch": optional(whole(1)),
    "max_nodes": whole(1),
    "include": files,
    "files": images,
    "input": optional(sizes),
}
"""What each keyword of the public functions is."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A public function whose keywords are checked by KINDS, and whose errors speak of Python."""
    parameters = signature(function).parameters
    open_ended = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    of_spec = bool({"params", "named"} & parameters.keys())  # names that the spec gives

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True  # of IPython and pytest: nobody looks for the mistake here
        given = dict(kwargs)
        positional = list(args)
        if not open_ended and (unknown := kwargs.keys() - parameters.keys()):
            raise TypeError(_no_parameter(function.__qualname__, min(unknown), parameters))
        try:
            for place, parameter in enumerate(list(parameters.values())[: len(args)]):
                if parameter.kind is Parameter.VAR_POSITIONAL:
                    positional[place:] = [_checked(parameter.name, value) for value in args[place:]]
                    break
                positional[place] = _checked(parameter.name, args[place])
            for name, value in kwargs.items():
                given[name] = value if of_spec and name not in parameters else _checked(name, value)
            return function(*positional, **given)  # type: ignore[arg-type]
        except (UsageError, DataError) as e:
            e.message, e.help = in_python(e.message), in_python(e.help)
            raise e.with_traceback(None) from None  # where in netspec it was found would stand before it in a notebook
        except SpecError as e:
            shown = [replace(d, hint=in_python(d.help)) for d in e.diagnostics[:SHOWN_ERRORS]]
            if [d.help for d in shown] == [d.help for d in e.diagnostics[:SHOWN_ERRORS]]:
                raise e.with_traceback(None) from None
            raise type(e)([*shown, *e.diagnostics[SHOWN_ERRORS:]]) from None

    return call


def _no_parameter(function: str, name: str, parameters: Iterable[str]) -> str:
    known = [one for one in parameters if one != "self"]
    help = did_you_mean(name, known, f"known: {', '.join(known)}")
    return f"{function.removesuffix('.__init__')}() got an unexpected keyword argument '{name}'; {help}"


def _checked(name: str, value: object) -> object:
    return KINDS[name](name, value) if name in KINDS else value


def check_fields(options: type, given: Mapping[str, object]) -> dict[str, object]:
    """The values of a backend's options by their types, as its dataclass takes them; raises UsageError."""
    hints = get_type_hints(options)
    return {name: _of_type(hints[name])(name, value) for name, value in given.items()}


def _of_type(hint: object) -> Kind:
    """The kind of a type that an option of a backend may have."""
    if get_origin(hint) in (Union, UnionType):
        inner = [one for one in get_args(hint) if one is not NoneType]
        return optional(_of_type(inner[0])) if len(inner) == 1 else lambda name, value: value
    if get_origin(hint) is Literal:
        return choice(*get_args(hint))
    if get_origin(hint) is tuple:
        return names
    kinds: dict[object, Kind] = {bool: flag, int: whole(), str: _text_or_path}
    return kinds.get(hint, lambda name, value: value)


def _text_or_path(name: str, value: object) -> str:
    """A text, which may be a path."""
    return text(name, str(fspath(value)) if isinstance(value, PathLike) else value)


_FLAGS = ("adapt", "training", "dynamic", "transpose", "direct", "unfold", "external-data", "reduce-range")
_OPTION = re.compile(
    r"--set (?P<param>\w+)|--(?P<flag>(?:no-)?(?:" + "|".join(_FLAGS) + r"))\b"
    r"|--(?P<name>[a-z][a-z-]*)(?:[ =](?P<value>(?<=input )\w+=\w+|[A-Z0-9][\w./*-]*|float\d+"
    r"|bfloat16|int8|keep|inline|blocks|layers|cuda|(?<=exclude )[\w./*-]+"
    r"|(?<=layers )[\w./*-]+|(?<=-key )[\w./*-]+|(?<=keep-float )[\w./*,-]+)(?![\w/]))?"
)
_KEYWORDS = {"pass": "passes", "for": "for_", "image": "images", "pb": "the inputs", "set": "the values of params"}
_PLACEHOLDER = re.compile(r"[A-Z]+\Z|.*CxHxW|DIMS")


_COMMAND = re.compile(r"(`netspec [a-z][^`]*`)")


def in_python(message: str) -> str:
    """A message with the keywords of Python in place of the options of the command line, but for whole commands."""
    return "".join(part if _COMMAND.fullmatch(part) else _with_keywords(part) for part in _COMMAND.split(message))


def _with_keywords(message: str) -> str:
    """A message in which every option is a keyword."""

    def said(found: re.Match[str]) -> str:
        if found["param"]:
            return found["param"]
        if found["flag"]:
            off, name = found["flag"].startswith("no-"), found["flag"].removeprefix("no-").replace("-", "_")
            return f"{name}={not off}"
        name, value = found["name"].replace("-", "_"), found["value"]
        name = _KEYWORDS.get(name, name)
        if value is None or name in ("images", "the inputs"):
            return name
        if name == "input" and (size := re.fullmatch(r"(?:(\w+)=)?(CxHxW|\d+(?:x\d+)*)", value)):
            sides = f"[{size[2].replace('x', ', ')}]"
            return f'{name}={{"{size[1]}": {sides}}}' if size[1] else f"{name}={sides}"
        return f"{name}={value}" if value.isdigit() or _PLACEHOLDER.match(value) else f'{name}="{value}"'

    if not re.search(r"--|-O\d|-[bs]\b", message):
        return message
    message = re.sub(r"(?<![\w-])-b(?: (\d+))?\b", lambda m: f"batch={m[1]}" if m[1] else "batch", message)
    message = re.sub(r"load it with -O([12])(?: for ([\w:]+))?", _loaded, message)
    message = re.sub(r"-s (\w+)=(true|false)\b", lambda m: f"{m[1]}={m[2].title()}", message)
    message = re.sub(r"--npy \S+", "session.run", message)
    found = re.sub(r"-s (?=\w+=)", "", re.sub(r"-O([012])\b", r"level=\1", message))
    return _REPEATED.sub(_listed, _OPTION.sub(said, found))


def _loaded(found: re.Match[str]) -> str:
    """How a network comes to a level before it is given weights, for a runtime where one is named."""
    runtime = f', "{found[2]}"' if found[2] else ""
    return f"load it with .optimised({found[1]}{runtime})"


_REPEATED = re.compile(r'(\w+)=("[^"]*")((?: \1="[^"]*")+)')


def _listed(found: re.Match[str]) -> str:
    """An option that is given several times as the list that Python takes."""
    return f"{found[1]}=[{found[2]}{found[3].replace(f' {found[1]}=', ', ')}]"


def outside() -> int:
    """The `stacklevel` of a warning of the function that asks, at the line of whoever called netspec."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "netspec":
        frame, level = frame.f_back, level + 1
    return level


class ExportWarning(UserWarning):
    """What stands in the way of using a file that was written: what it loses, and what it does not take."""


def warn_of(notes: Iterable[str], category: type[UserWarning]) -> None:
    """Gives a warning for each note, at the line of whoever called netspec."""
    for text in notes:
        warn(in_python(text), category, stacklevel=outside())
