"""FCN-8s as a plain PyTorch module (Long et al. 2015, Figure 3, and the sizes of its Caffe model)."""

from __future__ import annotations

from torch import Tensor, nn

from reference import Reference
from reference.vgg import features


class FCN8s(Reference):
    """VGG-16 with a padding of 100, three scores, three transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        layers = features("D")
        layers[0] = nn.Conv2d(3, 64, 3, padding=100)
        for layer in layers:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        pools = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        self.to3, self.to4 = nn.Sequential(*layers[: pools[2]]), nn.Sequential(*layers[pools[2] : pools[3]])
        self.to5 = nn.Sequential(*layers[pools[3] :])
        self.top = nn.Sequential(
            nn.Conv2d(512, 4096, 7), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Conv2d(4096, 21, 1)
        )
        self.up2 = nn.ConvTranspose2d(21, 21, 4, 2, bias=False)
        self.score4 = nn.Conv2d(512, 21, 1)
        self.up4 = nn.ConvTranspose2d(21, 21, 4, 2, bias=False)
        self.score3 = nn.Conv2d(256, 21, 1)
        self.up8 = nn.ConvTranspose2d(21, 21, 16, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 500, 500) -> (N, 21, 500, 500)."""
        pool3 = self.to3(x)
        pool4 = self.to4(pool3)
        up2 = self.up2(self.top(self.to5(pool4)))
        h, w = up2.shape[2:]
        up4 = self.up4(up2 + self.score4(pool4)[:, :, 5 : 5 + h, 5 : 5 + w])
        h, w = up4.shape[2:]
        up8 = self.up8(up4 + self.score3(pool3)[:, :, 9 : 9 + h, 9 : 9 + w])
        return up8[:, :, 31 : 31 + x.shape[2], 31 : 31 + x.shape[3]]


NETS = {"fcn8s_vgg16": FCN8s}
