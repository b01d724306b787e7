"""Finds specs: by path, or by the name of a shipped family or variant."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

import yaml

from netspec.diagnostics import suggest
from netspec.diagnostics.errors import Reporter, UsageError, did_you_mean
from netspec.files.kinds import SPEC_SUFFIXES, is_file_name
from netspec.files.pipes import STDIN, from_pipe, from_stdin
from netspec.syntax.tree import Map, Scalar, Tree
from netspec.syntax.yaml_reader import Loader, read


@dataclass(frozen=True, slots=True)
class Found:
    """A spec file, with the variant or block that its name asked for."""

    path: Path
    variant: str | None = None
    block: str | None = None
    data: bytes | None = None
    """What was read already, of stdin or a pipe; `path` then says its name, and where `use: [./name]` looks."""
    shown: str = ""
    argument: str = ""
    """What diagnostics and the command line call it, where this is not its path."""

    def among(self, blocks: Collection[str], variants: Collection[str]) -> Found:
        """The same where the name after the colon is that of a variant of the document, and of none of its blocks."""
        if self.block is None or self.block in blocks or self.block not in variants:
            return self
        return replace(self, variant=self.block, block=None)


@lru_cache(maxsize=1)
def specs_root() -> Path:
    """The folder of the shipped specs: inside the package in a wheel, next to it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def shown(path: Path) -> str:
    """The name of a file in messages and in what is written: the same on every machine for shipped specs."""
    real = path.resolve()
    if real.is_relative_to(specs_root()):
        return f"specs/{real.relative_to(specs_root()).as_posix()}"
    with suppress(OSError):  # the current folder may be gone
        if path.is_absolute() and real.is_relative_to(Path.cwd()):
            return str(real.relative_to(Path.cwd()))
    return str(path)


def shipped() -> list[Path]:
    """The shipped families."""
    return sorted(specs_root().glob("*.yaml"))


def block_libraries() -> list[Path]:
    """The shipped libraries of blocks."""
    return sorted(specs_root().glob("blocks/*.yaml"))


def find(spec: str) -> Found:
    """The file that a path, `path:block`, or a shipped name means (`resnet50`, `blocks/residual:bottleneck`).

    `path:variant` is a block until the document is read. `-` is stdin. Raises UsageError with the nearest names.
    """
    try:
        return _find(spec)
    except (OSError, ValueError) as e:  # a name that is too long, a folder that may not be read, a NUL
        raise UsageError(f"'{spec[:80]}' cannot be read: {getattr(e, 'strerror', None) or e}") from None


def _find(spec: str) -> Found:
    """A path that exists is a path, whatever it looks like; then come names, then paths that do not exist."""
    before, _, block = spec.rpartition(":")
    if (found := _opened(spec)) or (found := _opened(before)):
        if found.argument != spec and not block:
            raise UsageError(f"'{spec}' names no block", f"name one after the colon, as in {before}:BLOCK")
        return found if found.argument == spec else replace(found, block=block)
    name, _, after = spec.partition(":")
    path_like = is_file_name(spec) or is_file_name(before) or "\\" in spec or "/" in after
    if not path_like and all(part.isidentifier() for part in name.split("/")):
        if after or name.startswith("blocks/"):
            return Found(_library(name), block=after or None, argument=name)
    if path_like or "/" in spec:
        missing = before if is_file_name(before) else spec
        raise _no_file(Path(missing), missing)
    family = specs_root() / f"{spec}.yaml"
    if spec.isidentifier() and family.is_file():
        return Found(family, argument=spec)
    known: list[str] = []
    for file in shipped():
        names = variant_names(file)
        if spec in names:
            return Found(file, variant=spec)
        known += names
    if spec and Path(spec).is_dir():
        raise _no_file(Path(spec), spec)
    siblings = next((p.name for p in Path().glob("*.yaml") if suggest.key(p.name) == suggest.key(spec)), None)
    near = siblings or meant(spec, [*known, *(p.stem for p in shipped())])
    help = f"did you mean '{near}'?" if near else "`netspec list specs` shows them all"
    raise UsageError(f"there is no spec '{spec[:80]}'", help)


def meant(spec: str, known: Sequence[str]) -> str | None:
    """The shipped name that is meant by another spelling or a title such as Inception v1; None where none is near."""
    names: dict[str, Sequence[str]] = dict.fromkeys(known, ())
    near = suggest.name(spec, names)
    if near is not None and suggest.key(near) == suggest.key(spec):
        return near
    return suggest.name(spec, names | titles())


