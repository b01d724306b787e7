"""Our nn.Modules against torchvision's on the same weights, in one process; parts of `tools/dev bench`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from bench_pairs import Call, Row, interleaved, table
from exporters import NETWORKS, torchvision_module, with_statistics

if TYPE_CHECKING:
    import torch
    from torch import nn

THEIRS, AGAIN, OURS = "torchvision", "torchvision again", "netspec"
NAMES = ("resnet50", "densenet121", "googlenet_torchvision", "mobilenet_v2", "efficientnet_b0")
BATCHES = (1, 8)
FORMATS = ("contiguous", "channels_last")
TOLERANCE = 1e-4
"""How far outputs of the same weights may be apart, by the largest of them."""


@dataclass
class Pair:
    """A network of torchvision, the same again, and ours, on the same weights; `made` has the modules of ours."""

    name: str
    folder: Path
    made: dict[str, nn.Module] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As it is known."""
        return NETWORKS[self.name].title

    def theirs(self) -> nn.Module:
        """A new module of torchvision; of GoogLeNet with the auxiliary heads, which it needs in training."""
        import torch

        weights = self.folder / f"{self.name}.heads.pth"  # files of other parts have none
        network = NETWORKS[self.name]
        if self.name == "googlenet_torchvision":
            network = replace(network, make=partial(torchvision_module, "googlenet", init_weights=False))
        if not weights.exists():
            torch.save(with_statistics(network).state_dict(), weights)
        module = network.make()
        module.load_state_dict(torch.load(weights, weights_only=True))
        return module.eval()

    def ours(self, training: bool = False, level: int = 0, runtime: str = "torch") -> nn.Module:
        """Ours, rewritten by a level for a runtime."""
        import netspec

        self.theirs()
        network = netspec.load(self.name)
        if level:
            network = network.optimised(level, runtime)  # type: ignore[arg-type]
        return network.to_torch(training, weights=self.folder / f"{self.name}.heads.pth").train(training)

    def modules(self, training: bool) -> dict[str, nn.Module]:
        """The three, in the mode."""
        found = {THEIRS: self.theirs(), AGAIN: self.theirs(), OURS: self.ours(training)}
        return {name: module.train(training) for name, module in found.items()}


def _images(batch: int, kind: str) -> torch.Tensor:
    import torch

    torch.manual_seed(0)
    return torch.randn(batch, 3, 224, 224).contiguous(memory_format=_format(kind))


def _format(kind: str) -> torch.memory_format:
    import torch

    return torch.channels_last if kind == "channels_last" else torch.contiguous_format


def inference(module: nn.Module, images: torch.Tensor) -> object:
    """One run without gradients."""
    import torch

    with torch.inference_mode():
        return module(images)


def step(module: nn.Module, optimiser: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor) -> None:
    """One step of training on every output: forward, cross-entropy, backward, SGD."""
    import torch

    found = module(images)
    outputs = [found] if isinstance(found, torch.Tensor) else list(found.values() if isinstance(found, dict) else found)
    loss = sum(torch.nn.functional.cross_entropy(output, labels) for output in outputs if output is not None)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[union-attr]
    optimiser.step()


def steps(modules: dict[str, nn.Module], images: torch.Tensor) -> dict[str, Call]:
    """A step of training of each module."""
    import torch

    labels = torch.arange(len(images)) % 1000
    return {
        name: partial(step, module, torch.optim.SGD(module.parameters(), 1e-4, 0.9), images, labels)
        for name, module in modules.items()
    }


def runs(modules: dict[str, nn.Module], images: torch.Tensor) -> dict[str, Call]:
    """A run of each module; raises SystemExit where outputs differ."""
    calls: dict[str, Call] = {name: partial(inference, module, images) for name, module in modules.items()}
    outputs = {name: call() for name, call in calls.items()}
    first = next(iter(outputs.values()))
    for name, output in outputs.items():
        apart = float((output - first).abs().max() / first.abs().max())  # type: ignore[operator, attr-defined]
        if not apart <= TOLERANCE:
            raise SystemExit(f"{name} gives other outputs than torchvision's: {apart:.1e}")
    return calls


def eager(seconds: float, folder: Path, names: Sequence[str] = NAMES) -> Iterator[str]:
    """Runs of our modules, and of torchvision's."""
    yield _in_eager_mode("Modules in eager mode", False, seconds, folder, names)


def training(seconds: float, folder: Path, names: Sequence[str] = NAMES) -> Iterator[str]:
    """Training steps of our modules, and of torchvision's."""
    yield _in_eager_mode("A training step in eager mode", True, seconds, folder, names)


def _in_eager_mode(title: str, trained: bool, seconds: float, folder: Path, names: Sequence[str]) -> str:
    rows = []
    for pair, kind, batch in product((Pair(name, folder) for name in names), FORMATS, BATCHES):
        images = _images(batch, kind)

        def calls(pair: Pair = pair, kind: str = kind, images: torch.Tensor = images) -> dict[str, Call]:
            modules = formatted(pair.modules(trained), kind)
            return steps(modules, images) if trained else runs(modules, images)

        least, sittings = (8, 2) if trained else (4, 2)
        rows.append(Row((pair.title, kind, str(batch)), interleaved(calls, seconds, least, sittings), THEIRS))
    return table(title, ["network", "format", "batch"], rows)


def optimised(seconds: float, folder: Path, names: Sequence[str] = NAMES) -> Iterator[str]:
    """Ours after -O2 in channels_last, against torchvision's as it is."""
    rows = []
    for pair, batch in product((Pair(name, folder) for name in names), BATCHES):

        def calls(pair: Pair = pair, batch: int = batch) -> dict[str, Call]:
            plain = {THEIRS: pair.theirs(), AGAIN: pair.theirs(), "-O2": pair.ours(level=2)}
            last = {
                "-O0 channels_last": pair.ours(),
                "-O2 channels_last": pair.ours(level=2, runtime="torch:channels_last"),
            }
            both = {"contiguous": plain, "channels_last": last}
            return {
                name: call
                for kind, modules in both.items()
                for name, call in runs(formatted(modules, kind), _images(batch, kind)).items()
            }

        rows.append(Row((pair.title, str(batch)), interleaved(calls, seconds, 4, 2), THEIRS))
    yield table("Modules after -O2 in eager mode", ["network", "batch"], rows)


def compiled(seconds: float, folder: Path, names: Sequence[str] = NAMES) -> Iterator[str]:
    """Ours and torchvision's, both by torch.compile: runs of one image in both formats."""
    import torch

    rows = []
    for pair, kind in product((Pair(name, folder) for name in names), FORMATS):

        def calls(pair: Pair = pair, kind: str = kind) -> dict[str, Call]:
            torch._dynamo.reset()
            modules = formatted(pair.modules(training=False), kind)
            made = {name: torch.compile(module, dynamic=False) for name, module in modules.items()}
            return runs(made, _images(1, kind))

        rows.append(Row((pair.title, kind, "1"), interleaved(calls, seconds, 4, 2), THEIRS))
    yield table("Modules by torch.compile", ["network", "format", "batch"], rows)


def formatted(modules: dict[str, nn.Module], kind: str) -> dict[str, nn.Module]:
    """Modules with their weights in a format."""
    return {name: module.to(memory_format=_format(kind)) for name, module in modules.items()}
