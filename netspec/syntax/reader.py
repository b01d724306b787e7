"""A spec file as a document: its sections, its blocks, and the blocks that it uses from other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from netspec import collector
from netspec.diagnostics.errors import Hint, Reporter, Span, UsageError, did_you_mean
from netspec.expressions.identifiers import clipped, from_file_name
from netspec.ops import lookup
from netspec.syntax.common_mistakes import meant_key
from netspec.syntax.keywords import PARAM_TYPES, RESERVED_VARIANT_KEYS, SECTIONS
from netspec.syntax.step_reader import BlockDecl, ParamDecl, Step, StepReader, entries, items, text
from netspec.syntax.structure import check_structure
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.validate import validate
from netspec.syntax.yaml_reader import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netspec.syntax.library import Found

MAX_FILES = 64
MAX_LINEAGE = 64


@dataclass(eq=False, slots=True)
class Variant:
    """A named setting of the params, with what it says in place of the document."""

    name: str
    at: Scalar
    of: Scalar | None
    settings: dict[str, tuple[Scalar, Tree]]
    input: Tree | None = None
    expect: Tree | None = None
    title: str = ""
    source: str = ""
    passes: tuple[Scalar, ...] = ()

    @property
    def alias(self) -> str:
        """The variant that this one only names anew; empty where it says something of its own."""
        same = self.of is not None and not (self.settings or self.passes) and self.input is None
        return self.of.text if self.of is not None and same else ""


@dataclass(eq=False)
class Document:
    """One spec file, read and sorted; elaboration makes graphs of it."""

    path: Path
    tree: Map
    name: str
    title: str = ""
    source: str = ""
    params: tuple[ParamDecl, ...] = ()
    variants: dict[str, Variant] = field(default_factory=dict)
    lets: tuple[tuple[Scalar, Tree], ...] = ()
    input: Tree | None = None
    blocks: dict[str, BlockDecl] = field(default_factory=dict)
    """The blocks of this file."""
    used: dict[str, BlockDecl | Document] = field(default_factory=dict)
    """What `use` brings: blocks of libraries, and networks by their name."""
    body: tuple[Step, ...] = ()
    outputs: Tree | None = None
    expect: Tree | None = None
    checkpoints: Map | None = None
    bad: set[int] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Names of variants that were refused, which is reported: they are known."""
    open: frozenset[str] = frozenset()
    """Sections that cannot be read or a file of which is missing: any unknown name may be one of theirs."""

    argument: str = ""
    """What names it on a command line, where this is not its path."""

    def __post_init__(self) -> None:
        self.argument = self.argument or str(self.path)

    @property
    def is_library(self) -> bool:
        """Whether no body is written; a body without a good step, or with none, is a network with an error."""
        return "body" not in self.tree.keys()

    @property
    def default_variant(self) -> str | None:
        """The first variant."""
        return next(iter(self.variants), None)

    @property
    def values(self) -> list[str]:
        """The names of its params and of what `let` computes."""
        return [p.name for p in self.params] + [name.text for name, _ in self.lets]

    def callable(self, name: str) -> BlockDecl | Document | None:
        """The block or network of that name that this file sees."""
        return self.blocks.get(name) or self.used.get(name)

    def expect_for(self, variant: str | None) -> Map | None:
        """The facts that hold for a variant: its own, those of what it is an alias of, for the first the document's."""
        own = next((v.expect for v in self._chain(variant, aliases=True) if v.expect is not None), None)
        last = [v.name for v in self._chain(variant, aliases=True)][-1:]
        if own is None and (variant is None or last == [self.default_variant]):
            own = self.expect
        return own if isinstance(own, Map) else None

    def source_of(self, variant: str | None) -> str:
        """The paper of a variant: its own, that of what it is `of`, or the document's."""
        return next((v.source for v in self._chain(variant) if v.source), self.source)

    def title_of(self, variant: str | None) -> str:
        """The title of a variant: its own, that of what it is `of`, or the document's."""
        return next((v.title for v in self._chain(variant) if v.title), self.title)

    def _chain(self, variant: str | None, aliases: bool = False) -> Iterator[Variant]:
        """A variant and what it is `of`, or an alias of; a circle, which is reported elsewhere, is gone round once."""
        seen: set[str | None] = set()
        while variant in self.variants and variant not in seen and len(seen) < MAX_LINEAGE:
            seen.add(variant)
            yield (found := self.variants[variant])
            variant = found.alias if aliases else found.of.text if found.of is not None else None


