"""Rows of ops that normalise."""

from __future__ import annotations

from netspec.ir.graph import Node
from netspec_torch.rows import Arg, Layer, Shapes, positional


def batch_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        f"nn.BatchNorm{2 if len(shapes[0]) == 4 else 1}d",
        (
            *positional(("num_features", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("momentum", a["momentum"], 0.1),
            Arg("affine", a["affine"], True),
        ),
    )


def layer_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.LayerNorm" if len(shapes[0]) == 2 else "LayerNorm2d",
        (
            *positional(("channels", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("elementwise_affine", a["affine"], True),
        ),
    )


def group_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.GroupNorm",
        (
            *positional(("num_groups", a["groups"]), ("num_channels", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("affine", a["affine"], True),
        ),
    )


def instance_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.InstanceNorm2d",
        (*positional(("num_features", shapes[0][1])), Arg("eps", a["eps"], 1e-5), Arg("affine", a["affine"], False)),
    )


def lrn(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.LocalResponseNorm",
        (
            *positional(("size", a["size"])),
            Arg("alpha", a["alpha"], 1e-4),
            Arg("beta", a["beta"], 0.75),
            Arg("k", a["k"], 1.0),
        ),
    )
