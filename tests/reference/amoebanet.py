"""AmoebaNet-A, -B and -C as plain PyTorch modules, from the pairs that Real et al. 2018 found."""

from __future__ import annotations

from reference.nasnet import Pairs, Searched

# operation and state on the left, operation and state on the right
A_NORMAL: Pairs = [
    ("avg3", 0, "max3", 0),
    ("sep3", 1, "id", 1),
    ("id", 0, "avg3", 1),
    ("sep3", 0, "sep5", 2),
    ("avg3", 5, "sep3", 0),
]
A_REDUCTION: Pairs = [
    ("sep3", 1, "avg3", 0),
    ("max3", 0, "sep7", 2),
    ("max3", 1, "max3", 0),
    ("sep3", 4, "1x7_7x1", 0),
    ("avg3", 1, "sep7", 0),
]
B_NORMAL: Pairs = [
    ("1x1", 1, "max3", 1),
    ("id", 1, "sep3", 0),
    ("1x1", 1, "sep3", 0),
    ("1x1", 2, "id", 2),
    ("avg3", 1, "1x1", 5),
]
B_REDUCTION: Pairs = [
    ("max2", 0, "max3", 0),
    ("id", 2, "3x3", 1),
    ("dil5", 2, "max3", 2),
    ("id", 3, "sep3", 1),
    ("avg3", 4, "1x1", 3),
]
C_NORMAL: Pairs = [
    ("avg3", 0, "sep3", 0),
    ("id", 0, "sep3", 0),
    ("avg3", 2, "sep3", 1),
    ("id", 0, "sep3", 1),
    ("avg3", 3, "sep3", 0),
]
C_REDUCTION: Pairs = [
    ("max3", 0, "max3", 0),
    ("sep7", 2, "sep3", 0),
    ("sep7", 0, "max3", 1),
    ("sep5", 4, "sep5", 4),
    ("max3", 1, "sep3", 1),
]

NETS = {
    "amoebanet_a": lambda: Searched((A_NORMAL, [1, 3, 4, 6]), (A_REDUCTION, [2, 3, 4, 5, 6]), 6, 190, 96, True),
    "amoebanet_c": lambda: Searched((C_NORMAL, [1, 2, 4, 5, 6]), (C_REDUCTION, [0, 2, 3, 4, 5, 6]), 6, 228, 96, True),
}
