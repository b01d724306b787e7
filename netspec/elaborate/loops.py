"""Loops: `for`, `repeat` and `each` are generators of iterations, which one driver runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from netspec.diagnostics.errors import SemanticError, Span
from netspec.elaborate.bindings import define, name_of, title_of
from netspec.elaborate.budget import WORK_OF_ITERATION, OverBudget
from netspec.elaborate.context import Context
from netspec.elaborate.graph_builder import Offer
from netspec.elaborate.literals import expression, literal
from netspec.elaborate.places import LoopWeights, Site, Title, Where, join
from netspec.elaborate.symbols import AMBIGUOUS, ERROR, Operand, Result, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import Bound, Env
from netspec.expressions.expression import Template
from netspec.expressions.identifiers import Path
from netspec.expressions.values import Value
from netspec.syntax.ast import Computed, Each, For, ListNode, Repeat, Rows
from netspec.syntax.steps import Branch, Step

RunStep: TypeAlias = Callable[[Step, Context, Tensors, Where, bool, bool], Result]
RunBranch: TypeAlias = Callable[[Branch, Context, Tensors, Where], Result]
RunOnce: TypeAlias = Callable[[Context, Tensors, Where, bool, bool], Result]
"""Runs one iteration: what it sees, what enters it, its place, whether `from` applies, and whether it has a number."""


@dataclass(frozen=True, slots=True)
class Level:
    """One of the loops of a step, and which iteration of it runs."""

    word: str
    index: int
    named: bool
    """Whether the name of the step has a variable of this loop, so that its iterations differ by their names."""
    titled: bool = False
    """Whether its title has one, so that it is of an iteration and not of the whole."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration: its variables, and where it is in each loop, the outermost first."""

    variables: Mapping[str, Bound]
    levels: tuple[Level, ...]
    counting: bool = False
    """Whether it is counted by `i`."""
    last: bool = True
    """Whether an iteration of the outermost loop ends with it."""


def repeat_step(step: Step, ctx: Context, running: Tensors, once: RunStep) -> Tensors:
    """`for` outside, `repeat` inside: an iteration takes what the one before gave; no iteration is the identity."""
    loop = Loop(step, ctx, ctx.symbols, running, partial(once, step), chained=True)
    values = loop.run(chained_iterations(loop))
    if values:
        return values[-1][1]
    template = step.template
    if template is None or template.is_plain:
        define(ctx, step.counted if template is None else template.written(""), step, running, None)
    return running


def each_step(step: Step, ctx: Context, running: Tensors, once: RunStep) -> Tensors:
    """`each`: iterations side by side, from the same value or their own `from`; gives all their values."""
    loop = Loop(step, ctx, ctx.symbols, running, partial(once, step))
    whole = loop.finish(loop.run(parallel_iterations(loop)))
    if whole.ok:
        ctx.state.graph.offered.append(Offer(whole, step.span, ctx.frame, ""))
    return whole


def each_branch(branch: Branch, ctx: Context, found: SymbolTable, running: Tensors, once: RunBranch) -> list[Operand]:
    """`each` on a branch makes as many branches, with weights of their own."""
    loop = Loop(branch, ctx, found, running, lambda ctx, running, where, *_: once(branch, ctx, running, where))
    operands = loop.run(parallel_iterations(loop))
    loop.finish(operands)
    return operands


