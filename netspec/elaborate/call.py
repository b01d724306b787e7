"""Calls: of a primitive op, of a block, of a block that is a parameter, of a whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netspec.diagnostics.errors import Frame, Span, did_you_mean, listed
from netspec.elaborate.arguments import Slot, argument, collect, literal, type_of
from netspec.elaborate.state import WORK_OF_CALL, WORK_OF_PARAM, Context, Run, Where
from netspec.elaborate.unknown import check_arguments, may_make, named
from netspec.elaborate.values import (
    ERROR,
    BlockValue,
    CallFrame,
    DependsOnError,
    Env,
    SemanticError,
    Symbol,
    SymbolTable,
    Tensors,
    Word,
)
from netspec.expressions.arithmetic import weight
from netspec.ops import Op, OpError, lookup
from netspec.ops.base import freeze
from netspec.syntax.reader import Document
from netspec.syntax.step_reader import BlockDecl, ParamDecl, Step
from netspec.syntax.yaml_reader import Map, Scalar, Seq, Tree

MAX_DEPTH = 64
Result = tuple[Tensors, SymbolTable | None]


def call(run: Run, step: Step, ctx: Context, entering: Tensors, where: Where) -> Result:
    """Runs the op of a step, whatever it names."""
    env = Env(run, ctx.frame, ctx.values, ctx.names, entering)
    bound = ctx.values.get(step.op)
    if isinstance(bound, BlockValue):
        args, arg_env = step.args, env
        if bound.args is not None:
            if step.args is not None:
                raise SemanticError(
                    "NS306", f"'{step.op}' has its arguments already: it was given with them", step.span
                )
            args, arg_env = bound.args, bound.env or env
        return _target(run, bound.target or lookup(bound.name), step, ctx, args, arg_env, entering, where)
    if bound is ERROR:
        raise DependsOnError
    target = named(run, step, ctx)
    if target is None or step.op != target.name:
        ctx.names.lose(may_make(run, step, ctx), "", step.span)
    if target is None or (isinstance(target, BlockDecl) and target.failed):
        check_arguments(env, step.args)
        return ERROR, None
    if isinstance(target, Op) and step.op != target.name:
        # Whether the arguments fit what was probably meant is not said: one error for one misspelling.
        with run.quietly():
            return primitive(run, target, step, ctx, step.args, env, entering, where), None
    return _target(run, target, step, ctx, step.args, env, entering, where)


def _target(
    run: Run,
    target: Op | BlockDecl | Document | None,
    step: Step,
    ctx: Context,
    args: Tree | None,
    arg_env: Env,
    entering: Tensors,
    where: Where,
) -> Result:
    if isinstance(target, Op):
        return primitive(run, target, step, ctx, args, arg_env, entering, where), None
    if isinstance(target, BlockDecl):
        return block(run, target, step, ctx, args, arg_env, entering, where), None
    from netspec.elaborate.base import network

    assert isinstance(target, Document)
    return network(run, target, step, ctx, args, arg_env, entering, where)


def primitive(
    run: Run, op: Op, step: Step, ctx: Context, args: Tree | None, env: Env, entering: Tensors, where: Where
) -> Tensors:
    """One node; every argument at fault is reported."""
    slots = [Slot(p.name, p.positional, p.type) for p in op.params]
    if op.weights:
        slots.append(Slot("init", positional=False))
    given, ok = collect(env, args, slots, op.name, step.span)
    values: dict[str, Any] = {}
    init: dict[str, Any] = {}
    for name, tree in given.items():
        try:
            if name == "init":
                init = _initialisers(env, op, tree)
            else:
                param = op.param(name)
                values[name] = argument(env, tree, param.type, name, param.one_of)
        except SemanticError as e:
            run.report(ctx.frame, e, tree.span)
            ok = False
        except DependsOnError:
            ok = False
    missing = [p.name for p in op.params if p.required and p.name not in given]
    if missing and ok:
        help_ = f"in order: {listed([p.name for p in op.params if p.positional])}"
        if isinstance(ctx.values.get(step.op), BlockValue):
            help_ = f"a block is given with its arguments: `{{{op.name}: {{{missing[0]}: ...}}}}`"
        run.error(ctx.frame, "NS305", f"'{op.name}' expects {_list(missing)}", step.span, help_)
        ok = False
    if not ok or not entering.ok:
        return ERROR
    if op.arity is not None and len(entering.refs) != op.arity:
        raise SemanticError(
            "NS401",
            f"'{op.name}' takes {op.arity} value{'s' * (op.arity != 1)}, got {len(entering.refs)}",
            step.span,
            _which(entering),
        )
    try:
        return run.node(op, entering.refs, values, init, where, ctx.frame, step.span, step.doc)
    except OpError as e:
        at = given[e.arg].span if e.arg in given else step.span
        help_ = e.help
        if "conv" in op.name and isinstance(args, Seq) and values.get("out") == run.shape_of(entering)[1]:
            help_ = "what enters is known: the arguments are, in order, out, kernel, stride, pad"
        run.error(ctx.frame, e.code, str(e), at, help_)
        return ERROR


def _which(entering: Tensors) -> str:
    if not entering.refs:
        return "nothing enters this step"
    names = ", ".join(entering.names[:4] or map(str, entering.refs[:4]))
    return f"say `from: ...`: the values are {names}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return " and ".join(f"'{n}'" for n in names[:8]) + more


def _initialisers(env: Env, op: Op, tree: Tree) -> dict[str, Any]:
    """`init: {weight: zeros, bias: -2}`; raises SemanticError."""
    from netspec.weights.initialise import check_init

    if not isinstance(tree, Map):
        raise SemanticError("NS302", "`init` names tensors: `{weight: zeros, bias: -2}`", tree.span)
    found: dict[str, Any] = {}
    for key, value in tree.entries:
        if key.text not in op.weights:
            raise SemanticError(
                "NS206", f"'{op.name}' has no tensor '{key.text}'", key.span, did_you_mean(key.text, op.weights)
            )
        if isinstance(value, Map):
            found[key.text] = {k.text: literal(env, v) for k, v in value.entries}
        else:
            found[key.text] = literal(env, value)
        if isinstance(found[key.text], Word):
            found[key.text] = str(found[key.text])
        problem = check_init(found[key.text])
        if problem:
            raise SemanticError("NS307", problem, value.span)
    return found


def block(
    run: Run,
    decl: BlockDecl,
    step: Step,
    ctx: Context,
    args: Tree | None,
    arg_env: Env,
    entering: Tensors,
    where: Where,
) -> Tensors:
    """A call of a block: binds its parameters, runs its body, gives its outputs."""
    frame = enter(run, decl.name, decl.home, ctx, step.span, where, _inputs(decl, step, entering))
    given, ok = collect(arg_env, args, [Slot(p.name, type=p.type) for p in decl.params], decl.name, step.span)
    names = SymbolTable()
    running = (
        entering if not decl.inputs else Tensors(entering.refs, tuple(s.text for s in decl.inputs), entering.state)
    )
    if decl.inputs:
        names.entries |= input_symbols(frame, where, {s.text: s.span for s in decl.inputs})
    env = Env(run, frame, {}, names)
    values = parameters(run, decl.params, given, arg_env, env, step.span, decl.name, ok)
    if all(v is not ERROR for v in values.values()):
        scope_args = shown(values)
        run.tick(sum(weight(v) for v in values.values() if isinstance(v, list)))
        run.scope(where, "block", frame, step.span, decl.name, scope_args, step.doc or decl.doc)
    body = Context(frame, values, names, where)
    value = run_body(run, decl.lets, decl.body, body, running)
    if not ok:
        return ERROR
    if decl.outputs:
        value = _outputs(run, decl.outputs, body)
        run.leaves(where, value)
        if len(value.refs) > 1:
            run.offered.append((value, step.span, ctx.frame, where.path))
    unread = [s for s in decl.inputs if s.text not in frame.reads]
    for scalar in unread if value.ok else ():
        run.reporter.warning("NS209", f"'{decl.name}' does not read its input '{scalar.text}'", scalar.span)
    return value


def enter(
    run: Run, name: str, home: Document, ctx: Context, span: Span, where: Where, inputs: Mapping[str, Tensors]
) -> CallFrame:
    depth = ctx.frame.depth + 1
    if depth > MAX_DEPTH:
        raise SemanticError(
            "NS404",
            f"blocks call each other more than {MAX_DEPTH} deep",
            span,
            "a block that calls itself needs a `when` or `only_if` that ends it",
        )
    run.tick(WORK_OF_CALL)
    trace = (Frame(name, span, where.path), *ctx.frame.trace)
    return CallFrame(home, name, inputs, where.path, trace, depth)


def _inputs(decl: BlockDecl, step: Step, entering: Tensors) -> dict[str, Tensors]:
    """What enters, by the block's names of its inputs; raises SemanticError."""
    if not decl.inputs:
        if entering.ok and len(entering.refs) != 1:
            raise SemanticError(
                "NS401", f"'{decl.name}' takes one value, got {len(entering.refs)}", step.span, _which(entering)
            )
        return {"x": entering}
    if not entering.ok:
        return {s.text: entering for s in decl.inputs}
    if len(entering.refs) != len(decl.inputs):
        raise SemanticError(
            "NS401",
            f"'{decl.name}' takes {len(decl.inputs)} values ({listed([s.text for s in decl.inputs])}), "
            f"got {len(entering.refs)}",
            step.span,
            "say `from: [...]` with as many paths",
        )
    return {s.text: Tensors((ref,)) for s, ref in zip(decl.inputs, entering.refs, strict=True)}


