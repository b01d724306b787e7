"""The contract of a backend: what each one does, what it may do as well, and how one is found.

A backend is a package of its own. Its entry point in the group `netspec.backends` names an object of a class that is
a `Backend`, and also `Runs`, `KeepsReady`, `MakesModules`, `ReadsCheckpoints`, `OpensModels` or `WritesText` where it
is able to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import MISSING, dataclass, field, fields
from inspect import isfunction, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args, runtime_checkable

from netspec import optional, plugins
from netspec.diagnostics.errors import MissingError, PluginError, UsageError, did_you_mean, nearest
from netspec.files.atomic import write_text
from netspec.ir.graph import Graph
from netspec.ir.json import to_json
from netspec.passes.base import Level
from netspec.reports.table import Table
from netspec.running.ready import KeepsReady as KeepsReady
from netspec.running.ready import OpenedModel as OpenedModel
from netspec.running.ready import OpensModels as OpensModels
from netspec.running.ready import Result as Result
from netspec.running.ways import LooksIntoModels, Prepares

if TYPE_CHECKING:
    import numpy as np
    import torch  # noqa: TID251 - the type alone, never at run time

    from netspec.running.ports import Value
    from netspec.weights.checkpoints.stored import Need, State

T = TypeVar("T")


def option(default: T, help: str, *short: str, metavar: str | None = None) -> T:
    """A field of a backend's options that the command line offers as `--field` under this help, or as `short` (`-b`).

    Its type is int, float, str, bool, a Literal of texts or `tuple[str, ...]`, or one of these and None. A tuple is of
    an option that may be repeated, with commas between several texts. A field whose name is a word of Python is written
    with `_` at its end: `for_` is `--for`. `metavar` is what the help calls its value.
    """
    return field(default=default, metadata={"help": help, "short": short, "metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every backend is told; one that has options adds fields to it, each made by `option`.

    `training`, `weights`, `dynamic` and `dtype` are declared again by `option` where a user may choose them.
    """

    training: bool = False
    """Whether the graph is the training graph."""
    weights: bool = True
    """Whether the weights are written."""
    dynamic: bool = False
    """Whether the height and width of inputs stay free."""
    resized: Callable[[int, int], Graph] | None = None
    """With `dynamic`: the same network at an input of so many rows and columns more; raises SpecError for none."""
    features: bool = False
    """Whether the outputs are the values of steps that were asked for, which have channels and strides."""
    origin: str = ""
    """Where the weights are from, such as `random, seed 0`; empty for those of a checkpoint."""
    folding: tuple[str, ...] = ()
    """The passes that changed the weights, as `--pass` takes them."""
    passes: tuple[str, ...] = ()
    """The passes after which the graph is no longer that of `-O1`, as `--pass` takes them; empty where it is."""
    profile: str = ""
    """What is said of the profile that chose the passes; empty without one."""

    @property
    def dtype(self) -> str:
        """What the network computes in."""
        return "float32"

    @property
    def runtime(self) -> str:
        """What is to run it, by the table of `netspec.passes.runtimes`, or by a name of its own; empty for anything."""
        return ""


O = TypeVar("O", bound=Options)  # noqa: E741
O_contra = TypeVar("O_contra", bound=Options, contravariant=True)


@dataclass(frozen=True, slots=True)
class Written:
    """What a backend wrote, and what is to be said of it."""

    files: list[Path]
    note: str = ""
    """What stands behind the names of the files, such as the version of the format."""
    remarks: list[str] = field(default_factory=list)
    """What stands in the way of using them, and what else is to be known, a line each."""
    table: Table | None = None
    """What was measured of them, which is printed."""
    facts: frozenset[str] = frozenset()
    """The remarks that stand in no way, of which nobody is warned."""


@runtime_checkable
class Backend(Protocol[O]):
    """A target of `compile --to`: facts about it, and how a graph is written for it. A class inherits the defaults."""

    name: str
    """What `--to` calls it: the name of its entry point."""
    suffix: str
    """Of the file that it writes, with the dot."""
    summary: str
    """What `netspec list backends` says of it."""
    options: type[O]
    """The dataclass of its options; `Options` where it has none of its own."""
    product: str = ""
    """What the file is, as in `an ONNX model`."""
    trainable: bool = False
    """Whether what it writes can be trained, and so keeps dropout and auxiliary heads apart."""
    holds_weights: bool = True
    """Whether what it writes has weights; where it has none, none are drawn, and a checkpoint is refused."""
    level: Level = 0
    """What `-O` is where it is not given: how much the graph is rewritten for a faster run."""

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: O) -> Written:
        """Writes a graph with its weights; raises UsageError, DataError, MissingError."""


@runtime_checkable
class WritesText(Protocol[O_contra]):
    """A backend whose file is a text, which `-o -` prints."""

    def text(self, graph: Graph, options: O_contra) -> str:
        """The text of the file."""


