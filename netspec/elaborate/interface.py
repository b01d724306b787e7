"""The interface of a document: its inputs and its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netspec.diagnostics.errors import SemanticError, Span, UsageError
from netspec.elaborate.configuration import InputSize
from netspec.elaborate.context import Context
from netspec.elaborate.literals import condition, expression, fill, literal
from netspec.elaborate.places import Site, Where, join
from netspec.elaborate.symbols import ERROR, DependsOnError, Tensors
from netspec.elaborate.values import Env
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, Path, clipped, why_not
from netspec.expressions.values import Value
from netspec.ir.graph import Output
from netspec.ops import OPS, OpError
from netspec.syntax.reader import Document, Variant
from netspec.syntax.step_reader import entries, text
from netspec.syntax.tree import Map, Scalar, Seq, Tree


def input_names(doc: Document) -> list[str]:
    """The names of a document's inputs; a single one is `input`."""
    return [k.text for k, _ in doc.input.entries] if isinstance(doc.input, Map) else ["input"]


def input_places(doc: Document) -> dict[str, Span]:
    """Where each input of a document is written."""
    if isinstance(doc.input, Map):
        return {k.text: k.span for k, _ in doc.input.entries}
    return {"input": doc.input.span} if doc.input is not None else {}


def input_values(tree: Tree | None, env: Env, size: InputSize | None) -> dict[str, Tensors]:
    """The input nodes by name."""
    if not isinstance(tree, Map):
        return {"input": input_value("input", tree, env, size_of("input", size))}
    if size is not None and not isinstance(size, Mapping):
        raise UsageError(
            "--input sets the size of a network with one input",
            f"this one has {', '.join(k.text for k, _ in tree.entries)}",
        )
    return {
        k.text: ERROR if {id(k), id(v)} & env.state.bad else input_value(k.text, v, env, size_of(k.text, size))
        for k, v in tree.entries
    }


def size_of(name: str, size: InputSize | None) -> Sequence[int] | None:
    """The size that was asked for one input."""
    return size.get(name) if isinstance(size, Mapping) else size


_SIZES = "an input is a list of sizes, [channels, height, width]"


def input_value(name: str, tree: Tree | None, env: Env, size: Sequence[int] | None) -> Tensors:
    """The input node of a name; an error value after an error, which is reported."""
    state, frame = env.state, env.frame
    sample, whole = "", False
    if tree is None or id(tree) in state.bad:
        return ERROR
    if isinstance(tree, Map):
        sample, whole, tree = text(tree.get("sample")), True, tree.get("shape")
    if tree is None or id(tree) in state.bad:
        return ERROR
    if isinstance(tree, Scalar) and re.fullmatch(r"\d+([xX*, ]+\d+)+", tree.text):
        state.error(frame, "NS302", _SIZES, tree.span, f"write [{', '.join(re.findall(r'[0-9]+', tree.text))}]")
        return ERROR
    try:
        shape: Value = None
        if size is None or whole:
            shape = expression(env, tree) if isinstance(tree, Scalar) else literal(env, tree)
        if size is not None:  # of an input that is no batch of images, the symbol stays
            head = shape[:1] if isinstance(shape, list) and isinstance(shape[0] if shape else None, str) else []
            shape = [*head, *size]
        symbol = str(shape.pop(0)) if whole and isinstance(shape, list) and shape and isinstance(shape[0], str) else "N"
        if why := why_not(symbol, Kind.SYMBOL):
            raise SemanticError(
                "NS205", f"'{clipped(symbol)}' cannot be the name of {Kind.SYMBOL.value}: {why}", tree.span
            )
        if sample not in OPS["input"].param("sample").one_of and sample:
            raise SemanticError(
                "NS307", f"'sample' is one of {', '.join(OPS['input'].param('sample').one_of)}", tree.span
            )
        if not isinstance(shape, list) or not shape or not all(isinstance(d, int) and d is not True for d in shape):
            raise SemanticError("NS302", _SIZES, tree.span, "the batch is left out")
        attrs = {"shape": (symbol, *shape)} | ({"sample": sample} if sample else {})
        path = Path(join(frame.prefix, name))
        site = Site(Where(path, path), frame, tree.span)
        return state.graph.node(OPS["input"], (), attrs, {}, site)
    except SemanticError as e:
        state.report(frame, e, tree.span)
    except OpError as e:
        state.error(frame, "NS401", str(e), tree.span, e.help)
    except DependsOnError:
        pass
    return ERROR


