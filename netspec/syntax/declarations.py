"""Reads the declarations of a file: params, variants, inputs, outputs, blocks and facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.syntax import values
from netspec.syntax.ast import Error, Name, Unevaluable, ValueNode
from netspec.syntax.common_mistakes import meant_key
from netspec.syntax.document import (
    BlockDecl,
    Document,
    Example,
    Expect,
    Fact,
    Facts,
    InputDecl,
    Inputs,
    LetDecl,
    OutputDecl,
    Outputs,
    ParamDecl,
    Printed,
    PrintedTable,
    Row,
    ShapeFact,
    Variant,
)
from netspec.syntax.fact_places import MEASURES
from netspec.syntax.keywords import PARAM_TYPES, RESERVED_VARIANT_KEYS
from netspec.syntax.results import read_results
from netspec.syntax.step_reader import StepReader
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.values import text

_COUNTS = (*(name for name in MEASURES if name != "receptive_field"), "train_params")


class DeclarationReader:
    """Reads the declarations of one file; `refused` are the nodes that were not accepted."""

    def __init__(self, refused: set[Tree], steps: StepReader) -> None:
        self.refused, self.steps = refused, steps
        self.dropped: list[ValueNode] = []
        """What is written in entries and items that cannot be read."""

    def drop(self, *nodes: Tree) -> None:
        """Keeps what is written in what cannot be read: it may read any name that it mentions."""
        self.dropped += map(values.value, nodes)

    def right(self, tree: Tree | None) -> dict[str, tuple[Scalar, Tree]]:
        """The entries of a mapping that can be read."""
        found = {}
        for key, value in values.entries(tree):
            if self.refused.isdisjoint((key, value)):
                found[key.text] = key, value
            else:
                self.drop(key, value)
        return found

    def parts(self, tree: Tree | None) -> dict[str, Tree]:
        """The values of a mapping that can be read, by key."""
        return {name: value for name, (_, value) in self.right(tree).items()}

    def items(self, tree: Tree | None) -> list[Tree]:
        """The items of a list that can be read."""
        self.drop(*(item for item in values.items(tree) if item in self.refused))
        return [item for item in values.items(tree) if item not in self.refused]

    def names(self, tree: Tree | None) -> tuple[Name, ...]:
        """The strings of a list."""
        return tuple(values.name(item) for item in self.items(tree) if isinstance(item, Scalar))

    def params(self, tree: Tree | None) -> tuple[ParamDecl, ...]:
        """`params`."""
        return tuple(self._param(key, value) for key, value in values.entries(tree))

    def _param(self, key: Scalar, value: Tree) -> ParamDecl:
        """`name: type`, `name: default`, or `{type:, default:, one_of:, min:, doc:}`."""
        at = values.name(key)
        inside = [inner for _, inner in values.entries(value)]
        if not self.refused.isdisjoint((key, value, *inside)):
            self.drop(value)
            return ParamDecl(key.text, at, "", failed=True)
        if isinstance(value, Scalar) and value.plain and value.text in PARAM_TYPES:
            return ParamDecl(key.text, at, value.text)
        if isinstance(value, Map):
            part = self.parts(value)
            default, one_of, low = (values.optional(part.get(word)) for word in ("default", "one_of", "min"))
            return ParamDecl(key.text, at, text(part.get("type")), default, one_of, low, text(part.get("doc")))
        return ParamDecl(key.text, at, "", values.value(value))

    def lets(self, tree: Tree | None) -> tuple[LetDecl, ...]:
        """`let`."""
        found = []
        for key, value in values.entries(tree):
            wrong = key in self.refused or value in self.refused
            read = values.value(value)
            found.append(LetDecl(values.name(key), Error(value.span, read) if wrong else read))
        return tuple(found)

    def variant(self, key: Scalar, value: Tree) -> Variant:
        """One entry of `variants`."""
        part = self.right(value)
        special = {name: part.pop(name)[1] for name in RESERVED_VARIANT_KEYS if name in part}
        of = special.get("of")
        return Variant(
            key.text,
            values.name(key),
            values.name(of) if isinstance(of, Scalar) else None,
            {name: (values.name(at), values.value(given)) for name, (at, given) in part.items()},
            self.inputs(special.get("input")),
            self.expect(special.get("expect")),
            text(special.get("title")),
            text(special.get("source")),
            self.names(special.get("passes")),
            read_results(special.get("results"), self.refused, self.steps.reporter),
        )

    def inputs(self, tree: Tree | None) -> Inputs | None:
        """`input` of a document or variant: one size, or several by name."""
        if tree is None:
            return None
        if isinstance(tree, Map):
            items = [self._input(values.name(key), value, key) for key, value in tree.entries]
            return Inputs(tuple(items), True, tree.span)
        return Inputs((self._input(Name("input", tree.span), tree),), False, tree.span)

    def _input(self, name: Name, tree: Tree, *key: Tree) -> InputDecl:
        """A list of sizes, or {shape, sample}."""
        sample, shape = "", tree
        if isinstance(tree, Map):
            part = {k.text: v for k, v in tree.entries}
            sample, shape = text(part.get("sample")), part.get("shape", tree)
        wrong = not self.refused.isdisjoint((tree, shape, *key)) or isinstance(shape, Map)
        read = values.expression(shape) if isinstance(shape, Scalar) else values.value(shape)
        return InputDecl(name, Error(shape.span, read) if wrong else read, sample, isinstance(tree, Map))

    def outputs(self, tree: Tree | None) -> Outputs | None:
        """`outputs`: paths, or names with what they show."""
        if tree is None:
            return None
        if isinstance(tree, Seq):
            listed = [self._output("", item, item) for item in tree.items if isinstance(item, Scalar)]
            return Outputs(tuple(listed), tree.span)
        return Outputs(tuple(self._output(n, key, value) for n, (key, value) in self.right(tree).items()), tree.span)

    def _output(self, name: str, at: Scalar, tree: Tree) -> OutputDecl:
        """A path, or {from, loss_weight, training_only, only_if}."""
        part = {key.text: value for key, value in values.entries(tree)}
        source = part.get("from", tree)
        if any(key in self.refused for key, _ in values.entries(tree)):
            return OutputDecl(name, at.span, Error(tree.span, values.value(tree)))
        path = values.path(source) if isinstance(source, Scalar) and source.text else _no_path(source)
        only_if, training_only = (
            values.condition(part[word], word) if word in part else None for word in ("only_if", "training_only")
        )
        return OutputDecl(name, at.span, path, only_if, values.optional(part.get("loss_weight")), training_only)

    def block(self, key: Scalar, value: Tree, home: Document) -> BlockDecl:
        """One entry of `blocks`."""
        part = self.parts(value)
        params, inputs = self.params(part.get("params")), self.names(part.get("inputs"))
        cut = {k.text for k, _ in values.entries(value)} - set(part)
        cut |= {meant_key(n, ("params", "let", "inputs", "outputs", "body")) or n for n in sorted(cut)[:100]}
        declared = [k for section in ("params", "let") for k, _ in values.entries(part.get(section))]
        listed = [item for section in ("inputs", "outputs") for item in values.items(part.get(section))]
        failed = bool(cut) or any(p.failed for p in params) or not self.refused.isdisjoint((key, value, *listed))
        return BlockDecl(
            key.text,
            values.name(key),
            value.span,
            home,
            params,
            self.lets(part.get("let")),
            inputs,
            self.names(part.get("outputs")),
            self.steps.body(part.get("body")),
            text(part.get("doc")),
            tuple(self._example(item, inputs) for item in self.items(part.get("examples")) if isinstance(item, Map)),
            failed,
            bool(cut & {"params", "let"}) or not self.refused.isdisjoint((value, *declared)),
        )

    def _example(self, tree: Map, inputs: Sequence[Name]) -> Example:
        """{input, args, expect}: a mapping of sizes by name, a list of sizes for each input, or one size for all."""
        args, given, facts = values.optional(tree.get("args")), tree.get("input"), self.expect(tree.get("expect"))
        several = len(inputs) > 1
        if isinstance(given, Map) and (several or given.get("shape") is None):
            items = [self._input(values.name(key), value) for key, value in given.entries]
            return Example(args, Inputs(tuple(items), True, given.span), tree.span, facts)
        if several and isinstance(given, Seq) and all(isinstance(item, Seq) for item in given.items):
            names = [name.text for name in inputs]
            names += map(str, range(len(names), len(given.items)))
            pairs = zip(names, given.items, strict=False)
            items = [self._input(Name(name, item.span), item) for name, item in pairs]
            return Example(args, Inputs(tuple(items), True, given.span), tree.span, facts)
        one = None if given is None else Inputs((self._input(Name("", given.span), given),), False, given.span)
        return Example(args, one, tree.span, facts)

    def expect(self, tree: Tree | None) -> Expect | None:
        """`expect`."""
        if not isinstance(tree, Map):
            return None
        part = self.parts(tree)
        fields = part.get("receptive_field")
        by_path = isinstance(fields, Map) and fields.get("value") is None and fields.get("printed") is None
        read = [(values.name(path), self._facts(fact)) for path, fact in self.right(fields).values()]
        whole = [(None, self._facts(fields))] if fields is not None else []
        return Expect(
            tree.span,
            {word: self._facts(part[word]) for word in part if word in _COUNTS},
            tuple(read if by_path else whole),
            tuple(fact for path, sizes in self.right(part.get("shapes")).values() for fact in _shapes(path, sizes)),
            tuple(self._row(path, row) for path, row in self.right(part.get("rows")).values()),
            tuple(self._table(item) for item in self.items(part.get("printed")) if isinstance(item, Map)),
            tuple(part),
        )

    def _facts(self, tree: Tree) -> Facts:
        """One fact, or a list of them."""
        return Facts(tuple(_fact(item) for item in (tree.items if isinstance(tree, Seq) else (tree,))), tree.span)

    def _row(self, path: Scalar, tree: Tree) -> Row:
        part = self.parts(tree)
        shapes = _shapes(path, part["shape"]) if "shape" in part else ()
        counts = {word: self._facts(part[word]) for word in part if word in MEASURES}
        return Row(values.name(path), counts, shapes)

    def _table(self, tree: Map) -> PrintedTable:
        """{source, columns, rows}: the cells of a row are facts of what stands at its path."""
        part = self.parts(tree)
        source, columns = text(part.get("source")), part.get("columns")
        names = [key.text for key, _ in values.entries(columns)] or [text(item) for item in values.items(columns)]
        options: list[Tree | None] = [value for _, value in values.entries(columns)]
        options += [None] * (len(names) - len(options))
        rows, too_long = [], []
        for path, listed in self.right(part.get("rows")).values():
            counts: dict[str, Facts] = {}
            shapes: list[ShapeFact] = []
            cells = values.items(listed)
            too_long += [cell.span for cell in cells[len(names) :][:1]]
            for name, counted, cell in zip(names, options, cells, strict=False):
                if cell in self.refused or (isinstance(cell, Scalar) and cell.value is None):
                    continue
                fact = _cell(cell, counted, source)
                if name == "shape":
                    shapes.append(ShapeFact(values.name(path), None, cell.span, fact))
                elif name in MEASURES:  # another name is an error of the column
                    counts[name] = Facts((fact,), cell.span)
            rows.append(Row(values.name(path), counts, tuple(shapes)))
        sides = [item.value for item in values.items(part.get("input")) if isinstance(item, Scalar)]
        size = tuple(side for side in sides if isinstance(side, int))
        at = part.get("input", tree).span
        return PrintedTable(source, self.names(part.get("variants")), size, at, tuple(rows), tuple(too_long))


def _fact(tree: Tree) -> Fact:
    part = {key.text: value for key, value in values.entries(tree)}
    written = part.get("value") if isinstance(tree, Map) else tree
    within = part.get("within")
    misprint, differs = part.get("misprint"), part.get("differs")
    return Fact(
        values.literal(written) if isinstance(written, Scalar) else None,
        values.literal(within) if isinstance(within, Scalar) else None,
        text(part.get("source")),
        tree.span,
        _printed(part.get("printed")),
        values.name(misprint) if isinstance(misprint, Scalar) else None,
        text(part.get("why")),
        values.name(differs) if isinstance(differs, Scalar) else None,
    )


def _printed(tree: Tree | None, counted: Tree | None = None) -> Printed | None:
    """What is printed: a text, or {value, k, biases, norms, statistics}; in a table the column says how it counts."""
    part = {key.text: value.value for key, value in values.entries(counted or tree) if isinstance(value, Scalar)}
    value = tree.get("value") if isinstance(tree, Map) else tree
    if not isinstance(value, Scalar):
        return None
    k = part.get("k", 1000)
    return Printed(
        value.text,
        value.span,
        k if isinstance(k, int) else 1000,
        part.get("biases", True) is True,
        part.get("norms", True) is True,
        part.get("statistics", False) is True,
    )


def _cell(tree: Tree, counted: Tree | None, source: str) -> Fact:
    """A cell of a table: what is printed, or {printed, misprint, why, differs}."""
    fact = _fact(tree) if isinstance(tree, Map) else Fact(None, None, "", tree.span)
    printed = _printed(tree.get("printed") if isinstance(tree, Map) else tree, counted)
    return replace(fact, printed=printed, source=fact.source or source)


def _shapes(path: Scalar, tree: Tree) -> tuple[ShapeFact, ...]:
    """What is stated of a shape: its sizes, or facts of what is printed."""
    name, items = values.name(path), values.items(tree)
    if items and isinstance(items[0], Map):
        return tuple(shape for item in items for shape in _shapes(path, item))
    if not isinstance(tree, Map):
        return (ShapeFact(name, values.plain(tree), tree.span),)
    sizes = tree.get("value")
    return (ShapeFact(name, None if sizes is None else values.plain(sizes), tree.span, _fact(tree)),)


def _no_path(tree: Tree) -> Unevaluable:
    """What is written in place of the path of an output."""
    help_ = "a list, `[a]`, or names with paths, `{logits: a}`"
    return Unevaluable("", tree.span, "NS203", "an output names a path", tree.span, help_)