@runtime_checkable
class Runs(Protocol):
    """A backend that runs networks."""

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, Value],
        device: str = "cpu",
        repeat: int = 1,
    ) -> Result:
        """Runs a graph; raises MissingError where the device is not there."""


@runtime_checkable
class MakesModules(Protocol):
    """A backend that makes modules of PyTorch."""

    def to_module(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        training: bool = False,
        frozen: Collection[str] = (),
        by_name: bool = False,
    ) -> torch.nn.Module:
        """The module with its weights, in eval mode or ready to be trained, but for the nodes at the paths `frozen`.

        With `by_name` a single output is a dict too, and the module has the `channels` and `strides` of each by name.
        """


@runtime_checkable
class ReadsCheckpoints(Protocol):
    """A backend that reads the checkpoints of its library."""

    def read_checkpoint(self, path: Path, need: Need) -> list[State]:
        """The mappings of tensors in a file, without running code; raises DataError, UsageError, MissingError."""


@runtime_checkable
class ReadsModules(Protocol):
    """A backend that reads the tensors of its library's modules."""

    def read_module(self, weights: object) -> list[State]:
        """The mappings of tensors in a module, a state dict or what holds one; raises UsageError, MissingError."""


_ABILITIES: dict[type, str] = {
    Backend: "write files",
    Runs: "run networks",
    MakesModules: "make modules",
    ReadsCheckpoints: "read checkpoints",
    ReadsModules: "read modules",
    KeepsReady: "keep networks ready to run",
    OpensModels: "run model files",
    Prepares: "keep networks ready to run",
    LooksIntoModels: "look into model files",
}


def able(name: str, ability: type[T]) -> T:
    """The backend of that name as one that has an ability, as in `able("torch", Runs)`.

    Raises UsageError where there is none, MissingError where its library is not there or it is not able to.
    """
    found = _load(name)
    if not isinstance(found, ability):
        raise MissingError(f"the backend '{name}' cannot {_ABILITIES[ability]}", "`netspec list backends` shows all")
    return found


AnyBackend = Backend[Any]
"""A backend whose options are of a class that only it knows."""


def get(name: str) -> AnyBackend:
    """The backend of that name; raises as `able` does."""
    return able(name, Backend)


def targets() -> list[str]:
    """The names that `--to` takes: the installed backends, none of which is imported, and json."""
    return [*sorted(plugins.backends().keys() - {JSON.name}), JSON.name]


def _load(name: str) -> object:
    found = plugins.backends()
    if name not in found:
        if name == JSON.name:
            return JSON
        raise UsageError(f"there is no backend '{name}'", did_you_mean(name, targets()))
    who = f"the backend '{name}'"
    givers = [*["netspec itself"] * (name == JSON.name), *map(plugins.described, plugins.rivals(name))]
    if (named := " and ".join(givers)) and len(givers) > 1:
        raise MissingError(f"{who} cannot be used: {named} give one of this name", "uninstall all but one of them")
    backend = plugins.load(found[name], who)
    if wrong := _mistake(name, backend):
        raise MissingError(f"{who} ({plugins.described(found[name])}) cannot be used: {wrong}")
    return backend


_FACTS: dict[str, type] = dict.fromkeys(("name", "suffix", "summary", "product"), str)
_FACTS |= {"trainable": bool, "holds_weights": bool, "level": int}


def _mistake(name: str, found: object) -> str:
    """What keeps an object from being the backend of that name; empty where nothing does."""
    if isinstance(found, type):
        return f"it is a class, expected an object of it: {found.__name__}()"
    for fact, kind in _FACTS.items():
        if not hasattr(found, fact):
            return f"it has no `{fact}`"
        if not isinstance(value := getattr(found, fact), kind):
            return f"its `{fact}` is {value!r}, not a {kind.__name__}"
    if getattr(found, "level") not in get_args(Level):  # noqa: B009
        return f"its `level` is {getattr(found, 'level')!r}, not {' or '.join(map(str, get_args(Level)))}"  # noqa: B009
    assert isinstance(suffix := getattr(found, "suffix"), str)  # noqa: B009 - of an object of any class
    if (own := getattr(found, "name")) != name:  # noqa: B009
        return f"its `name` is '{own}', but its entry point '{name}'"
    if len(suffix) < 2 or suffix[0] != ".":
        return f"its `suffix` is '{suffix}', which does not begin with a dot"
    return _mistake_in_options(getattr(found, "options", None)) or _mistake_in_methods(found)


def _mistake_in_options(options: object) -> str:
    if not (isinstance(options, type) and issubclass(options, Options)):
        return "it has no `options`, a dataclass that inherits from netspec.backend.Options"
    if "__dataclass_params__" not in vars(options):
        return f"its `options`, {options.__name__}, lack their @dataclass(frozen=True, kw_only=True)"
    for f in fields(options):
        if f.default is MISSING and f.default_factory is MISSING:
            return f"its option `{f.name}` has no default: option(default, help)"
    return ""


