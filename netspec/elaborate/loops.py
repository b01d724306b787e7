"""Loops: `repeat` and `for` one round after the other, `each` side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from netspec.elaborate.arguments import expression, literal
from netspec.elaborate.budget import WORK_OF_ITERATION
from netspec.elaborate.state import Context, Loop, Run, Where, join
from netspec.elaborate.symbols import ERROR, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import AMBIGUOUS, Env, SemanticError
from netspec.expressions.expression import Template
from netspec.syntax.step_reader import Branch, Step
from netspec.syntax.tree import Map, Scalar, Seq, Tree


def sequence(run: Run, step: Step, ctx: Context, running: Tensors) -> Tensors:
    """`for` outside, `repeat` inside: every round takes what the one before gave."""
    env = Env(run, ctx.frame, ctx.values, ctx.names, running)
    table = step.keywords.get("for")
    rows: list[dict[str, Any]] = list(for_rows(env, table, step, ctx)) if table is not None else [{}]
    if not rows and "from" in step.keywords:
        raise SemanticError("NS307", "a loop without iterations cannot stand next to `from`", step.span)
    maker = _Rounds(run, step, ctx, loop_names=set(rows[0]) if rows else set())
    errors = run.reporter.errors
    for index, row in enumerate(rows):
        outer = maker.enter(ctx.having(**row), index if table is not None else None, row)
        running = _repeat(run, step, outer, maker, running)
        if run.reporter.errors > errors or running.state == "error":
            lose(ctx.names, step.name)
            return ERROR
        if maker.stops_at(maker.row_path):
            break
    maker.finish(running)
    return running


def _repeat(run: Run, step: Step, ctx: Context, maker: _Rounds, running: Tensors) -> Tensors:
    """The rounds of `repeat` in one round of `for`; without `repeat` a single one."""

    if "repeat" not in step.keywords:
        return maker.round(ctx, None, running)
    env = Env(run, ctx.frame, ctx.values, ctx.names, running)
    count = count_of(env, step.keywords["repeat"], "repeat")
    if step.broken:
        count = min(count, 1)
    run.reserve(count, step, ctx, step.keywords["repeat"].span)
    if count == 0 and "from" in step.keywords:
        raise SemanticError(
            "NS307",
            "`repeat: 0` next to `from`",
            step.keywords["repeat"].span,
            "without an iteration there is nothing for `from` to feed",
        )
    index = AMBIGUOUS if ctx.counting else None
    errors = run.reporter.errors
    for i in range(count):
        inner = replace(ctx.having(i=i if index is None else index), counting=True)
        running = maker.round(inner, i, running)
        if run.reporter.errors > errors or running.state == "error":
            lose(ctx.names, step.name)
            return ERROR
        if maker.stops_at(maker.path):
            break
    return running


def lose(names: SymbolTable, template: Template | None) -> None:
    """After an error the names that a step would have made are known, so that their readers say nothing more."""
    if template is not None and not template.is_plain:
        names.lost[template.pattern] = None


class _Rounds:
    """Makes the rounds of one step and gives them their names: `name.row.round`."""

    def __init__(self, run: Run, step: Step, ctx: Context, loop_names: set[str]) -> None:
        self.run, self.step, self.ctx = run, step, ctx
        used = step.name.names if step.name is not None else frozenset()
        self.row_in_name = bool(used & loop_names)
        self.round_in_name = "i" in used and "repeat" in step.keywords
        self.row: int | None = None
        self.first: dict[str, str] = {}
        self.fed = False
        self.last: Symbol | None = None
        self.row_path = self.path = ""
        self.values: Mapping[str, Any] = {}

    def stops_at(self, path: str) -> bool:
        """Whether a network used `until` a step ends here: at the path of a row or round that is made, or inside it."""
        frame = self.ctx.frame
        if frame.until is not None and path == join(frame.prefix, frame.until):
            frame.stopped = True
        return frame.stopped

    def enter(self, ctx: Context, row: int | None, values: Mapping[str, Any]) -> Context:
        """Begins a row of `for`."""
        self.row, self.values = row, values
        return ctx

    def round(self, ctx: Context, index: int | None, running: Tensors) -> Tensors:
        """One round; its path has the row and the index unless the name says them."""
        from netspec.elaborate.bindings import name_of
        from netspec.elaborate.steps import once

        self.run.tick(WORK_OF_ITERATION)
        env = Env(self.run, ctx.frame, ctx.values, ctx.names, running)
        name = name_of(env, self.step)
        if index is None and isinstance(ctx.values.get("i"), type(AMBIGUOUS)):
            raise SemanticError("NS202", "'i' is the index of two loops here", self.step.span)
        where = self.ctx.where.child(name)
        loops, segments = list(ctx.loops), []
        for number, in_name, kind in ((self.row, self.row_in_name, "row"), (index, self.round_in_name, "round")):
            if number is None:
                continue
            outer = where.weights
            if in_name:
                loops.append(Loop(where.weights, self.first.setdefault(kind, where.weights)))
            else:
                segments.append(str(number))
                self._container(where, ctx)
                where = where.child(str(number))
                loops.append(Loop(where.weights, outer))
            if kind == "row":
                self.row_path = where.path
        self.path = where.path
        feed, self.fed = not self.fed, True
        inner = replace(ctx, loops=tuple(loops))
        values = {**self.values, "i": ctx.values["i"]} if index is not None else self.values
        with self.run.iteration(ctx.frame, where.path, values, feed):
            value, children = once(self.run, self.step, inner, running, where, feed, looped=bool(segments))
        self._define(name, segments, value, children)
        return value

    def _container(self, where: Where, ctx: Context) -> None:
        """The scope that holds the rounds."""
        if where.path not in self.run.scopes:
            self.run.scope(where, "group", ctx.frame, self.step.span, doc=self.step.doc)

    def _define(self, name: str, segments: list[str], value: Tensors, children: SymbolTable | None) -> None:
        """The name means the last round's value; its rounds are reached by their numbers."""
        from netspec.elaborate.bindings import define

        if not segments:
            define(self.run, self.ctx, name, self.step, value, children)
            return
        symbol = self.ctx.names.entries.get(name)
        if symbol is None or symbol is not self.last:
            symbol = self.last = define(self.run, self.ctx, name, self.step, value, SymbolTable())
        symbol.value = value
        path = symbol.path
        for depth, segment in enumerate(segments):
            path = join(path, segment)
            assert symbol.children is not None
            inner = children if depth == len(segments) - 1 else SymbolTable()
            symbol = symbol.children.entries.setdefault(segment, Symbol(value, path, self.step.span, False, inner))
            symbol.value = value

    def finish(self, running: Tensors) -> None:
        """A loop without rounds is the identity, which its name then means."""
        from netspec.elaborate.bindings import define

        if self.fed:
            return
        name = self.step.name
        if name is None or name.is_plain:
            define(self.run, self.ctx, self.step.counted if name is None else name.fill(None), self.step, running, None)


