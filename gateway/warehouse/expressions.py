"""The small closed language of mappings (`derive`, `where`), compiled to DuckDB SQL.

Only the functions and operators named here exist; every literal is escaped and every name must be
a column of the source, so no text of a mapping file reaches the engine as SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial

from gateway.warehouse.functions import FUNCTIONS, Kind, coerce, quoted

_MAX_LENGTH = 4000
_MAX_DEPTH = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<string>'(?:[^']|'')*')|(?P<name>[^\W\d]\w*)"
    r'|(?P<column>"[^"]+"|`[^`]+`)|(?P<sign><>|!=|<=|>=|\|\||[-+*/=<>(),]))'
)
_WORDS = frozenset(
    ("and", "or", "not", "in", "is", "null", "true", "false", "case", "when", "then", "else", "end")
)


class ExpressionError(ValueError):
    """The expression is not of the language; the message says what and where."""


@dataclass(frozen=True)
class Compiled:
    """SQL of an expression, its kind, the columns it reads and the conversions that can fail.

    `doubts` are (SQL that is true when a value present could not be converted, reason code).
    """

    sql: str
    kind: Kind
    columns: frozenset[str] = frozenset()
    doubts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Token:
    sort: str
    text: str
    at: int


def compile_expression(text: str, columns: Collection[str], relation: str = "") -> Compiled:
    """The SQL of an expression over the columns of a relation; ExpressionError if not valid."""
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {_MAX_LENGTH} characters")
    return _Parser(_tokens(text), columns, f"{relation}." if relation else "").whole()


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"unexpected {text[start : start + 10]!r} at position {start}")
        sort = str(match.lastgroup)
        word, start = match[sort], match.start(sort)
        if sort == "name" and word.lower() in _WORDS:
            sort, word = "word", word.lower()
        found.append(_Token(sort, word, start))
        at = match.end()
    return [*found, _Token("end", "the end", len(text))]


@dataclass
class _Parser:
    """Recursive descent, one method per level of binding."""

    tokens: list[_Token]
    known: Collection[str]
    prefix: str = ""
    at: int = 0
    depth: int = 0
    used: set[str] = field(default_factory=set)
    doubts: list[tuple[str, str]] = field(default_factory=list)

    def whole(self) -> Compiled:
        value = self.either()
        if self.peek.sort != "end":
            raise self.error("expected an operator or the end")
        return Compiled(
            value.sql, value.kind, frozenset(self.used), tuple(dict.fromkeys(self.doubts))
        )

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> str | None:
        """Consume the next sign or word if it is one of these."""
        token = self.peek
        if token.sort in ("sign", "word") and token.text in texts:
            self.at += 1
            return token.text
        return None

    def need(self, text: str) -> None:
        if self.take(text) is None:
            raise self.error(f"expected {text!r}")

    def error(self, message: str) -> ExpressionError:
        return ExpressionError(f"{message}, found {self.peek.text!r} at position {self.peek.at}")

    def converted(self, value: Compiled, kind: Kind) -> str:
        """SQL of the value as that kind; a conversion that can fail is remembered."""
        try:
            sql, reason = coerce(value.sql, value.kind, kind)
        except ValueError as error:
            raise self.error(str(error)) from None
        if reason:
            self.doubts.append((f"({value.sql}) IS NOT NULL AND ({sql}) IS NULL", reason))
        return sql

    def chain(self, words: tuple[str, ...], inner: Callable[[], Compiled]) -> Compiled:
        left = inner()
        while word := self.take(*words):
            sql = f"({self.converted(left, 'bool')} {word.upper()}"
            left = Compiled(f"{sql} {self.converted(inner(), 'bool')})", "bool")
        return left

    def either(self) -> Compiled:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpressionError(f"the expression nests deeper than {_MAX_DEPTH} levels")
        value = self.chain(("or",), partial(self.chain, ("and",), self.negation))
        self.depth -= 1
        return value

    def negation(self) -> Compiled:
        inverted = False
        while self.take("not"):
            inverted = not inverted
        value = self.comparison()
        return Compiled(f"(NOT {self.converted(value, 'bool')})", "bool") if inverted else value

    def comparison(self) -> Compiled:
        left = self.sum()
        if self.take("is"):
            negated = "NOT " if self.take("not") else ""
            self.need("null")
            return Compiled(f"({left.sql} IS {negated}NULL)", "bool")
        negated = "NOT " if self.take("not") else ""
        if self.take("in"):
            self.need("(")
            members = [self.as_like(left, item) for item in self.listed()]
            return Compiled(f"({left.sql} {negated}IN ({', '.join(members)}))", "bool")
        if negated:
            raise self.error("expected 'in'")
        sign = self.take("=", "!=", "<>", "<", "<=", ">", ">=")
        return self.compared(left, sign.replace("!=", "<>")) if sign else left

    def compared(self, left: Compiled, sign: str) -> Compiled:
        right = self.sum()
        if left.kind == "text" and right.kind != "text":
            return Compiled(f"({self.as_like(right, left)} {sign} {right.sql})", "bool")
        return Compiled(f"({left.sql} {sign} {self.as_like(left, right)})", "bool")

    def as_like(self, model: Compiled, value: Compiled) -> str:
        kind = value.kind if model.kind == "null" else model.kind
        return self.converted(value, kind)

    def sum(self) -> Compiled:
        left = self.product()
        while sign := self.take("+", "-", "||"):
            right = self.product()
            if sign == "||":
                texts = (self.converted(left, "text"), self.converted(right, "text"))
                left = Compiled(f"concat({texts[0]}, {texts[1]})", "text")
            else:
                left = self.arithmetic(left, sign, right)
        return left

    def product(self) -> Compiled:
        left = self.unary()
        while sign := self.take("*", "/"):
            left = self.arithmetic(left, sign, self.unary())
        return left

    def arithmetic(self, left: Compiled, sign: str, right: Compiled) -> Compiled:
        first, second = self.converted(left, "number"), self.converted(right, "number")
        if sign == "/":
            second = f"nullif({second}, 0)"
        return Compiled(f"TRY_CAST(({first} {sign} {second}) AS DECIMAL(18,6))", "number")

    def unary(self) -> Compiled:
        negative = False
        while self.take("-"):
            negative = not negative
        value = self.primary()
        return Compiled(f"(-{self.converted(value, 'number')})", "number") if negative else value

    def primary(self) -> Compiled:
        token = self.peek
        self.at += 1
        match token.sort:
            case "number":
                return Compiled(f"CAST('{token.text}' AS DECIMAL(18,6))", "number")
            case "string":
                return Compiled(quoted(token.text[1:-1].replace("''", "'")), "text")
            case "column":
                return self.column(token.text[1:-1], token)
            case "name" if self.peek.text == "(" and self.peek.sort == "sign":
                return self.call(token)
            case "name":
                return self.column(token.text, token)
        return self.keyword(token)

    def keyword(self, token: _Token) -> Compiled:
        match token.sort, token.text:
            case "sign", "(":
                value = self.either()
                self.need(")")
                return Compiled(f"({value.sql})", value.kind)
            case "word", "null":
                return Compiled("NULL", "null")
            case "word", ("true" | "false"):
                return Compiled(token.text, "bool")
            case "word", "case":
                return self.case()
        self.at -= 1
        raise self.error("expected a column, a value or a function")

    def column(self, name: str, token: _Token) -> Compiled:
        if name not in self.known:
            raise ExpressionError(f"the source has no column {name!r} (position {token.at})")
        self.used.add(name)
        identifier = '"' + name.replace('"', '""') + '"'
        return Compiled(self.prefix + identifier, "text")

    def listed(self) -> list[Compiled]:
        """Comma-separated values up to the closing parenthesis."""
        if self.take(")"):
            return []
        values = [self.either()]
        while self.take(","):
            values.append(self.either())
        self.need(")")
        return values

    def call(self, token: _Token) -> Compiled:
        function = FUNCTIONS.get(token.text.lower())
        if function is None:
            raise ExpressionError(
                f"there is no function {token.text!r}; known: {', '.join(sorted(FUNCTIONS))}"
            )
        self.need("(")
        values = self.listed()
        if not function.fits(len(values)):
            raise ExpressionError(f"{token.text}() does not take {len(values)} arguments")
        kinds = function.kinds([value.kind for value in values])
        sql = [self.converted(v, k) for v, k in zip(values, kinds, strict=True)]
        result = kinds[0] if function.result == "same" else function.result
        return Compiled(function.sql(sql), result)

    def case(self) -> Compiled:
        branches: list[tuple[str, Compiled]] = []
        while self.take("when"):
            condition = self.converted(self.either(), "bool")
            self.need("then")
            branches.append((condition, self.either()))
        if not branches:
            raise self.error("expected 'when'")
        otherwise = self.either() if self.take("else") else Compiled("NULL", "null")
        self.need("end")
        values = [value for _, value in branches] + [otherwise]
        kind = _common(value.kind for value in values)
        arms = [f"WHEN {c} THEN {self.converted(v, kind)}" for c, v in branches]
        tail = self.converted(otherwise, kind)
        return Compiled(f"(CASE {' '.join(arms)} ELSE {tail} END)", kind)


def _common(kinds: Iterable[Kind]) -> Kind:
    """The one kind that branches share: text if they differ."""
    found: set[Kind] = {kind for kind in kinds if kind != "null"}
    if len(found) == 1:
        return found.pop()
    return "text" if found else "null"
