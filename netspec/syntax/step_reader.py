"""Steps, branches and blocks as they are written: the located tree, sorted into records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from netspec.diagnostics.errors import Reporter, SemanticError, Span
from netspec.expressions.expression import Template, parse_template
from netspec.syntax.keywords import BRANCH_KEYS, IS_OP, JOINS, KEYWORDS, split_name
from netspec.syntax.tree import Map, Scalar, Seq, Tree

if TYPE_CHECKING:
    from netspec.syntax.reader import Document


@dataclass(eq=False, slots=True)
class Step:
    """One step of a body."""

    op: str
    op_at: Scalar
    """The scalar that holds the op; its span of `op_from` on is the op's name."""
    op_from: int
    name: Template | None
    counted: str
    """The name that it has when none is written: `conv_2`."""
    args: Tree | None
    keywords: dict[str, Tree]
    keys: dict[str, Scalar]
    steps: tuple[Step, ...] = ()
    """Of `do` and `tee`."""
    branches: tuple[Branch, ...] = ()
    """Of a join."""
    otherwise: tuple[Step, ...] = ()
    tree: Tree | None = None
    broken: bool = False
    """Whether a step or branch of it cannot be read."""
    failed: bool = False
    """Whether it cannot be read, which is reported already: its value and its names are error values."""

    @property
    def span(self) -> Span:
        """Where the op is written."""
        return self.op_at.at(self.op_from, len(self.op_at.text))

    @property
    def doc(self) -> str:
        """Its `doc`."""
        return text(self.keywords.get("doc"))

    @property
    def makes(self) -> list[str | re.Pattern[str]]:
        """The names that it makes in the scope around it, or what they look like; ANYTHING where nobody can know."""
        found = [_made(self.name, self.counted)]
        if self.op in JOINS and self.name is None:
            found += [branch.makes for branch in self.branches]
            found += [ANYTHING] * self.failed
        return found


@dataclass(eq=False, slots=True)
class Branch:
    """One branch of a join."""

    at: Tree
    name: Template | None
    counted: str
    steps: tuple[Step, ...] = ()
    path: Scalar | None = None
    """Of a branch that is a path."""
    keywords: dict[str, Tree] = field(default_factory=dict)
    failed: bool = False
    """Whether it cannot be read, which is reported already."""
    broken: bool = False
    """Whether a step of it cannot be read."""
    siblings: Siblings | None = None
    """The branches of its join."""

    @property
    def makes(self) -> str | re.Pattern[str]:
        """The name that it makes, or what its names look like."""
        return _made(self.name, self.counted)

    def beside(self, name: str) -> Branch | None:
        """Another branch of the join that has this name, or a step of it: branches do not see each other."""
        found = self.siblings.index.get(name, ()) if self.siblings is not None else ()
        return next((branch for branch in found if branch is not self), None)


class Siblings:
    """The branches of a join."""

    def __init__(self, branches: tuple[Branch, ...]) -> None:
        self.branches = branches

    @cached_property
    def failed(self) -> bool:
        """Whether one of them cannot be read."""
        return any(branch.failed for branch in self.branches)

    @cached_property
    def index(self) -> dict[str, list[Branch]]:
        """By name, the branches that have it, or a step of it; made when the first unknown name is looked for."""
        found: dict[str, list[Branch]] = {}
        for branch in self.branches:
            made = {branch.makes, *(name for step in branch.steps for name in step.makes)}
            for name in made:
                if isinstance(name, str):
                    found.setdefault(name, []).append(branch)
        return found


ANYTHING = re.compile("")


def _made(name: Template | None, counted: str) -> str | re.Pattern[str]:
    if name is None:
        return counted or ANYTHING
    return name.written("") if name.is_plain else name.pattern


@dataclass(eq=False, slots=True)
class ParamDecl:
    """A declared parameter, not yet evaluated."""

    name: str
    at: Scalar
    type: str
    """A type, or '' where the default decides."""
    default: Tree | None = None
    one_of: Tree | None = None
    min: Tree | None = None
    doc: str = ""
    failed: bool = False
    """Whether the schema refused it: it is an error value."""

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is None


@dataclass(eq=False, slots=True)
class BlockDecl:
    """A block as written: its parameters, its inputs and outputs, and its body."""

    name: str
    at: Scalar
    home: Document
    """The file that it stands in: it sees the blocks of that file and what the file uses."""
    params: tuple[ParamDecl, ...]
    lets: tuple[tuple[Scalar, Tree], ...]
    inputs: tuple[Scalar, ...]
    """Empty for a block of one input, `x`."""
    outputs: tuple[Scalar, ...]
    body: tuple[Step, ...]
    doc: str = ""
    examples: Tree | None = None
    tree: Tree | None = None
    failed: bool = False
    """Whether its name, parameters, inputs or outputs were refused: its calls are error values."""
    open: bool = False
    """Whether its `params` or `let` cannot be read, so that any name may be one of theirs."""


def text(tree: Tree | None) -> str:
    """The text of a scalar, as written; empty for anything else."""
    return tree.text if isinstance(tree, Scalar) else ""


def entries(tree: Tree | None, bad: set[int]) -> Iterator[tuple[Scalar, Tree]]:
    """The entries of a mapping that the schema found in order."""
    if isinstance(tree, Map):
        for key, value in tree.entries:
            if id(value) not in bad and id(key) not in bad:
                yield key, value


