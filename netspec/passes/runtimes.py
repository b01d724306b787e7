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

    @property
    def costs(self) -> bool:
        """Whether it is slower beyond the noise."""
        return self.ratio - self.noise > 1


MEASURED: dict[str, dict[str, tuple[Figure, ...]]] = {
    "onnxruntime": {
        "merge_branches": (Figure(0.840, 0.021, "repvgg_a0"),),
        "pool_first": (Figure(0.937, 0.047, "densenet121"),),
        "merge_siblings": (Figure(1.022, 0.044, "googlenet"),),
        "concat_as_sum": (Figure(0.920, 0.026, "squeezenet"), Figure(1.050, 0.024, "googlenet")),
        "lrn_as_conv": (Figure(0.712, 0.019, "googlenet"), Figure(0.775, 0.032, "alexnet")),
        "hard_swish_as_mul": (Figure(1.000, 0.029, "mobilenet_v3_large"),),
        "fill_blocks": (Figure(0.881, 0.038, "shufflenet_v2_x1_0"), Figure(0.985, 0.025, "regnet_y_400mf")),
        "widen_groups": (Figure(0.871, 0.059, "resnext50_32x4d"), Figure(0.840, 0.046, "regnet_y_400mf")),
        "winograd": (Figure(0.850, 0.044, "vgg16"),),
    },
    "torch": {
        "merge_branches": (Figure(0.712, 0.032, "repvgg_a0"),),
        "pool_first": (Figure(1.000, 0.051, "densenet121"),),
        "merge_siblings": (Figure(1.002, 0.035, "googlenet"),),
        "concat_as_sum": (Figure(1.050, 0.038, "squeezenet"), Figure(1.044, 0.022, "googlenet")),
        "lrn_as_conv": (Figure(0.913, 0.035, "googlenet"),),
        "hard_swish_as_mul": (Figure(1.037, 0.060, "mobilenet_v3_large"),),
        "fill_blocks": (Figure(0.994, 0.011, "shufflenet_v2_x1_0"), Figure(1.025, 0.008, "regnet_y_400mf")),
        "widen_groups": (Figure(1.045, 0.101, "resnext50_32x4d"), Figure(1.027, 0.082, "regnet_y_400mf")),
        "winograd": (Figure(0.993, 0.015, "vgg16"),),
    },
    "torch:channels_last": {
        "merge_branches": (Figure(0.722, 0.027, "repvgg_a0"),),
        "pool_first": (Figure(0.965, 0.031, "densenet121"),),
        "merge_siblings": (Figure(1.013, 0.028, "googlenet"),),
        "concat_as_sum": (Figure(0.974, 0.014, "squeezenet"), Figure(1.080, 0.037, "googlenet")),
        "lrn_as_conv": (Figure(0.802, 0.079, "googlenet"),),
        "hard_swish_as_mul": (Figure(1.072, 0.037, "mobilenet_v3_large"),),
        "fill_blocks": (Figure(0.998, 0.011, "shufflenet_v2_x1_0"), Figure(1.014, 0.005, "regnet_y_400mf")),
        "widen_groups": (Figure(1.019, 0.053, "resnext50_32x4d"), Figure(0.970, 0.052, "regnet_y_400mf")),
        "winograd": (Figure(1.422, 0.020, "vgg16"),),
    },
    "torch:compile": {},
}
"""By runtime and name of a pass; a pass that is not here was not measured there."""


def pays(runtime: str, name: str) -> bool:
    """Whether a pass was measured to be faster in a runtime, and slower for no network."""
    figures = MEASURED.get(runtime, {}).get(name, ())
    return any(figure.pays for figure in figures) and not costs(runtime, name)


def costs(runtime: str, name: str) -> bool:
    """Whether a pass was measured to be slower for some network in a runtime."""
    return any(figure.costs for figure in MEASURED.get(runtime, {}).get(name, ()))


def by_gain(runtime: str) -> list[str]:
    """The passes that were measured in a runtime, the one that gave most before the others."""
    figures = MEASURED.get(runtime, {})
    return sorted(figures, key=lambda name: min(figure.ratio for figure in figures[name]))


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
