"""The grammar of expressions: tokens -> tree, by recursive descent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NoReturn

from netspec.diagnostics.errors import Hint, did_you_mean
from netspec.expressions.ast import (
    Attribute,
    BinOp,
    BoolOp,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    Index,
    ListLiteral,
    Name,
    Node,
    Parts,
    Placeholder,
    Slice,
    UnaryOp,
)
from netspec.expressions.errors import ExpressionError
from netspec.expressions.functions import FUNCTIONS
from netspec.expressions.lexer import Token, tokens

MAX_LENGTH = 500
MAX_DEPTH = 50

_COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")


def parse(text: str, start: int = 0) -> Node:
    """The tree of the expression that begins at a character of a text; raises ExpressionError, with characters."""
    found = _parsed(text, start)
    if isinstance(found, ExpressionError):
        # Whoever catches it gives it a place, which is another one where the text stands again.
        raise ExpressionError(found.code, found.message, found.help, found.characters)
    return found


@lru_cache(maxsize=16_384)
def _parsed(text: str, start: int) -> Node | ExpressionError:
    """The tree of an expression or its error: both are kept, since a text with an error may stand often too."""
    try:
        return _read(text, start)
    except ExpressionError as e:
        return e.with_traceback(None)


def _read(text: str, start: int) -> Node:
    if (length := len(text) - start) > MAX_LENGTH:
        message = f"an expression has at most {MAX_LENGTH} characters, this has {length}"
        raise ExpressionError("NS304", message, characters=(start, len(text)))
    parser = Parser(text, start)
    tree = parser.ternary()
    parser.finish()
    return tree


@lru_cache(maxsize=16_384)
def parse_parts(text: str, start: int = 0) -> Parts:
    """The name or path that begins at a character of a text; raises ExpressionError, with characters."""
    parts: list[str | Placeholder] = []
    pos = start
    if (length := len(text) - start) > MAX_LENGTH and "{" in text:
        message = f"a name or path with placeholders has at most {MAX_LENGTH} characters, this has {length}"
        raise ExpressionError("NS304", message, characters=(start, len(text)))
    while (opening := text.find("{", pos)) >= 0:
        closing = text.find("}", opening)
        if closing < 0:
            raise ExpressionError("NS301", "'}' is missing", characters=(opening, len(text)))
        parts += [text[pos:opening], Placeholder(parse(text[:closing], opening + 1), opening + 1)]
        pos = closing + 1
    if "}" in text[pos:]:
        raise ExpressionError("NS301", "'{' is missing", characters=(text.index("}", pos), len(text)))
    parts.append(text[pos:])
    return tuple(p for p in parts if p != "")


class Parser:
    """Recursive descent; every method gives the tree of what it read."""

    def __init__(self, text: str, start: int) -> None:
        self.text, self.start = text, start
        self.tokens, self.pos, self.depth = tokens(text, start), 0, 0
        self.if_filters = False
        """Whether an `if` begins the condition of a comprehension here, and no choice."""

    @property
    def now(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.pos]

    @property
    def end(self) -> int:
        """Where what was read ends."""
        return self.tokens[self.pos - 1].end

    def take(self, *texts: str) -> Token | None:
        """Reads one of the given operators or keywords, if it is next."""
        token = self.now
        if token.kind in ("operator", "keyword") and token.text in texts:
            self.pos += 1
            return token
        return None

    def expect(self, text: str, opening: Token) -> None:
        """Reads what must come after the token that makes it necessary."""
        if self.take(text) is None:
            self.fail(f"'{text}' is missing", opening if self.now.kind == "end" else self.now)

    def fail(self, message: str, token: Token, help: str | Hint = "") -> NoReturn:
        """Raises a syntax error at a token."""
        raise ExpressionError("NS301", message, help, (token.start, token.end))

    def finish(self) -> None:
        """Nothing may follow the expression."""
        token = self.now
        if token.kind != "end":
            help_ = "`==` compares" if token.text in ("=", "is") else ""
            if token.text == "in":
                help_ = "there is no membership test; compare with `==` and `or`"
            self.fail(f"'{token.text}' does not fit here", token, help_)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Counts what is nested against the limit."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            place = self.now.start, self.now.end
            raise ExpressionError("NS304", f"nested more than {MAX_DEPTH} deep", characters=place)
        yield
        self.depth -= 1

    @contextmanager
    def filtering(self, filters: bool) -> Iterator[None]:
        """Within it `if` begins the filter of a comprehension, or with False a conditional expression."""
        kept, self.if_filters = self.if_filters, filters
        yield
        self.if_filters = kept

    def ternary(self) -> Node:
        """a if c else b"""
        start = self.now.start
        with self.deeper():
            then = self.disjunction()
            token = None if self.if_filters else self.take("if")
            if token is None:
                return then
            condition = self.disjunction()
            self.expect("else", token)
            otherwise = self.ternary()
        return Conditional(start, self.end, token, condition, then, otherwise)

    def disjunction(self) -> Node:
        """a or b"""
        start, first, rest = self.now.start, self.conjunction(), []
        while token := self.take("or"):
            rest.append((token, self.conjunction()))
        return BoolOp(start, self.end, first, tuple(rest)) if rest else first

    def conjunction(self) -> Node:
        """a and b"""
        start, first, rest = self.now.start, self.negation(), []
        while token := self.take("and"):
            rest.append((token, self.negation()))
        return BoolOp(start, self.end, first, tuple(rest)) if rest else first

    def negation(self) -> Node:
        """not a"""
        token = self.take("not")
        if token is None:
            return self.comparison()
        with self.deeper():
            operand = self.negation()
        return UnaryOp(token.start, self.end, token, operand)

    def comparison(self) -> Node:
        """a < b < c, as in Python."""
        start, first, rest = self.now.start, self.sum(), []
        while token := self.take(*_COMPARISONS):
            rest.append((token, self.sum()))
        return Compare(start, self.end, first, tuple(rest)) if rest else first

    def sum(self) -> Node:
        """a + b - c"""
        start, value = self.now.start, self.product()
        while token := self.take("+", "-"):
            right = self.product()
            value = BinOp(start, self.end, token, value, right)
        return value

    def product(self) -> Node:
        """a * b / c"""
        start, value = self.now.start, self.unary()
        while token := self.take("*", "/", "//", "%"):
            right = self.unary()
            value = BinOp(start, self.end, token, value, right)
        return value

    def unary(self) -> Node:
        """-a, +a, and the power, which binds closer."""
        token = self.take("-", "+")
        if token is None:
            return self.power()
        with self.deeper():
            operand = self.unary()
        return UnaryOp(token.start, self.end, token, operand)

    def power(self) -> Node:
        """a ** b, from the right."""
        start, base = self.now.start, self.postfix()
        token = self.take("**")
        if token is None:
            return base
        with self.deeper():
            exponent = self.unary()
        return BinOp(start, self.end, token, base, exponent)

    def postfix(self) -> Node:
        """v[i] and v[a:b]"""
        start, value = self.now.start, self.atom()
        while token := self.take("["):
            low = None if self.now.text == ":" else self.ternary()
            if low is None or self.now.text == ":":
                self.expect(":", token)
                high = None if self.now.text == "]" else self.ternary()
                self.expect("]", token)
                value = Slice(start, self.end, token, value, low, high)
            else:
                self.expect("]", token)
                value = Index(start, self.end, token, value, low)
        return value

    def atom(self) -> Node:
        """A number, a string, a name, a tensor, a call, a list, or an expression in brackets."""
        token = self.now
        self.pos += 1
        match token.kind, token.text:
            case (("number" | "string"), _):
                return Constant(token.start, token.end, token.value)
            case "tensor", _:
                return self.tensor(token)
            case "operator", "(":
                inner = self.inside()
                self.expect(")", token)
                return inner
            case "operator", "[":
                return self.list(token)
            case "keyword", ("true" | "false"):
                return Constant(token.start, token.end, token.text == "true")
            case "name", _:
                if self.now.kind == "operator" and self.now.text == "(":
                    return self.call(token)
                return Name(token.start, token.end, token.text)
        self.pos -= 1
        what = "the expression ends too early" if token.kind == "end" else f"'{token.text}' does not fit here"
        help_ = "there is no null" if token.text in ("None", "null") else ""
        if token.text in ("=", "==") and token.start == self.start:
            help_ = "YAML took the quote: swap the sides, or start with `=`"
        self.fail(what, token, help_)

    def inside(self) -> Node:
        """An expression in brackets, where an `if` is a choice again."""
        with self.filtering(False):
            return self.ternary()

    def tensor(self, token: Token) -> Node:
        """3a.channels; the path may have placeholders."""
        path, _, attribute = token.text.rpartition(".")
        parts = parse_parts(self.text[: token.start + len(path)], token.start)
        return Attribute(token.start, token.end, parts, attribute)

    def call(self, token: Token) -> Node:
        """A built-in function."""
        if token.text not in FUNCTIONS:
            message, help_ = f"there is no function '{token.text}'", did_you_mean(token.text, FUNCTIONS)
            raise ExpressionError("NS202", message, help_, (token.start, token.end))
        self.expect("(", token)
        arguments: list[Node] = []
        while not (self.now.kind == "operator" and self.now.text == ")"):
            if token.text == "divisible" and self.now.text == "by" and self.tokens[self.pos + 1].text == "=":
                self.pos += 2
            arguments.append(self.inside())
            if not self.take(","):
                break
        self.expect(")", token)
        return Call(token.start, self.end, token, tuple(arguments))

    def list(self, token: Token) -> Node:
        """[a, b] or [f(v) for v in w if c]"""
        items: list[Node] = []
        while self.now.text != "]":
            items.append(self.inside())
            if len(items) == 1 and self.take("for"):
                return self.comprehension(token, items[0])
            if not self.take(","):
                break
        self.expect("]", token)
        return ListLiteral(token.start, self.end, token, tuple(items))

    def comprehension(self, token: Token, element: Node) -> Node:
        """What follows the `for`."""
        names = [self.target()]
        while self.take(","):
            names.append(self.target())
        self.expect("in", token)
        with self.filtering(True):
            source = self.ternary()
        condition = self.inside() if self.take("if") else None
        self.expect("]", token)
        return Comprehension(token.start, self.end, token, element, tuple(names), source, condition)

    def target(self) -> str:
        """Parses the loop variable of a comprehension."""
        token = self.now
        if token.kind != "name":
            self.fail("a name is expected after `for`", token)
        self.pos += 1
        return token.text
