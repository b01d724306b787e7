"""Checkpoints: arrays by key out of a file, and the rules that map foreign keys to the paths of a spec."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.errors import DataError, Reporter, Span, UsageError, did_you_mean
from netspec.expr import ExprError, Template, parse_template
from netspec.graph import Graph
from netspec.optional import importing
from netspec.parse import Map, Scalar, Seq

if TYPE_CHECKING:
    import numpy as np  # at run time in the functions: `netspec check` reads the rules of a spec, and no arrays

MAX_BYTES = 16 * 2**30
IGNORED = "num_batches_tracked"
BEGINNINGS = {".safetensors": re.compile(rb".{8}\{", re.DOTALL), ".npz": re.compile(rb"PK"),
              **dict.fromkeys((".pth", ".pt", ".bin"), re.compile(rb"PK|\x80"))}
"""Checkpoints by suffix, and how each begins: a header of JSON, a zip, a zip or a pickle."""
_HOLE = re.compile(r"\{(\w+)\}")


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by key: .safetensors and .npz here, .pth through the torch backend.

    Nothing in the file is executed. Raises UsageError where it cannot be read, DataError where it is no checkpoint,
    MissingError where torch is needed and missing.
    """
    try:
        with path.open("rb") as f:
            head = f.read(9)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None
    suffix = path.suffix.lower()
    if suffix not in BEGINNINGS:
        raise UsageError(f"{path}: checkpoints are {', '.join(BEGINNINGS)}")
    if not BEGINNINGS[suffix].match(head):
        kinds = [s for s, beginning in BEGINNINGS.items() if beginning.match(head)]
        raise DataError("NS602", f"{path} is no {suffix} file by its first bytes",
                        f"it looks like {' or '.join(kinds)}" if kinds else "")
    if suffix == ".safetensors":
        return _safetensors(path)
    if suffix == ".npz":
        return _npz(path)
    from netspec.backend import get

    return dict(get("torch").read_checkpoint(path))


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    with importing(f"reading {path}", "safetensors"):
        from safetensors import SafetensorError, deserialize, safe_open

    try:
        with safe_open(path, framework="numpy") as f:
            keys = f.keys()
            if any(f.get_slice(key).get_dtype() == "BF16" for key in keys):  # numpy has no such type
                raw = dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
                return {key: _bfloat16(raw[key]) if raw[key]["dtype"] == "BF16" else f.get_tensor(key) for key in keys}
            return {key: f.get_tensor(key) for key in keys}
    except (SafetensorError, TypeError, OSError, ValueError) as e:
        raise DataError("NS602", f"{path} is no safetensors file that can be read: {str(e)[:200]}") from None


def _bfloat16(raw: Mapping[str, Any]) -> np.ndarray:
    """bfloat16 is the upper half of float32."""
    import numpy as np

    upper = np.frombuffer(raw["data"], "<u2").astype(np.uint32)
    return (upper << 16).view(np.float32).reshape(raw["shape"])


