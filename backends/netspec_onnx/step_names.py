"""The steps that the names of nodes mean: those that netspec writes, those of PyTorch's exporter and of onnxruntime."""

from __future__ import annotations

LAID_OUT = "_nchwc"
"""What onnxruntime adds to a value's name for the node that makes it in another layout, fused with what is before."""
FUSED = "fused "
"""What it puts before the name of a node that it fuses with others."""


def step_of(name: str) -> str:
    """`/3a/b5x5/conv/Conv` -> 3a.b5x5.conv, as of `/layer1/layer1.0/conv1/Conv` layer1.0.conv1; else empty.

    The last part is the operator; a part that repeats what stands before it is what PyTorch calls an item of a list.
    """
    if name.endswith(LAID_OUT):
        return step_of(value) if (value := name.removesuffix(LAID_OUT)).startswith("/") else value.partition(":")[0]
    name = name.removeprefix(FUSED)
    if not name.startswith("/"):
        return ""
    path = ""
    for part in name[1:].split("/")[:-1]:
        path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return path