class Reader:
    """Reads a document and everything that it uses, each file once."""

    def __init__(self, reporter: Reporter, include: Sequence[Path] = ()) -> None:
        self.reporter = reporter
        self.include = tuple(include)
        self.done: dict[Path, Document | None] = {}
        self.open: list[Path] = []

    def document(self, path: Path, name: str | None = None, data: bytes | None = None) -> Document | None:
        """The document at a path; None where it cannot be understood at all."""
        from netspec.syntax.library import shown

        real = path.resolve()
        if real in self.done:
            return self.done[real]
        if not self.open:
            self.root = real.parent
        self.open.append(real)
        tree = read(path, self.reporter, name or shown(path), data)
        doc = None
        if tree is not None:
            bad = set(map(id, validate(tree, self.reporter)))
            check_structure(tree, self.reporter, bad)
            if id(tree) not in bad:
                doc = self._sort(path, tree, bad)
        self.open.pop()
        self.done[real] = doc
        return doc

    def _sort(self, path: Path, tree: Map, bad: set[int]) -> Document:
        part = {k.text: v for k, v in entries(tree, bad)}
        steps = StepReader(bad, self.reporter)
        doc = Document(
            path,
            tree,
            text(part.get("name")) or from_file_name(path.stem),
            text(part.get("title")),
            text(part.get("source")),
            bad=bad,
        )
        if doc.name != path.stem and "name" not in tree.keys() and "body" in tree.keys():
            place = Span(tree.span.source, tree.span.line, tree.span.col, tree.span.line, tree.span.col + 1)
            self.reporter.note("NS205", f"this network has no `name`; it is '{doc.name}', after its file", place)
        cut = [key.text for key, value in tree.entries if id(value) in bad or id(key) in bad]
        doc.open = frozenset([*cut, *(meant_key(key, SECTIONS) or key for key in cut[:100])])
        doc.params = _params(part.get("params"), bad)
        doc.variants = {k.text: _variant(k, v, bad) for k, v in entries(part.get("variants"), bad)}
        doc.refused = set(_keys(part.get("variants"))) - set(doc.variants)
        doc.lets = tuple(entries(part.get("let"), set()))
        declared = {"params": [p.at for p in doc.params], "let": [key for key, _ in doc.lets]}
        doc.open |= {section for section, keys in declared.items() if any(id(key) in bad for key in keys)}
        doc.input, doc.outputs, doc.expect = part.get("input"), part.get("outputs"), part.get("expect")
        checkpoints = part.get("checkpoints")
        doc.checkpoints = checkpoints if isinstance(checkpoints, Map) else None
        doc.body = steps.body(part.get("body"))
        for key, value in entries(part.get("blocks"), set()):
            self._unique(doc, key)
            doc.blocks[key.text] = self._block(key, value, doc, steps)
            doc.open |= {"blocks"} if id(key) in bad else set()
        named = {item.text: item for item in reversed(items(part.get("use"), bad)) if isinstance(item, Scalar)}
        for item in reversed(named.values()):
            self._use(doc, item)
        return doc

    def _unique(self, doc: Document, key: Scalar) -> None:
        """A block must not have the name of an op or of another block that the file sees."""
        if lookup(key.text) is not None or key.text in ("do", "tee"):
            self.reporter.error(
                "NS204", f"the block '{key.text}' has the name of an op", key.span, help="choose another name"
            )
        elif key.text in doc.used:
            self.reporter.error(
                "NS204", f"the block '{key.text}' is also brought in by `use`", key.span, help="choose another name"
            )

    def _block(self, key: Scalar, value: Tree, doc: Document, steps: StepReader) -> BlockDecl:
        bad = steps.bad
        part = {k.text: v for k, v in entries(value, bad)}
        params = _params(part.get("params"), bad)

        def names(section: str) -> tuple[Scalar, ...]:
            return tuple(s for s in items(part.get(section), bad) if isinstance(s, Scalar))

        cut = set(_keys(value)) - set(part)
        cut |= {meant_key(name, ("params", "let", "inputs", "outputs", "body")) or name for name in sorted(cut)[:100]}
        named = any(id(k) in bad for section in ("params", "let") for k, _ in entries(part.get(section), set()))
        listed = [tree for section in ("inputs", "outputs") for tree in items(part.get(section), set())]
        failed = bool(cut) or any(p.failed for p in params) or any(id(t) in bad for t in (key, value, *listed))
        return BlockDecl(
            key.text,
            key,
            doc,
            params,
            tuple(entries(part.get("let"), set())),
            names("inputs"),
            names("outputs"),
            steps.body(part.get("body")),
            text(part.get("doc")),
            part.get("examples"),
            value,
            failed,
            bool(cut & {"params", "let"}) or id(value) in bad or named,
        )

    def _use(self, doc: Document, item: Scalar) -> None:
        """Brings in the blocks of a library, or a network as one block."""
        before = doc.open
        doc.open |= {"use"}
        path = self._find(item)
        if path is None:
            return
        if path.resolve() in self.open:
            circle = " -> ".join(p.stem for p in [*self.open[self.open.index(path.resolve()) :], path])
            self.reporter.error("NS208", f"files use each other in a cycle: {circle}", item.span)
            return
        if len(self.done) + len(self.open) >= MAX_FILES:
            self.reporter.error("NS105", f"more than {MAX_FILES} files by `use`", item.span)
            return
        try:
            found = self.document(path)
        except UsageError as e:  # a library that cannot be read
            self.reporter.error("NS207", str(e), item.span, e.help)
            return
        if found is None:
            return
        doc.open = before | ({"use"} if found.is_library and "blocks" in found.open else frozenset())
        brought: Mapping[str, BlockDecl | Document] = dict(found.blocks) if found.is_library else {found.name: found}
        for name, what in brought.items():
            if doc.used.get(name, what) is not what or name in doc.blocks:
                self.reporter.error(
                    "NS204", f"the name '{name}' comes from two files", item.span, help="rename one of the two blocks"
                )
            doc.used[name] = what

    def _find(self, item: Scalar) -> Path | None:
        """`blocks/common` is shipped, `./mine` stands beside the document that is compiled."""
        from netspec.syntax.library import specs_root

        word = item.text
        local = word.startswith("./")
        parts = word.removeprefix("./").split("/")
        if not all(parts) or any(p in (".", "..") or "\\" in p or ":" in p or p.startswith("~") for p in parts):
            self.reporter.error(
                "NS207",
                f"'{clipped(word)}' is not the name of a library",
                item.span,
                help="`blocks/common` is shipped, `./mine` is mine.yaml below this folder",
            )
            return None
        roots = (self.root, *self.include) if local else (specs_root(),)
        for root in roots:
            path = root.joinpath(*parts[:-1], parts[-1] + ".yaml")
            if _is_file(path) and path.resolve().is_relative_to(Path(root).resolve()):
                return path
        known = sorted(p.relative_to(r).with_suffix("").as_posix() for r in roots for p in _yamls(Path(r)))
        help_: str | Hint = did_you_mean(word.removeprefix("./"), known)
        if not local and _is_file(self.root / f"{word}.yaml"):
            help_ = f"a library next to this file is written './{word}'"
        self.reporter.error("NS207", f"there is no library '{clipped(word)}'", item.span, help=help_)
        return None


