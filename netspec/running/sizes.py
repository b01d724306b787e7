"""The sizes of a run: every symbol of a model has one value, from an option, an array, or by default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netspec.diagnostics.errors import DataError, NetspecError, UsageError, did_you_mean
from netspec.running.ports import Port, dims, fits

IMAGE = 224
"""Height and width that are drawn where the model leaves them free."""

Key = str | tuple[str, int]
"""A symbol; or an input and an axis, where the model has a dimension without a name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The value of a symbol, and where it is from: `for left`, which is a file, or `by -b`."""

    value: int
    source: str
    file: str = ""
    """Empty for what the model or an option says."""
    images: bool = False
    """Whether it is a number of images."""


@dataclass
class Sizes:
    """The values of the symbols of a model's inputs, as options and arrays give them."""

    ports: Mapping[str, Port]
    model: str = "the model"
    bound: dict[Key, Bound] = field(default_factory=dict)
    ranks: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    """Shapes of inputs of which the model says none, each with where it is from."""
    said: str = ""
    """What the model says of the heights and widths that it takes, where netspec wrote it with free ones."""

    def input(self, name: str | None, sizes: Sequence[int]) -> None:
        """Takes `--input NAME=DIMS`, or of the first input that it fits; raises UsageError."""
        if name is not None and name not in self.ports:
            raise UsageError(f"there is no input '{name}'", did_you_mean(name, self.ports, self._known()))
        names = [name] if name is not None else list(self.ports)
        for one in names:
            shape = self.ports[one].shape
            axes = range(1, 4) if (len(shape), len(sizes)) == (4, 3) else range(len(shape))
            if not shape and name is not None:
                self._rank(one, tuple(sizes), "by --input")
                return
            if len(axes) == len(sizes):
                for axis, size in zip(axes, sizes, strict=True):
                    self._bind(one, axis, size, f"by --input {one}" if len(self.ports) > 1 else "by --input")
                return
        first = names[0] if names else None
        if first is None:
            raise UsageError(f"{self.model} has no inputs", "--input sets the size of an input")
        raise UsageError(
            f"--input {dims(tuple(sizes))}: the input '{first}' is {dims(self.ports[first].shape)}",
            f"--input {first}=DIMS gives every dimension",
        )

    def size(self, height: int, width: int) -> None:
        """Takes `--size HxW`: of every image, or of the last two dimensions of the first input; raises UsageError."""
        images = [name for name, port in self.ports.items() if len(port.shape) == 4]
        chosen = images or [name for name, port in self.ports.items() if len(port.shape) > 1][:1]
        if not chosen:
            raise UsageError(f"{self.model} has no input with a height and a width", "--size goes with images")
        free = [n for n in chosen if any(not isinstance(self.ports[n].shape[a], int) for a in spatial(self.ports[n]))]
        for name in free or chosen:
            for axis, value in zip(spatial(self.ports[name]), (height, width), strict=True):
                self._bind(name, axis, value, "by --size")

    def array(self, name: str, shape: Sequence[int], source: str = "") -> None:
        """Takes the shape of an array that was given; raises DataError."""
        expected = self.ports[name].shape
        if not expected:
            self._rank(name, tuple(shape), f"for {name}")
            return
        if not fits(shape, expected):
            raise DataError(
                "NS701",
                f"the input '{name}' is {dims(tuple(shape))}{f' ({source})' if source else ''}, {self.model} expects "
                f"{dims(expected)}",
                _advice(tuple(shape), expected, f"{name}=" if len(self.ports) > 1 else ""),
            )
        for axis, size in enumerate(shape):
            self._bind(name, axis, size, f"for {name}", source or "an array")

    def pictures(self, name: str, count: int, source: str) -> None:
        """Takes the batch of images that are still to be read; raises UsageError, DataError."""
        fixed = self.ports[name].shape[0]
        if isinstance(fixed, int) and fixed != count:
            given = "one image is" if count == 1 else f"{count} images are"
            text = f"{given} a batch of {count}, and the batch of {self.model} is fixed at {fixed}"
            raise UsageError(text, f"give --image {fixed} times" if fixed > 1 else "give --image once")
        self._bind(name, 0, count, f"for {name}", source, images=True)

    def batch(self, value: int) -> None:
        """Takes `-b`: the value of the first symbol; raises UsageError, DataError."""
        found = self._batch()
        if found is not None:
            before = self.bound.get(self._key(*found))
            if before is not None and before.images and before.value != value:
                text = "one image is a batch of 1" if before.value == 1 else f"{before.value} images are their batch"
                raise UsageError(f"-b {value}: {text}", f"leave out -b, or give --image {value} times")
            self._bind(*found, value, "by -b")
            return
        first = next(((n, p.shape) for n, p in self.ports.items() if p.shape), None)
        if first is None:
            raise UsageError(f"no input of {self.model} has a size that -b could set", self._known())
        fixed = first[1][0]
        if fixed != value:
            raise UsageError(f"-b {value}: the batch of {self.model} is fixed at {fixed}", "leave out -b")

    def complete(self) -> list[str]:
        """Gives every symbol that is left a value; says which height, width and other sizes were chosen so."""
        batch = self._batch()
        bound = self.bound.get(self._key(*batch)) if batch is not None else None
        chosen: dict[str, int] = {}
        for name, port in self.ports.items():
            for axis in range(len(port.shape)):
                key = self._key(name, axis)
                if isinstance(port.shape[axis], int) or key in self.bound:
                    continue
                value = (bound.value if bound else 1) if axis == 0 else self._default(name, axis)
                self.bound[key] = Bound(value, "by default")
                if axis:
                    chosen[self._said(name, axis)] = value
        return [f"{symbol} = {value}" for symbol, value in chosen.items()]

    def shape(self, name: str) -> tuple[int, ...]:
        """The sizes of an input, when all symbols have a value."""
        if name in self.ranks:
            return self.ranks[name][0]
        shape = self.ports[name].shape
        return tuple(d if isinstance(d, int) else self.bound[self._key(name, i)].value for i, d in enumerate(shape))

    def doubts(self) -> Iterator[str]:
        """What is to be said of sizes, all of which are known, that are none of those the model was written for."""
        yield from doubts({name: self.shape(name) for name in self.ports}, self.said, self.model)

    def _default(self, name: str, axis: int) -> int:
        """A size for a dimension that is free: of a model that takes sizes in steps, the least of them."""
        if (steps := _STEPS.search(self.said)) and name == next(iter(self.ports)) and axis in (2, 3):
            return int(steps[axis])
        return default(self.ports[name], axis)

    def _rank(self, name: str, shape: tuple[int, ...], source: str) -> None:
        """Gives an input of which the model says no shape its own; raises UsageError where it has another."""
        before, stated = self.ranks.setdefault(name, (shape, source))
        if before != shape:
            text = f"the input '{name}' is {dims(before)} {stated} and {dims(shape)} {source}"
            raise UsageError(text, "every dimension has one size")

    def _batch(self) -> tuple[str, int] | None:
        """Where the first symbol is; those of an image that are not a batch do not count."""
        for name, port in self.ports.items():
            for axis, d in enumerate(port.shape):
                if not isinstance(d, int) and not (len(port.shape) == 4 and axis):
                    return name, axis
        return None

    def _key(self, name: str, axis: int) -> Key:
        d = self.ports[name].shape[axis]
        return d if isinstance(d, str) else (name, axis)

    def _said(self, name: str, axis: int) -> str:
        d = self.ports[name].shape[axis]
        return d if isinstance(d, str) else f"dimension {axis} of {name}"

    def _bind(self, name: str, axis: int, value: int, source: str, file: str = "", images: bool = False) -> None:
        """Gives a dimension its value; raises where it has another."""
        expected, given = self.ports[name].shape[axis], Bound(value, source, file, images)
        if isinstance(expected, int):
            before = Bound(expected, f"in {self.model}")
        else:
            before = self.bound.setdefault(self._key(name, axis), given)
        if before.value != value:
            raise self._disagree(self._said(name, axis), before, given)

    def _disagree(self, what: str, one: Bound, other: Bound) -> NetspecError:
        text = f"{what} is {one.value} {one.source} and {other.value} {other.source}"
        files = [f"{b.source.removeprefix('for ')}: {b.file}" for b in (one, other) if b.file]
        if files:
            return DataError("NS701", text, ", ".join(files))
        return UsageError(text, "every dimension has one size")

    def _known(self) -> str:
        return f"{self.model} has {', '.join(f'{n}: {dims(p.shape)}' for n, p in self.ports.items()) or 'no inputs'}"


