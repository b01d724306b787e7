"""What a pickle would make, found without making it: its classes, and whether it is a bomb."""

from __future__ import annotations

import io
import pickletools
import re

_ALLOWED = re.compile(
    r"collections\.(OrderedDict|Counter)|torch\._utils\._rebuild_(tensor(_v2|_v3)?|parameter(_with_state)?)"
    r"|torch\._utils\._rebuild_(sparse_tensor|qtensor|meta_tensor_no_storage)|torch\.serialization\._get_layout"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.nn\.parameter\.Parameter|torch\.(Tensor|Size|device)"
    r"|torch\.storage\.(Untyped|Typed)Storage|torch\.\w+Storage|torch\.(per_\w+|q\w+)"
    r"|torch\.(b?float|complex|u?int|bool|half|double|short|long|char|byte)\w*"
)
"""What state dicts are made of. It is less than weights_only takes: of that, some make much memory of few bytes."""
_CALLED = ("torch.Tensor", "torch.storage.UntypedStorage", "torch.storage.TypedStorage")
"""Named as types by tensors with attributes; a call of one allocates as much as is asked for."""
_WEIGHT = 100_000
"""The most parts of a tuple, parts of tuples in it counted each time they are named: comparing takes so long."""
_NEVER = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


class Stopped(Exception):
    """A pickle that is not read: `name` is the class that it needs, empty where it is damaged or a bomb."""

    def __init__(self, name: str, why: str = "") -> None:
        super().__init__(why or name)
        self.name = name
        self.rest = b""
        """The pickle, where it is a class that stops it and not a bomb."""


def screen(data: bytes, limit: int, most: int) -> int:
    """Proves that a pickle is a state dict's by its instructions; gives its length; raises Stopped.

    Nothing is made. `data` are its first `limit` bytes at most, `most` is how many instructions it may have.
    """
    stack: list[tuple[int, str]] = []
    marks: list[int] = []
    memo: dict[int, tuple[int, str]] = {}
    names: list[str] = []
    stream = io.BytesIO(data[:limit])
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            name = opcode.name
            if name in ("GLOBAL", *_NEVER):
                _allow(_global(name, argument, names), data)
            most -= 1
            if most < 0:
                raise Stopped("", "it makes more than what the network could need")
            if "UNICODE" in name:
                names = [*names[-1:], str(argument)]
            _step(name, argument, stack, marks, memo)
    except Stopped:
        raise
    except Exception as e:  # noqa: BLE001 - the reader of instructions fails in as many ways as they can be damaged
        short = len(data) >= limit and stream.tell() >= limit
        raise Stopped(
            "", f"its pickle has more than {limit:,} bytes" if short else f"its pickle is damaged: {e}"[:200]
        ) from None
    return stream.tell()


def _global(opcode: str, argument: object, names: list[str]) -> str:
    """The name of what an instruction looks up."""
    if opcode in ("GLOBAL", "INST"):
        return str(argument).replace(" ", ".", 1)
    return ".".join(names) if opcode == "STACK_GLOBAL" else opcode.lower()


def _allow(name: str, data: bytes) -> None:
    if not _ALLOWED.fullmatch(name):
        stopped = Stopped(name[:200])
        stopped.rest = data
        raise stopped


def _step(
    name: str, argument: object, stack: list[tuple[int, str]], marks: list[int], memo: dict[int, tuple[int, str]]
) -> None:
    """Follows the stack: of every value, how many parts comparing it takes, and which type it is."""

    def pop(count: int) -> list[tuple[int, str]]:
        items = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return items

    def joined(items: list[tuple[int, str]]) -> tuple[int, str]:
        size = 1 + sum(weight for weight, _ in items)
        if size > _WEIGHT:
            raise Stopped("", "its tuples name each other so often that it would never be read")
        return size, ""

    if name == "MARK":
        marks.append(len(stack))
    elif name in ("TUPLE", "LIST", "DICT", "FROZENSET"):
        items = pop(len(stack) - marks.pop())
        stack.append(joined(items))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        stack.append(joined(pop(int(name[-1]))))
    elif name in ("APPENDS", "SETITEMS", "ADDITEMS"):
        pop(len(stack) - marks.pop())
    elif name in ("APPEND", "BUILD"):
        pop(1)
    elif name == "SETITEM":
        pop(2)
    elif name in ("REDUCE", "NEWOBJ"):
        called, given = pop(2)
        if called[1] in _CALLED:
            raise Stopped(called[1])
        stack.append((given[0], ""))
    elif name.endswith("PERSID"):
        if name == "BINPERSID":
            pop(1)
        stack.append((1, ""))
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(str(argument))])
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(str(argument))] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name == "POP":
        pop(1)
    elif name == "POP_MARK":
        pop(len(stack) - marks.pop())
    elif name == "DUP":
        stack.append(stack[-1])
    elif name not in ("PROTO", "FRAME", "STOP"):
        stack.append((1, str(argument).replace(" ", ".", 1) if name == "GLOBAL" else ""))
