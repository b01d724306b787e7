"""The grammar of expressions: tokens -> closures, by recursive descent."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from netspec.diagnostics.errors import Hint, did_you_mean
from netspec.expressions.arithmetic import FUNCTIONS, Fault, bounded, compare, cost, truth, unary, weight
from netspec.expressions.evaluate import Run, Wrong, arith, comprehend, cut, guard, item, logic, spend, unknown_help
from netspec.expressions.lexer import Token, tokens
from netspec.expressions.placeholders import Holes, Parsed

MAX_LENGTH = 500
MAX_DEPTH = 50


@lru_cache(maxsize=16_384)
def parse(text: str) -> Parsed:
    if len(text) > MAX_LENGTH:
        raise Wrong("NS304", f"an expression has at most {MAX_LENGTH} characters, this has {len(text)}", 0, len(text))
    try:
        parser = Parser(tokens(text))
    except Fault as e:
        raise Wrong(e.code, e.message, e.start, e.end, e.help) from None
    run = parser.ternary()
    parser.finish()
    return Parsed(run, parser.free)


_BINARY = ({"or"}, {"and"}, {"not"}, {"<", ">", "<=", ">=", "==", "!="}, {"+", "-"}, {"*", "/", "//", "%"})


class Parser:
    """Recursive descent; every method gives the closure of what it read."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens, self.pos, self.depth = found, 0, 0
        self.free: dict[str, tuple[int, int]] = {}
        self.bound: list[str] = []

    @property
    def now(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.pos]

    def take(self, *words: str) -> Token | None:
        """Reads one of the given operators or words, if it is next."""
        token = self.now
        if token.kind in ("op", "word") and token.text in words:
            self.pos += 1
            return token
        return None

    def want(self, text: str, for_: Token) -> Token:
        """Reads what must come."""
        token = self.take(text)
        if token is None:
            self.fail(f"'{text}' is missing", for_ if self.now.kind == "end" else self.now)
        return token  # type: ignore[return-value]

    def fail(self, message: str, token: Token, help: str | Hint = "") -> None:
        """Raises a syntax error at a token."""
        raise Wrong("NS301", message, token.start, token.end, help)

    def finish(self) -> None:
        """Nothing may follow the expression."""
        token = self.now
        if token.kind != "end":
            help_ = "`==` compares" if token.text in ("=", "is") else ""
            if token.text == "in":
                help_ = "there is no membership test; compare with `==` and `or`"
            self.fail(f"'{token.text}' does not fit here", token, help_)

    def ternary(self) -> Run:
        """a if c else b"""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Wrong("NS304", f"nested more than {MAX_DEPTH} deep", self.now.start, self.now.end)
        then = self.level(0)
        token = self.take("if") if not self._comprehension_if else None
        if token is not None:
            when = self.level(0)
            self.want("else", token)
            other = self.ternary()
            first = then

            def run(env: Any, local: dict[str, Any]) -> Any:
                env.tick()
                return first(env, local) if guard(token, truth, when(env, local)) else other(env, local)

            then = run
        self.depth -= 1
        return then

    _comprehension_if = False

    def level(self, n: int) -> Run:
        """The operators of one level of binding, loosest first."""
        if n == len(_BINARY):
            return self.unary()
        if n == 2:
            token = self.take("not")
            if token is None:
                return self.level(3)
            self._deeper()
            inner = self.level(2)
            self.depth -= 1
            sign = token
            return lambda env, local: not guard(sign, truth, inner(env, local))
        left = self.level(n + 1)
        if n == 3:
            return self.comparison(left)
        while (token := self.take(*_BINARY[n])) is not None:
            right = self.level(n + 1)
            left = logic(token, left, right) if n < 2 else arith(token, left, right)
        return left

    def comparison(self, first: Run) -> Run:
        """a < b < c, as in Python."""
        rest: list[tuple[Token, Run]] = []
        while (token := self.take(*_BINARY[3])) is not None:
            rest.append((token, self.level(4)))
        if not rest:
            return first

        def run(env: Any, local: dict[str, Any]) -> bool:
            env.tick()
            left = first(env, local)
            for token, part in rest:
                right = part(env, local)
                if isinstance(left, list) and isinstance(right, list):
                    spend(env, weight(left) // 16)
                if not guard(token, compare, token.text, left, right):
                    return False
                left = right
            return True

        return run

    def unary(self) -> Run:
        """-a, +a, and the power, which binds closer."""
        token = self.take("-", "+")
        if token is None:
            return self.power()
        self._deeper()
        inner = self.unary()
        self.depth -= 1
        return lambda env, local: guard(token, unary, token.text, inner(env, local))

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Wrong("NS304", f"nested more than {MAX_DEPTH} deep", self.now.start, self.now.end)

    def power(self) -> Run:
        """a ** b, from the right."""
        base = self.postfix()
        token = self.take("**")
        if token is None:
            return base
        self._deeper()
        exponent = self.unary()
        self.depth -= 1
        return arith(token, base, exponent)

    def postfix(self) -> Run:
        """v[i] and v[a:b]"""
        value = self.atom()
        while (token := self.take("[")) is not None:
            low = None if self.now.text == ":" else self.ternary()
            if self.take(":"):
                high = None if self.now.text == "]" else self.ternary()
                value = cut(token, value, low, high)
            else:
                value = item(token, value, low)  # type: ignore[arg-type]
            self.want("]", token)
        return value

    def atom(self) -> Run:
        """A number, a word, a name, a tensor, a call, a list, or an expression in brackets."""
        token = self.now
        self.pos += 1
        if token.kind in ("number", "string"):
            value = token.value
            return lambda env, local: value
        if token.kind == "tensor":
            return self.tensor(token)
        if token.kind == "op" and token.text == "(":
            inner = self._inside()
            self.want(")", token)
            return inner
        if token.kind == "op" and token.text == "[":
            return self.list(token)
        if token.kind == "word" and token.text in ("true", "false"):
            flag = token.text == "true"
            return lambda env, local: flag
        if token.kind == "name":
            return self.call(token) if self.now.text == "(" and self.now.kind == "op" else self.name(token)
        self.pos -= 1
        what = "the expression ends too early" if token.kind == "end" else f"'{token.text}' does not fit here"
        help_ = "there is no null" if token.text in ("None", "null") else ""
        if token.kind == "op" and token.text in ("=", "=="):
            help_ = "YAML took the quote: turn the comparison round, or start with `=`" if token.start == 0 else ""
        self.fail(what, token, help_)
        raise AssertionError

    def _inside(self) -> Run:
        """An expression in brackets, where an `if` is a choice again."""
        kept, self._comprehension_if = self._comprehension_if, False
        inner = self.ternary()
        self._comprehension_if = kept
        return inner

    def tensor(self, token: Token) -> Run:
        """3a.channels; the path may have holes."""
        path, attr = token.value
        if "{" not in path:

            def run(env: Any, local: dict[str, Any]) -> Any:
                env.tick()
                return env.tensor(path, attr)

            return run
        try:
            template = holes_of(path)
        except Wrong as e:
            raise Wrong(e.code, e.message, e.start + token.start, e.end + token.start, e.help) from None
        for name in template.names - set(self.bound):
            self.free.setdefault(name, (token.start, token.end))

        def filled(env: Any, local: dict[str, Any]) -> Any:
            env.tick()
            try:
                filled_path = template.text(env, local)
            except Wrong as e:
                raise Wrong(e.code, e.message, e.start + token.start, e.end + token.start, e.help) from None
            return env.tensor(filled_path, attr)

        return filled

    def name(self, token: Token) -> Run:
        """A value."""
        name = token.text
        if name not in self.bound:
            self.free.setdefault(name, (token.start, token.end))

        def run(env: Any, local: dict[str, Any]) -> Any:
            env.tick()
            if name in local:
                return local[name]
            try:
                return env.value(name)
            except KeyError:
                raise Wrong(
                    "NS202",
                    f"there is no value '{name}'",
                    token.start,
                    token.end,
                    unknown_help(name, env, self.compared),
                ) from None

        return run

    @property
    def compared(self) -> bool:
        """Whether the expression compares for equality: then an unknown name may be a word without quotes."""
        return any(t.text in ("==", "!=") for t in self.tokens)

    def call(self, token: Token) -> Run:
        """A built-in function."""
        fn = FUNCTIONS.get(token.text)
        if fn is None:
            raise Wrong(
                "NS202",
                f"there is no function '{token.text}'",
                token.start,
                token.end,
                did_you_mean(token.text, FUNCTIONS),
            )
        self.want("(", token)
        args: list[Run] = []
        while not (self.now.kind == "op" and self.now.text == ")"):
            if token.text == "divisible" and self.now.text == "by" and self.tokens[self.pos + 1].text == "=":
                self.pos += 2
            args.append(self._inside())
            if not self.take(","):
                break
        self.want(")", token)

        def run(env: Any, local: dict[str, Any]) -> Any:
            values = [arg(env, local) for arg in args]
            spend(env, cost(*values))
            result = guard(token, fn, *values)
            if isinstance(result, list):
                spend(env, cost(result))
            return result

        return run

    def list(self, token: Token) -> Run:
        """[a, b] or [f(v) for v in w if c]"""
        if self.take("]"):
            return lambda env, local: []
        start = self.pos
        free = dict(self.free)
        first = self._inside()
        if self.now.text == "for" and self.now.kind == "word":
            self.pos, self.free = start, free
            return self.comprehension(token, start)
        parts = [first]
        while self.take(","):
            if self.now.text == "]":
                break
            parts.append(self._inside())
        self.want("]", token)
        return lambda env, local: guard(token, bounded, [part(env, local) for part in parts])

    def comprehension(self, token: Token, start: int) -> Run:
        """Reads the names first, since the element before them uses them."""
        depth, self.pos = 0, start
        while not (depth == 0 and self.now.text == "for" and self.now.kind == "word"):
            depth += (self.now.text in ("(", "[")) - (self.now.text in (")", "]"))
            self.pos += 1
        self.pos += 1
        names = [self._target()]
        while self.take(","):
            names.append(self._target())
        self.want("in", token)
        kept, self._comprehension_if = self._comprehension_if, True
        source = self.ternary()
        after, end_of_source = self.pos, self.pos
        self.bound += names
        self._comprehension_if = False
        keep = self.ternary() if self.take("if") else None
        self.want("]", token)
        after = self.pos
        self.pos = start
        element = self.ternary()
        self.pos = after
        del self.bound[len(self.bound) - len(names) :], end_of_source
        self._comprehension_if = kept
        return comprehend(token, names, source, keep, element)

    def _target(self) -> str:
        token = self.now
        if token.kind != "name":
            self.fail("a name is expected after `for`", token)
        self.pos += 1
        return token.text


@lru_cache(maxsize=16_384)
def holes_of(text: str) -> Holes:
    parts: list[str | tuple[Parsed, int]] = []
    names: set[str] = set()
    pos = 0
    while (start := text.find("{", pos)) >= 0:
        end = text.find("}", start)
        if end < 0:
            raise Wrong("NS301", "'}' is missing", start, len(text))
        parts.append(text[pos:start])
        try:
            hole = parse(text[start + 1 : end])
        except Wrong as e:
            raise Wrong(e.code, e.message, e.start + start + 1, e.end + start + 1, e.help) from None
        parts.append((hole, start + 1))
        names |= set(hole.names)
        pos = end + 1
    if "}" in text[pos:]:
        raise Wrong("NS301", "'{' is missing", text.index("}", pos), len(text))
    parts.append(text[pos:])
    return Holes(tuple(p for p in parts if p != ""), frozenset(names))