_APART = "give one of them another name: `outputs: {result: path}`"


def output_values(doc: Document, ctx: Context, last: Tensors) -> dict[str, Output] | None:
    """The outputs by name; None after an error."""
    if doc.outputs is None:
        if not last.ok:
            return None
        names = last.names if len(last.refs) > 1 else ("output",)
        if doc.input is not None and not ctx.frame.inputs.keys().isdisjoint(names):
            ctx.state.error(ctx.frame, "NS204", "an input has the name of the result, 'output'", doc.input.span, _APART)
            return None
        return {n if not n.isdigit() else f"output_{n}": Output(r) for n, r in zip(names, last.refs, strict=True)}
    found: dict[str, Output] = {}
    failed = False
    for name, tree, at in _declared(doc, ctx.state.bad):
        try:
            output, path = _output(ctx, tree)
            name = name or path
            if name in found:
                raise SemanticError("NS204", f"the output '{name}' is listed twice", at)
            if name in ctx.frame.inputs:
                raise SemanticError("NS204", f"the output '{name}' has the name of an input", at, _APART)
            if output is not None:
                found[name] = output
        except SemanticError as e:
            ctx.state.report(ctx.frame, e, at)
            failed = True
        except DependsOnError:
            failed = True
    if not failed and all(output.training_only for output in found.values()):
        what = "is there in training only: the network would give nothing" if found else "is left out"
        ctx.state.error(ctx.frame, "NS403", f"every output {what}", doc.outputs.span, "keep at least one of them")
        return None
    return None if failed else found


def _declared(doc: Document, bad: set[int]) -> list[tuple[str, Tree, Span]]:
    """Name, what is written, and place of each output; in a list it has no name but its path."""
    if isinstance(doc.outputs, Seq):
        return [("", t, t.span) for t in doc.outputs.items if isinstance(t, Scalar)]
    return [(k.text, v, k.span) for k, v in entries(doc.outputs, bad)]


def _output(ctx: Context, tree: Tree) -> tuple[Output | None, str]:
    """One output, a path or {from, loss_weight, training_only, only_if}, and its path; None where it is not there."""
    part: dict[str, Tree] = {}
    if isinstance(tree, Map):
        part = {k.text: v for k, v in tree.entries}
        if any(id(k) in ctx.state.bad for k, _ in tree.entries):
            raise DependsOnError
        tree = part.get("from", tree)
    env = ctx.env()
    if "only_if" in part and not condition(env, part["only_if"], "only_if"):
        return None, ""
    if not isinstance(tree, Scalar) or not tree.text:
        raise SemanticError(
            "NS203", "an output names a path", tree.span, "a list, `[a]`, or names with paths, `{logits: a}`"
        )
    path = fill(env, parse_template(tree.text, tree.at), tree.span)
    try:
        value = env.find(path)
    except SemanticError as e:
        raise e.at(tree.span) from None
    if value.state == "absent":
        return None, path
    if value.state or len(value.refs) != 1:
        if value.state:
            raise DependsOnError
        raise SemanticError(
            "NS203",
            f"'{path}' has {len(value.refs)} values",
            tree.span,
            f"name one of them: {', '.join(f'{path}.{n}' for n in value.names[:4])}",
        )
    weight = literal(env, part["loss_weight"]) if "loss_weight" in part else None
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, (int, float))):
        raise SemanticError("NS302", "'loss_weight' is a number", part["loss_weight"].span)
    only = condition(env, part["training_only"], "training_only") if "training_only" in part else False
    return Output(value.refs[0], None if weight is None else float(weight), only), path


def written_input(doc: Document, chain: Sequence[Variant]) -> Tree | None:
    """The input of the variant, or of what it is `of`, or of the document."""
    return next((v.input for v in reversed(chain) if v.input is not None), doc.input)
