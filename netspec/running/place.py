"""Where a network runs: the device and which of them, the threads, and how exact its products are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netspec.diagnostics.errors import UsageError, did_you_mean

DEVICES = {"cpu": "", "cuda": r"\d{1,3}", "tensorrt": r"\d{1,3}", "openvino": r"[A-Z][A-Z0-9_.]{0,15}"}
"""What may run a network, each with how one of several is told: `cuda:1` is the second GPU, `openvino:GPU` Intel's."""

KNOWN = "cpu, cuda, cuda:1, tensorrt, openvino, openvino:GPU"
MAX_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """What a run asks for; a device that is not there is an error, and never replaced by another."""

    device: str = "cpu"
    """`cpu`, `cuda`, `tensorrt` or `openvino`, and behind a colon which one."""
    threads: int = 0
    """Of the processor for one operator; 0 leaves it to the library."""
    cuda_graph: bool = False
    """Whether a GPU records the kernels of each shape of the inputs once, and then replays them."""
    exact: bool = False
    """Whether a GPU multiplies float32 as such, and not as TF32, which has 10 bits of mantissa."""

    def __post_init__(self) -> None:
        kind, colon, which = self.device.partition(":")
        if kind not in DEVICES:
            meant = "cuda" if kind.lower() == "gpu" else kind.lower()
            raise UsageError(
                f"there is no device '{self.device[:60]}'", did_you_mean(meant, DEVICES, f"known: {KNOWN}")
            )
        if colon and not re.fullmatch(DEVICES[kind], which, re.ASCII) or colon and not which:
            upper = which.upper() if re.fullmatch(DEVICES[kind], which.upper(), re.ASCII) else ""
            help = f"did you mean '{kind}:{upper}'?" if upper else f"known: {KNOWN}"
            raise UsageError(f"'{self.device[:60]}' is no device", help)
        if not 0 <= self.threads <= MAX_THREADS:
            raise UsageError(
                f"{self.threads} threads cannot be asked for", f"1 to {MAX_THREADS}, or 0 for the library's own"
            )
        if self.cuda_graph and kind not in ("cuda", "tensorrt"):
            raise UsageError(f"CUDA graphs need a GPU, the device is {self.device}", "--device cuda")

    @property
    def kind(self) -> str:
        """The device without which of them it is."""
        return self.device.partition(":")[0]

    @property
    def which(self) -> str:
        """Which of them it is; empty where nothing says so."""
        return self.device.partition(":")[2]


def at(device: str | Place) -> Place:
    """A place by the name of its device, or as it is; raises UsageError."""
    return device if isinstance(device, Place) else Place(device)
