"""The keys of the state dict of one network of each family, held in tests/data/keys.txt: `tools/dev keys --write`.

People have checkpoints with these names, so none changes unless somebody means it to.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

from netspec.elaborate.compiled import compile_variant
from netspec.ir.graph import Graph
from netspec.reports.catalogue import documents

FILE = Path(__file__).resolve().parent.parent / "tests" / "data" / "keys.txt"


def section(name: str, graph: Graph) -> str:
    """How many layers of each name there are, numbers as `#`, under a hash of all keys, shapes and their order."""
    tensors = graph.tensors()
    lines = [f"{key} {','.join(map(str, shape))}\n" for key, (shape, _, _) in tensors.items()]
    layers: dict[str, list[str]] = {}
    for key in tensors:
        layer, _, last = key.rpartition(".")
        layers.setdefault(layer, []).append(last)
    counts = Counter(f"{re.sub(r'[0-9]+', '#', layer)}: {' '.join(held)}" for layer, held in layers.items())
    head = f"{name}: {len(lines)} tensors, sha256 {sha256(''.join(lines).encode()).hexdigest()[:32]}"
    return "\n".join([head, *(f"  {count} {pattern}" for pattern, count in counts.items())]) + "\n"


def sections() -> dict[str, str]:
    """The section of every family, by the name of its default network."""
    found = {}
    for _, document in documents():
        variant = next(iter(document.variants), None)
        name = variant or document.name
        found[name] = section(name, compile_variant(document, variant).graph)
    return found


def recorded() -> dict[str, str]:
    """The sections of the file, by network."""
    parts = FILE.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    return {part.partition(":")[0]: f"{part}\n" for part in parts}


def main() -> int:
    """Compares, or writes the file."""
    parser = argparse.ArgumentParser(prog="tools/dev keys", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what the specs say now")
    write = parser.parse_args().write
    now = sections()
    if write:
        FILE.write_text("\n".join(now.values()), encoding="utf-8", newline="\n")
        return 0
    changed = sorted(name for name in {*now, *recorded()} if now.get(name) != recorded().get(name))
    print("\n".join(changed) or f"the keys of {len(now)} networks are as recorded")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
