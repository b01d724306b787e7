"""Steps, branches and blocks as they are written: the located tree, sorted into records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netspec.errors import Span
from netspec.expr import Template, parse_template
from netspec.parse import Map, Scalar, Seq, Tree

if TYPE_CHECKING:
    from netspec.document import Document

KEYWORDS = ("from", "when", "only_if", "else", "repeat", "for", "each", "share", "doc")
JOINS = ("concat", "add", "mul", "mean", "max")
BRANCH_KEYS = ("do", "from", "each", "only_if", "doc")


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
    """Whether a part of it is left out, because the schema refused it."""

    @property
    def span(self) -> Span:
        """Where the op is written."""
        return self.op_at.at(self.op_from, len(self.op_at.text))

    @property
    def doc(self) -> str:
        """Its `doc`."""
        return text(self.keywords.get("doc"))


@dataclass(eq=False, slots=True)
class Branch:
    """One branch of a join."""

    at: Tree
    name: Template | None
    counted: str
    steps: tuple[Step, ...] = ()
    path: Scalar | None = None
    """Of a branch that is a path."""
    broken: bool = False
    keywords: dict[str, Tree] = field(default_factory=dict)


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


PARAM_TYPES = ("int", "float", "bool", "str", "list", "size", "pad", "block")


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

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad

    def body(self, tree: Tree | None, counts: dict[str, int] | None = None) -> tuple[Step, ...]:
        """A list of steps; unnamed ones are counted through the list, `else` included."""
        counts = {} if counts is None else counts
        steps = (self.step(item, counts) for item in items(tree, self.bad))
        return tuple(s for s in steps if s is not None)

    def step(self, tree: Tree, counts: dict[str, int]) -> Step | None:
        """One step, or None where the schema has complained already."""
        if isinstance(tree, Scalar):
            return self._make(tree, None, {}, {}, counts, tree)
        if not isinstance(tree, Map):
            return None
        keywords = {k.text: v for k, v in entries(tree, self.bad) if k.text in KEYWORDS}
        keys = {k.text: k for k, _ in tree.entries if k.text in KEYWORDS}
        heads = [(k, v) for k, v in tree.entries if k.text not in KEYWORDS]
        if len(heads) != 1:
            return None
        return self._make(heads[0][0], heads[0][1], keywords, keys, counts, tree)

    def _make(self, head: Scalar, args: Tree | None, keywords: dict[str, Tree], keys: dict[str, Scalar],
              counts: dict[str, int], tree: Tree) -> Step:
        name, op, start = split_head(head)
        counted = ""
        if name is None:
            counts[op] = counts.get(op, 0) + 1
            counted = op if counts[op] == 1 else f"{op}_{counts[op]}"
        if args is not None and (id(args) in self.bad or (isinstance(args, Scalar) and args.value is None)):
            args = None
        step = Step(op, head, start, name, counted, args, keywords, keys, tree=tree)
        if op in ("do", "tee"):
            step.steps = self.body(args)
            step.broken = len(step.steps) < _count(args)
        elif op in JOINS and args is not None:
            step.branches = self.branches(args)
            step.broken = len(step.branches) < _count(args)
        if "else" in keywords:
            step.otherwise = self.body(keywords["else"], counts)
        return step

    def branches(self, tree: Tree) -> tuple[Branch, ...]:
        """The branches of a join: a mapping of names, or a list that is counted."""
        if isinstance(tree, Map):
            return tuple(self._branch(value, parse_template(key.text, key.at), "")
                         for key, value in entries(tree, self.bad))
        return tuple(self._branch(item, None, str(i)) for i, item in enumerate(items(tree, self.bad)))

    def _branch(self, tree: Tree, name: Template | None, counted: str) -> Branch:
        if isinstance(tree, Scalar):
            return Branch(tree, name, counted, path=tree)
        if isinstance(tree, Seq):
            steps = self.body(tree)
            return Branch(tree, name, counted, steps, broken=len(steps) < len(tree.items))
        keywords = {k.text: v for k, v in entries(tree, self.bad) if k.text in BRANCH_KEYS}
        written = keywords.pop("do", None)
        steps = self.body(written)
        broken = isinstance(written, Seq) and len(steps) < len(written.items)
        return Branch(tree, name, counted, steps, keywords=keywords, broken=broken)


def _count(tree: Tree | None) -> int:
    """The parts that a group or join has as written; one for a group without any, which is a mistake."""
    if isinstance(tree, Map):
        return len(tree.entries)
    return len(tree.items) if isinstance(tree, Seq) else 1


def split_head(head: Scalar) -> tuple[Template | None, str, int]:
    """`name = op` as name, op and where the op begins; raises ExprError for a name that is no template."""
    name, op, start = split_name(head.text)
    return None if name is None else parse_template(name, head.at), op, start


def split_name(text: str) -> tuple[str | None, str, int]:
    """`name = op` as name (None without `=`), op and where the op begins; a placeholder in the name may hold `=`."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "=" and depth == 0:
            op = text[i + 1:].strip()
            return text[:i].strip(), op, text.index(op, i + 1) if op else i
    return None, text.strip(), 0
