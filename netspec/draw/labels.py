"""What is written in a box: ops, layers, scopes and their numbers, in the words of the papers' figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from netspec.analysis.cost import totals
from netspec.diagnostics import suggest
from netspec.ir.graph import Node, Ref
from netspec.ir.scope_tree import Region
from netspec.ir.titles import both_ends
from netspec.ops import OPS
from netspec.ops.base import Attrs
from netspec.ops.registry import Kind


def kind_of(node: Node) -> Kind:
    """What colours a node."""
    return OPS[node.op].kind


def op_text(name: str, attrs: Attrs) -> str:
    """`3x3 conv, 64, /2`, as the figures of the papers label their boxes."""
    op = OPS[name]
    text = op.words(attrs)
    if "kernel" in attrs:
        kh, kw = attrs["kernel"]
        text = f"{kh}\u00d7{kw} {text}"
    if "out" in attrs:
        text += f", {attrs['out']}"
    stride = attrs.get("stride", (1, 1))
    if stride != (1, 1):
        scaling = op.scaling(attrs)
        text += ", up " if scaling is not None and scaling.up != (1, 1) else ", /"
        text += str(stride[0]) if stride[0] == stride[1] else "x".join(map(str, stride))
    if attrs.get("groups", 1) > 1 and attrs["groups"] != attrs.get("out"):
        text += f", {attrs['groups']} groups"
    return text


def node_lines(nodes: Sequence[Node], region: Region, names: bool) -> tuple[str, ...]:
    """A node, or a layer with what follows it: its name where one was written, then its ops."""
    first = nodes[0]
    name = first.title or region.relative(first.path)
    plain = not first.title and name.split("_")[0] in (first.op, first.op.split("_")[0])
    return tuple(op_lines(nodes, name if names and not plain else ""))


def op_lines(nodes: Sequence[Node], name: str = "") -> list[str]:
    """The layer on a line of its own, after its name, and on others what stands before and after it."""
    lines: list[str] = []
    line: list[str] = []
    for node in nodes:
        text = op_text(node.op, node.attrs)
        if kind_of(node) in ("weights", "pool"):
            lines += [", ".join(line)] if line else []
            lines.append(text)
            line = []
        else:
            line.append(text)
    lines += [", ".join(line)] if line else []
    return [f"{name}: {lines[0]}", *lines[1:]] if name else lines


def is_layer(region: Region) -> bool:
    """Whether a scope is a chain around one layer, such as conv, batch norm, ReLU, or around a norm alone."""
    nodes = [i for i in region.items if isinstance(i, Node)]
    if len(nodes) != len(region.items) or not 1 <= len(nodes) <= 4:
        return False
    chained = all(b.inputs == (Ref(a.path),) for a, b in pairwise(nodes))
    kinds = [kind_of(n) for n in nodes]
    around = set(kinds) <= {"weights", "norm", "other"} and not set(kinds) <= {"other"}
    return chained and around and kinds.count("weights") <= 1


def scope_title(run: Sequence[Region], parent: Region, names: bool = True) -> str:
    """`3a: inception`, of a run `1 to 5: bottleneck`; the block alone where its name was counted or is left out.

    A title that begins with the block, as `Dense Block (1)` does with dense_block, says it already.
    """
    name, block = named(run, parent), run[0].scope.block
    if block and not names:
        return block
    said = counted(name, block) or suggest.key(run[0].scope.title).startswith(suggest.key(block))
    return name if not block or said else f"{name}: {block}"


def named(run: Sequence[Region], parent: Region) -> str:
    """A scope by its title, `conv2_x`, or else its name, `layer1`; a run by both ends, `Inception-A 1 to 3`."""
    first, last = (region.scope.title or parent.relative(region.path) for region in (run[0], run[-1]))
    return first if len(run) == 1 else both_ends(first, last)


def title_lines(title: str) -> list[str]:
    """The title of a frame in short lines: the name, the block, how often."""
    return re.split(r": | (?=\u00d7)", title)


def counted(name: str, block: str) -> bool:
    """Whether a name is what the compiler gives to an unnamed step of a block: conv_bn, conv_bn_2."""
    rest = name.removeprefix(block)
    return bool(block) and name.startswith(block) and (not rest or (rest[0] == "_" and rest[1:].isdigit()))


def describe(region: Region) -> str:
    """What a scope is, with its arguments, costs and text."""
    counts = totals(region.nodes())
    args = ", ".join(f"{k}={v}" for k, v in region.scope.args.items())
    title = f" ({region.scope.title})" if region.scope.title else ""
    head = f"{region.path}{title}: {region.scope.block or region.scope.kind}{f'({args})' if args else ''}"
    text = f". {region.scope.doc}" if region.scope.doc else ""
    return f"{head}, {counts.params:,} parameters, {counts.macs:,} MACs{text}"


def first_sentence(text: str) -> str:
    """A text up to where its first sentence ends, which is not at `et al.` or `Fig. 2`."""
    end = re.search(r"(?<!\bal)(?<!\bFig)(?<!\bcf)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)\.\s+(?=[A-Z`])", text)
    return text[: end.start()] if end else text


def short(number: float) -> str:
    """A number as the papers print it: 1.2M, 34.5k."""
    number = float(f"{number:.3g}")  # 999,999 is 1M
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
