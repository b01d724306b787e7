"""Values that lie in the memory of a device while a model runs: each is copied once on its way in and once out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

EAGER = "-1"
"""The number of the CUDA graph of a run that neither records nor replays one."""


class Binding:
    """The inputs and outputs of a session for one shape of each input, in the memory of a device.

    `memory` is onnxruntime's name of it, `cuda` or `cpu`, `graph` the number of the CUDA graph of these shapes, or None
    for none. With a graph the outputs of the first run are written again by those after it, since it finds them where
    they were when it was recorded; without one an output may have another shape in each run.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        inputs: Mapping[str, np.ndarray],
        memory: str,
        which: int = 0,
        graph: int | None = None,
    ) -> None:
        self.session, self.memory, self.which, self.graph = session, memory, which, graph
        self.names = [output.name for output in session.get_outputs()]
        self.bound = session.io_binding()
        own = {name: value.copy() if memory == "cpu" else value for name, value in inputs.items()}  # it would be shared
        self.values = {name: ort.OrtValue.ortvalue_from_numpy(v, memory, which) for name, v in own.items()}
        for name, value in self.values.items():
            self.bound.bind_ortvalue_input(name, value)
        self._run(EAGER)
        if graph is not None:
            for name, value in self.outputs().items():
                self.bound.bind_ortvalue_output(name, value)
            self.run()  # records it

    def put(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Copies other inputs of the same shapes to the device."""
        for name, value in inputs.items():
            self.values[name].update_inplace(value)

    def run(self) -> None:
        """Runs, and waits until the outputs are there."""
        self._run(EAGER if self.graph is None else str(self.graph))

    def outputs(self) -> dict[str, ort.OrtValue]:
        """The outputs on the device."""
        return dict(zip(self.names, self.bound.get_outputs(), strict=True))

    def get(self) -> dict[str, np.ndarray]:
        """Copies the outputs from the device."""
        found = {name: value.numpy() for name, value in self.outputs().items()}
        return {name: value.copy() for name, value in found.items()} if self.memory == "cpu" else found

    def _run(self, graph: str) -> None:
        options = ort.RunOptions()
        if self.graph is not None:
            options.add_run_config_entry("gpu_graph_id", graph)
        if graph == EAGER:
            for name in self.names:  # else the outputs of the run before are written again, whatever their shape
                self.bound.bind_output(name, self.memory, self.which)
        self.session.run_with_iobinding(self.bound, options)
        self.bound.synchronize_outputs()
