"""What can be said of names without elaborating: blocks that nothing calls, and things that nothing reads."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from netspec.diagnostics.errors import Reporter, Span, did_you_mean, nearest
from netspec.expressions.ast import free_names
from netspec.expressions.expression import Expr, Template, place_of
from netspec.ops import OPS, lookup
from netspec.syntax import names
from netspec.syntax.ast import Error, MapNode, Unevaluable, ValueNode, cut_in
from netspec.syntax.document import BlockDecl, Document, ParamDecl
from netspec.syntax.library import libraries_of
from netspec.syntax.meant import argument_help, op_help
from netspec.syntax.steps import Branch, NoAction, OpCall, Step


def check_names(doc: Document, reporter: Reporter) -> None:
    """Checks the names and expressions of the body and of every block of a file, without running a step."""
    # What elaboration has said already; it says a missing `use` once.
    said = [(d.message.split("'")[1], d.span) for d in reporter.diagnostics if d.code == "NS201" and "'" in d.message]
    missing = {libraries_of(name): [span] for name, span in said if span is not None}
    for decl in doc.blocks.values():
        look = _Look(doc, decl.params, decl.open, reporter, missing)
        known = _known([*(p.name for p in decl.params), *(let.at.text for let in decl.lets)])
        for node in names.declared_values(decl):
            look.expressions(node, known)
        look.steps(decl.body, known)
    look = _Look(doc, doc.params, bool(doc.open & {"params", "let"}), reporter, missing)
    look.steps(doc.body, _known(doc.values))


Known: TypeAlias = ChainMap[str, None]


def _known(declared: Iterable[str]) -> Known:
    return ChainMap(dict.fromkeys(declared))


def _with(known: Known, found: set[str]) -> Known:
    """The names with those of a loop; without any the same, so that a long body does not copy them at each step."""
    return known.new_child(dict.fromkeys(found)) if found else known


class _Look:
    """Looks for names that nothing declares; `open` says that declarations are missing, so that any may be one."""

    def __init__(
        self,
        home: Document,
        params: Iterable[ParamDecl],
        open: bool,
        reporter: Reporter,
        missing: dict[tuple[str, ...], list[Span]],
    ) -> None:
        self.home, self.open, self.reporter, self.missing = home, open, reporter, missing
        self.blocks = {p.name for p in params if p.type == "block" or p.failed or p.default is not None}
        self.said: set[str] = set()

    def steps(self, steps: Iterable[Step], known: Known) -> None:
        for step in steps:
            if step.failed and step.loop is not None:
                continue  # perhaps the names of its loop cannot be read
            inner = self.control(step, known, self.action(step))
            self.steps(step.inner, inner)
            for branch in step.branches:
                if not branch.failed:
                    self.steps(branch.steps, self.control(branch, inner, None))

    def action(self, step: Step) -> OpCall | NoAction | None:
        """What has arguments to look at: a call of an op or block that is known; an unknown one is reported."""
        action = step.action
        if isinstance(action, NoAction):
            return action
        if isinstance(action, OpCall) and (action.op in self.blocks or step.failed or self.call(step, action)):
            return action
        return None

    def control(self, element: Step | Branch, known: Known, action: OpCall | NoAction | None) -> Known:
        """Looks at all of a step or branch but the steps in it; gives the names that these know."""
        inner = _with(known, names.loop_names(element))
        # What fills placeholders of names and paths is evaluated before the rest, and unknown names are said there.
        paths = names.paths_of(element) if isinstance(element, Step) else names.paths_in(element.source)
        titles = [element.title] if isinstance(element, Step) and isinstance(element.title, Template) else []
        for template in (element.template, *titles, *(path.template for path in paths)):
            self.said |= template.names if template is not None else frozenset()
        if action is not None:
            self.arguments(action, inner)
        for node in names.control_of(element):
            self.expressions(node, inner)
        return inner

    def call(self, step: Step, action: OpCall) -> bool:
        """The op of a step, and the names of its arguments; whether the op is known."""
        op, args = action.op, action.args
        target = self.home.callable(op) or lookup(op)
        if target is None and not self.home.open & {"use", "blocks"} and not self.open:
            known = [*OPS, *self.home.blocks, *self.home.used, *self.blocks]
            message = f"there is no op or block '{op}'"
            libraries = libraries_of(op)
            places = self.missing.setdefault(libraries, []) if libraries else []
            places.append(step.span)
            if places[0] == step.span:
                self.reporter.error("NS201", message, step.span, op_help(op, known, places))
        elif isinstance(target, BlockDecl) and isinstance(args, MapNode) and not target.failed and not cut_in(args):
            declared = [p.name for p in target.params]
            for key, _ in args.entries:
                if key.text not in declared:
                    message = f"'{op}' has no parameter '{key.text}'"
                    self.reporter.error("NS206", message, key.span, argument_help(key.text, declared, op))
        return target is not None

    def arguments(self, action: OpCall | NoAction, known: Known) -> None:
        """The expressions in the arguments of a step; the variant of a network and where it ends are none."""
        args = action.args
        if isinstance(args, MapNode) and isinstance(self.home.callable(action.op), Document):
            for key, value in args.entries:
                if key.text not in ("variant", "until"):
                    self.expressions(value, known)
        elif cut_in(args) is None:
            self.expressions(args, known)

    def expressions(self, node: ValueNode | None, known: Known) -> None:
        """Looks in every expression of a value for names that nothing declares."""
        for found in names.computed_in(node):
            if isinstance(found, Unevaluable):
                self.reporter.error(found.code, found.message, found.at, found.help)
            elif not self.open:
                self.unknown(found.expr, known)

    def unknown(self, expr: Expr, known: Known) -> None:
        """Reports the first name of an expression that nothing declares; elaboration stops at the first one too."""
        found = [name for name in free_names(expr.tree) if name not in known]
        if found:
            at, name = min(((place_of(expr, n), n) for n in found), key=lambda item: item[0][1:3])
            if name not in self.said:
                self.reporter.error("NS202", f"there is no value '{name}'", at, did_you_mean(name, list(known)))
            self.said.add(name)


MAX_UNKNOWN = 20


def warn_unused(doc: Document, reporter: Reporter) -> None:
    """Warns of params, `let` values and blocks of a file that nothing reads, but not of what an unknown name means."""
    unread = list(_unread(doc))
    unknown = [d.message.split("'")[1] for d in reporter.diagnostics if d.code in ("NS201", "NS202")]
    wrong = [d.span.source.line(d.span.line) for d in reporter.diagnostics if d.severity == "error" and d.span]
    few = len(unread) * (len(unknown) + len(wrong)) <= MAX_UNKNOWN**2
    for name, message, span, help in unread if few else ():
        if nearest(name, unknown) is None and not any(re.search(rf"\b{re.escape(name)}\b", line) for line in wrong):
            reporter.warning("NS209", message, span, help)


def _unread(doc: Document) -> Iterator[tuple[str, str, Span, str]]:
    """What can be read and nothing reads: its name, the message, the place, and the help."""
    if "body" in doc.open:
        return  # it may read anything
    reads, words = names.read_names(doc)
    passed = _passed(doc)
    for decl in (*doc.params, *(p for name, b in doc.blocks.items() if name not in passed for p in b.params)):
        if not decl.failed and decl.name not in reads and decl.name not in words:
            help_ = "read it, or delete it with what gives it a value"
            yield decl.name, f"nothing reads the parameter '{decl.name}'", decl.at.span, help_
    for let in (*doc.lets, *(let for b in doc.blocks.values() for let in b.lets)):
        if (name := let.at.text) not in reads and not isinstance(let.value, Error):
            yield name, f"nothing reads '{name}'", let.at.span, "read it, or delete it"
    for name, block in doc.blocks.items():
        if not doc.is_library and not block.failed and name not in words:
            yield name, f"nothing calls the block '{name}'", block.at.span, "call it, or delete it"


def _passed(doc: Document) -> set[str]:
    """The blocks that are values somewhere: their callers decide which parameters they must have."""
    given = [*names.declared_values(doc)]
    for block in doc.blocks.values():
        given += names.declared_values(block)
    given += [node for variant in doc.variants.values() for _, node in variant.settings.values()]
    given += names.unread_in(doc)
    for step in names.bodies(doc):
        given += filter(None, (names.arguments_in(step), *names.iterated(step)))
    return {word for node in given for word in names.words_in(node)} & set(doc.blocks)
