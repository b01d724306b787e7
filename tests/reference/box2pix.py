"""Box2Pix on GoogLeNet as a plain PyTorch module (Uhrig et al. 2018); its widths are those that the spec calls ours."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference
from reference.googlenet import GoogLeNet


class Pixels(nn.Module):
    """Scores of four maps, each enlarged to the next finer one and added to it (Long et al. 2015, Figure 3)."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.score6b = nn.Conv2d(1024, out, 1)
        for name, channels in (("5b", 1024), ("4e", 832), ("3b", 480)):
            self.add_module(f"up{name}", nn.ConvTranspose2d(out, out, 4, 2, bias=False))
            self.add_module(f"score{name}", nn.Conv2d(channels, out, 1))
        self.last = nn.ConvTranspose2d(out, out, 16, 8, bias=False)

    def forward(self, maps: dict[str, Tensor], height: int, width: int) -> Tensor:
        """Maps at strides of 8 to 64 pixels -> (N, out, height, width)."""
        y = self.score6b(maps["6b"])
        for name in ("5b", "4e", "3b"):
            fine = self.get_submodule(f"score{name}")(maps[name])
            y = self.get_submodule(f"up{name}")(y)[:, :, 1 : 1 + fine.shape[2], 1 : 1 + fine.shape[3]] + fine
        return self.last(y)[:, :, 4 : 4 + height, 4 : 4 + width]


class Box2Pix(GoogLeNet):
    """GoogLeNet with 6a to 7b, boxes of four maps, and classes and vectors of all pixels."""

    ROWS = GoogLeNet.ROWS | {name: GoogLeNet.ROWS[f"5{name[1]}"] for name in ("6a", "6b", "7a", "7b")}
    NAMES = ()
    PRIORS = {"4e": 16, "5b": 16, "6b": 20, "7b": 21}

    def __init__(self) -> None:
        super().__init__()
        del self.classifier
        for name, boxes in self.PRIORS.items():
            channels = 832 if name == "4e" else 1024
            self.add_module(f"scores{name}", nn.Conv2d(channels, 9 * boxes, 3, padding=1))
            self.add_module(f"boxes{name}", nn.Conv2d(channels, 4 * boxes, 3, padding=1))
        self.semantics, self.offsets = Pixels(19), Pixels(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> (N, 19, H, W), (N, 2, H, W), scores of four maps, boxes of four maps."""
        height, width = x.shape[2:]
        x = self.normalise(F.max_pool2d(F.relu(self.stem7(x)), 3, 2, ceil_mode=True))
        x = self.normalise(F.relu(self.stem3(F.relu(self.stem1(x)))))
        maps = {"": F.max_pool2d(x, 3, 2, ceil_mode=True)}
        for name in self.ROWS:
            last = maps[next(reversed(maps))]
            maps[name] = self.inception(name, F.max_pool2d(last, 3, 2, ceil_mode=True) if name in POOLED else last)
        pixels = [part(maps, height, width) for part in (self.semantics, self.offsets)]
        found = [[self.get_submodule(f"{what}{m}")(maps[m]) for m in self.PRIORS] for what in ("scores", "boxes")]
        return [*pixels, *found[0], *found[1]]


POOLED = ("4a", "5a", "6a", "7a")
"""The rows before which a map becomes half as large."""

NETS: dict[str, type[Reference]] = {"box2pix": Box2Pix}
