"""The options of `--to torch`, and what the source says of its weights."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.backend import Options, option
from netspec.passes.runtimes import runtime_of


@dataclass(frozen=True, kw_only=True)
class TorchOptions(Options):
    """How the source is written."""

    training: bool = option(False, "Auxiliary heads too.")
    weights: bool = option(True, "The source alone.")
    freeze: tuple[str, ...] = option(
        (),
        "Do not train these steps (`layer1`, `conv1..conv3`; commas between several): no gradients, in eval mode.",
        metavar="PATTERN",
    )
    channels_last: bool = option(
        False, "Channels are the innermost axis of weights and maps in memory, which is faster on most processors."
    )

    @property
    def runtime(self) -> str:
        """PyTorch, eager."""
        return runtime_of("torch", "channels_last" if self.channels_last else "")


DEFAULTS = TorchOptions()

FORMS = {
    "eager": "the module of netspec.load(...).to_torch()",
    "source": "the file that `compile --to torch` writes, executed, with the weights that its load() reads",
    "compile": "that module after torch.compile, which needs a C++ compiler on a CPU",
    "channels_last": "that module with the channels innermost in memory",
}
"""How a network may run in PyTorch, the first where nothing else is said."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The file of weights next to a source."""

    name: str
    sha256: str
    channels_last: bool = False
    """Whether the network keeps channels innermost in memory."""