@dataclass(eq=False)
class Loop:
    """A step or branch that is made several times: runs its iterations, and gives them their names `name.0.0`."""

    element: Step | Branch
    ctx: Context
    symbols: SymbolTable
    """Where its names are defined."""
    running: Tensors
    """What enters the next iteration."""
    once: RunOnce
    chained: bool = False
    """Whether an iteration takes what the one before gave."""

    started: bool = field(default=False, init=False)
    first_weights: dict[str, Path] = field(default_factory=dict, init=False)
    """By loop, the prefix of the weights of its first iteration, where its iterations differ by their names."""
    name: str = field(default="", init=False)
    """That of the iteration that runs."""
    symbol: Symbol | None = field(default=None, init=False)
    """What has the iterations as its children, by their numbers."""

    @property
    def names(self) -> frozenset[str]:
        """The names that the name of the step reads."""
        return self.element.template.names if self.element.template is not None else frozenset()

    @property
    def title_names(self) -> frozenset[str]:
        """The names that its title reads."""
        title = self.element.title if isinstance(self.element, Step) else None
        return title.names if isinstance(title, Template) else frozenset()

    def run(self, iterations: Iterator[Iteration]) -> list[Operand]:
        """The values of the iterations, each by its name in the loop; the last is an error value after an error."""
        state, frame, around = self.ctx.state, self.ctx.frame, self.ctx.where.path
        made: list[Operand] = []
        errors = state.reporter.errors
        for iteration in iterations:
            state.tick(WORK_OF_ITERATION)
            value, paths = self._run(iteration)
            failed = state.reporter.errors > errors or value.state == "error"
            made.append((paths[-1][len(around) + 1 :] if around else paths[-1], ERROR if failed else value))
            if failed or (self.chained and any(map(frame.reach, paths if iteration.last else paths[-1:]))):
                break
            if self.chained:
                self.running = value
        return made

    def _run(self, iteration: Iteration) -> tuple[Tensors, list[Path]]:
        """Runs one iteration; gives its value, and its path at each level."""
        ctx = self.ctx
        values = {**ctx.values, **iteration.variables}
        self.name = name_of(Env(ctx.state, ctx.frame, values, ctx.symbols, self.running), self.element)
        where, loops = ctx.where.child(self.name), list(ctx.loops)
        title = self._title(values) if iteration.levels else None
        numbers, paths = [], []
        for depth, level in enumerate(iteration.levels):
            shared = where.weights
            if level.named:
                shared = self.first_weights.setdefault(level.word, shared)
            else:
                if title is not None and not any(later.titled for later in iteration.levels[depth:]):
                    where, title = replace(where, title=title), None
                self._open(where)
                numbers.append(str(level.index))
                where = where.child(numbers[-1])
            loops.append(LoopWeights(where.weights, shared))
            paths.append(where.path)
        where = replace(where, title=title) if title is not None else where
        first, self.started = not self.started, True
        with ctx.state.iteration(ctx.frame, where.path, iteration.variables, first):
            counting = ctx.counting or iteration.counting
            inner = Context(ctx.elaborator, ctx.frame, values, ctx.symbols, ctx.where, tuple(loops), counting)
            value, children = self.once(inner, self.running, where, first or not self.chained, bool(numbers))
        self._define(numbers, value, children)
        return value, paths

    def _title(self, values: Mapping[str, Bound]) -> Title | None:
        """What its paper calls this iteration, or all of them."""
        if not isinstance(self.element, Step) or self.element.title is None:
            return None
        return title_of(Env(self.ctx.state, self.ctx.frame, values, self.ctx.symbols, self.running), self.element)

    def _open(self, where: Where) -> None:
        """The scope that holds iterations by their numbers."""
        opened = where.path in self.ctx.state.graph.scopes if self.chained else self.started
        if opened or (isinstance(self.element, Branch) and not self.element.steps):
            return
        doc = self.element.doc if isinstance(self.element, Step) else ""
        self.ctx.state.graph.scope(Site(where, self.ctx.frame, self.element.span, doc), "group")

    def _define(self, numbers: Sequence[str], value: Tensors, children: SymbolTable | None) -> None:
        """Defines an iteration, by its name, or by its numbers inside the symbol of the whole loop."""
        if not numbers:
            define(self.ctx, self.name, self.element, value, children, self.symbols)
            return
        if self.symbol is None or (self.chained and self.symbols.entries.get(self.name) is not self.symbol):
            if self.chained:  # its name means the value of the last iteration
                self.symbol = define(self.ctx, self.name, self.element, value, SymbolTable(), self.symbols)
            else:
                self.symbol = Symbol(value, self.ctx.where.child(self.name).path, None, False, SymbolTable())
        symbol = self.symbol
        symbol.value = value
        for depth, number in enumerate(numbers):
            assert symbol.children is not None
            inside = children if depth == len(numbers) - 1 else SymbolTable()
            new = Symbol(value, join(symbol.path, number), self.element.span, False, inside)
            symbol = symbol.children.entries.setdefault(number, new)
            symbol.value = value

    def finish(self, made: Sequence[Operand]) -> Tensors:
        """The values of all iterations side by side, in order, which the name of the loop then means."""
        refs = tuple(ref for _, value in made for ref in value.refs)
        whole = Tensors(refs, tuple(map(str, range(len(refs))))) if len(refs) > 1 else Tensors(refs)
        if any(value.state for _, value in made):
            whole = ERROR
        if self.symbol is not None:
            define(self.ctx, self.name, self.element, whole, self.symbol.children, self.symbols)
        return whole


def chained_iterations(loop: Loop) -> Iterator[Iteration]:
    """The iterations of `for`, and in each of them those of `repeat`; raises SemanticError."""
    written, ctx = loop.element.loop, loop.ctx
    table = written.rows if isinstance(written, For) else None
    repeat = written if isinstance(written, Repeat) else written.repeat if isinstance(written, For) else None
    rows: list[dict[str, Bound]] = [{}] if table is None else list(_rows(loop, table))
    if not rows and loop.element.source is not None:
        raise SemanticError("NS307", "a loop without iterations cannot stand next to `from`", loop.element.span)
    named, numbered = bool(rows and loop.names & rows[0].keys()), "i" in loop.names
    titled, counted = bool(rows and loop.title_names & rows[0].keys()), "i" in loop.title_names
    for index, row in enumerate(rows):
        levels = () if table is None else (Level("for", index, named, titled),)
        if repeat is None:
            yield Iteration(row, levels)
            continue
        count = _repeats(loop, ctx.having(row), repeat)
        for i in range(count):
            variables = {**row, "i": AMBIGUOUS if ctx.counting else i}
            yield Iteration(
                variables, (*levels, Level("repeat", i, numbered, counted)), counting=True, last=i == count - 1
            )


