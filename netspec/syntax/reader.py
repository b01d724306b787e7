"""A spec file as a document: its sections, its blocks, and the blocks that it uses from other files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from netspec import collector
from netspec.diagnostics.errors import Hint, Reporter, Span, UsageError, did_you_mean
from netspec.expressions.identifiers import clipped, from_file_name
from netspec.ops import lookup
from netspec.syntax import values
from netspec.syntax.ast import Name
from netspec.syntax.common_mistakes import meant_key
from netspec.syntax.declarations import DeclarationReader
from netspec.syntax.document import BlockDecl, Document
from netspec.syntax.keywords import GROUPS, RESERVED_VARIANT_KEYS, SECTIONS
from netspec.syntax.library import Found, shown, specs_root
from netspec.syntax.published import read_published
from netspec.syntax.results import read_results
from netspec.syntax.rules import RuleSets
from netspec.syntax.step_reader import StepReader
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.validate import head_of, validate
from netspec.syntax.values import text
from netspec.syntax.yaml_reader import read

MAX_FILES = 64


class Reader:
    """Reads a document and everything that it uses, each file once."""

    def __init__(self, reporter: Reporter, include: Sequence[Path] = ()) -> None:
        self.reporter = reporter
        self.include = tuple(include)
        self.done: dict[Path, Document | None] = {}
        self.open: list[Path] = []

    def document(self, path: Path, name: str | None = None, data: bytes | None = None) -> Document | None:
        """The document at a path; None where it cannot be understood at all."""
        real = path.resolve()
        if real in self.done:
            return self.done[real]
        if not self.open:
            self.root = real.parent
        self.open.append(real)
        tree = read(path, self.reporter, name or shown(path), data)
        doc = self._read(path, tree) if tree is not None else None
        self.open.pop()
        self.done[real] = doc
        return doc

    def _read(self, path: Path, tree: Map) -> Document:
        """The document of a tree, with all that it uses."""
        refused = validate(tree, self.reporter)
        blocks = values.entries(tree.get("blocks"))
        steps = StepReader(refused, {key.text for key, _ in blocks}, self.reporter)
        read = DeclarationReader(refused, steps)
        self._check_sections(tree)
        part = read.parts(tree)
        name, body = text(part.get("name")) or from_file_name(path.stem), tree.get("body")
        doc = Document(path, name, tree.span, text(part.get("title")), text(part.get("source")), text(part.get("doc")))
        doc.digest = sha256("\n".join(_document_built_of(tree)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        if doc.name != path.stem and "name" not in tree.keys() and body is not None:
            self.reporter.note("NS205", f"this network has no `name`; it is '{doc.name}', after its file", _first(tree))
        doc.open = _open_sections(tree, refused)
        doc.params, doc.lets = read.params(part.get("params")), read.lets(part.get("let"))
        doc.variants = {name: read.variant(*entry) for name, entry in read.right(part.get("variants")).items()}
        doc.refused = {key.text for key, _ in values.entries(part.get("variants"))} - set(doc.variants)
        doc.input = read.inputs(part.get("input"))
        doc.outputs, doc.expect = read.outputs(part.get("outputs")), read.expect(part.get("expect"))
        doc.results = read_results(part.get("results"), refused, self.reporter)
        if (rules := part.get("checkpoints")) is not None:
            doc.checkpoints = RuleSets(tuple((key.text, value) for key, value in values.entries(rules)))
            self._published(doc, rules, refused)
        doc.body, doc.body_span = steps.body(part.get("body")), body.span if body is not None else None
        for key, value in values.entries(part.get("blocks")):
            self._unique(doc, key)
            doc.blocks[key.text] = read.block(key, value, doc)
        named = {item.text: item for item in reversed(read.names(part.get("use")))}
        for item in reversed(named.values()):
            self._use(doc, item)
        doc.dropped = tuple(read.dropped)
        return doc

    def _published(self, doc: Document, tree: Tree, refused: set[Tree]) -> None:
        """The weights under `checkpoints`; where a section or a name of it is refused, any name may be there."""
        said = Reporter()
        variants, params = (*doc.variants, *doc.refused) or (doc.name,), [param.name for param in doc.params]
        doc.published = read_published(tree, variants, params, refused, said)
        hidden = doc.refused or doc.open & {"variants", "params"}
        for diagnostic in said.diagnostics:
            if not (hidden and diagnostic.code == "NS202"):
                self.reporter.report(diagnostic)

    def _check_sections(self, tree: Map) -> None:
        """A document has a body and inputs, or blocks alone."""
        keys = tree.keys()
        meant = {meant_key(key, SECTIONS) for key in keys[:100] if key not in SECTIONS}
        if "body" not in keys and "blocks" not in keys and "body" not in meant:
            self.reporter.error("NS112", "a document has a `body` or `blocks`", _first(tree))
        given = next((key for key, _ in tree.entries if key.text == "input"), None)
        if given is not None and "blocks" in keys and "body" not in keys:
            self.reporter.error("NS112", "'body' is missing", given.span, "a library of blocks has no `input`")
        if "body" in keys and given is None and "input" not in meant:
            self.reporter.error("NS112", "'input' is missing", head_of(tree.span), "input: [3, 224, 224]")

    def _unique(self, doc: Document, key: Scalar) -> None:
        """A block must not have the name of an op or of another block that the file sees."""
        if lookup(key.text) is not None or key.text in GROUPS:
            self.reporter.error(
                "NS204", f"the block '{key.text}' has the name of an op", key.span, help="choose another name"
            )
        elif key.text in doc.used:
            self.reporter.error(
                "NS204", f"the block '{key.text}' is also brought in by `use`", key.span, help="choose another name"
            )

    def _use(self, doc: Document, item: Name) -> None:
        """Brings in the blocks of a library, or a network as one block."""
        before = doc.open
        doc.open |= {"use"}
        path = self._find(item)
        if path is None:
            return
        if path.resolve() in self.open:
            cycle = " -> ".join(p.stem for p in [*self.open[self.open.index(path.resolve()) :], path])
            self.reporter.error("NS208", f"files use each other in a cycle: {cycle}", item.span)
            return
        if len(self.done) + len(self.open) >= MAX_FILES:
            self.reporter.error("NS105", f"more than {MAX_FILES} files by `use`", item.span)
            return
        try:
            found = self.document(path)
        except UsageError as e:  # a library that cannot be read
            self.reporter.error("NS207", e.message, item.span, e.help)
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

    def _find(self, item: Name) -> Path | None:
        """`blocks/common` is shipped, `./mine` is next to the document that is compiled."""
        name = item.text
        local = name.startswith("./")
        parts = name.removeprefix("./").split("/")
        if not all(parts) or any(p in (".", "..") or "\\" in p or ":" in p or p.startswith("~") for p in parts):
            self.reporter.error(
                "NS207",
                f"'{clipped(name)}' is not the name of a library",
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
        help_: str | Hint = did_you_mean(name.removeprefix("./"), known)
        if not local and _is_file(self.root / f"{name}.yaml"):
            help_ = f"a library next to this file is written './{name}'"
        self.reporter.error("NS207", f"there is no library '{clipped(name)}'", item.span, help=help_)
        return None


@collector.paused()
def read_document(
    spec: Path | Found, reporter: Reporter, include: Sequence[Path] = (), name: str | None = None
) -> Document | None:
    """Reads a spec and all that it uses; diagnostics go to the reporter; raises UsageError if unreadable."""
    if isinstance(spec, Path):
        return Reader(reporter, include).document(spec, name)
    document = Reader(reporter, include).document(spec.path, name or spec.shown or None, spec.data)
    if document is not None:
        document.argument = spec.argument or document.argument
    return document


def _open_sections(tree: Map, refused: set[Tree]) -> frozenset[str]:
    """The sections that cannot be read, or in which a name cannot be: any unknown name may be one of theirs."""
    cut = [key.text for key, value in tree.entries if not refused.isdisjoint((key, value))]
    found = {*cut, *(meant_key(key, SECTIONS) or key for key in cut[:100])}
    for section in ("params", "let", "blocks"):
        if section not in cut and any(key in refused for key, _ in values.entries(tree.get(section))):
            found.add(section)
    return frozenset(found)


def _first(tree: Map) -> Span:
    """The first character of a file."""
    span = tree.span
    return Span(span.source, span.line, span.col, span.line, span.col + 1)


def _is_file(path: Path) -> bool:
    """Whether there is a file; there is none of a name that is too long, or in a folder that may not be read."""
    try:
        return path.is_file()
    except OSError:
        return False


def _yamls(root: Path) -> list[Path]:
    """The specs at most one folder below a root, for suggestions; bounded."""
    return [*sorted(root.glob("*.yaml"))[:200], *sorted(root.glob("*/*.yaml"))[:200]]


_SAID = {"title", "source", "doc", "expect", "results", "checkpoints"}
"""Keys of a document from which no graph is built; further down a name such as `source` may be that of a parameter."""
_SAID_OF_VARIANT = _SAID & {*RESERVED_VARIANT_KEYS}


def _document_built_of(tree: Map) -> Iterator[str]:
    """What graphs are built of, without comments and without what is only said of the document and its variants."""
    for key, value in tree.entries:
        if key.text == "variants" and isinstance(value, Map):
            yield "variants:"
            for name, variant in value.entries:
                yield f"{name.text!r}:"
                if isinstance(variant, Map):
                    kept = tuple(entry for entry in variant.entries if entry[0].text not in _SAID_OF_VARIANT)
                    variant = Map(kept, variant.span)
                yield from _built_of(variant)
        elif key.text not in _SAID:
            yield f"{key.text!r}:"
            yield from _built_of(value)


def _built_of(tree: Tree) -> Iterator[str]:
    """The texts of a tree."""
    match tree:
        case Scalar():
            yield repr(tree.text)
        case Seq():
            yield "["
            for item in tree.items:
                yield from _built_of(item)
            yield "]"
        case Map():
            for key, value in tree.entries:
                yield f"{key.text!r}:"
                yield from _built_of(value)
            yield ","
