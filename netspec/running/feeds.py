"""The values that enter a run: from files, of one size for every symbol, and random where nothing is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError, did_you_mean
from netspec.files.pipes import check_file, is_read
from netspec.optional import importing
from netspec.running.convert import Say, fit
from netspec.running.ports import Port, Value, dtype_of
from netspec.running.sizes import Sizes
from netspec.syntax.published import Preprocessing
from netspec.weights.sample_inputs import ROI_STRIDES, noise, rois

MAX_DRAWN = 16 * 2**30
SEQUENCE = (2, (3,))
"""Elements, and the shape of each, of a sequence that is drawn."""


@dataclass
class Feeds:
    """What the options give to each input; files are read when the sizes are asked for."""

    sizes: Sizes
    say: Say
    values: dict[str, Value] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    """How pictures are made, where the weights say it."""

    def arrays(self, texts: Iterable[str]) -> None:
        """Takes `--npy [NAME=]FILE`; raises UsageError, DataError."""
        named = [self._named(text) for text in texts]
        unnamed = iter([n for n in self.sizes.ports if n not in {name for name, _ in named}])
        for name, file in named:
            one = name if name is not None else next(unnamed, None)
            if one is None:
                raise UsageError(f"--npy {file}: every input has a value already", "NAME=FILE says which it is for")
            self.give(one, _array(Path(file)), file)

    def pictures(self, texts: Iterable[str]) -> None:
        """Takes `--image [NAME=]FILE`: those of one input are its batch; raises UsageError."""
        for text in texts:
            name, file = self._named(text)
            if name is None:
                name = next((n for n, p in self.sizes.ports.items() if len(p.shape) == 4), None)
            if name is None:
                raise UsageError("--image needs an input of 3 or 1 x H x W", "no input has four dimensions")
            if Path(file).is_dir():
                raise UsageError(f"--image {file} is a folder", f"--images {file} takes all images in it")
            self.images.setdefault(name, []).append(file)
        for name, files in self.images.items():
            source = files[0] if len(files) == 1 else f"{len(files)} images"
            self._once(name, source)
            if len(self.sizes.ports[name].shape) == 4:
                self.sizes.pictures(name, len(files), source)

    def give(self, name: str, value: Value, source: str) -> None:
        """Gives an input its value; raises UsageError for a second one, DataError for one that does not fit."""
        self._once(name, source)
        port = self.sizes.ports[name]
        self.values[name] = fitted = fit(value, port, f"{name} ({source})", self.say)
        if isinstance(fitted, np.ndarray):
            self.sizes.array(name, fitted.shape, source)

    def all(self, seed: int) -> dict[str, Value]:
        """Every input by name, when the sizes are complete; raises DataError, UsageError, MissingError."""
        if self.images:
            with importing("reading images", "PIL", "run"):
                from netspec.running.images import read_images  # noqa: PLC0415 - pillow may be absent
        for name, files in self.images.items():
            port = self.sizes.ports[name]
            made = read_images(files, name, port, self.sizes.shape(name), self.say, self.preprocessing)
            self.values[name] = made.astype(dtype_of(port.element))
        return self._drawn(seed) | self.values

    def _drawn(self, seed: int) -> dict[str, Value]:
        rng, ports = np.random.default_rng(seed), self.sizes.ports
        found: dict[str, Value] = {}
        for name, port in ports.items():
            if name in self.values or name in self.images:
                found[name] = None  # its place in the order
                continue
            if port.sample in ROI_STRIDES:
                maps = [self.sizes.shape(n) for n, p in ports.items() if len(p.shape) == 4]
                features = maps[0] if maps else (1, 1, 14, 14)
                found[name] = rois(self.sizes.shape(name)[0], features, rng, ROI_STRIDES[port.sample])
                continue
            if port.kind == "seq" or (port.kind == "optional" and port.inner.kind == "seq"):
                element = (port if port.kind == "seq" else port.inner).inner
                found[name] = [noise(SEQUENCE[1], dtype_of(element.element), rng) for _ in range(SEQUENCE[0])]
                continue
            tensor = port.inner if port.kind == "optional" else port
            if tensor.kind != "tensor":
                raise DataError(
                    "NS701", f"the input '{name}' is {port.type}, which netspec does not draw", "give it by --pb"
                )
            dtype, shape = dtype_of(tensor.element), self.sizes.shape(name)
            if math.prod(shape) * dtype.itemsize > MAX_DRAWN:
                raise UsageError(
                    f"the input '{name}' would take more than {MAX_DRAWN >> 30} GiB", "--size, --input, -b set its size"
                )
            found[name] = noise(shape, dtype, rng)
        return found

    def _named(self, text: str) -> tuple[str | None, str]:
        """`NAME=FILE` as a name and a file; a file whose name holds `=` is a file; raises UsageError."""
        names = [n for n in self.sizes.ports if text.startswith(f"{n}=")]
        if names:
            name = max(names, key=len)
            return name, text[len(name) + 1 :]
        name, equals, _ = text.partition("=")
        if equals and not Path(text).is_file():
            raise UsageError(f"there is no input '{name}'", did_you_mean(name, self.sizes.ports))
        return None, text

    def _once(self, name: str, source: str) -> None:
        if name in self.sources:
            raise UsageError(
                f"the input '{name}' is given twice: {self.sources[name]} and {source}", "leave out one of the two"
            )
        self.sources[name] = source


def _array(path: Path) -> np.ndarray:
    """A .npy file of numbers, bools or strings; what its header says is not more than it holds."""
    check_file(path)
    try:
        is_read(path)
        loaded = np.load(path, mmap_mode="r" if path.stat().st_size else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if loaded.size and not loaded.dtype.itemsize:  # any number of them fits into a small file
                raise ValueError("its elements have no bytes")
            loaded = np.array(loaded) if loaded.dtype.kind != "S" else np.char.decode(loaded, "utf-8")
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror or e}") from None
    except MemoryError:
        raise
    except Exception as e:  # numpy reads a header as Python text, and fails in as many ways as that has
        objects = "Python objects" in str(e)  # of a header; what is no .npy file at all numpy calls pickled
        why = "it holds objects of Python" if objects else "it is none" if "pickle" in str(e) else str(e)[:200]
        help = "numpy.save writes an array of numbers" if objects else "numpy.save writes one"
        raise DataError("NS701", f"{path} is not a .npy file that can be read: {why}", help) from None
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise DataError("NS701", f"{path} is an archive of arrays", "--npy takes one array: a .npy file")
    if loaded.dtype.names or loaded.dtype.kind in "OmM":
        raise DataError(
            "NS701",
            f"{path} holds {loaded.dtype}, no numbers and no strings",
            "numpy.save an array of numbers, without fields",
        )
    return loaded.astype(loaded.dtype.newbyteorder("="))


def batch_of(values: Mapping[str, Value]) -> int:
    """The first dimension of the first input that has one; 1 where none has."""
    return next((v.shape[0] for v in values.values() if isinstance(v, np.ndarray) and v.shape), 1)


def take_folder(feeds: Feeds, folder: Path, ports: Mapping[str, Port], read: Callable[[Path, str], Value]) -> None:
    """Takes `--pb FOLDER`: input_N.pb is the value of the Nth input; raises UsageError, DataError."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "--pb takes a folder of input_0.pb, input_1.pb, ...")
    names, found = list(ports), 0
    for path in folder.glob("input_*.pb"):
        number = path.stem.removeprefix("input_")
        if not (number.isdigit() and number.isascii() and len(number) < 6):
            continue
        if int(number) >= len(names):
            raise DataError(
                "NS701", f"{path} has no input: {feeds.sizes.model} has {len(names)}", "they count from input_0.pb"
            )
        found += 1
    if names and not found:
        raise UsageError(f"{folder} holds no input_0.pb", "--pb takes a folder of input_0.pb, input_1.pb, ...")
    for i, name in enumerate(names):
        path = folder / f"input_{i}.pb"
        if path.exists():
            check_file(path)
            feeds.give(name, read(path, ports[name].type), str(path))