def check(ports: Mapping[str, Port], values: Mapping[str, object], model: str = "the model") -> None:
    """Raises DataError where an input is missing, unknown or of another shape, UsageError where a symbol has two sizes.

    What is said of those names every input that has the symbol, with its shape.
    """
    for what, names in (
        (f"is none of {model}'s", values.keys() - ports.keys()),
        ("is missing", ports.keys() - values.keys()),
    ):
        if names:
            raise DataError("NS701", f"the input '{min(names)}' {what}", f"{model} has {', '.join(ports)}")
    arrays = {name: value for name in ports if isinstance(value := values[name], np.ndarray)}
    shapes = {name: value.shape for name, value in arrays.items()}
    for name, shape in shapes.items():
        Sizes(ports, model).array(name, shape)
    given: dict[str, dict[str, int]] = {}
    for name, shape in shapes.items():
        for symbol, size in zip(ports[name].shape, shape, strict=False):
            if isinstance(symbol, str):
                given.setdefault(symbol, {})[name] = size
    for symbol, found in given.items():
        if len(set(found.values())) > 1:
            said = " and ".join(f"{size} in '{name}' ({dims(shapes[name])})" for name, size in found.items())
            raise UsageError(f"{symbol} is {said}", f"inputs that have {symbol} have it in one size")