def _repeats(loop: Loop, ctx: Context, repeat: Repeat) -> int:
    """The count of `repeat`; raises SemanticError."""
    count = _count(loop, ctx, repeat.count, "repeat")
    if count == 0 and loop.element.source is not None:
        help_ = "without an iteration there is nothing for `from` to feed"
        raise SemanticError("NS307", "`repeat: 0` next to `from`", repeat.count.span, help_)
    return count


def parallel_iterations(loop: Loop) -> Iterator[Iteration]:
    """The iterations of `each`; raises SemanticError."""
    written, ctx = loop.element.loop, loop.ctx
    assert isinstance(written, Each)
    over = written.over
    counted = not isinstance(over, Rows)
    rows: list[dict[str, Bound]]
    if isinstance(over, Rows):
        rows = list(_rows(loop, over))
    else:
        rows = [{"i": AMBIGUOUS if ctx.counting else i} for i in range(_count(loop, ctx, over, "each"))]
    if not rows:
        raise SemanticError("NS307", "`each` expects an iteration", over.span)
    named, titled = (bool(names & rows[0].keys()) for names in (loop.names, loop.title_names))
    for index, row in enumerate(rows):
        yield Iteration(row, (Level("each", index, named, titled),), counted)


def _rows(loop: Loop, written: Rows) -> Iterator[dict[str, Bound]]:
    """The variables of each iteration; raises SemanticError."""
    env, names = loop.ctx.env(loop.running), written.variables
    taken = [n for n in names if n in env.values and env.values[n] is not ERROR]
    if taken:
        raise SemanticError("NS204", f"'{taken[0]}' is the name of a value already", written.at, "choose another name")
    for count, (row, at) in enumerate(_iterate(loop, env, written.over)):
        if loop.element.broken and count:
            break
        env.state.tick(2)
        if len(names) == 1:
            yield {names[0]: row}
        elif isinstance(row, list) and len(row) == len(names):
            yield dict(zip(names, row, strict=True))
        else:
            got = f"{len(row)} values" if isinstance(row, list) else "one value"
            message = f"this row has {got}, the names are {len(names)}: {', '.join(names)}"
            raise SemanticError("NS302", message, at)


def _iterate(loop: Loop, env: Env, over: ListNode | Computed) -> Iterator[tuple[Value, Span]]:
    """What a loop goes over, with places: a YAML list is data, a scalar is an expression that counts or lists."""
    if isinstance(over, ListNode):
        _reserve(loop, loop.ctx, len(over.items), over.span)
        for item in over.items:
            yield literal(env, item), item.span
        return
    value = expression(env, over)
    rows: Sequence[Value]
    if isinstance(value, list):
        rows = value
    elif not isinstance(value, int) or isinstance(value, bool):
        raise SemanticError("NS302", "`for` goes over a count or a list", over.span)
    elif value < 0:
        raise SemanticError("NS307", f"a count cannot be {value}", over.span)
    else:
        rows = range(value)
    _reserve(loop, loop.ctx, len(rows), over.span)
    for row in rows:
        yield row, over.span


def _count(loop: Loop, ctx: Context, node: Computed, what: str) -> int:
    """How many iterations `repeat` or `each` has; raises SemanticError."""
    value = expression(ctx.env(loop.running), node)
    if not isinstance(value, int) or isinstance(value, bool):
        help_ = "an integer; `//` divides integers" if isinstance(value, float) else "an integer"
        raise SemanticError("NS302", f"'{what}' expects a count", node.span, help_)
    if value < 0:
        raise SemanticError("NS307", f"'{what}' cannot be {value}", node.span, "a count is 0 or more")
    if loop.element.broken:
        return min(value, 1)
    _reserve(loop, ctx, value, node.span)
    return value


def _reserve(loop: Loop, ctx: Context, count: int, span: Span) -> None:
    """Holds the iterations of a loop against the limit before the first of them; raises OverBudget."""
    state, frame = ctx.state, ctx.frame
    if loop.element.broken:
        return
    if count > state.budget.max_nodes:
        message = f"a loop of {count:,} iterations, and a network has at most {state.budget.max_nodes:,} nodes"
        raise OverBudget(message, span, frame)
    if frame.until is None and count > 1:
        more = count * state.forecast.iteration(loop.element, frame.home, ctx.values)
        if len(state.graph.nodes) + more > state.budget.max_nodes:
            message = f"this loop makes {more:,} nodes or more, and a network has at most {state.budget.max_nodes:,}"
            raise OverBudget(message, span, frame)
