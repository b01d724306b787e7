"""Reads steps: the located tree of a body becomes steps, branches and loops; reports what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Span
from netspec.expressions.expression import Template, parse_template
from netspec.expressions.identifiers import Kind, clipped, why_no_title, why_not, why_not_around
from netspec.ops import OPS, lookup
from netspec.syntax import ast, values
from netspec.syntax.ast import Each, Error, For, ListNode, Repeat, Rows, ShareLoop, ShareWith
from netspec.syntax.common_mistakes import name_help, op_text_help, second_op_help
from netspec.syntax.keywords import GROUPS, IS_OP, JOINS, KEYWORDS, MISPLACED, Head, arguments_of, split_name
from netspec.syntax.library import libraries_of
from netspec.syntax.meant import argument_help, meant_argument
from netspec.syntax.steps import Action, Branch, Group, Join, NoAction, OpCall, Siblings, Step, Tee
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.validate import head_of

T = TypeVar("T")
Keys = Mapping[str, tuple[Scalar, Tree]]
Counts = dict[str, int]
"""How many steps of each op have no name so far."""
JOIN_ATTRIBUTES = [param.name for join in JOINS for param in OPS[join].params]
JOINED = "a join has branches: a list of steps each, or the name of a value"


class StepReader:
    """Reads the steps of one file; `refused` are the nodes that were not accepted."""

    def __init__(self, refused: set[Tree], blocks: Collection[str], reporter: Reporter) -> None:
        self.refused, self.blocks, self.reporter = refused, blocks, reporter

    def body(self, tree: Tree | None, counts: Counts | None = None) -> tuple[Step, ...]:
        """A list of steps; unnamed ones are counted through the list, `else` included."""
        counts = {} if counts is None else counts
        return tuple(self.step(item, counts) for item in values.items(tree))

    def step(self, tree: Tree, counts: Counts) -> Step:
        """One step."""
        if tree in self.refused or isinstance(tree, Seq):
            return _unread(tree)
        if isinstance(tree, Scalar):
            return self._bare(tree, counts)
        heads = [(key, value) for key, value in tree.entries if key.text not in KEYWORDS]
        if len(heads) != 1:
            self._not_one_op(tree, heads)
            return _unread(tree)
        ((key, args),) = heads
        split, name, ok = self._head(key)
        keys = {k.text: (k, v) for k, v in tree.entries if k.text in KEYWORDS}
        self._misplaced_keywords(split.op, keys)
        action = (
            self._action(key, split.op, args)
            if ok
            else NoAction(split.op, values.value(args), written=values.literal(key))
        )
        return Step(
            action=action,
            name=name,
            counted=_counted(split.name, split.op, counts),
            span=key.at(split.start, len(key.text)),
            head=key.span,
            source=self._part(keys, "from", values.source),
            when=self._part(keys, "when", lambda tree: values.condition(tree, "when")),
            only_if=self._part(keys, "only_if", lambda tree: values.condition(tree, "only_if")),
            loop=self._loop(keys),
            share=self._part(keys, "share", _share),
            orelse=self._orelse(keys, counts),
            doc=values.text(keys["doc"][1]) if "doc" in keys and keys["doc"][1] not in self.refused else "",
            title=self._part(keys, "title", self._title),
        )

    def _bare(self, tree: Scalar, counts: Counts) -> Step:
        """A step that is a string."""
        split, name, ok = self._head(tree)
        if ok and split.op in GROUPS:
            self.reporter.error("NS110", f"'{split.op}' has no steps", tree.span, f"`{split.op}: [relu, ...]`")
            ok = False
        if not ok:
            action: Action = NoAction(split.op, written=values.literal(tree))
        else:
            action = Join(split.op, (), False) if split.op in JOINS else OpCall(split.op, None)
        counted = _counted(split.name, split.op, counts)
        span = tree.at(split.start, len(tree.text))
        return Step(action=action, name=name, counted=counted, span=span, head=tree.span)

    def _head(self, key: Scalar) -> tuple[Head, Template | Error | None, bool]:
        """`name = op`, the name, and whether the op can be one."""
        split = split_name(key.text)
        name, op = split.name, split.op
        if re.fullmatch(r"(?:\w+\s*=\s*)?[\w.]+\(.*\)", key.text):  # a call, whose `=` gives an argument
            name, op = None, key.text.rpartition("= ")[2] if "(" not in key.text.partition("= ")[0] else key.text
        read: Template | Error | None = None
        if name is not None:
            read = self._template(name, Kind.STEP, key, key.at(0, max(1, len(name))))
        elif key.text.count("{") != key.text.count("}"):  # a placeholder that is never closed hides the `=`
            read = self._template(key.text, Kind.STEP, key, key.span)
            read = read if isinstance(read, Error) else None
        if isinstance(read, Error) or IS_OP.match(op):
            return split, read, True
        if op not in self.blocks:  # else its name is refused where it is declared
            help_ = op_text_help(key.text, op, set(self.blocks), self._is_op)
            self.reporter.error("NS110", f"'{clipped(op)}' is not the name of an op", key.span, help_)
        return split, read, False

    def _is_op(self, name: str) -> bool:
        """Whether a step may be called so."""
        return name in GROUPS or name in self.blocks or lookup(name) is not None or bool(libraries_of(name))

    def _template(self, text: str, kind: Kind, node: Scalar, span: Span) -> Template | Error:
        """A name of a step or branch that may have placeholders; what fills them is checked when it is known."""
        try:
            template = parse_template(text, node.at)
        except SemanticError as e:
            self.reporter.error(e.code, e.message, e.span or span, e.help)
            return Error(node.span, values.literal(node))
        # Placeholders count as digits: what is around them must be part of a name.
        why = why_not(text, kind) if template.is_plain else why_not_around(template.written("0"), kind)
        if why:
            message = f"'{clipped(text)}' cannot be the name of {kind.value}: {why}"
            self.reporter.error("NS205", message, span, name_help(text, kind))
            return Error(node.span, values.literal(node))
        return template

    def _title(self, tree: Tree) -> Template | Error:
        """What a paper calls a step, which may have placeholders."""
        assert isinstance(tree, Scalar)
        try:
            template = parse_template(tree.text, tree.at)
        except SemanticError as e:
            self.reporter.error(e.code, e.message, e.span or tree.span, e.help)
            return Error(tree.span, values.literal(tree))
        if why := why_no_title(template.written("0")):
            self.reporter.error("NS205", f"'{clipped(tree.text)}' cannot be a title: {why}", tree.span)
            return Error(tree.span, values.literal(tree))
        return template

    def _not_one_op(self, tree: Map, heads: list[tuple[Scalar, Tree]]) -> None:
        if len(heads) < 2:
            help_: str | Hint = "`op: arguments` next to them"
            self.reporter.error("NS110", "this step has keywords and no op", head_of(tree.span), help_)
            return
        second = heads[1][0]
        help_ = second_op_help(heads[0][0], second)
        self.reporter.error("NS111", f"there is no keyword '{clipped(second.text)}'", second.span, help_)

    def _misplaced_keywords(self, op: str, keys: Keys) -> None:
        for rule in MISPLACED:
            if rule.holds(op, keys):
                self._misplaced(*keys[rule.keyword], rule.help)

    def _misplaced(self, key: Scalar, value: Tree, help: str) -> None:
        """A keyword in a place where it has no meaning."""
        self.reporter.error("NS113", f"'{key.text}' has no meaning here", key.span, help)
        self.refused |= {key, value}

    def _wrong(self, *nodes: Tree) -> bool:
        return not self.refused.isdisjoint(nodes)

    def _part(self, keys: Keys, word: str, read: Callable[[Tree], T]) -> T | Error | None:
        """The value of a keyword."""
        if word not in keys:
            return None
        key, value = keys[word]
        return _error(value) if self._wrong(key, value) else read(value)

    def _orelse(self, keys: Keys, counts: Counts) -> tuple[Step, ...] | Error:
        """The steps of `else`, which are counted with those around them."""
        if "else" not in keys:
            return ()
        key, value = keys["else"]
        wrong = self._wrong(key, value)
        steps = self.body(value, {} if wrong else counts)
        return _error(value) if wrong else steps

    def _action(self, key: Scalar, op: str, args: Tree) -> Action:
        """The op of a step with its arguments, steps or branches."""
        refused = self._wrong(args)
        if op in GROUPS:
            steps = self.body(args)
            if refused:
                return NoAction(op, written=values.value(args))
            return Group(steps) if op == "do" else Tee(steps)
        nothing = isinstance(args, Scalar) and args.value is None
        if refused:
            return NoAction(op, written=values.value(args))
        if op in JOINS:
            return Join(op, (), False) if nothing else self._join(key, op, args)
        return OpCall(op, None if nothing else values.value(args))

    def _loop(self, keys: Keys) -> ast.Loop | Error | None:
        """The loops of a step or branch."""
        words = [word for word in ("each", "for", "repeat") if word in keys]
        for key, value in (keys[word] for word in words):
            inside = values.entries(value)
            if self._wrong(key, value, *(node for entry in inside for node in entry)):
                return _error(value, *(keys[word][1] for word in words))
        if not words:
            return None
        if "each" in keys:
            return self._each(keys["each"][1])
        repeat = Repeat(_count(keys["repeat"][1], "repeat")) if "repeat" in keys else None
        return For(_rows(keys["for"][1]), repeat) if "for" in keys else repeat

    def _each(self, tree: Tree) -> Each:
        return Each(_rows(tree) if isinstance(tree, Map) else _count(tree, "each"))

    def _join(self, key: Scalar, op: str, args: Tree) -> Join:
        """The branches of a join: a mapping of names, or a list that is counted."""
        branches: list[Branch] = []
        misplaced: list[Tree] = []
        attributes: list[tuple[ast.Name, ast.ValueNode]] = []
        known = arguments_of(op).keys
        for name, value in values.entries(args):
            if name.text in known:
                attributes.append((values.name(name), values.value(value)))
            elif self._not_an_attribute(op, name, value, [*known]):
                misplaced += [name, value]
            elif name.text in KEYWORDS:
                help_ = f"branches stand two columns further, `{name.text}: ...` at the column of `{key.text}`"
                self._misplaced(name, value, help_)
                misplaced += [name, value]
            else:
                branches.append(self._branch(value, self._template(name.text, Kind.BRANCH, name, name.span), ""))
        branches += [self._branch(item, None, str(i)) for i, item in enumerate(values.items(args))]
        found = tuple(branches)
        siblings = Siblings(found)
        for branch in found:
            branch.siblings = siblings
        given = ast.MapNode(tuple(attributes), args.span) if attributes else None
        return Join(op, found, isinstance(args, Map), _error(*misplaced) if misplaced else None, given)

    def _not_an_attribute(self, op: str, name: Scalar, value: Tree, known: list[str]) -> bool:
        """Reports `add: {drop_paths: 0.1}`: an expression is no branch, and a number is none under such a name."""
        if not isinstance(value, Scalar):
            return False
        number = isinstance(value.value, (int, float)) and meant_argument(name.text, JOIN_ATTRIBUTES) is not None
        if not number and not value.text.startswith("="):
            return False
        others = [join for join in JOINS if name.text in arguments_of(join).keys]
        help_ = f"`{others[0]}` has it" if others else argument_help(name.text, known, op, JOINED)
        self.reporter.error("NS206", f"'{op}' has no parameter '{clipped(name.text)}'", name.span, help_)
        self.refused |= {name, value}
        return True

    def _branch(self, tree: Tree, name: Template | Error | None, counted: str) -> Branch:
        """One branch: a path, a list of steps, or {do, from, each, only_if}."""
        failed = isinstance(name, Error) or self._wrong(tree)
        written = values.value(tree) if failed else None
        if isinstance(tree, Scalar):
            path = values.path(tree)
            return Branch(span=tree.span, name=name, counted=counted, path=path, failed=failed, written=written)
        if failed or isinstance(tree, Seq):
            steps = () if failed else self.body(tree)
            return Branch(span=tree.span, name=name, counted=counted, steps=steps, failed=failed, written=written)
        keys = {key.text: (key, value) for key, value in tree.entries}
        loop = self._loop({"each": keys["each"]} if "each" in keys else {})
        steps = self.body(keys["do"][1]) if "do" in keys else ()
        source = self._part(keys, "from", values.source)
        only_if = self._part(keys, "only_if", lambda tree: values.condition(tree, "only_if"))
        wrong = any(self._wrong(key, value) for key, value in tree.entries)
        branch = Branch(span=tree.span, name=name, counted=counted, steps=steps)
        branch.failed = wrong or isinstance(loop, Error)
        if branch.failed:
            branch.written = values.value(tree)
        else:
            assert not isinstance(source, Error) and not isinstance(only_if, Error)
            assert loop is None or isinstance(loop, Each)
            branch.source, branch.only_if, branch.loop = source, only_if, loop
        return branch


def _unread(tree: Tree) -> Step:
    """A step that cannot be read: it may make any name, and read any in it."""
    return Step(action=NoAction(written=values.value(tree)), span=tree.span, head=tree.span)


def _error(tree: Tree, *more: Tree) -> Error:
    """What cannot be read, with all that is written there."""
    return Error(tree.span, ListNode(tuple(map(values.value, (tree, *more))), tree.span))


def _counted(name: str | None, op: str, counts: Counts) -> str:
    """The name of a step that has none written: that of its op, with a number from the second on."""
    if name is not None or not IS_OP.match(op):
        return ""
    counts[op] = counts.get(op, 0) + 1
    return op if counts[op] == 1 else f"{op}_{counts[op]}"


def _count(tree: Tree, what: str) -> ast.Computed:
    return values.computed(tree, "NS302", f"'{what}' expects a count", "an integer")


def _rows(tree: Tree) -> Rows:
    """`names: iterable`: a YAML list is data, a scalar is an expression that counts or lists."""
    ((key, over),) = values.entries(tree)
    variables = tuple(name.strip() for name in key.text.split(","))
    if isinstance(over, Seq):
        read: ListNode | ast.Computed = ListNode(tuple(map(values.value, over.items)), over.span)
    else:
        read = values.computed(over, "NS302", "`for` goes over a count or a list")
    return Rows(variables, key.span, read, tree.span)


def _share(tree: Tree) -> ShareLoop | ShareWith:
    """`true`, a path, or {of: path, own: [names]}."""
    if isinstance(tree, Scalar) and tree.value is True:
        return ShareLoop(tree.span)
    parts = {key.text: value for key, value in values.entries(tree)}
    of = parts.get("of", tree)
    own = tuple(values.path(item) for item in values.items(parts.get("own")) if isinstance(item, Scalar))
    path: ast.Path
    if isinstance(of, Scalar):
        path = values.path(of)
    else:
        message = "`share` is true, a path, or {of: path, own: [names]}"
        path = ast.Unevaluable("", of.span, "NS405", message, of.span)
    return ShareWith(path, own, tree.span)
