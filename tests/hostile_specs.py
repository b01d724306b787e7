"""A spec that holds a text wherever one may stand, and what its pictures hold."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from conftest import sampled
from hostile import HOSTILE

import netspec
from netspec.draw.formats.render import draw
from netspec.draw.model import View
from netspec.network import Network

# Every position of free text in a spec; what is JSON is YAML, so that a text enters quoted and unharmed.
SPEC = """
netspec: 1
name: net
title: {0}
source: {0}
doc: {0}
params: {{word: {{type: str, default: {0}, doc: {0}}}, classes: 3}}
variants:
  first: {{title: {0}, source: {0}}}
let: {{other: {0}}}
input: [3, 8, 8]
blocks:
  block:
    doc: {0}
    params: {{mode: {{type: str, default: {0}, doc: {0}}}, out: int}}
    let: {{inner: {0}}}
    examples: [{{input: [3, 8, 8], args: [{0}, 4]}}]
    body:
      - conv: [=out, 1]
        doc: {0}
        when: mode == inner
      - relu:
        title: {2}
        doc: {0}
  pair:
    doc: {0}
    inputs: [a, b]
    outputs: [sum, a]
    examples: [{{input: [4, 8, 8]}}]
    body:
      - sum = add:
        from: [a, b]
        doc: {0}
body:
  - stem = block: {{mode: =word, out: 4}}
    title: {2}
    doc: {0}
  - rows = block: [{0}, 4]
    for: {{w: [{0}, {0}]}}
    doc: {0}
  - 3a = pair:
    from: [stem, rows]
    doc: {0}
  - concat:
      left:
        - conv: [4, 1]
          doc: {0}
      right: {{do: [max_pool: {{kernel: 3, stride: 1, pad: 1}}], doc: {0}}}
    from: 3a.sum
    doc: {0}
  - seen = tee:
      - conv: [2, 1]
    doc: {0}
  - global_avg_pool
  - flatten
  - linear: =classes
outputs: {{logits: {{from: linear, doc: {0}}}, seen: {{from: seen, doc: {0}}}}}
expect: {{params: {{value: 331, source: {0}, printed: {0}}}}}
results: {{top1: 5, source: {0}, data: {0}, setting: {0}}}
checkpoints: {{ {1}: [{{from: a, to: b}}]}}
"""


HARMLESS = "harmless"


FIFTH = sampled(HOSTILE, len(HOSTILE) // 5)
"""Where a text costs much; all stand in a source, whose tree is compared."""


def filled(text: str) -> str:
    """The spec with a text everywhere; a key of YAML has 1,024 characters at most."""
    return SPEC.format(quoted(text), quoted(text[:90]), quoted(as_title(text)))


def as_title(text: str) -> str:
    """What of a text may be a title: one line that is printed, without dots and placeholders."""
    return "".join(c for c in text if c.isprintable() and c not in ".{}")[:80].strip() or "none"


def quoted(text: str) -> str:
    """A text as YAML in double quotes, whatever is in it."""
    plain = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def load(text: str, folder: Path, name: str = "net.yaml") -> Network:
    path = folder / name
    path.write_text(filled(text), encoding="utf-8")
    return netspec.load(path)


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}",))


def drawn(network: Network, kind: str) -> str:
    return draw(network.graph, kind, View(unfold=True)).decode()
