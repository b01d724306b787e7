"""Wrong specs made of right ones: bytes, tokens and the structure of YAML are changed, alike for the same seed."""

from __future__ import annotations

import random
import re
from typing import Any

import yaml

WORDS = """
netspec name use params variants let input blocks body outputs expect checkpoints doc title source of passes inputs
examples args from when only_if else repeat for each share do tee concat add mul mean max conv linear relu batch_norm
max_pool avg_pool flatten softmax dropout split upsample affine lrn out kernel stride pad groups dilation bias init
weight zeros ones half same_upper valid int float bool str list size block default one_of min type shape sample value
within rows shapes receptive_field macs train_params reshape to loss_weight training_only own until variant true false
null x in i input fc_to_conv blocks/common ./a __class__ train self class import None nan inf -inf .nan
""".split()
NUMBERS = """
0 1 2 3 -1 7 64 255 1000 65536 2147483647 2147483648 -2147483648 9223372036854775807 9223372036854775808 1e308 1e-308
1e400 0.5 -0.0 1e9 010 0x10 1_000 1.0 100000 1000000 3.0 0.1
""".split()
EXPRESSIONS = [
    "=1",
    "=x",
    "=i",
    "=k",
    "=n",
    "=in.channels",
    "=x.height",
    "=out * 2",
    "=[1, 2]",
    "=1 // 0",
    "=[0] * 100000",
    "=range(100000)",
    "=[k for k in range(9)]",
    "=sum([1])",
    "=1 < 2",
    "=not true",
    "=a.b.c",
    "={k}",
    "='a' == 'b'",
    "=2 ** 62",
    "=2 ** 64",
    "=min()",
    "=len(1)",
    "=max([])",
    "={",
    "=)",
    "='",
    "=1 if true else 2",
    "=zip([1], [2])",
    "=divisible(7, by=8)",
    "=[[0] * 1000] * 100",
    "{k}",
    "{i}",
    "{",
    "}",
    "{}",
    "{k + 1}",
    "a{i}",
    "h{k}b{j}",
    "{'a'}",
]
PIECES = [
    *WORDS,
    *NUMBERS,
    *EXPRESSIONS,
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "'",
    '"',
    "&a ",
    "*a",
    "!!int ",
    "|",
    ">",
    "---",
    "...",
    "%YAML 1.1",
    "<<: *a",
    "? ",
    "\t",
    "\r",
    "\n",
    "\n  ",
    " ",
    "=",
    "..",
    "a/b",
    "\\",
    "\u00e9",
    "\u7db2",
    "\u2028",
    "\ufeff",
    "\x00",
    "\x1b[31m",
    "a b",
    "a;b",
    "a.b",
    "~",
    "@",
    "`",
]
TOKEN = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|\s+|.", re.DOTALL)
LARGEST = 200_000


