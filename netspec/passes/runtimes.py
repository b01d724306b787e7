"""What pays where: what was measured of passes in each runtime, which is what `-O2` has for it; one table.

A figure is that of `netspec tune NETWORK --target RUNTIME --threads 1` with the pass on every step that it changes: the
latency after the pass by that before it, of the network after `-O1`, at batch 1 in float32, and the noise of the same
run, A against A. `tools/dev pays` measures again and writes this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What a pass gave in a runtime."""

    ratio: float
    """The latency after it by that before it."""
    noise: float
    """How far the ratio of two runs of the same network strays from 1."""
    network: str
    """The network of which it was measured."""

    @property
    def pays(self) -> bool:
        """Whether it is faster beyond the noise."""
        return self.ratio + self.noise < 1


MEASURED: dict[str, dict[str, Figure]] = {
    "onnxruntime": {
        "pool_first": Figure(0.964, 0.015, "densenet121"),
        "merge_siblings": Figure(1.004, 0.024, "googlenet"),
        "concat_as_sum": Figure(0.903, 0.029, "squeezenet"),
        "lrn_as_conv": Figure(0.718, 0.024, "googlenet"),
        "hard_swish_as_mul": Figure(0.981, 0.047, "mobilenet_v3_large"),
    },
    "torch": {},
    "torch:channels_last": {
        "pool_first": Figure(0.971, 0.008, "densenet121"),
        "merge_siblings": Figure(0.970, 0.075, "googlenet"),
        "lrn_as_conv": Figure(0.825, 0.075, "googlenet"),
        "hard_swish_as_mul": Figure(1.119, 0.024, "mobilenet_v3_large"),
    },
    "torch:compile": {},
}
"""By runtime and name of a pass; a pass that is not here was not measured there."""

_FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "onnxruntime": ("onnx", ("", "flat", "functions")),
    "torch": ("torch", ("", "eager", "source")),
    "torch:channels_last": ("torch", ("channels_last",)),
    "torch:compile": ("torch", ("compile",)),
}
"""The backend of each runtime, and its forms that this runtime runs, the one to measure first."""


def runtime_of(backend: str, form: str = "") -> str:
    """The runtime that a form of a backend is run by; empty for one that the table does not have."""
    return next((name for name, (own, forms) in _FORMS.items() if own == backend and form in forms), "")


def backend_of(runtime: str) -> tuple[str, str]:
    """The backend and the form whose runtime this is."""
    backend, forms = _FORMS[runtime]
    return backend, forms[0]