def input_symbols(frame: CallFrame, where: Where, places: Mapping[str, Span]) -> dict[str, Symbol]:
    """The names of what enters, each with the place where it is declared."""
    made = frame.inputs.items()
    return {name: Symbol(value, where.child(name).path, places.get(name), False) for name, value in made}


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a block's parameters as its scope keeps them: numbers, words, tuples; a block as its name."""
    return {k: str(v) if isinstance(v, (BlockValue, str)) else freeze(v) for k, v in values.items()}


def parameters(
    run: Run,
    params: Sequence[ParamDecl],
    given: Mapping[str, Tree],
    arg_env: Env,
    env: Env,
    at: Span,
    what: str,
    complete: bool = True,
) -> dict[str, Any]:
    """The values of declared parameters: as given, or their defaults, which see the parameters before them.

    Where the arguments have a mistake already (`complete` is false), what is not given is unknown: nothing is missing.
    """
    values: dict[str, Any] = dict(env.values)
    missing: list[str] = []
    inner = env.seeing(values)
    for p in params:
        run.tick(WORK_OF_PARAM)
        if p.failed:
            values[p.name] = ERROR
            continue
        try:
            if p.name in given:
                values[p.name] = _given(p, given[p.name], arg_env, inner)
            elif p.default is not None and complete:
                values[p.name] = argument(inner, p.default, p.type, p.name, *_limits(p, inner))
            else:
                values[p.name] = ERROR
                missing.append(p.name)
        except SemanticError as e:
            tree = given.get(p.name) or p.default
            run.report(arg_env.frame if p.name in given else env.frame, e, tree.span if tree else at)
            values[p.name] = ERROR
        except DependsOnError:
            values[p.name] = ERROR
    if missing and complete:
        run.error(
            arg_env.frame,
            "NS305",
            f"'{what}' expects {_list(missing)}",
            at,
            f"in order: {listed([p.name for p in params])}",
        )
    return values


