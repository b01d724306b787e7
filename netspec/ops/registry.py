"""The op table: `@op` registers a typed function with every fact about it, and what is said of an op is read here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal, NamedTuple, ParamSpec, Protocol, TypeVar, get_args

from netspec.diagnostics.errors import PluginError
from netspec.ops.base import Applied, Attrs, OpError, OpResult, Param, ParamType, Shape, Tensor, freeze, normalise
from netspec.ops.initialisers import Fans, output_first
from netspec.ops.memory import Memory, never
from netspec.ops.moments import Moments
from netspec.ops.outputs import ByInput, ByOutput
from netspec.ops.receptive_field import ReceptiveField
from netspec.plugins import load_ops

Kind = Literal["input", "weights", "pool", "norm", "join", "other"]
"""What a picture colours; `weights` are the layers, whose outputs are neurons."""

Rule = Callable[..., OpResult]
R = TypeVar("R", bound=Rule)
P = ParamSpec("P")


class Scaling(NamedTuple):
    """By how much an op makes maps smaller and larger: factors of the height and the width."""

    down: tuple[int, int] = (1, 1)
    up: tuple[int, int] = (1, 1)


def by_stride(attrs: Attrs) -> Scaling | None:
    """Smaller by the stride, where an op has one."""
    return Scaling(down=attrs.get("stride", (1, 1)))


def by_size(attrs: Attrs) -> Scaling | None:
    """By what depends on the size of the map."""
    return None


class Sample(NamedTuple):
    """Attributes and operands (their shapes without the batch) that an op is tried with."""

    attrs: Attrs = {}
    operands: tuple[tuple[int, ...], ...] = ((6, 11, 9),)


ROIS = (5,)
"""The operand of a sample that holds regions of interest: image index, x1, y1, x2, y2."""


@dataclass(kw_only=True, eq=False, repr=False)
class Op:
    """A primitive op: a typed function, its rule, with every fact about it; a fact without a safe default has none.

    As a decorator it registers the function under its name (a trailing underscore is dropped).
    """

    name: str = field(init=False)
    fn: Rule = field(init=False)
    params: tuple[Param, ...] = field(init=False)
    """The attributes, in order."""
    arity: int | None = field(init=False)
    """Number of tensors; None for any number (the joins)."""
    kind: Kind
    receptive_field: ReceptiveField
    """Which cells of its input a value depends on."""
    moments: Moments
    """How large values become."""
    memory: Memory = Memory()
    """What it does to memory: what training keeps, what it needs while it runs, whether its result is a view."""
    samples: Sequence[Sample]
    """Attributes and operands for the tests of conformance: they try every parameter and every branch of the rule."""
    scaling: Callable[[Attrs], Scaling | None] = by_stride
    """By how much maps become smaller or larger; None where that depends on their size."""
    label: str | Callable[[Attrs], str] = ""
    """What it is called in a picture, if not by its name."""
    weights: tuple[str, ...] = ()
    """Names of the trained tensors that it may have; `init` takes these."""
    init: Mapping[str, float] = field(default_factory=dict)
    """What they are before training, where that is neither drawn, nor 1 for a `weight` and 0 for a `bias`."""
    fans: Fans = output_first
    """Fan-in and fan-out of its weight."""
    by_output: ByOutput | None = None
    """Of a layer whose `weight` and `bias` scale with each of its outputs: how the weight does; passes fold norms into
    it. None where a factor of an output is not one of its weight."""
    by_input: ByInput | None = None
    """Of a layer whose inputs scale its weight: how they do; None where that is not known."""
    does_nothing: Callable[[Applied], bool] = never
    """Whether it gives its only operand as it is, with these attributes and this operand; passes drop it."""
    aliases: str = ""
    """What other libraries call it, without case and underscores."""
    near_aliases: Mapping[str, str] = field(default_factory=dict)
    """What they call something like it -> in what it differs."""
    told_channels: Mapping[str, int] = field(default_factory=dict)
    """Their layers that are told how many channels enter -> by which of their arguments; here it is known."""
    numbers_help: str = ""
    """Of a join: what may be meant where numbers are given to it."""
    only_in_training: bool = False
    """At inference it is the identity, and passes drop it."""
    training_attrs: tuple[str, ...] = ()
    """Attributes that act in training alone; passes take them from what runs."""
    same_when_flattened: bool = False
    """A flattened map gives the numbers of the map, flattened: passes may move `flatten` behind it."""
    in_tables: bool | None = None
    """Whether the papers' tables of layers have it; None where its kind says so: layers with weights, and pools."""
    gives_parts: bool = False
    """It gives several values, which are read by their numbers."""
    gates: bool = False
    """An operand that is smaller than the result is a gate, which scales it; no layer is deeper for what makes one."""
    varying: tuple[str, ...] = ()
    """Attributes that change from layer to layer by design: repeats that differ in them alone are drawn as one."""
    operands: Callable[[Attrs, Shape], tuple[tuple[int, ...], ...] | None] | None = None
    """Of an op of several tensors: the shapes (without the batch) of all but the first that fit it and the attributes,
    None where none do."""
    tolerance: float = 1e-5
    """By which share of the largest value two runtimes may differ."""

    def __call__(self, fn: R) -> R:
        """Reads the signature: positional-only parameters are tensors, all others attributes; raises TypeError."""
        name = fn.__name__.rstrip("_")
        if self.kind not in get_args(Kind):
            raise TypeError(f"@op of '{name}': kind is one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        if name in OPS or hasattr(self, "name"):
            raise TypeError(f"@op of '{name}': there is an op of that name already, or these facts are of another op")
        signature = inspect.signature(fn).parameters.values()
        variadic = any(p.kind is p.VAR_POSITIONAL for p in signature)
        tensors = sum(p.kind is p.POSITIONAL_ONLY for p in signature)
        if tensors > 1 and self.operands is None:
            raise TypeError(f"@op of '{name}': with {tensors} tensors it says by `operands` which shapes go together")
        if self.by_output is not None and not (
            {"weight", "bias"} <= {*self.weights} and "bias" in {p.name for p in signature}
        ):
            raise TypeError(f"@op of '{name}': with `by_output` it has a weight, a bias, and an attribute `bias`")
        for alias in (*self.aliases.split(), *self.near_aliases):
            if alias in ALIASES:
                raise TypeError(f"@op of '{name}': '{alias}' stands for '{ALIASES[alias][0]}' already")
            ALIASES[alias] = name, self.near_aliases.get(alias, "")
        self.name, self.fn, self.arity = name, fn, None if variadic else tensors
        self.params = tuple(_param(p) for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        OPS[name] = self
        return fn

    @property
    def is_tabulated(self) -> bool:
        """Whether a table of layers has it, as the papers' tables do."""
        return self.kind in ("weights", "pool") if self.in_tables is None else self.in_tables

    @property
    def manual(self) -> str:
        """The docstring."""
        return inspect.cleandoc(self.fn.__doc__ or "")

    @property
    def summary(self) -> str:
        """The first sentence of the manual."""
        return self.manual.split("\n\n")[0].replace("\n", " ")

    @property
    def title(self) -> str:
        """What it is called in a text, whatever its attributes."""
        return self.label if self.label and isinstance(self.label, str) else self.name.replace("_", " ")

    def acts_in_training(self, attrs: Attrs) -> bool:
        """Whether it does something in training, by chance, that it does not do at inference."""
        return self.only_in_training or any(attrs.get(name) for name in self.training_attrs)

    def words(self, attrs: Attrs) -> str:
        """What it is called in a picture."""
        return self.label(attrs) if callable(self.label) else self.title

    def fans_of(self, size: tuple[int, ...], attrs: Attrs) -> tuple[float, float]:
        """Fan-in and fan-out of a weight; of a vector, its length."""
        return self.fans(size, attrs) if len(size) > 1 else (size[0], size[0])

    def infer(self, operands: Sequence[Tensor], attrs: Attrs) -> OpResult:
        """Applies the rule; attributes not given take their defaults; raises OpError.

        What it gives is kept: most nodes of a network are like another, and each is checked once more in its graph.
        """
        key = (self.fn, tuple(t.shape for t in operands), tuple((name, repr(value)) for name, value in attrs.items()))
        if key not in _RESULTS:
            if len(_RESULTS) >= _MOST_RESULTS:
                _RESULTS.clear()
            _RESULTS[key] = self._infer(operands, attrs)
        return _RESULTS[key]

    def _infer(self, operands: Sequence[Tensor], attrs: Attrs) -> OpResult:
        full = {p.name: p.default for p in self.params if not p.required}
        full.update(attrs)
        names = {p.name for p in self.params}
        if names ^ full.keys():
            raise OpError(f"'{self.name}' takes {sorted(names)}, given are {sorted(full)}")
        full = {name: normalise(self.param(name), value) for name, value in full.items()}
        result: object = self.fn(*operands, **full)  # of a plug-in it may be anything
        if not isinstance(result, OpResult):
            rule = f"the op '{self.name}' ({self.fn.__module__}) gave {type(result).__name__}"
            raise PluginError(f"{rule} from its rule, which gives OpResult")
        full |= result.attrs
        resolved = {p.name: freeze(full[p.name]) for p in self.params if full[p.name] is not None}
        return OpResult(result.shapes, result.weights, result.stats, result.macs, resolved)

    def param(self, name: str) -> Param:
        """The attribute of that name; raises KeyError."""
        return {p.name: p for p in self.params}[name]


OPS: dict[str, Op] = {}
ALIASES: dict[str, tuple[str, str]] = {}
"""What other libraries call an op -> the op, and in what it differs."""
_RESULTS: dict[tuple[Rule, tuple[Shape, ...], tuple[tuple[str, str], ...]], OpResult] = {}
_MOST_RESULTS = 5_000


class Registers(Protocol):
    """What `@op(...)` gives: it registers the function below it, and leaves it as it is."""

    def __call__(self, fn: R) -> R: ...


def _decorator(facts: Callable[P, Op]) -> Callable[P, Registers]:
    """`Op` as a decorator whose errors name the op, which the facts alone do not know."""

    def op(*args: P.args, **kwargs: P.kwargs) -> Registers:
        """States the facts of an op above its rule; raises TypeError for one that is missing, unknown or wrong."""

        def register(fn: R) -> R:
            name = fn.__name__.rstrip("_")
            stated = [f for f in fields(Op) if f.init]
            needed = [f.name for f in stated if f.default is MISSING and f.default_factory is MISSING]
            missing = [fact for fact in needed if fact not in kwargs]
            unknown = sorted(kwargs.keys() - {f.name for f in stated})
            wrong = [f"does not state its {', '.join(missing)}"] if missing else []
            wrong += [f"states '{fact}', which is no fact of an op" for fact in unknown]
            if wrong:
                raise TypeError(f"the op '{name}' {', and '.join(wrong)}")
            return facts(*args, **kwargs)(fn)

        return register

    return op


op = _decorator(Op)


def _param(p: inspect.Parameter) -> Param:
    """`size: Size = 1` and `mode: Literal['a', 'b']`, written as text, as a Param; raises TypeError."""
    written = str(p.annotation).removesuffix(" | None")
    kind, _, rest = written.partition("[")
    one_of = tuple(s.strip(" '\"") for s in rest.rstrip("]").split(",")) if kind == "Literal" else ()
    least = 0 if kind == "Offset" else 1
    kind = {"Literal": "str", "Offset": "size"}.get(kind, kind.lower())
    for known in get_args(ParamType):
        if kind == known:
            return Param(p.name, known, p.default, p.kind is p.POSITIONAL_OR_KEYWORD, one_of, least)
    raise TypeError(f"no attribute type {written}")


def lookup(name: str) -> Op | None:
    """The op of that name, from the core or from a plug-in (entry points `netspec.ops`)."""
    if name not in OPS and name.isidentifier():
        broken = load_ops()  # entry points are read only for a name the core lacks
        if name not in OPS:
            for error in broken.values():
                raise error  # the op may be one of its own
    return OPS.get(name)
