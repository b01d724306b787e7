"""What other libraries call the keys, keywords and types of a spec, for suggestions in messages."""

from __future__ import annotations

_KEYS = {
    "body": "layers network model architecture backbone steps graph forward sequential",
    "input": "inputs inputshape inputsize",
    "inputs": "input",
    "use": "import imports include includes requires uses",
    "params": "parameters args arguments hyperparameters config options kwargs param",
    "blocks": "modules functions defs definitions block macros",
    "outputs": "output heads returns return",
    "let": "variables constants vars locals where",
    "doc": "description comment docs help",
}
"""The keys of a document or block that are meant -> what people type."""

_KEYWORDS = {
    "when": "if condition cond enabled",
    "repeat": "times repeats loop number count",
    "for": "foreach",
    "from": "input inputs bottom source src inputfrom",
    "share": "shared tie weightsharing shareweights reuse",
    "doc": "description comment",
    "a name is written before the op, with `=`: `name = op: arguments`": "name id",
}
"""The keywords that are meant -> what people type."""

_COLUMNS = {
    "params": "parameters param numberofparameters",
    "macs": "mac flops flop madds multadds operations",
    "receptive_field": "field rf",
    "shape": "size sizes outputsize output outputshape",
    "memory": "peakmemory",
    "s": "stride strides",
    "c": "channels outchannels",
    "n": "repeats repeat times",
    "step": "layer path name",
    "top1": "accuracy acc acc1",
    "top5": "acc5",
}
"""The columns of tables that are meant -> what people type."""


def _by_name(meant: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, names in meant.items():
        for name in names.split():
            found.setdefault(name, []).append(key)
    return found


KEYS, COLUMNS = _by_name(_KEYS), _by_name(_COLUMNS)
KEYWORDS = {name: meant for meant, names in _KEYWORDS.items() for name in names.split()}
TYPES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "tuple": "size",
    "array": "list",
    "module": "block",
    "layer": "block",
    "function": "block",
    "double": "float",
}
"""Types of parameters -> those of netspec."""
"""Types of parameters -> those of netspec."""
