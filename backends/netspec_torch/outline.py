"""Where the state dicts are in a pickle that is not read, by its instructions, for the line that takes them out."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

_TENSOR = re.compile(r"torch\._utils\._rebuild_(tensor(_v2|_v3)?|parameter(_with_state)?)")
_MAPPING = re.compile(r"collections\.(OrderedDict|defaultdict)")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_FILE = re.compile(r"[A-Za-z0-9_.,:/+=@ -]+")
"""What can stand in quotes in quotes on a command line of any shell."""
_DEPTH, _SEVERAL = 8, 4


@dataclass(eq=False, slots=True)
class Part:
    """A value as far as it matters: what kind it is, its text, and the values of a mapping by those keys that are text.

    `pure` says of a mapping that it has nothing but tensors.
    """

    kind: str = ""
    text: str = ""
    items: dict[str, Part] = field(default_factory=dict)
    pure: bool = True


Found = tuple[tuple[str, ...], Part]


def conversion(path: Path, data: bytes, most: int) -> str:
    """The command that saves the state dicts of a file alone, for those who trust it; empty where they are not seen.

    Nothing is made of the pickle, which is looked at for so many instructions at most.
    """
    try:
        found = _chosen(list(_found(_outline(data, most), (), set())))
    except Exception:  # noqa: BLE001 - instructions that make no sense fail in as many ways as there are
        return ""
    if not found:
        return ""
    file = path.as_posix() if _FILE.fullmatch(path.as_posix()) else "FILE"
    load = f"torch.load('{file}', map_location='cpu', weights_only=False)"
    new = "weights.pth" if path.name != "weights.pth" else "tensors.pth"
    if len(found) == 1:
        return f"python -c \"import torch; torch.save({_taken(load, *found[0])}, '{new}')\""
    taken = ", ".join(f"'{'.'.join(at)}': {_taken('d', at, part)}" for at, part in found)
    return f"python -c \"import torch; d = {load}; torch.save({{{taken}}}, '{new}')\""


def _taken(start: str, at: Sequence[str], part: Part) -> str:
    """The expression for the tensors of a part."""
    value = start + "".join(f"['{key}']" for key in at)
    if part.kind == "module":
        return f"{value}.state_dict()"
    return value if part.pure else f"{{k: v for k, v in {value}.items() if torch.is_tensor(v)}}"


def _chosen(found: Sequence[Found]) -> list[Found]:
    """Those of a network's size; whole modules only where there is no state dict."""
    sizes = {id(part): _tensors(part) for _, part in found}
    largest = max(sizes.values(), default=0)
    chosen = [f for f in found if 2 * sizes[id(f[1])] >= largest] if largest else list(found)
    if len({at for at, _ in chosen} & {()}) or len(chosen) > _SEVERAL:
        return [max(chosen, key=lambda f: sizes[id(f[1])])]
    return chosen


def _found(part: Part, at: tuple[str, ...], seen: set[int]) -> Iterator[Found]:
    """The mappings of tensors, and the modules, with the keys on the way to them."""
    if id(part) in seen or len(at) > _DEPTH:
        return
    seen.add(id(part))
    if part.kind == "module":
        yield at, part
    elif part.kind == "mapping":
        if _tensors(part):
            yield at, part
        for key, inner in part.items.items():
            if _KEY.fullmatch(key):
                yield from _found(inner, (*at, key), seen)


def _tensors(part: Part) -> int:
    return sum(p.kind == "tensor" for p in part.items.values()) if part.kind == "mapping" else 0


def _outline(data: bytes, most: int) -> Part:
    """What a pickle would make, in outline."""
    stack: list[Part] = []
    memo: dict[int, Part] = {}
    mark = Part("mark")
    for opcode, argument, _ in islice(pickletools.genops(data), most):
        name, before, given = opcode.name, opcode.stack_before, list[Part]()
        if name == "STOP":
            return stack[-1]
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if name == "MEMOIZE" else int(str(argument))] = stack[-1]
            continue
        if pickletools.markobject in before:
            at = len(stack) - 1
            while stack[at] is not mark:  # an IndexError where there is none
                at -= 1
            given = stack[at + 1 :]
            del stack[at:]
        count = before.index(pickletools.markobject) if pickletools.markobject in before else len(before)
        first = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        if name == "MARK":
            stack.append(mark)
        elif "GET" in name:
            stack.append(memo[int(str(argument))])
        elif opcode.stack_after:
            made = _made(name, str(argument), first, given)
            stack += [made] * len(opcode.stack_after)
    return Part()


def _made(name: str, argument: str, first: Sequence[Part], given: Sequence[Part]) -> Part:
    """What an instruction makes of what it takes from the stack: before the mark, and after it."""
    if "UNICODE" in name:
        return Part("text", argument)
    if name == "GLOBAL":
        return Part("name", argument.replace(" ", ".", 1))
    if name == "STACK_GLOBAL":
        return Part("name", f"{first[0].text}.{first[1].text}")
    if name in ("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"):
        mapping = first[0] if first else Part("mapping")
        pairs = [*first[1:], *given]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            mapping.pure = mapping.pure and key.kind == "text" and value.kind == "tensor"
            if key.kind == "text":
                mapping.items[key.text] = value
        return mapping
    if name == "REDUCE" and first[0].kind == "name":
        return Part(
            "tensor" if _TENSOR.fullmatch(first[0].text) else "mapping" if _MAPPING.fullmatch(first[0].text) else ""
        )
    if name == "BUILD" and {"_parameters", "_modules"} <= first[1].items.keys():
        first[0].kind = "module"
    return first[0] if name in ("BUILD", "APPEND", "APPENDS", "ADDITEMS", "DUP") else Part()
