"""What PyTorch lacks, as source by name: it is written into the files that use it."""

from __future__ import annotations

HELPERS: dict[str, str] = {
    "chain": '''\
def chain(**steps):
    """Layers by name, each of which takes what the one before it gives."""
    return nn.Sequential(OrderedDict(steps))
''',
    "LayerNorm2d": '''\
class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, x):
        x = F.layer_norm(
            x.permute(0, 2, 3, 1),
            self.normalized_shape,
            self.weight,
            self.bias,
            self.eps,
        )
        return x.permute(0, 3, 1, 2)
''',
    "ChannelScale": '''\
class ChannelScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return x * self.weight.view([1, -1] + [1] * (x.dim() - 2))
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
        keep = torch.rand([x.shape[0]] + [1] * (x.dim() - 1), device=x.device) >= self.p
        return x * keep / (1 - self.p)
''',
    "MeanOfPaths": '''\
class MeanOfPaths(nn.Module):
    """The mean of paths; in training each is left out with probability p (drop-path), but never all of them."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, paths: list[torch.Tensor]):
        x = torch.stack(paths)
        if not self.training:
            return x.mean(0)
        keep = torch.rand(len(paths), device=x.device) >= self.p
        last = torch.arange(len(paths), device=x.device) == torch.randint(
            len(paths), [1], device=x.device
        )
        keep = torch.where(keep.any(), keep, last).to(x.dtype)
        return (x * keep.view([-1] + [1] * (x.dim() - 1))).sum(0) / keep.sum()
''',
    "DeformConv2d": '''\
class DeformConv2d(nn.Conv2d):
    """Deformable convolution (Dai et al. 2017): taps are read at their places plus offsets (dy, dx)."""

    def forward(self, x, offset):
        n, _, h, w = x.shape
        rows, columns = offset.shape[2], offset.shape[3]
        kh, kw = self.kernel_size
        parts = n * offset.shape[1] // (2 * kh * kw)
        offset = offset.reshape(parts, kh, kw, 2, rows, columns)
        y = (
            taps(x, kh, rows, self.stride[0], self.dilation[0], self.padding[0])[
                :, None, :, None
            ]
            + offset[:, :, :, 0]
        )
        x_ = (
            taps(x, kw, columns, self.stride[1], self.dilation[1], self.padding[1])[
                :, None, :
            ]
            + offset[:, :, :, 1]
        )
        part = torch.arange(parts, device=x.device).view(-1, 1, 1, 1, 1)
        read = bilinear(x.reshape(parts, -1, h, w), part, y, x_).transpose(0, 1)
        read = read.reshape(n, self.groups, -1, rows * columns)
        weight = self.weight.view(self.groups, self.out_channels // self.groups, -1)
        out = torch.einsum("gok,ngkp->ngop", [weight, read]).reshape(
            n, -1, rows, columns
        )
        bias = self.bias
        return out if bias is None else out + bias.view(-1, 1, 1)
''',
    "taps": '''\
def taps(x, kernel: int, out: int, stride: int, dilation: int, pad: int):
    """Where each tap of a kernel reads for each output, on one axis: (kernel, out)."""
    tap = torch.arange(kernel, device=x.device) * dilation
    return tap[:, None] + torch.arange(out, device=x.device) * stride - pad
''',
    "deform_roi_pool": '''\
def deform_roi_pool(
    maps, rois, offset, gamma: float, size: list[int], scale: float, samples: int
):
    """RoI pooling whose bins are shifted by gamma * (dy, dx) of the height and width of their region."""
    return shifted_roi_align(
        maps, rois, gamma * offset.view(-1, size[0], size[1], 2), size, scale, samples
    )
''',
    "roi_align": '''\
def roi_align(maps, rois, size: list[int], scale: float, samples: int):
    """The mean of samples x samples points in each bin of each region: (N, C, H, W), (R, 5) -> (R, C, *size)."""
    none = torch.zeros([1, 1, 1, 2], device=maps.device, dtype=maps.dtype)
    return shifted_roi_align(maps, rois, none, size, scale, samples)
''',
    "shifted_roi_align": '''\
def shifted_roi_align(maps, rois, shift, size: list[int], scale: float, samples: int):
    """The mean of the points in each bin; bins are shifted by (dy, dx) of the height and width of their region."""
    left, top, right, bottom = (rois[:, 1:] * scale).unbind(1)
    y, in_y = roi_axis(
        top, bottom, shift[:, :, :, 0], [-1, size[0], 1, samples, 1], maps.shape[2]
    )
    x, in_x = roi_axis(
        left, right, shift[:, :, :, 1], [-1, 1, size[1], 1, samples], maps.shape[3]
    )
    read = bilinear(maps, rois[:, 0].long().view(-1, 1, 1, 1, 1), y, x) * (in_y & in_x)
    return read.mean([-1, -2]).transpose(0, 1)
''',
    "roi_axis": '''\
def roi_axis(start, end, shift, shape: list[int], reach: int):
    """Where the points of the bins are on one axis, kept inside the map, and which of them were there."""
    points, span = shape[1] * shape[2] * shape[3] * shape[4], end - start
    point = (torch.arange(points, device=start.device) + 0.5) / points
    place = (start[:, None] + span[:, None] * point - 0.5).view(shape)
    place = place + (shift * span[:, None, None])[:, :, :, None, None]
    return place.clamp(0, reach - 1), (place >= -1) & (place <= reach)
''',
    "roi_avg_pool": '''\
def roi_avg_pool(maps, rois, size: list[int], scale: float):
    """The mean of the cells of each bin of each region: (N, C, H, W), (R, 5) -> (R, C, *size)."""
    none = torch.zeros([1, 1, 1, 2], device=maps.device, dtype=maps.dtype)
    return shifted_cells(maps, rois, none, size, scale)
''',
    "deform_roi_avg_pool": '''\
def deform_roi_avg_pool(
    maps, rois, offset, gamma: float, size: list[int], scale: float
):
    """The mean of the cells of each bin, read gamma * (dy, dx) of the height and width of their region further."""
    return shifted_cells(
        maps, rois, gamma * offset.view(-1, size[0], size[1], 2), size, scale
    )
''',
    "shifted_cells": '''\
def shifted_cells(maps, rois, shift, size: list[int], scale: float):
    """The mean of the cells of each bin, which are read (dy, dx) of the height and width of their region further."""
    left, top, right, bottom = (rois[:, 1:] * scale).round().unbind(1)
    y = cells_of_bins(top, bottom, shift[:, :, :, 0], [-1, size[0], 1], maps.shape[2])
    x = cells_of_bins(left, right, shift[:, :, :, 1], [-1, 1, size[1]], maps.shape[3])
    parts = (y[:, :, :, :, None] * x[:, :, :, None]).flatten(3).flatten(1, 2)
    read = maps[rois[:, 0].long()].flatten(2)
    return torch.matmul(read, parts.transpose(1, 2)).unflatten(2, size)
''',
    "cells_of_bins": '''\
def cells_of_bins(first, last, shift, shape: list[int], reach: int):
    """The part of each cell of an axis in the mean of each bin: (R, bins down, bins across, cells)."""
    bins, span = shape[1] * shape[2], (last - first + 1).clamp(min=1)[:, None]
    bin = torch.arange(bins, device=first.device, dtype=first.dtype)
    low = (first[:, None] + (bin * span / bins).floor()).clamp(0, reach).view(shape)
    high = (
        (first[:, None] + ((bin + 1) * span / bins).ceil()).clamp(0, reach).view(shape)
    )
    move = shift * span[:, :, None]
    whole = move.floor()
    cell, part = (
        torch.arange(reach, device=first.device, dtype=first.dtype),
        (move - whole)[:, :, :, None],
    )
    low_, high_ = (low + whole)[:, :, :, None], (high + whole)[:, :, :, None]
    near, next = (
        (cell >= low_) & (cell < high_),
        (cell >= low_ + 1) & (cell < high_ + 1),
    )
    return ((1 - part) * near + part * next) / (high - low).clamp(min=1)[:, :, :, None]
''',
    "bilinear": '''\
def bilinear(maps, index, y, x):
    """Values of maps[index] between their pixels at y, x, which are 0 outside: (N, C, H, W) -> (C, *points)."""
    _, c, h, w = maps.shape
    flat, total = (
        maps.transpose(0, 1).reshape(c, -1),
        torch.zeros([], device=maps.device, dtype=maps.dtype),
    )
    for down in range(2):
        near_y = y.floor() + down
        part_y = y - y.floor() if down == 1 else 1 - y + y.floor()
        for right in range(2):
            near_x = x.floor() + right
            part_x = x - x.floor() if right == 1 else 1 - x + x.floor()
            inside = (near_y >= 0) & (near_y < h) & (near_x >= 0) & (near_x < w)
            place = (index * h + near_y.clamp(0, h - 1).long()) * w + near_x.clamp(
                0, w - 1
            ).long()
            total = total + flat[:, place] * (part_y * part_x * inside)
    return total
''',
    "avg_pool_uneven": '''\
def avg_pool_uneven(
    x,
    kernel: list[int],
    stride: list[int],
    pad: list[int],
    reach: list[int],
    count_pad: bool,
):
    """Average pooling whose sides are padded unlike; `reach` pads as far as the last window goes."""
    cells = torch.ones_like(x[:1, :1])
    if count_pad:
        x, cells = F.pad(x, pad), F.pad(cells, pad, value=1.0)
        reach = [reach[i] - pad[i] for i in range(4)]
    total = F.avg_pool2d(F.pad(x, reach), kernel, stride, divisor_override=1)
    return total / F.avg_pool2d(F.pad(cells, reach), kernel, stride, divisor_override=1)
''',
}