def _mistake_in_methods(found: object) -> str:
    """A method of a protocol that it inherits only, or that cannot be called as the protocol says."""
    for ability in (Backend, *(one for one in (*_ABILITIES, WritesText) if isinstance(found, one))):
        for method, inherited in vars(ability).items():
            if method.startswith("_") or not isfunction(inherited):
                continue
            made = getattr(found, method, None)
            if not callable(made) or getattr(made, "__func__", None) is inherited:
                near = nearest(method, [n for n in vars(type(found)) if n not in vars(ability)])
                return f"it does not define `{method}`" + (f", but `{near}`" if near else "")
            expected = list(signature(inherited).parameters)[1:]
            if not takes(made, *expected):
                return f"its `{method}` cannot be called as {method}({', '.join(expected)})"
    return ""


def takes(function: Callable[..., object], *arguments: str) -> bool:
    """Whether a function of a plug-in can be called with such positional arguments."""
    with suppress(TypeError, ValueError):  # ValueError: of a built-in, which has no signature
        signature(function).bind(*arguments)
        return True
    return False


def gave(backend: object, method: str, result: object, kind: type[T]) -> T:
    """What a method of a backend gave, if it is of the class that it is to be; raises PluginError."""
    if not isinstance(result, kind):
        who = f"the backend '{getattr(backend, 'name', '')}' ({type(backend).__module__})"
        raise PluginError(f"{who} gave {type(result).__name__} from `{method}`, which gives {kind.__name__}")
    return result


def write(
    backend: AnyBackend, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: Options
) -> Written:
    """Writes a graph with its weights; raises as `emit` does, and PluginError for what it may not give."""
    written = gave(backend, "emit", backend.emit(graph, arrays, target, options), Written)
    for file in written.files:
        if not gave(backend, "emit", file, Path).exists():
            raise PluginError(f"the backend '{backend.name}' ({type(backend).__module__}) did not write {file}")
    return written


def importing(name: str, library: str = "") -> AbstractContextManager[None]:
    """Around the imports of a backend: one that fails is a MissingError that says what to install."""
    return optional.importing(f"the backend '{name}'", library)


def read_checkpoint(path: Path, need: Need) -> list[State]:
    """The mappings of tensors in a file of PyTorch's; raises MissingError without it, DataError, UsageError."""
    return able("torch", ReadsCheckpoints).read_checkpoint(path, need)


def read_module(weights: object) -> list[State]:
    """The mappings of tensors in a module or a state dict of PyTorch's; raises MissingError without it, UsageError."""
    return able("torch", ReadsModules).read_module(weights)


def origin(seed: int, weights: object, partial: bool = False) -> str:
    """What is said of weights: that they are random, in part where some do not come from the checkpoint."""
    if weights is not None and not partial:
        return ""
    return f"random{' in part' if weights is not None else ''}, seed {seed}"


@dataclass(frozen=True, kw_only=True)
class JsonOptions(Options):
    """The options of `--to json`."""

    training: bool = option(False, "Auxiliary heads and dropout too.")


class JsonBackend(Backend[JsonOptions], WritesText[JsonOptions]):
    """The one target that is the core's own: the graph as JSON."""

    name = "json"
    suffix = ".json"
    summary = "the graph as JSON, for other tools"
    options = JsonOptions
    product = "JSON"
    holds_weights = False

    def text(self, graph: Graph, options: JsonOptions) -> str:
        """The graph as JSON."""
        return to_json(graph)

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: JsonOptions) -> Written:
        """Writes the graph; gives the file."""
        return Written([write_text(target, self.text(graph, options) + "\n")])


JSON = JsonBackend()

_LOWERINGS: dict[str, dict[str, object]] = {}


def lowering(target: str, op: str, row: object) -> None:
    """Says how a backend writes an op of a plug-in, by a row as those of its own ops; raises ValueError for a second.

    A module of the group `netspec.lowerings`, whose entry point has the name of the backend, calls it when imported.
    """
    if op in _LOWERINGS.setdefault(target, {}):
        raise ValueError(f"the op '{op}' has a lowering for '{target}' already")
    _LOWERINGS[target][op] = row


def plugin_row(target: str, op: str) -> object:
    """The row of a plug-in by which a backend writes an op, or None; raises MissingError for one not imported."""
    broken = plugins.load_lowerings(target)
    row = _LOWERINGS.get(target, {}).get(op)
    for error in broken if row is None else ():
        raise error  # the row may be one of its own
    return row


def row_help(target: str) -> str:
    """The help line of NS601: where a row for an op belongs, and whether rows stand under a slip of this name."""
    help = (
        f"an op from outside brings its row in a module of the entry points `netspec.lowerings`, under '{target}'; "
        f"one of netspec has its row in netspec_{target}/lowering.py"
    )
    for name in sorted((plugins.lowered() | _LOWERINGS.keys()) - set(targets())):
        if nearest(name, targets()) == target:
            help += f"; `netspec.lowerings` has rows for '{name}', which is no backend: did you mean '{target}'?"
    return help