class Mutator:
    """Changes texts by a seed; `others` are what pieces are taken from."""

    def __init__(self, rng: random.Random, others: list[bytes]) -> None:
        self.rng, self.others = rng, others

    def mutate(self, text: bytes) -> bytes:
        """The text after one change or a few."""
        for _ in range(self.rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 6))):
            change = self.rng.choices((self.byte, self.token, self.line, self.splice, self.structure), (2, 4, 3, 1, 6))[
                0
            ]
            text = change(text)[:LARGEST]
        return text

    def place(self, text: bytes) -> int:
        return self.rng.randrange(len(text) + 1)

    def byte(self, text: bytes) -> bytes:
        """One byte is changed, put in or left out, or a stretch is doubled, left out or cut off."""
        at, to = sorted((self.place(text), self.place(text)))
        match self.rng.randrange(6):
            case 0:
                return text[:at] + bytes([self.rng.randrange(256)]) + text[at + 1 :]
            case 1:
                return text[:at] + bytes([self.rng.randrange(256)]) + text[at:]
            case 2:
                return text[:at] + text[at + 1 :]
            case 3:
                return text[:to] + text[at:to] * self.rng.choice((1, 1, 2, 50)) + text[to:]
            case 4:
                return text[:at] + text[to:]
        return text[:at]

    def token(self, text: bytes) -> bytes:
        """One token becomes another, is put in, doubled, left out, or changes its place with another."""
        found = TOKEN.findall(text)
        if not found:
            return self.piece()
        at, other = self.rng.randrange(len(found)), self.rng.randrange(len(found))
        match self.rng.randrange(6):
            case 0 | 1:
                found[at] = self.piece()
            case 2:
                found.insert(at, self.piece())
            case 3:
                found.insert(at, found[at])
            case 4:
                del found[at]
            case _:
                found[at], found[other] = found[other], found[at]
        return b"".join(found)

    def piece(self) -> bytes:
        return self.rng.choice(PIECES).encode()

    def line(self, text: bytes) -> bytes:
        """One line is doubled, left out, moved, or indented otherwise."""
        lines = text.split(b"\n")
        at, to = self.rng.randrange(len(lines)), self.rng.randrange(len(lines))
        match self.rng.randrange(5):
            case 0:
                lines.insert(to, lines[at])
            case 1:
                del lines[at]
            case 2:
                lines.insert(to, lines.pop(at))
            case 3:
                lines[at] = b" " * self.rng.randrange(9) + lines[at].lstrip()
            case _:
                lines[at:to] = lines[at:to] * 2
        return b"\n".join(lines)

    def splice(self, text: bytes) -> bytes:
        """A stretch of another file is put in, in place of one of this."""
        other = self.rng.choice(self.others)
        at, to = sorted((self.place(text), self.place(text)))
        start, end = sorted((self.place(other), self.place(other)))
        return text[:at] + other[start:end] + text[self.rng.choice((at, to)) :]

    def structure(self, text: bytes) -> bytes:
        """The tree is changed at one place, and written as YAML again."""
        tree = parsed(text)
        if not isinstance(tree, (dict, list)):
            return self.token(text)
        places = list(nodes(tree))
        if not places:
            return self.token(text)
        holder, key = self.rng.choice(places)
        self.rng.choice((self.replace, self.replace, self.rename, self.remove, self.double, self.wrap, self.graft))(
            holder, key
        )
        try:
            flow = self.rng.choice((None, None, True, False))
            return yaml.dump(tree, Dumper=DUMPER, sort_keys=False, default_flow_style=flow, width=120).encode()
        except Exception:  # noqa: BLE001 - what cannot be written stays as it was
            return text

    def value(self) -> Any:
        """Something that can stand anywhere."""
        rng = self.rng
        match rng.randrange(7):
            case 0:
                return rng.choice(WORDS)
            case 1:
                return yaml.load(rng.choice(NUMBERS), Loader=LOADER)
            case 2:
                return rng.choice(EXPRESSIONS)
            case 3:
                return rng.choice((None, True, False, [], {}, "", [[]], {"a": None}))
            case 4:
                return [self.value() for _ in range(rng.randrange(4))]
            case 5:
                return {rng.choice(WORDS): self.value() for _ in range(rng.randrange(3))}
        return {f"{rng.choice(WORDS)} = {rng.choice(WORDS)}": self.value()}

    def replace(self, holder: Any, key: Any) -> None:
        holder[key] = self.value()

    def rename(self, holder: Any, key: Any) -> None:
        """A key becomes another; the order stays."""
        if isinstance(holder, list):
            return self.replace(holder, key)
        new = self.rng.choice((self.rng.choice(WORDS), f"{key}x", f"a = {key}", f"{{k}} = {key}", str(key)[:-1]))
        entries = [(new if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(entries)

    def remove(self, holder: Any, key: Any) -> None:
        del holder[key]

    def double(self, holder: Any, key: Any) -> None:
        """An item stands several times, or an entry under another key."""
        times = self.rng.choice((1, 1, 2, 40))
        if isinstance(holder, list):
            holder[key:key] = [holder[key]] * times
        else:
            holder.update({f"{key}{n}": holder[key] for n in range(times)})

    def wrap(self, holder: Any, key: Any) -> None:
        """A node comes to stand in lists or mappings."""
        for _ in range(self.rng.choice((1, 1, 2, 70))):
            word = self.rng.choice(("do", "add", "from", "a", "repeat"))
            holder[key] = self.rng.choice(([holder[key]], {word: holder[key]}))

    def graft(self, holder: Any, key: Any) -> None:
        """A node becomes one of another file."""
        tree = parsed(self.rng.choice(self.others))
        places = list(nodes(tree)) if isinstance(tree, (dict, list)) else []
        if places:
            other, at = self.rng.choice(places)
            holder[key] = other[at]
        else:
            self.replace(holder, key)


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DUMPER(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a node that is a duplicate as an alias, unchanged."""


def parsed(text: bytes) -> Any:
    """The tree of a text, or None."""
    try:
        return yaml.load(text, Loader=LOADER)
    except Exception:  # noqa: BLE001 - PyYAML's constructors fail on such texts in many ways
        return None


def nodes(tree: Any) -> Any:
    """Every place in a tree, as what holds it and its key or index."""
    todo = [tree]
    seen: set[int] = set()
    while todo:
        holder = todo.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            yield holder, key
            if isinstance(value, (dict, list)):
                todo.append(value)