@collector.paused()
def read_document(
    spec: Path | Found, reporter: Reporter, include: Sequence[Path] = (), name: str | None = None
) -> Document | None:
    """Reads a spec and all that it uses; findings go to the reporter; raises UsageError if unreadable."""
    if isinstance(spec, Path):
        return Reader(reporter, include).document(spec, name)
    document = Reader(reporter, include).document(spec.path, name or spec.shown or None, spec.data)
    if document is not None:
        document.argument = spec.argument or document.argument
    return document


def _keys(tree: Tree | None) -> list[str]:
    return tree.keys() if isinstance(tree, Map) else []


def _params(tree: Tree | None, bad: set[int]) -> tuple[ParamDecl, ...]:
    return tuple(_param(key, value, bad) for key, value in entries(tree, set()))


def _is_file(path: Path) -> bool:
    """Whether there is a file; there is none of a name that is too long, or in a folder that may not be read."""
    try:
        return path.is_file()
    except OSError:
        return False


def _yamls(root: Path) -> list[Path]:
    """The specs at most one folder below a root, for suggestions; bounded."""
    return [*sorted(root.glob("*.yaml"))[:200], *sorted(root.glob("*/*.yaml"))[:200]]


def _param(key: Scalar, value: Tree, bad: set[int]) -> ParamDecl:
    """`name: type`, `name: default`, or `{type:, default:, one_of:, min:, doc:}`."""
    if id(key) in bad or id(value) in bad or (isinstance(value, Map) and any(id(v) in bad for _, v in value.entries)):
        return ParamDecl(key.text, key, "", failed=True)
    if isinstance(value, Scalar) and value.plain and value.text in PARAM_TYPES:
        return ParamDecl(key.text, key, value.text)
    if isinstance(value, Map):
        part = {k.text: v for k, v in entries(value, bad)}
        return ParamDecl(
            key.text,
            key,
            text(part.get("type")),
            part.get("default"),
            part.get("one_of"),
            part.get("min"),
            text(part.get("doc")),
        )
    return ParamDecl(key.text, key, "", value)


