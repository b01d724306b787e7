"""A network or a model file that is ready to run: on one device, by arrays or by folders of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from netspec.arguments import ExportWarning, checked, warn_of
from netspec.backend import KeepsReady, OpenedModel, OpensModels, able, get
from netspec.diagnostics.errors import UsageError
from netspec.diagnostics.text import counted
from netspec.files.pipes import check_file
from netspec.network import Network, Weights, load
from netspec.optional import importing
from netspec.running.convert import at_hand
from netspec.running.folder import Batch, batch_size, image_files, image_input, run_batches
from netspec.running.place import Place
from netspec.running.ports import Value
from netspec.running.sizes import Sizes, doubts
from netspec.syntax.published import Preprocessing
from netspec.weights.published.meant import meant


def _silent(said: str) -> None:
    """What is said of single images goes nowhere."""


class Session:
    """A network, or an .onnx file, in onnxruntime on one device: made ready once, run often.

    `model` is a Network, an .onnx file of anyone's, or what `load` takes. `device` is `cpu`, `cuda`, `tensorrt` or
    `openvino`, and behind a colon which one (`cuda:1`); one that is not there is a MissingError with the libraries that
    are missing, and never another device. `threads` are those of one operator on the processor, 0 for onnxruntime's
    own number. With `cuda_graph` the kernels of each shape of the inputs are recorded once and then replayed.
    """

    @checked
    def __init__(
        self,
        model: str | Path | Network,
        device: str = "cpu",
        *,
        threads: int = 0,
        cuda_graph: bool = False,
        seed: int = 0,
        weights: Weights | None = None,
    ) -> None:
        self._preprocessing: Preprocessing | None = None
        place = Place(device, threads, cuda_graph)
        if not isinstance(model, Network) and str(model).lower().endswith(".onnx"):
            if seed or weights is not None:
                raise UsageError("an .onnx file has its weights already", "seed and weights go with a network")
            self.name, self._model = Path(model).stem, self._of_file(Path(model), place)
        else:
            backend = able("onnx", KeepsReady)
            network = (model if isinstance(model, Network) else load(model)).optimised(get("onnx").level)
            arrays = network.lazy_arrays(seed, weights)
            if isinstance(weights, (str, Path)):
                self._preprocessing = meant(str(weights), network).preprocessing
            self.name, self._model = network.name, backend.ready(network.inference, arrays, place)
        self.device = device

    @staticmethod
    def _of_file(path: Path, place: Place) -> OpenedModel:
        check_file(path)
        return able("onnx", OpensModels).open(path, place)

    def __repr__(self) -> str:
        return f"Session({self.name} on {self.provider})"

    def __reduce__(self) -> str:
        raise TypeError("a Session cannot be pickled or copied: its memory is a device's; make one in each process")

    @property
    def provider(self) -> str:
        """The execution provider of onnxruntime that runs it, of NVIDIA's with the name of the GPU."""
        return self._model.provider

    @property
    def inputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """The shape of each input; a free dimension is a symbol, or None."""
        return {name: port.shape for name, port in self._model.inputs.items()}

    @property
    def outputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """The shape of each output."""
        return {name: port.shape for name, port in self._model.outputs.items()}

    @checked
    def run(self, /, *values: Value, **named: Value) -> dict[str, Value]:
        """The outputs by name, for the inputs in their order or by name; raises DataError, UsageError.

        Each value is copied to the device once, and each output from there once; on the CPU none is. A size that a file
        with free sizes was not written for is an ExportWarning.
        """
        return self._model.run(self._inputs(values, named), 0).outputs

    @checked
    def latency(self, /, *values: Value, repeat: int = 10, **named: Value) -> list[float]:
        """The milliseconds of each of `repeat` runs, after one to warm up, with inputs and outputs on the device."""
        return self._model.run(self._inputs(values, named), repeat).latency_ms

    @checked
    def images(self, files: str | Path | Iterable[str | Path], batch: int | None = None) -> Iterator[Batch]:
        """Runs a folder of images, or the images named, in batches: `files` and `outputs` of each; raises DataError.

        Images are cut and normalised as for ImageNet, or as the published weights of the network were trained, as
        `netspec run --images` does, while another batch runs. `batch`
        is 1 unless the model has another.
        """
        lone = "single images are given as a list of files"
        paths = image_files(Path(files), lone)[0] if isinstance(files, str | Path) else [Path(file) for file in files]
        name, port = image_input(self._model.inputs)
        sizes, size = Sizes(self._model.inputs, said=self._model.sizes), batch_size(port, batch, len(paths))
        sizes.batch(size)
        sizes.complete()
        warn_of(sizes.doubts(), ExportWarning)
        with importing("reading images", "PIL", "run"):
            from netspec.running.images import reader  # noqa: PLC0415 - pillow may be absent
        read = reader(name, port, sizes.shape(name), _silent, self._preprocessing)
        return run_batches(paths, size, read, lambda made: self._model.run({name: made}, 0).outputs)

    def _inputs(self, values: tuple[Value, ...], named: dict[str, Value]) -> dict[str, Value]:
        known = [*self._model.inputs]
        if len(values) > len(known):
            message = f"{counted(len(values), 'value')} for {counted(len(known), 'input')}"
            raise UsageError(message, f"the model has {', '.join(known) or 'none'}")
        given = dict(zip(known, values, strict=False))
        if twice := given.keys() & named.keys():
            raise UsageError(f"the input '{min(twice)}' is given twice", "give it by place or by name")
        found = {name: at_hand(name, value) for name, value in (given | named).items()}
        shapes = {name: getattr(found[name], "shape", ()) for name in known if name in found}
        warn_of(doubts(shapes, self._model.sizes), ExportWarning)
        return found
