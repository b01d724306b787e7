"""A network used as a block: with a variant, settings, and `until` a step, as the base of another."""

from __future__ import annotations

from netspec.diagnostics.errors import did_you_mean
from netspec.elaborate.arguments import Slot, collect
from netspec.elaborate.call import Result, enter, input_symbols, parameters, replace_default, run_body, shown
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.values import ERROR, DependsOnError, Env, SemanticError, SymbolTable, Tensors
from netspec.expressions.identifiers import clipped
from netspec.syntax.reader import Document, lineage
from netspec.syntax.step_reader import Step
from netspec.syntax.yaml_reader import Scalar, Tree


def network(
    run: Run, doc: Document, step: Step, ctx: Context, args: Tree | None, arg_env: Env, entering: Tensors, where: Where
) -> Result:
    """A network used as a block: with a variant, settings, and `until` a step, whose inner results can then be read."""
    from netspec.elaborate.document import input_names, input_places, output_values

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