def items(tree: Tree | None, bad: set[int]) -> tuple[Tree, ...]:
    """The items of a list that the schema found in order."""
    return tuple(t for t in tree.items if id(t) not in bad) if isinstance(tree, Seq) else ()


class StepReader:
    """Sorts the located tree of one file into steps; `bad` are the nodes that the schema refused."""

    def __init__(self, bad: set[int], reporter: Reporter) -> None:
        self.bad, self.reporter = bad, reporter

    def body(self, tree: Tree | None, counts: dict[str, int] | None = None) -> tuple[Step, ...]:
        """A list of steps; unnamed ones are counted through the list, `else` included."""
        counts = {} if counts is None else counts
        return tuple(self.step(item, counts) for item in (tree.items if isinstance(tree, Seq) else ()))

    def step(self, tree: Tree, counts: dict[str, int]) -> Step:
        """One step; one that the schema refused has failed, and so has one of whose keywords that holds."""
        failed = id(tree) in self.bad
        if isinstance(tree, Scalar):
            return self._make(tree, None, {}, {}, counts, tree, failed)
        written = tree.entries if isinstance(tree, Map) else ()
        heads = [(k, v) for k, v in written if k.text not in KEYWORDS]
        if len(heads) != 1:
            nothing = Scalar("", True, tree.span)
            return Step("", nothing, 0, None, "", None, {}, {}, tree=tree, failed=True)
        keys = {k.text: k for k, _ in written if k.text in KEYWORDS}
        keywords = {k.text: v for k, v in entries(tree, self.bad) if k.text in KEYWORDS}
        failed = failed or len(keywords) < len(keys) or self._refused_loop(keywords)
        return self._make(heads[0][0], heads[0][1], keywords, keys, counts, tree, failed)

    def _make(
        self,
        head: Scalar,
        args: Tree | None,
        keywords: dict[str, Tree],
        keys: dict[str, Scalar],
        counts: dict[str, int],
        tree: Tree,
        failed: bool,
    ) -> Step:
        split = split_name(head.text)
        written, op, start = split.name, split.op, split.start
        name = self._template(written, head) if written else None
        failed = failed or id(head) in self.bad or (name is None and bool(written))
        counted = ""
        if written is None and IS_OP.match(op):
            counts[op] = counts.get(op, 0) + 1
            counted = op if counts[op] == 1 else f"{op}_{counts[op]}"
        if args is not None and (id(args) in self.bad or (isinstance(args, Scalar) and args.value is None)):
            failed = failed or id(args) in self.bad
            args = None
        step = Step(op, head, start, name, counted, args, keywords, keys, tree=tree, failed=failed)
        if op in ("do", "tee"):
            step.steps = self.body(args)
            step.broken = not step.steps or any(inner.failed for inner in step.steps)
        elif op in JOINS and args is not None:
            step.branches = self.branches(args)
            siblings = Siblings(step.branches)
            for branch in step.branches:
                branch.siblings = siblings
            step.broken = any(branch.failed for branch in step.branches)
            if isinstance(args, Map):
                step.failed = failed or any(key.text in KEYWORDS for key, _ in args.entries)
        if "else" in keywords:
            step.otherwise = self.body(keywords["else"], counts)
        return step

    def _refused_loop(self, keywords: dict[str, Tree]) -> bool:
        loops = [tree for word in ("for", "each") if isinstance(tree := keywords.get(word), Map)]
        return any(id(key) in self.bad or id(value) in self.bad for tree in loops for key, value in tree.entries)

    def _template(self, written: str, at: Scalar) -> Template | None:
        """A name with its placeholders; None where the schema refused it, or it cannot be read, which is reported."""
        if id(at) in self.bad:
            return None
        try:
            return parse_template(written, at.at)
        except SemanticError as e:
            self.reporter.error(e.code, e.message, e.span or at.span, e.help)
            return None

    def branches(self, tree: Tree) -> tuple[Branch, ...]:
        """The branches of a join: a mapping of names, or a list that is counted."""
        if isinstance(tree, Map):
            return tuple(
                self._branch(value, self._template(key.text, key), "", id(key) in self.bad)
                for key, value in tree.entries
                if key.text not in KEYWORDS
            )
        return (
            tuple(self._branch(item, None, str(i)) for i, item in enumerate(tree.items))
            if isinstance(tree, Seq)
            else ()
        )

    def _branch(self, tree: Tree, name: Template | None, counted: str, failed: bool = False) -> Branch:
        failed = failed or id(tree) in self.bad or (name is None and not counted)
        if isinstance(tree, Scalar):
            return Branch(tree, name, counted, path=tree, failed=failed)
        if isinstance(tree, Seq):
            steps = self.body(tree)
            return Branch(tree, name, counted, steps, failed=failed, broken=any(step.failed for step in steps))
        keywords = {k.text: v for k, v in entries(tree, self.bad) if k.text in BRANCH_KEYS}
        failed = failed or len(keywords) < len(tree.entries) or self._refused_loop(keywords)
        steps = self.body(keywords.pop("do", None))
        return Branch(
            tree, name, counted, steps, keywords=keywords, failed=failed, broken=any(step.failed for step in steps)
        )