@lru_cache(maxsize=1)
def titles() -> dict[str, tuple[str, ...]]:
    """The titles of the shipped families and of their variants that have one, by name, read without the front end."""
    found: dict[str, tuple[str, ...]] = {}
    for path in shipped():
        tree = read(path, Reporter())
        title = tuple(_texts(tree, "title"))
        variants = tree.get("variants") if tree is not None else None
        own = {key.text: value for key, value in variants.entries} if isinstance(variants, Map) else {}
        for name, value in own.items():
            base = next(_texts(value, "of"), "")
            found[name] = tuple(_texts(value, "title")) or tuple(_texts(own.get(base), "title")) or title
        found.setdefault(path.stem, title)
    return found


def _texts(tree: Tree | None, key: str) -> Iterator[str]:
    value = tree.get(key) if isinstance(tree, Map) else None
    if isinstance(value, Scalar):
        yield value.text


def _library(name: str) -> Path:
    """A shipped file of blocks, `blocks/residual` or `nasnet`."""
    path = specs_root() / f"{name}.yaml"
    if not path.is_file():
        names = [f"blocks/{library.stem}" for library in block_libraries()] + [family.stem for family in shipped()]
        help = did_you_mean(name, names, "`netspec list blocks` shows them all")
        raise UsageError(f"there is no library '{name[:80]}' of blocks", help)
    return path


def _opened(spec: str) -> Found | None:
    """The file, pipe or stdin that a text names as it is; None where there is none."""
    if spec in STDIN:
        return Found(Path("stdin"), data=from_stdin(), shown="<stdin>", argument=spec)
    path = Path(spec)
    if not spec or not path.exists() or path.is_dir():
        return None
    data = None if path.is_file() else from_pipe(path)
    return Found(path, argument=spec) if data is None else Found(Path("pipe"), data=data, shown=spec, argument=spec)


def _no_file(path: Path, spec: str) -> UsageError:
    if path.is_dir():
        return UsageError(f"{spec} is a folder", "name a spec in it")
    if path.is_symlink():
        return UsageError(f"{spec} is a link to a file that is not there", f"it leads to {os.readlink(path)}")
    suffixes = SPEC_SUFFIXES if path.suffix in SPEC_SUFFIXES else (path.suffix,)
    files = path.parent.iterdir() if path.parent.is_dir() else iter(())
    siblings = [p.name for p in islice((p for p in files if p.suffix in suffixes), 200) if p.is_file()]
    if spec.startswith("hf:"):
        return UsageError(f"there is no file {spec}", f'weights are not a spec: load a spec, with weights="{spec}"')
    if path.stem in shipped_names():
        return UsageError(f"there is no file {spec}", f"did you mean '{path.stem}', which is shipped?")
    near = did_you_mean(path.name, siblings, "`netspec list specs` shows what is shipped, by name")
    return UsageError(f"there is no file {spec}", near)


def shipped_names() -> set[str]:
    """All names of shipped networks: families and variants."""
    return {name for path in shipped() for name in (path.stem, *variant_names(path))}


@lru_cache(maxsize=1)
def shipped_blocks() -> dict[str, tuple[str, ...]]:
    """The blocks of the shipped libraries, each with the libraries that have it."""
    found: dict[str, tuple[str, ...]] = {}
    for path in block_libraries():
        for name in _keys(path, "blocks"):
            found[name] = (*found.get(name, ()), f"blocks/{path.stem}")
    return found


def libraries_of(block: str) -> tuple[str, ...]:
    """The shipped libraries that have a block of this name."""
    return shipped_blocks().get(block, ())


def family_of(name: str) -> str | None:
    """The shipped family that a network of this name belongs to."""
    return next((path.stem for path in shipped() if name == path.stem or name in variant_names(path)), None)


def variant_names(path: Path) -> tuple[str, ...]:
    """The keys of a shipped file's `variants`, read from its events without the front end."""
    return _keys(path, "variants")


def _keys(path: Path, sought: str) -> tuple[str, ...]:
    """The keys of one section of a shipped file, which is read again only where it was changed."""
    return _keys_of(path, sought, path.stat().st_mtime_ns)


@cache
def _keys_of(path: Path, sought: str, changed: int) -> tuple[str, ...]:
    """What `_keys` gives, for the file as it was changed last."""
    with path.open(encoding="utf-8") as f:
        return tuple(_events_keys(yaml.parse(f, Loader), sought))


def _events_keys(events: Iterable[yaml.Event], sought: str) -> Iterator[str]:
    """The keys of one section, from the events of a document up to its end."""
    depth, section, key_next = 0, "", True
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            key_next = True
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
            key_next = True
            if depth == 1 and section == sought:
                return
        elif isinstance(event, yaml.ScalarEvent) and depth in (1, 2):
            if key_next and depth == 1:
                section = event.value
            elif key_next and section == sought:
                yield event.value
            key_next = not key_next
