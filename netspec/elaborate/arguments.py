"""Arguments: from what is written to values of the declared types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from netspec.diagnostics.errors import MAX_KNOWN, SemanticError, Span, did_you_mean, listed
from netspec.elaborate.symbols import DependsOnError
from netspec.elaborate.values import BlockValue, Env, Word
from netspec.expressions.arithmetic import MAX_LIST, weight
from netspec.expressions.expression import Template, evaluate, parse_expr
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.expressions.values import Value
from netspec.ops import lookup
from netspec.syntax.meant import argument_help, meant_argument, op_help
from netspec.syntax.other_names import TYPES
from netspec.syntax.step_reader import BlockDecl
from netspec.syntax.tree import Map, Scalar, Seq, Tree

WANTED = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "list": "a list",
    "size": "an integer or [height, width]",
    "pad": "an integer, [h, w], four sides, or one of valid, half, same_upper",
    "parts": "a count or a list of sizes",
    "block": "the name of a block or op",
}
PAD_WORDS = ("valid", "half", "same_upper")


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter as binding sees it."""

    name: str
    positional: bool = True
    type: str = ""


@dataclass(eq=False, slots=True)
class Arguments:
    """What a call gives for each parameter, as it is written."""

    env: Env
    """Where it is evaluated."""
    callee: str
    at: Span
    given: dict[str, Tree] = field(default_factory=dict)
    ok: bool = True
    """Whether everything that is given fits a parameter; what does not is reported."""


def collect(env: Env, args: Tree | None, slots: Sequence[Slot], callee: str, at: Span) -> Arguments:
    """Matches arguments with parameters by position or name; reports what does not fit."""
    found = Arguments(env, callee, at)
    if (cut := torn(args)) is not None:
        help_ = _QUOTE if cut.text.startswith("=") else "a list stands in [ ]: [2, 2]"
        env.state.error(env.frame, "NS301", "this is cut at its comma or bracket", cut.span, help_)
        found.ok = False
    elif isinstance(args, Map):
        _by_name(found, args, [s.name for s in slots])
    else:
        _by_position(found, args.items if isinstance(args, Seq) else () if args is None else (args,), slots)
    return found


def _by_name(found: Arguments, args: Map, names: Sequence[str]) -> None:
    state, callee, given = found.env.state, found.callee, found.given
    known = set(names)
    unknown = []
    for key, value in args.entries:
        if id(value) in state.bad and id(key) not in state.bad:
            found.ok = False
        elif key.text in known:
            given[key.text] = value
        else:
            unknown.append((key, value))
    for key, value in unknown:
        message = f"'{callee}' has no parameter '{key.text}'"
        help_ = argument_help(key.text, names, callee, "" if names else f"'{callee}' takes no arguments")
        state.error(found.env.frame, "NS206", message, key.span, help_)
        # Read as the one that is meant, so that what follows is checked too and nothing is said twice.
        meant = state.guess(key.text, [n for n in names if n not in given], meant_argument)
        if meant is None or (isinstance(value, Scalar) and (value.value is None or _is_word(value))):
            found.ok = False
        else:
            given[meant] = value


def _by_position(found: Arguments, args: Sequence[Tree], slots: Sequence[Slot]) -> None:
    state = found.env.state
    positional = [s.name for s in slots if s.positional]
    for name, value in zip(positional, args, strict=False):
        if id(value) in state.bad:
            found.ok = False
        else:
            found.given[name] = value
    if len(args) > len(positional):
        count = f"{len(positional) or 'no'} argument{'s' * (len(positional) != 1)} by position, got {len(args)}"
        message = f"'{found.callee}' takes {count}"
        state.error(found.env.frame, "NS306", message, args[len(positional)].span, _positions(slots))
        found.ok = False


def _positions(slots: Sequence[Slot]) -> str:
    """Which arguments go by position, and which by name alone."""
    positional, by_name = [s for s in slots if s.positional], [s.name for s in slots if not s.positional]
    said = [f"in order: {listed([s.name for s in positional])}"] if positional else []
    if len(positional) == 1 and positional[0].type in ("", "size", "list", "parts"):
        said = [f"a list gives arguments in order; write {{{positional[0].name}: [...]}} to give one list"]
    if by_name:
        said.append(f"by name alone: {', '.join(by_name)}")
    return "; ".join(said)


def _is_word(tree: Scalar) -> bool:
    return isinstance(tree.value, str) and not tree.text.startswith("=")


_QUOTE = "quote an expression with commas or brackets inside { } or [ ]: '=max(a, 8)'"


def torn(args: Tree | None) -> Scalar | None:
    """An argument that YAML cut inside { } or [ ]: a plain expression whose brackets do not close."""
    given = [v for _, v in args.entries] if isinstance(args, Map) else args.items if isinstance(args, Seq) else []
    for tree in given:
        if isinstance(tree, Scalar) and tree.plain and tree.text.startswith(("=", "(")):
            if tree.text.count("(") > tree.text.count(")") or tree.text.count("[") > tree.text.count("]"):
                return tree
    return None