_STEPS = re.compile(r"in steps of (\d{1,4}) from (?:\d{1,9}x)(\d{1,9})x(\d{1,9}) on")
"""How a model says that it takes heights and widths in steps, and from which on: those of its first input."""


def doubts(shapes: Mapping[str, Sequence[int]], said: str, model: str = "the model") -> Iterator[str]:
    """What is to be said of inputs of another size than those that a model says it takes."""
    if (found := _STEPS.search(said)) is None or not shapes:
        return
    name, shape = next(iter(shapes.items()))
    step, *least = map(int, found.groups())
    if len(shape) == 4 and any(
        size < low or (size - low) % max(step, 1) for size, low in zip(shape[2:], least, strict=True)
    ):
        yield f"the input '{name}' is {dims(tuple(shape))}, and {model} says: {said}"


def _advice(given: tuple[int, ...], expected: tuple[int | str | None, ...], of: str) -> str:
    """How an array gets the shape that an input of images has, if it is one of the usual slips; else empty.

    `of` begins its size where there are several inputs: `NAME=`.
    """
    if len(expected) == 4 and len(given) in (3, 4):
        moved = (given[-1], *given[-3:-1])
        if fits(given, expected[1:]):
            return "the first dimension is the batch: in numpy x[None] is a batch of one"
        if fits((*given[:-3], *moved), expected):
            return "the channels stand before height and width: in numpy x.transpose(0, 3, 1, 2)"
        if fits(moved, expected[1:]):
            return "the batch stands first, then the channels: in numpy x.transpose(2, 0, 1)[None]"
        if fits((*given[:-2], *expected[2:]), expected):  # type: ignore[arg-type]
            making = f"`netspec compile SPEC --to onnx --input {of}{dims(given[1:])}` makes a model of that size"
            return f"give one of {dims(expected[1:])}; {making}"
    if fits(given[1:], expected[1:]):
        return f"the batch is fixed: give {expected[0]} at a time"
    return ""


def spatial(port: Port) -> tuple[int, int]:
    """The axes of height and width: the last two, or those before the channels where these are last."""
    last = len(port.shape) - 1
    if len(port.shape) == 4 and port.shape[3] in (1, 3, 4) and port.shape[1] not in (1, 3, 4):
        return 1, 2
    return last - 1, last


def default(port: Port, axis: int) -> int:
    """A size for a dimension that is free: 224 for those of an image, three channels, 1 for everything else."""
    if len(port.shape) != 4 or not ("float" in port.element or port.element in ("double", "uint8")):
        return 1
    return IMAGE if axis in spatial(port) else 3
