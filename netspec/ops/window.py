"""Sizes of sliding windows: padding words, floor and ceil modes."""

from __future__ import annotations

from netspec.ops.base import MAX_ELEMENTS, MAX_SIZE, OpError

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
"""top, bottom, left, right."""


def four(pad: object, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    """A written pad as four sides: an int, [h, w], [top, bottom, left, right], or a string; raises OpError.

    `half` is d(k-1)//2 on both sides (odd kernels); `same_upper` is TensorFlow's, the odd cell at the end.
    """
    if isinstance(pad, bool) or not isinstance(pad, (int, str, tuple)):
        raise OpError(f"'pad' is an int, [h, w], four sides or a string, got {pad!r}", arg="pad")
    if isinstance(pad, int):
        pads = (pad,) * 4
    elif pad == "valid":
        pads = (0,) * 4
    elif pad == "half":
        if not all(k % 2 for k in kernel):
            raise OpError(
                f"'half' expects odd kernels, got {kernel[0]}x{kernel[1]}",
                "give the four sides, [top, bottom, left, right], or same_upper",
                "pad",
            )
        h, w = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        pads = (h, h, w, w)
    elif pad == "same_upper":
        (top, bottom), (left, right) = (_same(*args) for args in zip(size, kernel, stride, dilation, strict=True))
        pads = (top, bottom, left, right)
    elif isinstance(pad, str) or len(pad) not in (2, 4) or not all(type(p) is int for p in pad):
        raise OpError(f"'pad' is an int, [h, w], four sides, or valid, half, same_upper; this is {pad!r}", arg="pad")
    else:
        pads = (pad[0], pad[0], pad[1], pad[1]) if len(pad) == 2 else pad
    if min(pads) < 0 or max(pads) > MAX_SIZE:
        raise OpError(f"'pad' is 0 or more, got {list(pads)}", arg="pad")
    return pads


def _same(n: int, k: int, s: int, d: int) -> Pair:
    total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
    return total // 2, total - total // 2


def length(n: int, k: int, s: int, pads: Pair, d: int = 1, ceil: bool = False) -> int:
    """The number of windows along one side; with `ceil` the last begins inside the input or its left padding."""
    room = n + sum(pads) - d * (k - 1) - 1
    if room < 0 and not ceil:
        return 0
    out = (room + s - 1) // s + 1 if ceil else room // s + 1
    return max(0, out - 1 if ceil and (out - 1) * s >= n + pads[0] else out)


def check_area(kernel: Pair, stride: Pair) -> None:
    """Refuses a kernel or a stride whose area is beyond the 32-bit integers of the runtimes; raises OpError."""
    for name, (h, w) in (("kernel", kernel), ("stride", stride)):
        if h * w > MAX_SIZE:
            raise OpError(f"'{name}' is {h}x{w}", "its area must be below 2^31", name)


def check_padded(h: int, w: int, pads: Pads) -> None:
    """Refuses a padding that makes a map which no runtime could hold; raises OpError."""
    height, width = h + pads[0] + pads[1], w + pads[2] + pads[3]
    if max(height, width) > MAX_SIZE or height * width > MAX_ELEMENTS:
        raise OpError(
            f"the padded map is {height}x{width}", "sizes are 1 to 2^31 - 1, a tensor has at most 2^40 elements", "pad"
        )


def only_padding(n: int, k: int, s: int, before: int, out: int, d: int) -> bool:
    """Whether some of the `out` windows along one side hold no real cell, by their dilation.

    A pad is at most half a window, so a window that begins before cell 0 has a tap at cell (start mod d), its first
    real one where that is below n; windows that begin inside hold their own first cell.
    """
    count = min(out, -(-before // s))
    if d <= n or not count:
        return False
    # start mod d = (i * s - before) mod d is n or more exactly where floor((start + d - n) / d) is one more
    start = -before % d
    return floor_sum(count, d, s, start + d - n) > floor_sum(count, d, s, start)


def floor_sum(count: int, m: int, a: int, b: int) -> int:
    """The sum of floor((a * i + b) / m) over i below count, in logarithmic time (a, b of 0 or more)."""
    total = 0
    while count:
        total += count * (count - 1) // 2 * (a // m) + count * (b // m)
        a, b = a % m, b % m
        last = a * count + b
        count, b = last // m, last % m
        a, m = m, a
        if not m:
            break
    return total


def window(
    size: Pair, kernel: Pair, stride: Pair, pad: object, dilation: Pair = (1, 1), ceil: bool = False
) -> tuple[Pads, Pair]:
    """The four pads and the output size of a window over a map of H x W; raises OpError."""
    h, w = size
    pads = four(pad, size, kernel, stride, dilation)
    check_padded(h, w, pads)
    check_area(kernel, stride)
    oh = length(h, kernel[0], stride[0], pads[:2], dilation[0], ceil)
    ow = length(w, kernel[1], stride[1], pads[2:], dilation[1], ceil)
    if oh < 1 or ow < 1:
        grown = "x".join(str(d * (k - 1) + 1) for k, d in zip(kernel, dilation, strict=True))
        raise OpError(
            f"a window of {grown} does not fit into {h}x{w} with pad {list(pads)}",
            "a smaller kernel, more padding, or a larger input",
            "kernel",
        )
    return pads, (oh, ow)