def _npz(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with zipfile.ZipFile(path) as z:
            if sum(i.file_size for i in z.infolist()) > MAX_BYTES:
                raise DataError("NS602", f"{path} unpacks to more than 16 GiB")
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays.files}
    # A damaged archive fails in as many ways as zipfile, zlib and numpy's header have (RuntimeError: it is encrypted).
    except (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError("NS602", f"{path} is no .npz file that can be read: {str(e)[:200]}") from None
    if odd := [key for key, value in found.items() if not isinstance(value, np.ndarray)]:
        raise DataError("NS602", f"{path} holds '{odd[0][:100]}', which is no array")
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """`{from: "features.{n}.{t}", to: "conv{n - 3}.{t}"}`: a hole is one word."""

    pattern: re.Pattern[str]
    to: Template | None
    """None drops the tensor."""
    reshape: bool
    span: Span

    def apply(self, key: str, values: Mapping[str, Any]) -> str | None:
        """The path for a key that the pattern matched, by its holes and the document's values; raises ExprError."""
        found = self.pattern.fullmatch(key)
        assert found is not None
        words = {k: int(v) if v.isdigit() and (v == "0" or v[0] != "0") and len(v) < 10 else v
                 for k, v in found.groupdict().items()}
        return None if self.to is None else self.to.fill(_Words({**values, **words}))


class _Words:
    """The environment of a rule's target: its holes, and what the params and `let` of the document are."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self.words = words

    def value(self, name: str) -> Any:
        return self.words[name]

    def names(self) -> Iterable[str]:
        return self.words

    def tensor(self, path: str, attr: str) -> Any:
        raise KeyError(path)

    def tick(self) -> None:
        pass  # a rule has no loops


def rules_of(checkpoints: Map | None, reporter: Reporter, values: Collection[str] = ()) -> dict[str, list[Rule]]:
    """The rule sets by source, which may read `values`; mistakes in them go to the reporter."""
    found: dict[str, list[Rule]] = {}
    for source, listed in checkpoints.entries if checkpoints is not None else ():
        found[source.text] = []
        for tree in listed.items if isinstance(listed, Seq) else ():
            if isinstance(tree, Map):
                try:
                    found[source.text].append(_rule(tree, values))
                except ExprError as e:
                    reporter.error(e.code, e.message, e.span, e.help)
    return found


def _rule(tree: Map, values: Collection[str]) -> Rule:
    source, target = tree.get("from"), tree.get("to")
    if not isinstance(source, Scalar) or not isinstance(target, Scalar):
        raise ExprError("NS110", "a rule is {from: ..., to: ...}", tree.span)
    pattern, names = _pattern(source)
    to = None if target.value is None else parse_template(target.text, target.at)
    unknown = sorted(to.names - {*names, *values}) if to is not None else []
    if unknown:
        raise ExprError("NS202", f"there is no hole '{unknown[0]}' in `from`", target.span,
                        did_you_mean(unknown[0], [*names, *values]))
    reshape = tree.get("reshape")
    return Rule(pattern, to, isinstance(reshape, Scalar) and reshape.value is True,
                source.span)


def _pattern(source: Scalar) -> tuple[re.Pattern[str], list[str]]:
    """What a `from` matches, and its holes; raises ExprError.

    Each dotted part is matched by itself and has at most two holes, so that no rule and key need long to compare.
    """
    names: list[str] = []
    for hole in _HOLE.finditer(source.text):
        if hole[1] in names:
            raise ExprError("NS204", f"the hole '{hole[1]}' stands twice", source.at(*hole.span()),
                            "give each hole its own name")
        names.append(hole[1])
    parts = []
    for part in source.text.split("."):
        pieces = _HOLE.split(part)  # text, hole, text, hole, text
        if any("{" in p or "}" in p for p in pieces[::2]) or any(p[0].isdigit() for p in pieces[1::2]):
            raise ExprError("NS301", "a hole of `from` is a name in braces: {n}", source.span)
        if len(pieces) > 5 or "" in pieces[2:-1:2]:
            raise ExprError("NS301", "a part of `from` has at most two holes, with text between them", source.span)
        words = [f"(?P<{p}>[A-Za-z0-9_]+)" if i % 2 else re.escape(p) for i, p in enumerate(pieces)]
        parts.append(rf"(?>{''.join(words)}(?=\.|\Z))")
    return re.compile(r"\.".join(parts)), names


def check_rules(checkpoints: Map, reporter: Reporter, values: Collection[str] = ()) -> None:
    """Reports mistakes in the rules, without a checkpoint; they may read `values`."""
    rules_of(checkpoints, reporter, values)


@dataclass(slots=True)
class Account:
    """What one rule set makes of a checkpoint."""

    source: str
    arrays: dict[str, np.ndarray]
    unexpected: list[str]
    misshapen: list[str]
    missing: list[str]
    twice: list[str]

    @property
    def problems(self) -> int:
        """How many tensors do not fit."""
        return len(self.unexpected) + len(self.misshapen) + len(self.missing) + len(self.twice)


def match(graph: Graph, arrays: Mapping[str, np.ndarray], checkpoints: Map | None,
          training: Graph | None = None, values: Mapping[str, Any] | None = None,
          only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The network's weights out of a checkpoint: by name, or by the rule set that accounts for every tensor.

    Tensors that only `training` has (auxiliary heads) may be in the file, and where `only` lists keys, all others of
    the network, of any shape. Rules may read `values`, the document's. Raises DataError (NS602), which lists the keys
    that are missing, unexpected or of another shape.
    """
    reporter = Reporter()
    values = {name: value for name, value in (values or {}).items() if isinstance(value, (int, float, str, list))}
    sets = rules_of(checkpoints, reporter, values)
    reporter.check()
    wanted = {key: tuple(map(int, shape)) for key, (shape, _, _) in graph.tensors().items()}
    spare = set(training.tensors()) - set(wanted) if training is not None else set()
    if only is not None:
        spare |= set(wanted) - set(only)
        wanted = {key: shape for key, shape in wanted.items() if key in only}
    accounts = [_account("its own names", (), wanted, spare, arrays, {})]
    for source, rules in sets.items():
        if accounts[-1].problems:
            accounts.append(_account(source, rules, wanted, spare, arrays, values))
    best = min(accounts, key=lambda a: a.problems)
    if best.problems:
        raise DataError("NS602", _complaint(graph, best),
                        "every tensor of the file and of the network must be accounted for: `checkpoints:` maps names")
    return best.arrays


def _account(source: str, rules: Sequence[Rule], wanted: Mapping[str, tuple[int, ...]], spare: Collection[str],
             arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> Account:
    import numpy as np

    found = Account(source, {}, [], [], [], [])
    for key, array in arrays.items():
        if key.rpartition(".")[2] == IGNORED:
            continue
        rule = next((r for r in rules if r.pattern.fullmatch(key)), None)
        try:
            path = rule.apply(key, values) if rule is not None else key
        except ExprError as e:
            found.unexpected.append(f"{key} ({e})")
            continue
        if path is None or path in spare:
            continue
        if path not in wanted:
            found.unexpected.append(key if path == key else f"{key} (as {path})")
        elif path in found.arrays:
            found.twice.append(f"{key} (as {path})")
        elif array.dtype.kind != "f":
            found.misshapen.append(f"{key}: {array.dtype} in the file, a network's weights are floating-point")
            found.arrays[path] = array
        elif array.shape == wanted[path] or (rule is not None and rule.reshape and array.size == np.prod(wanted[path])):
            found.arrays[path] = np.ascontiguousarray(array, np.float32).reshape(wanted[path])
        else:
            found.misshapen.append(f"{key}: {_shape(array.shape)} in the file, {_shape(wanted[path])} in the network")
            found.arrays[path] = array
    found.missing = [path for path in wanted if path not in found.arrays]
    return found


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _complaint(graph: Graph, account: Account) -> str:
    lines = [f"the checkpoint does not fit '{graph.name}' (by {account.source})"]
    for title, keys in (("missing in the file", account.missing), ("unexpected in the file", account.unexpected),
                        ("of another shape", account.misshapen), ("mapped twice", account.twice)):
        if keys:
            more = [f"    ... and {len(keys) - 10} more"] if len(keys) > 10 else []
            lines += [f"  {title} ({len(keys)}):", *(f"    {k[:160]}" for k in sorted(keys)[:10]), *more]
    return "\n".join(lines)