def for_rows(env: Env, tree: Tree, step: Step | Branch, ctx: Context) -> Iterator[dict[str, Any]]:
    """The rows of `pattern: iterable` as values by name; raises SemanticError."""
    if not isinstance(tree, Map) or len(tree.entries) != 1:
        raise SemanticError("NS110", "`for` has one symbol, `names: iterable`", tree.span, "`for: {k: 5}`")
    ((key, iterable),) = tree.entries
    names = [n.strip() for n in key.text.split(",")]
    taken = [n for n in names if n in env.values and env.values[n] is not ERROR]
    if taken:
        raise SemanticError("NS204", f"'{taken[0]}' is the name of a value already", key.span, "choose another name")
    count = 0
    for row, at in _iterate(env, iterable, step, ctx):
        count += 1
        if step.broken and count > 1:
            break
        env.run.tick(2)
        if len(names) == 1:
            yield {names[0]: row}
        elif isinstance(row, list) and len(row) == len(names):
            yield dict(zip(names, row, strict=True))
        else:
            got = f"{len(row)} values" if isinstance(row, list) else "one value"
            raise SemanticError("NS302", f"this row has {got}, the names are {len(names)}: {', '.join(names)}", at)


def _iterate(env: Env, tree: Tree, step: Step | Branch, ctx: Context) -> Iterator[tuple[Any, Any]]:
    """Rows with their places: a YAML list is data, a scalar is an expression that counts or lists."""
    if isinstance(tree, Seq):
        if not step.broken:
            env.run.reserve(len(tree.items), step, ctx, tree.span)
        for item in tree.items:
            yield literal(env, item), item.span
        return
    value = expression(env, tree) if isinstance(tree, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise SemanticError("NS307", f"a count cannot be {value}", tree.span)
        value = range(value)
    elif not isinstance(value, list):
        raise SemanticError("NS302", "`for` goes over a count or a list", tree.span)
    if not step.broken:
        env.run.reserve(len(value), step, ctx, tree.span)
    for row in value:
        yield row, tree.span


def _each_rows(env: Env, ctx: Context, step: Step | Branch) -> tuple[list[dict[str, Any]], bool]:
    """The rounds of `each`, and whether they are counted by `i`."""

    tree = step.keywords["each"]
    if isinstance(tree, Map):
        rows = list(for_rows(env, tree, step, ctx))
    else:
        count = count_of(env, tree, "each")
        count = min(count, 1) if step.broken else count
        env.run.reserve(count, step, ctx, tree.span)
        rows = [{"i": AMBIGUOUS if ctx.counting else i} for i in range(count)]
    if not rows:
        raise SemanticError("NS307", "`each` expects an iteration", tree.span)
    return rows, not isinstance(tree, Map)


def each(run: Run, step: Step, ctx: Context, running: Tensors) -> Tensors:
    """Rounds side by side: each starts from the same value or its own `from`; gives all their values."""
    from netspec.elaborate.bindings import define, name_of
    from netspec.elaborate.steps import once

    env = Env(run, ctx.frame, ctx.values, ctx.names, running)
    rows, counted = _each_rows(env, ctx, step)
    in_name = step.name is not None and bool(step.name.names & set(rows[0]))
    values, rounds, first = [], SymbolTable(), ""
    errors = run.reporter.errors
    for index, row in enumerate(rows):
        run.tick(WORK_OF_ITERATION)
        inner = replace(ctx.having(**row), counting=ctx.counting or counted)
        name = name_of(Env(run, ctx.frame, inner.values, ctx.names, running), step)
        where = base = ctx.where.child(name)
        first = first or base.weights
        if not in_name:
            if index == 0:
                run.scope(where, "group", ctx.frame, step.span, doc=step.doc)
            where = where.child(str(index))
        loop = Loop(where.weights, base.weights if not in_name else first)
        inner = replace(inner, loops=(*ctx.loops, loop))
        with run.iteration(ctx.frame, where.path, row, index == 0):
            value, children = once(run, step, inner, running, where, looped=not in_name)
        if run.reporter.errors > errors or value.state == "error":
            lose(ctx.names, step.name)
            value = ERROR
        values.append(value)
        if in_name:
            define(run, ctx, name, step, value, children)
        else:
            rounds.entries[str(index)] = Symbol(value, where.path, step.span, False, children)
        if value is ERROR:
            break
    whole = _all_of(values)
    if not in_name:
        define(run, ctx, name, step, whole, rounds)
    if whole.ok:
        run.offered.append((whole, step.span, ctx.frame, ""))
    return whole


def _all_of(values: list[Tensors]) -> Tensors:
    """The values of all rounds, in order."""
    if any(v.state for v in values):
        return ERROR
    refs = tuple(ref for v in values for ref in v.refs)
    return Tensors(refs, tuple(map(str, range(len(refs))))) if len(refs) > 1 else Tensors(refs)


def rounds_of_each(
    run: Run, branch: Branch, ctx: Context, around: SymbolTable, found: SymbolTable, running: Tensors
) -> list[tuple[str, Tensors]]:
    """`each` on a branch makes as many branches, with weights of their own."""
    from netspec.elaborate.bindings import define, name_of_branch
    from netspec.elaborate.joins import branch_once

    env = Env(run, ctx.frame, ctx.values, around, running)
    rows, counted = _each_rows(env, ctx, branch)
    in_name = branch.name is not None and bool(branch.name.names & set(rows[0]))
    operands, rounds = [], SymbolTable()
    errors = run.reporter.errors
    for index, row in enumerate(rows):
        run.tick(WORK_OF_ITERATION)
        inner = replace(ctx.having(**row), counting=ctx.counting or counted)
        name = name_of_branch(Env(run, ctx.frame, inner.values, around, running), branch)
        where = ctx.where.child(name)
        base = where.weights
        if not in_name:
            if index == 0 and branch.steps:
                run.scope(where, "group", ctx.frame, branch.at.span)
            where = where.child(str(index))
        inner = replace(inner, loops=(*ctx.loops, Loop(where.weights, base)))
        with run.iteration(ctx.frame, where.path, row, index == 0):
            value, children = branch_once(run, branch, inner, around, where, running)
        if run.reporter.errors > errors or value.state == "error":
            lose(found, branch.name)
            value = ERROR
        operands.append((where.path.rpartition(".")[2] if in_name else f"{name}.{index}", value))
        if in_name:
            define(run, ctx, name, branch, value, children, found)
        else:
            rounds.entries[str(index)] = Symbol(value, where.path, branch.at.span, False, children)
        if value is ERROR:
            break
    if not in_name:
        define(run, ctx, name, branch, _all_of([v for _, v in operands]), rounds, found)
    return operands


def count_of(env: Env, tree: Tree, what: str) -> int:
    """A count of rounds; raises SemanticError."""
    value = expression(env, tree) if isinstance(tree, Scalar) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise SemanticError(
            "NS302",
            f"'{what}' expects a count",
            tree.span,
            "an integer; `//` divides integers" if isinstance(value, float) else "an integer",
        )
    if value < 0:
        raise SemanticError("NS307", f"'{what}' cannot be {value}", tree.span, "a count is 0 or more")
    return value
