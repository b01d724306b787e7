"""What there is to know of the outputs of a network that are read as features: channels and strides."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.analysis.strides import Stride as Sides
from netspec.analysis.strides import strides
from netspec.ir.graph import Graph

Stride = int | float | tuple[float, float] | None
"""Cells of the input between two values, of height and width where they differ; None without a position."""


@dataclass(frozen=True, slots=True)
class Feature:
    """The value of a step that is an output."""

    channels: int
    """C of `(N, C, H, W)`, F of `(N, F)`."""
    stride: Stride

    def __str__(self) -> str:
        """512 channels, stride 8"""
        sides = self.stride if isinstance(self.stride, tuple) else (self.stride,)
        apart = "x".join(f"{side:g}" for side in sides if side is not None)
        return f"{self.channels:,} channels, {f'stride {apart}' if apart else 'no stride'}"


def features_of(graph: Graph) -> dict[str, Feature]:
    """The outputs of a graph by name."""
    apart = strides(graph)
    return {
        name: Feature(int(graph.shape(output.ref)[1]), _stride(apart[output.ref.node]))
        for name, output in graph.outputs.items()
    }


def _stride(apart: Sides | None) -> Stride:
    """One number where height and width have the same, whole where it is whole."""
    if apart is None:
        return None
    height, width = (int(side) if side.denominator == 1 else float(side) for side in apart)
    return height if height == width else (height, width)