def _variant(key: Scalar, value: Tree, bad: set[int]) -> Variant:
    part = {k.text: (k, v) for k, v in entries(value, bad)}
    special = {name: part.pop(name)[1] for name in RESERVED_VARIANT_KEYS if name in part}
    of = special.get("of")
    passes = tuple(s for s in items(special.get("passes"), bad) if isinstance(s, Scalar))
    return Variant(
        key.text,
        key,
        of if isinstance(of, Scalar) else None,
        part,
        special.get("input"),
        special.get("expect"),
        text(special.get("title")),
        text(special.get("source")),
        passes,
    )


def passes_of(chain: Sequence[Variant]) -> tuple[Scalar, ...]:
    """What the last variant of a lineage, or what it is `of`, asks for under `passes`."""
    return next((variant.passes for variant in reversed(chain) if variant.passes), ())


def lineage(doc: Document, variant: str, reporter: Reporter) -> list[Variant]:
    """A variant and what it is `of`, the most basic first."""
    chain: list[Variant] = []
    name: str | None = variant
    at: Span | None = None
    while name is not None:
        if name not in doc.variants and (doc.refused or "variants" in doc.open):
            break  # its name or that of the whole section is refused, perhaps because it is misspelt there
        if name not in doc.variants:
            reporter.error("NS202", f"there is no variant '{clipped(name)}'", at, help=did_you_mean(name, doc.variants))
            break
        found = doc.variants[name]
        if len(chain) == MAX_LINEAGE:
            reporter.error("NS404", f"limit exceeded: variants are `of` each other more than {MAX_LINEAGE} deep", at)
            break
        if found in chain:
            first = min(chain[chain.index(found) :], key=list(doc.variants.values()).index)
            reporter.error("NS208", f"the variant '{first.name}' is of itself", first.at.span)
            break
        chain.append(found)
        name, at = (found.of.text, found.of.span) if found.of is not None else (None, None)
    return chain[::-1]


__all__ = ["Document", "Reader", "Seq", "Variant", "lineage", "read_document"]