def scalar(env: Env, tree: Scalar) -> Value:
    """A scalar's value: what starts with `=` is computed, the rest is what it is; raises SemanticError."""
    if tree.text.startswith("=") and len(tree.text) > 1:
        return expression(env, tree, 1)
    value = tree.value
    if isinstance(value, str):
        return Word(value, env.frame.home)
    return value


def expression(env: Env, tree: Scalar, start: int | None = None) -> Value:
    """A scalar that always is an expression; a leading `=` changes nothing; raises SemanticError."""
    if start is None:
        start = 1 if tree.text.startswith("=") else 0
    try:
        return evaluate(parse_expr(tree.text[start:], lambda i, j: tree.at(i + start, j + start)), env)
    except SemanticError as e:
        raise e.at(tree.span) from None


def literal(env: Env, tree: Tree) -> Value:
    """A scalar or a list of them, deeply; raises SemanticError."""
    if isinstance(tree, Scalar):
        env.state.tick()
        value = scalar(env, tree)
        if isinstance(value, list):
            env.state.tick(weight(value) // 16)
        return value
    if isinstance(tree, Seq):
        found = [literal(env, item) for item in tree.items]
        if any(isinstance(v, list) for v in found) and weight(found) > MAX_LIST:
            raise SemanticError("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values", tree.span)
        return found
    raise SemanticError(
        "NS302", "a mapping cannot be used here", tree.span, "numbers, strings, lists and `=expressions` can"
    )


def fill(env: Env, template: Template, at: Span) -> str:
    """The text of a template, its holes computed; raises SemanticError."""
    try:
        return template.fill(env)
    except SemanticError as e:
        raise e.at(at) from None


def filled_name(env: Env, template: Template, kind: Kind, at: Span) -> str:
    """The name that a template gives, which what fills it may make no name; raises SemanticError at the placeholder."""
    name = fill(env, template, at)
    if why := why_not(name, kind):
        culprit = next((span for span, text in template.filled(env) if not re.fullmatch(r"\w+", text, re.ASCII)), at)
        raise SemanticError(
            "NS205", f"this makes the name '{clipped(name)}', which cannot be the name of {kind.value}: {why}", culprit
        )
    return name


def condition(env: Env, tree: Tree, what: str) -> bool:
    """`when` and `only_if`: an expression that gives a bool; raises SemanticError."""
    value = expression(env, tree) if isinstance(tree, Scalar) else None
    if not isinstance(value, bool):
        raise SemanticError(
            "NS302",
            f"'{what}' expects true or false, got {describe(value)}",
            tree.span,
            "compare it: `n > 0`" if isinstance(value, (int, float)) else "",
        )
    return value


def argument(
    env: Env, tree: Tree, type_: str, name: str, one_of: Sequence[Value] = (), low: float | None = None
) -> Value:
    """The value of one argument, of the declared type; raises SemanticError or DependsOnError."""
    if type_ == "block" and isinstance(tree, Map):
        return _block_with_args(env, tree)
    value = literal(env, tree)
    value = typed(env, value, type_, name, tree)
    if one_of and value not in one_of:
        raise SemanticError(
            "NS307",
            f"'{name}' is one of {', '.join(map(str, one_of[:20]))}{', ...' * (len(one_of) > 20)}, "
            f"got {describe(value)}",
            tree.span,
            did_you_mean(str(value), map(str, one_of[:MAX_KNOWN])),
        )
    if low is not None and isinstance(value, (int, float)) and value < low:
        raise SemanticError("NS307", f"'{name}' must be at least {low:g}, got {value}", tree.span)
    return value


def typed(env: Env, value: Value, type_: str, name: str, tree: Tree) -> Value:
    """The value, if it is of the type; a word becomes a block where one is expected; raises SemanticError."""
    if type_ == "block":
        return resolve_block(env, value, tree)
    if fits(value, type_):
        return float(value) if type_ == "float" and isinstance(value, int) and abs(value) < 2**53 else value
    raise SemanticError(
        "NS302", f"'{name}' expects {WANTED[type_]}, got {describe(value)}", tree.span, _help(env, value, type_, tree)
    )


def fits(value: Value, type_: str) -> bool:
    """Whether a value is of a type; '' takes anything."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    match type_:
        case "":
            return True
        case "int":
            return whole
        case "float":
            return whole or isinstance(value, float)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list)
        case "size":
            return whole or _ints(value, 2)
        case "pad":
            return whole or _ints(value, 2, 4) or (isinstance(value, str) and value in PAD_WORDS)
        case "parts":
            return whole or (_ints(value) and value != [])
    raise AssertionError(type_)


def _ints(value: Value, *lengths: int) -> bool:
    """Whether a value is a list of integers, of one of some lengths."""
    if not isinstance(value, list) or (lengths and len(value) not in lengths):
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) for v in value)


def type_of(value: Value) -> str:
    """The type that a default gives its parameter."""
    for kind, cls in (("bool", bool), ("int", int), ("float", float), ("str", str), ("list", list)):
        if isinstance(value, cls):
            return kind
    return "block" if isinstance(value, BlockValue) else ""


def describe(value: Value) -> str:
    """A value in words: `the word 'half'`, `the number 0.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"the integer {value}"
    if isinstance(value, float):
        return f"the number {value!r}"
    if isinstance(value, str):
        return f"the string '{value if len(value) < 40 else value[:37] + '...'}'"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"the block '{value}'"


def _help(env: Env, value: Value, type_: str, tree: Tree) -> str:
    """How to fix a value of the wrong type."""
    written = tree.text if isinstance(tree, Scalar) else ""
    if isinstance(value, str):
        named = re.fullmatch(r"\$?\{{0,2}\s*(\w+)\s*\}{0,2}", value)
        if named is not None and named[1] in env.values:
            return f"`={named[1]}` is the value of '{named[1]}'"
        if value.lower() in TYPES and type_ in ("int", "float", "bool", "size", "list"):
            return f"the type of a parameter is written `{TYPES[value.lower()]}`"
        if type_ == "size" and (both := re.fullmatch(r"(\d+) ?[xX*] ?(\d+)", value)):
            return f"write [{both[1]}, {both[2]}]"
        if type_ in ("size", "list", "pad", "parts") and (several := re.fullmatch(r"\((.+,.+)\)", value)):
            return f"write [{several[1]}]"
        if type_ == "float" and (share := re.fullmatch(r"(\d{1,3})\s*%", value)):
            return f"write {int(share[1]) / 100:g}"
        if type_ in ("int", "float", "size", "parts"):
            if isinstance(tree, Scalar) and not tree.plain and re.fullmatch(r"-?[0-9.]+", value):
                return f"write {value} without quotes: a quoted number is a string"
            if re.fullmatch(r"[\w.]+(,\s*[\w.]+)+", value):
                return f"several arguments are a list: [{value}]"
            return _number_help(value)
        if type_ == "bool" and value.lower() == "none":
            return "write false"
        if type_ == "bool" and value.lower() in ("true", "yes", "on", "false", "no", "off", "y", "n"):
            return f"write {'true' if value.lower() in ('true', 'yes', 'on', 'y') else 'false'}"
        if type_ == "pad" and value.lower() in PAD_WORDS:
            return f"write {value.lower()}"
        if type_ == "pad" and value.lower() in ("same", "same_lower"):
            return "`half` pads both sides alike (PyTorch), `same_upper` as TensorFlow does"
        if type_ == "pad":
            return str(did_you_mean(value, PAD_WORDS, f"the words are {', '.join(PAD_WORDS)}"))
        if re.fullmatch(r"[^\s]+\s*[-+*/%(<>=].*", value):
            return f"write `={value}` to compute it"
    if isinstance(value, float) and type_ in ("int", "size"):
        if "/" in written and "//" not in written:
            return "`//` divides integers"
        literal_ = value.is_integer() and not written.startswith("=")
        return f"write {int(value)}" if literal_ else "`int(...)`, `round(...)`, `//` give integers"
    if type_ == "bool" and value in (0, 1):
        return f"write {'true' if value else 'false'}"
    if isinstance(value, (int, float)) and type_ == "str":
        return "quote it to make it a string"
    return ""


def _number_help(value: str) -> str:
    """The decimal form of what other languages would read as a number."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,15}", value):
        return f"write {int(value, 16)}: numbers are decimal"
    if re.fullmatch(r"0[0-9]{1,15}", value):
        return f"write {int(value)}: a number has no leading zeros"
    if re.fullmatch(r"[0-9][0-9_]{1,20}", value):
        return f"write {int(value.replace('_', ''))}"
    return f"write `={value}` to compute it" if re.search(r"[-+*/%(]", value) else ""


def _block_with_args(env: Env, tree: Map) -> BlockValue:
    """`{leaky_relu: 0.1}`: a block with arguments, as a value."""
    if len(tree.entries) != 1:
        raise SemanticError("NS302", "a block with arguments is one symbol, `{leaky_relu: 0.1}`", tree.span)
    ((key, args),) = tree.entries
    found = resolve_block(env, Word(key.text, env.frame.home), key)
    return BlockValue(found.name, found.target, args, env.kept())


def resolve_block(env: Env, value: Value, tree: Tree) -> BlockValue:
    """A word as the block or op that it names where it was written; raises SemanticError."""
    if isinstance(value, BlockValue):
        return value
    if not isinstance(value, str):
        raise SemanticError("NS302", f"the name of a block or op is expected, got {describe(value)}", tree.span)
    bound = env.values.get(value)
    if isinstance(bound, BlockValue):
        raise SemanticError(
            "NS302", f"a block is expected, '{value}' is a string", tree.span, f"`={value}` is the parameter"
        )
    home = value.home if isinstance(value, Word) else env.frame.home
    target = home.callable(value)
    if isinstance(target, BlockDecl) and target.failed:
        raise DependsOnError
    if target is None and lookup(value) is None:
        if home.open & {"use", "blocks"}:
            raise DependsOnError
        help_ = op_help(value, env.state.callables(home))
        raise SemanticError("NS201", f"there is no block or op '{value}'", tree.span, help_)
    return BlockValue(str(value), target)
