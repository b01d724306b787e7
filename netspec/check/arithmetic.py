"""The arithmetic behind a number of a step: the products that it is the sum of, as one would check them by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from netspec.analysis.cost import mac_factors, params, weights_of
from netspec.check.quantities import digits
from netspec.ir.graph import Node
from netspec.ops import OPS
from netspec.syntax.document import Printed

MOST_TERMS = 12
"""A longer sum is not written out."""


def arithmetic(what: str, nodes: Sequence[Node], printed: Printed) -> str:
    """A sum of products, `64 x 3 x 7 x 7 + 64 = 9,472`; empty where there is none, or it is long."""
    weights = weights_of(nodes, printed.biases, printed.norms, printed.statistics)
    terms = {"params": weights, "macs": _macs(nodes), "neurons": _outputs(nodes)}.get(what)
    counted = Counter(terms or ())
    if not counted or len(counted) > MOST_TERMS:
        return ""
    written = [_product(term, n) for term, n in counted.items()]
    total = sum(math.prod(term) * n for term, n in counted.items())
    units = f" = {total / printed.k:,.1f} x {printed.k:,}" if printed.k != 1000 else ""
    return f"{' + '.join(written)} = {total:,}{units}"


def other_counts(what: str, nodes: Sequence[Node], printed: Printed) -> str:
    """The computed parameters or MACs as a share of the printed ones, and the nearest of other ways to count."""
    read = digits(printed.text, printed.k)
    counts = _counts(what, nodes, printed)
    if read is None or not read.value or not counts:
        return ""
    shares = {name: count / float(read.value) for name, count in counts.items()}
    ours = shares.pop("")
    name = min(shares, key=lambda name: abs(shares[name] - 1))
    found = f"{ours:.4f} of the printed number"
    if abs(shares[name] - 1) < abs(ours - 1):
        gives = ", which gives its digits" if read.agreement(counts[name]) is not None else ""
        return f"{found}; {name} {counts[name]:,}, {shares[name]:.4f} of it{gives}"
    return f"{found}, and none of these is nearer: {', '.join(shares)}"


def _counts(what: str, nodes: Sequence[Node], printed: Printed) -> dict[str, int]:
    """What the ways to count give that papers have; ours without a name."""
    if what == "params":
        ways = {
            "": printed,
            "without biases": replace(printed, biases=False),
            "without norms": replace(printed, norms=False),
            "without both": replace(printed, biases=False, norms=False),
            "with running statistics": replace(printed, statistics=True),
        }
        return {name: params(nodes, way.biases, way.norms, way.statistics) for name, way in ways.items()}
    if what != "macs":
        return {}
    macs = sum(map(math.prod, _macs(nodes)))
    linear = sum(node.result.macs or 0 for node in nodes if len(node.result.weights.get("weight", ())) == 2)
    biases = sum(math.prod(map(int, node.shape[1:])) for node in nodes if "bias" in node.result.weights)
    elements = sum(math.prod(map(int, node.shape[1:])) for node in nodes if node.op != "input")
    return {
        "": macs,
        "in convolutions alone": macs - linear,
        "with an addition for each bias of layers and norms": macs + biases,
        "with an operation for each output of every layer": macs + elements,
    }


def _product(sizes: tuple[int, ...], times: int) -> str:
    """A product without the kernel of a 1 x 1 convolution; one that comes several times in brackets."""
    kept = sizes[:-2] if len(sizes) > 3 and sizes[-2:] == (1, 1) else sizes
    text = " x ".join(map(str, kept))
    return text if times == 1 else f"{times} x {text}" if len(kept) == 1 else f"{times} x ({text})"


def _macs(nodes: Sequence[Node]) -> Iterator[tuple[int, ...]]:
    """Of each convolution and linear layer its outputs, height by width by channels, and the weights that one takes."""
    for node in nodes:
        factors = mac_factors(node)
        if factors is not None:
            outputs, each = factors
            yield (*outputs[1:], outputs[0], *each)
        elif node.result.macs:
            yield (node.result.macs,)


def _outputs(nodes: Sequence[Node]) -> Iterator[tuple[int, ...]]:
    """The sizes of what each layer with weights gives."""
    for node in nodes:
        if OPS[node.op].kind == "weights":
            outputs = [int(side) for side in node.shape[1:]]
            yield (*outputs[1:], outputs[0])
