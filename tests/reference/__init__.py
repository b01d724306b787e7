"""Networks of the papers as plain PyTorch modules, written from the papers alone, for targets that no library ships.

A module of this package is a family; its `NETS` gives the network of a variant. Each takes the arrays of the spec: by
the order in which their tensors first occur, or by its own `NAMES`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn


class Reference(nn.Module):
    """A reference network; `NAMES` are pairs of a pattern for its own keys and the key in the spec."""

    NAMES: tuple[tuple[str, str], ...] = ()

    def spec_name(self, key: str) -> str:
        """The key in the spec of one of its own keys."""
        for pattern, name in self.NAMES:
            if found := re.fullmatch(pattern, key):
                return found.expand(name)
        raise KeyError(key)

    def fill(self, arrays: Mapping[str, np.ndarray]) -> Reference:
        """Takes every array, by `NAMES` or in the order in which they occur; raises KeyError where they do not fit.

        An order shows as much as names: networks whose outputs are equal under a map of the tensors are equal.
        """
        state = {k: v for k, v in self.state_dict().items() if not k.endswith("num_batches_tracked")}
        if self.NAMES:
            ours = {key: self.spec_name(key) for key in state}
            if set(ours.values()) != set(arrays) or len(set(ours.values())) != len(ours):
                raise KeyError(f"names differ: {sorted(set(ours.values()) ^ set(arrays))[:6]}")
        else:
            ours = dict(zip(state, arrays, strict=False))
            for key, name in ours.items():
                if tuple(state[key].shape) != arrays[name].shape:
                    raise KeyError(f"{key} is {tuple(state[key].shape)}, in the spec {name} is {arrays[name].shape}")
            if len(state) != len(arrays):
                raise KeyError(f"{len(state)} tensors, in the spec {len(arrays)}")
        found = {key: torch.from_numpy(arrays[name]) for key, name in ours.items()}
        self.load_state_dict(found, strict=False, assign=True)
        return self.eval()


class Sequence(Reference):
    """A network without branches: its layers, one after the other."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, classes)."""
        return self.layers(x)


def classifier(features: int, *widths: int) -> list[nn.Module]:
    """Flattening and fully connected layers, ReLU between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(features, width), nn.ReLU()]
        features = width
    return layers[:-1]


def made(net: Callable[[], Reference], arrays: Mapping[str, np.ndarray]) -> Reference:
    """A reference network with the arrays of the spec; nothing is drawn that they replace."""
    with torch.device("meta"):
        empty = net()
    return empty.fill(arrays)


def nets(family: str) -> dict[str, Callable[[], Reference]]:
    """The reference networks of a family by variant; none where it has no module here."""
    name = f"{__name__}.{family.replace('/', '_')}"
    if importlib.util.find_spec(name) is None:
        return {}
    return importlib.import_module(name).NETS
