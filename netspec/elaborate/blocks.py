"""Blocks: a call of a block, or of a network that is used as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netspec.diagnostics.errors import Frame, Span, did_you_mean, listed
from netspec.elaborate.arguments import Slot, collect
from netspec.elaborate.budget import WORK_OF_CALL
from netspec.elaborate.parameters import lets, parameters, replace_default, shown
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.symbols import ERROR, CallFrame, DependsOnError, Result, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import Env, SemanticError
from netspec.expressions.arithmetic import weight
from netspec.expressions.identifiers import clipped
from netspec.syntax.reader import Document, lineage
from netspec.syntax.step_reader import BlockDecl, Step
from netspec.syntax.tree import Scalar, Tree

MAX_DEPTH = 64


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
                "NS401", f"'{decl.name}' takes one value, got {len(entering.refs)}", step.span, which_value(entering)
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


def which_value(entering: Tensors) -> str:
    if not entering.refs:
        return "nothing enters this step"
    names = ", ".join(entering.names[:4] or map(str, entering.refs[:4]))
    return f"say `from: ...`: the values are {names}"


def network(
    run: Run, doc: Document, step: Step, ctx: Context, args: Tree | None, arg_env: Env, entering: Tensors, where: Where
) -> Result:
    """A network used as a block: with a variant, settings, and `until` a step, whose inner results can then be read."""
    from netspec.elaborate.interface import input_names, input_places, output_values

    if not doc.bad <= run.bad:
        run.bad = run.bad | doc.bad
    frame = enter(run, doc.name, doc, ctx, step.span, where, {})
    frame.is_document = True
    slots = [Slot(p.name) for p in doc.params] + [Slot("variant", False), Slot("until", False)]
    given, ok = collect(arg_env, args, slots, doc.name, step.span)
    names = SymbolTable()
    declared = input_names(doc)
    if entering.ok and len(entering.refs) != len(declared):
        raise SemanticError("NS401", f"'{doc.name}' takes {len(declared)} values, got {len(entering.refs)}", step.span)
    frame.inputs = {n: Tensors((entering.refs[i],)) if entering.ok else ERROR for i, n in enumerate(declared)}
    names.entries |= input_symbols(frame, where, input_places(doc))
    settings: dict[str, Tree] = {}
    variant, until = given.pop("variant", None), given.pop("until", None)
    chosen = doc.default_variant if variant is None else _variant(doc, variant)
    for v in lineage(doc, chosen, run.reporter) if chosen is not None else ():
        settings |= {name: tree for name, (_, tree) in v.settings.items()}
    env = Env(run, frame, {}, names)
    defaults = [replace_default(p, settings.get(p.name)) for p in doc.params]
    values = parameters(run, defaults, given, arg_env, env, step.span, doc.name, ok)
    frame.until = until.text if isinstance(until, Scalar) else None
    run.scope(
        where,
        "block",
        frame,
        step.span,
        doc.name,
        shown(values),
        step.doc or doc.title,
    )
    body = Context(frame, values, names, where)
    value = run_body(run, doc.lets, doc.body, body, entering)
    if not ok:
        return ERROR, None
    if frame.until is None:
        outputs = output_values(run, doc, body, value)
        if outputs is None:
            return ERROR, None
        if outputs:
            value = Tensors(tuple(o.ref for o in outputs.values()), tuple(outputs))
            run.leaves(where, value)
            if len(value.refs) > 1:
                run.offered.append((value, step.span, ctx.frame, where.path))
        return value, None
    if not frame.stopped:
        end = names.visible(frame.until.partition(".")[0])
        if end is not None and end.value is ERROR:
            raise DependsOnError
        place, message = until.span if until else None, f"'{doc.name}' has no step '{frame.until}'"
        raise SemanticError("NS203", message, place, did_you_mean(frame.until, names.entries))
    return value, names


def _variant(doc: Document, tree: Tree) -> str:
    """The variant that an argument names; raises SemanticError, DependsOnError where its declaration is refused."""
    name = tree.text if isinstance(tree, Scalar) else ""
    if name not in doc.variants:
        if name in doc.refused:
            raise DependsOnError
        raise SemanticError(
            "NS202", f"'{doc.name}' has no variant '{clipped(name)}'", tree.span, did_you_mean(name, doc.variants)
        )
    return name
