"""FCN-8s, -16s and -32s as plain PyTorch modules (Long et al. 2015, Figure 3, and the sizes of its Caffe model)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from reference import Reference
from reference.vgg import features


class FCN(Reference):
    """VGG-16 with a padding of 100; with a stride of 8 three scores and three transposed convolutions."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride, layers = stride, features("D")
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
        if stride < 32:
            self.up2 = nn.ConvTranspose2d(21, 21, 4, 2, bias=False)
            self.score4 = nn.Conv2d(512, 21, 1)
        if stride < 16:
            self.up4 = nn.ConvTranspose2d(21, 21, 4, 2, bias=False)
            self.score3 = nn.Conv2d(256, 21, 1)
        self.last = nn.ConvTranspose2d(21, 21, 2 * stride, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 500, 500) -> (N, 21, 500, 500)."""
        pool3 = self.to3(x)
        pool4 = self.to4(pool3)
        y = self.top(self.to5(pool4))
        if self.stride < 32:
            y = self.up2(y)
            y = y + self.score4(pool4)[:, :, 5 : 5 + y.shape[2], 5 : 5 + y.shape[3]]
        if self.stride < 16:
            y = self.up4(y)
            y = y + self.score3(pool3)[:, :, 9 : 9 + y.shape[2], 9 : 9 + y.shape[3]]
        y, cut = self.last(y), {8: 31, 16: 27, 32: 19}[self.stride]
        return y[:, :, cut : cut + x.shape[2], cut : cut + x.shape[3]]


NETS = {f"fcn{stride}s_vgg16": partial(FCN, stride) for stride in (8, 16, 32)}