def _given(p: ParamDecl, tree: Tree, arg_env: Env, env: Env) -> Any:
    """An argument, of the declared type or of the default's."""
    one_of, low = _limits(p, env)
    if p.type:
        return argument(arg_env, tree, p.type, p.name, one_of, low)
    try:
        kind = type_of(literal(env, p.default)) if p.default is not None else ""
    except (SemanticError, DependsOnError):
        kind = ""  # the default cannot be computed here, which is no fault of the argument
    return argument(arg_env, tree, kind, p.name, one_of, low)


def _limits(p: ParamDecl, env: Env) -> tuple[list[Any], float | None]:
    one_of = literal(env, p.one_of) if p.one_of is not None else []
    low = literal(env, p.min) if p.min is not None else None
    return one_of if isinstance(one_of, list) else [], low if isinstance(low, (int, float)) else None


def lets(run: Run, written: Sequence[tuple[Scalar, Tree]], env: Env) -> dict[str, Any]:
    """`let`: values computed once, in order."""
    values = dict(env.values)
    inner = env.seeing(values)
    for key, tree in written:
        run.tick(WORK_OF_PARAM)
        if id(tree) in run.bad or id(key) in run.bad:
            values[key.text] = ERROR
            continue
        try:
            values[key.text] = literal(inner, tree)
        except SemanticError as e:
            run.report(env.frame, e, tree.span)
            values[key.text] = ERROR
        except DependsOnError:
            values[key.text] = ERROR
    return values


def run_body(
    run: Run, written: Sequence[tuple[Scalar, Tree]], steps: tuple[Step, ...], ctx: Context, running: Tensors
) -> Tensors:
    from netspec.elaborate.steps import run_steps

    values = lets(run, written, Env(run, ctx.frame, ctx.values, ctx.names))
    return run_steps(run, steps, replace(ctx, values=values), running)


def _outputs(run: Run, outputs: Sequence[Scalar], ctx: Context) -> Tensors:
    """The named values of a block, in order."""
    refs: list[Any] = []
    for scalar in outputs:
        env = Env(run, ctx.frame, ctx.values, ctx.names)
        try:
            refs += env.read(scalar.text).refs
        except SemanticError as e:
            run.report(ctx.frame, e, scalar.span)
            return ERROR
        except DependsOnError:
            return ERROR
    return Tensors(tuple(refs), tuple(s.text for s in outputs))


def replace_default(p: ParamDecl, tree: Tree | None) -> ParamDecl:
    """A parameter whose default a variant replaces; its type stays that of the declared default."""
    if tree is None:
        return p
    kind = p.type
    if not kind and isinstance(p.default, Scalar) and not p.default.text.startswith("="):
        kind = type_of(p.default.value)
    elif not kind and isinstance(p.default, Seq):
        kind = "list"
    return ParamDecl(p.name, p.at, kind, tree, p.one_of, p.min, p.doc, p.failed)
