"""The interface of a document: its inputs and its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netspec.diagnostics.errors import SemanticError, Span, UsageError, did_you_mean
from netspec.elaborate.configuration import InputSize
from netspec.elaborate.context import Context
from netspec.elaborate.literals import condition, filled_path, literal
from netspec.elaborate.places import Site, Where, join
from netspec.elaborate.symbols import ERROR, DependsOnError, Tensors
from netspec.elaborate.values import Env
from netspec.expressions.identifiers import Kind, Path, clipped, why_not
from netspec.expressions.values import Value
from netspec.ir.graph import Output
from netspec.ops import OPS, OpError
from netspec.syntax.ast import Error, Expression, Unevaluable
from netspec.syntax.document import Document, InputDecl, Inputs, OutputDecl, Variant


def input_names(doc: Document) -> list[str]:
    """The names of a document's inputs; a single one is `input`."""
    return [item.name.text for item in doc.input.items] if doc.input is not None else ["input"]


def input_places(doc: Document) -> dict[str, Span]:
    """Where each input of a document is written."""
    return {item.name.text: item.name.span for item in doc.input.items} if doc.input is not None else {}


def input_values(inputs: Inputs | None, env: Env, size: InputSize | None) -> dict[str, Tensors]:
    """The input nodes by name."""
    if inputs is None:
        return {"input": ERROR}
    if inputs.by_name and size is not None and not isinstance(size, Mapping):
        raise UsageError(
            "--input CxHxW sets the size of a network with one input",
            f"this one has {', '.join(item.name.text for item in inputs.items)}: --input NAME=CxHxW",
        )
    check_names(size, [item.name.text for item in inputs.items])
    sizes = {item.name.text: size_of(item.name.text, size) for item in inputs.items}
    for item in inputs.items:
        if (asked := sizes[item.name.text]) is not None:
            _refuse_other_rank(item, env, asked, f"{item.name.text}=" if inputs.by_name else "")
    return {item.name.text: input_value(item.name.text, item, env, sizes[item.name.text]) for item in inputs.items}


def _refuse_other_rank(declared: InputDecl, env: Env, asked: Sequence[int], name: str) -> None:
    """Raises UsageError for a size that has more or fewer numbers than the input of the network, 224 for 3x224x224."""
    if isinstance(declared.shape, Error):
        return
    try:
        shape = literal(env, declared.shape)
    except (SemanticError, DependsOnError):
        return  # which is reported where the input is made
    own = [size for size in shape if isinstance(size, int)] if isinstance(shape, list) else []
    if (wrong := other_rank(own, asked, name)) is not None:
        raise wrong


def other_rank(own: Sequence[int], asked: Sequence[int], name: str = "") -> UsageError | None:
    """The error that a size has not as many numbers as an input, with the size that is meant; None where it has."""
    if not own or len(own) == len(asked):
        return None
    meant = [*own]
    if len(own) == 3 and len(asked) < 3:
        meant = [own[0], *(asked if len(asked) == 2 and asked[0] != own[0] else [asked[-1]] * 2)]
    given, whole, likely = ("x".join(map(str, sizes)) for sizes in (asked, own, meant))
    number = f"{len(own)} sizes" if len(own) > 1 else "one size"
    return UsageError(f"the input has {number}, {whole}; {given} has {len(asked)}", f"as in: --input {name}{likely}")


def check_names(size: InputSize | None, names: Sequence[str]) -> None:
    """Raises UsageError where a size is of an input that is not among the names."""
    for name in size if isinstance(size, Mapping) else ():
        if name not in names:
            raise UsageError(f"there is no input '{name[:80]}' to give a size to", did_you_mean(name, names))


def size_of(name: str, size: InputSize | None) -> Sequence[int] | None:
    """The size that was asked for one input."""
    return size.get(name) if isinstance(size, Mapping) else size


_SIZES = "an input is a list of sizes, [channels, height, width]"


def input_value(name: str, declared: InputDecl, env: Env, size: Sequence[int] | None) -> Tensors:
    """The input node of a name; an error value after an error, which is reported."""
    state, frame = env.state, env.frame
    node, at, sample, whole = declared.shape, declared.shape.span, declared.sample, declared.has_symbol
    if isinstance(node, Error):
        return ERROR
    if isinstance(node, (Expression, Unevaluable)) and re.fullmatch(r"\d+([xX*, ]+\d+)+", node.text):
        state.error(frame, "NS302", _SIZES, at, f"write [{', '.join(re.findall(r'[0-9]+', node.text))}]")
        return ERROR
    try:
        shape: Value = None
        if size is None or whole:
            shape = literal(env, node)
        if size is not None:  # of an input that is not a batch of images, the symbol stays
            head = shape[:1] if isinstance(shape, list) and isinstance(shape[0] if shape else None, str) else []
            shape = [*head, *size]
        symbol = str(shape.pop(0)) if whole and isinstance(shape, list) and shape and isinstance(shape[0], str) else "N"
        if why := why_not(symbol, Kind.SYMBOL):
            raise SemanticError("NS205", f"'{clipped(symbol)}' cannot be the name of {Kind.SYMBOL.value}: {why}", at)
        if sample not in OPS["input"].param("sample").one_of and sample:
            raise SemanticError("NS307", f"'sample' is one of {', '.join(OPS['input'].param('sample').one_of)}", at)
        if not isinstance(shape, list) or not shape or not all(isinstance(d, int) and d is not True for d in shape):
            raise SemanticError("NS302", _SIZES, at, "the batch is left out")
        attrs = {"shape": (symbol, *shape)} | ({"sample": sample} if sample else {})
        path = Path(join(frame.prefix, name))
        site = Site(Where(path, path), frame, at)
        return state.graph.node(OPS["input"], (), attrs, {}, site)
    except SemanticError as e:
        state.report(frame, e, at)
    except OpError as e:
        state.error(frame, "NS401", str(e), at, e.help)
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
    for declared in doc.outputs.items:
        at = declared.span
        try:
            output, path = _output(ctx, declared)
            name = declared.name or path
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


def _output(ctx: Context, declared: OutputDecl) -> tuple[Output | None, str]:
    """One output and its path; None where it is not there."""
    env, at = ctx.env(), declared.path.span
    if isinstance(declared.path, Error):
        raise DependsOnError
    if declared.only_if is not None and not condition(env, declared.only_if, "only_if"):
        return None, ""
    path = filled_path(env, declared.path)
    try:
        value = env.find(path)
    except SemanticError as e:
        raise e.at(at) from None
    if value.state == "absent":
        return None, path
    if value.state:
        raise DependsOnError
    if len(value.refs) != 1:
        help_ = f"name one of them: {', '.join(f'{path}.{n}' for n in value.names[:4])}"
        raise SemanticError("NS203", f"'{path}' has {len(value.refs)} values", at, help_)
    only = declared.training_only is not None and condition(env, declared.training_only, "training_only")
    return Output(value.refs[0], _loss_weight(env, declared), only), path


def _loss_weight(env: Env, declared: OutputDecl) -> float | None:
    """The weight of the loss of an output; raises SemanticError."""
    node = declared.loss_weight
    weight = literal(env, node) if node is not None else None
    if node is None or weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise SemanticError("NS302", "'loss_weight' is a number", node.span)
    return float(weight)


def written_input(doc: Document, chain: Sequence[Variant]) -> Inputs | None:
    """The input of the variant, or of what it is `of`, or of the document."""
    return next((v.input for v in reversed(chain) if v.input is not None), doc.input)
