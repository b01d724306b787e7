"""What PyTorch lacks, as source by name: it is written into the files that use it."""

from __future__ import annotations

HELPERS: dict[str, str] = {
    "LayerNorm2d": '''\
class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
''',
    "ChannelScale": '''\
class ChannelScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return x * self.weight.view(1, -1, *[1] * (x.dim() - 2))
''',
    "DropPath": '''\
class DropPath(nn.Module):
    """Drops whole items with probability p in training (stochastic depth) and scales the others by 1 / (1 - p)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) >= self.p
        return x * keep / (1 - self.p)
''',
    "DeformConv2d": '''\
class DeformConv2d(nn.Conv2d):
    """Deformable convolution (Dai et al. 2017): taps are read at their places plus offsets (dy, dx)."""

    def forward(self, x, offset):
        (n, c, h, w), (rows, columns) = x.shape, offset.shape[2:]
        (kh, kw), taps = self.kernel_size, self.kernel_size[0] * self.kernel_size[1]
        parts = n * offset.shape[1] // (2 * taps)
        offset = offset.reshape(parts, kh, kw, 2, rows, columns)

        def places(kernel, out, axis):
            tap = torch.arange(kernel, device=x.device) * self.dilation[axis]
            return tap[:, None] + torch.arange(out, device=x.device) * self.stride[axis] - self.padding[axis]

        y = places(kh, rows, 0)[:, None, :, None] + offset[:, :, :, 0]
        x_ = places(kw, columns, 1)[:, None, :] + offset[:, :, :, 1]
        part = torch.arange(parts, device=x.device).view(-1, 1, 1, 1, 1)
        read = bilinear(x.reshape(parts, -1, h, w), part, y, x_).transpose(0, 1)
        read = read.reshape(n, self.groups, -1, rows * columns)
        weight = self.weight.view(self.groups, self.out_channels // self.groups, -1)
        out = torch.einsum("gok,ngkp->ngop", weight, read).reshape(n, -1, rows, columns)
        return out if self.bias is None else out + self.bias.view(-1, 1, 1)
''',
    "deform_roi_pool": '''\
def deform_roi_pool(maps, rois, offset, gamma, size, scale, samples):
    """RoI pooling whose bins are shifted by gamma * (dy, dx) of the height and width of their region."""
    offset = gamma * offset.view(-1, *size, 2)
    return roi_align(maps, rois, size, scale, samples, offset)
''',
    "roi_align": '''\
def roi_align(maps, rois, size, scale, samples, offset=None):
    """The mean of samples x samples points in each bin of each region: (N, C, H, W), (R, 5) -> (R, C, *size)."""
    h, w = maps.shape[2:]
    index, corners = rois[:, 0].long(), rois[:, 1:] * scale
    places = []
    for axis, (bins, reach) in enumerate(zip(size, (h, w))):
        start, span = corners[:, 1 - axis], corners[:, 3 - axis] - corners[:, 1 - axis]
        point = (torch.arange(bins * samples, device=maps.device) + 0.5) / (bins * samples)
        place = start[:, None] + span[:, None] * point - 0.5
        place = place.view(-1, *((bins, 1, samples, 1), (1, bins, 1, samples))[axis])
        if offset is not None:
            place = place + (offset[..., axis] * span[:, None, None])[..., None, None]
        places.append((place.clamp(0, reach - 1), (place >= -1) & (place <= reach)))
    (y, in_y), (x, in_x) = places
    read = bilinear(maps, index.view(-1, 1, 1, 1, 1), y, x) * (in_y & in_x)
    return read.mean((-1, -2)).transpose(0, 1)
''',
    "bilinear": '''\
def bilinear(maps, index, y, x):
    """Values of maps[index] between their pixels at y, x, which are 0 outside: (N, C, H, W) -> (C, *points)."""
    n, c, h, w = maps.shape
    flat, total = maps.transpose(0, 1).reshape(c, -1), 0.0
    for near_y, part_y in ((y.floor(), 1 - y + y.floor()), (y.floor() + 1, y - y.floor())):
        for near_x, part_x in ((x.floor(), 1 - x + x.floor()), (x.floor() + 1, x - x.floor())):
            inside = (near_y >= 0) & (near_y < h) & (near_x >= 0) & (near_x < w)
            place = (index * h + near_y.clamp(0, h - 1).long()) * w + near_x.clamp(0, w - 1).long()
            total = total + flat[:, place] * (part_y * part_x * inside)
    return total
''',
    "avg_pool_uneven": '''\
def avg_pool_uneven(x, kernel, stride, pad, reach, count_pad):
    """Average pooling whose sides are padded unlike; `reach` pads as far as the last window goes."""
    cells = torch.ones_like(x[:1, :1])
    if count_pad:
        x, cells = F.pad(x, pad), F.pad(cells, pad, value=1.0)
        reach = tuple(r - p for r, p in zip(reach, pad))
    total = F.avg_pool2d(F.pad(x, reach), kernel, stride, divisor_override=1)
    return total / F.avg_pool2d(F.pad(cells, reach), kernel, stride, divisor_override=1)
''',
}
