"""Small wrongs in Rego rules, made from the engine's syntax tree: what a slip of the pen could do.

Each mutant differs from the shipped file in one place: a rule or an expression is gone or negated,
a bound is off by one, an operator is its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from gateway.policy.engine import build_engine

Node: TypeAlias = Any  # a JSON syntax tree of the engine's own making

_OPERATORS = {
    "Le": ("<=", "<"),
    "Lt": ("<", "<="),
    "Ge": (">=", ">"),
    "Gt": (">", ">="),
    "Eq": ("==", "!="),
    "Ne": ("!=", "=="),
    "Add": ("+", "-"),
    "Sub": ("-", "+"),
    "Mul": ("*", "+"),
    "Div": ("/", "*"),
    "Mod": ("%", "+"),
    "Union": ("|", "&"),
    "Intersection": ("&", "|"),
}
_NEGATABLE = ("BoolExpr", "Membership", "Call", "Var", "RefDot", "RefBrack")


@dataclass(frozen=True)
class Mutant:
    """One file with one thing wrong."""

    path: str
    line: int
    what: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one rule file, none twice."""
    engine = build_engine({path: text}, {})
    (module,) = orjson.loads(engine.get_ast_as_json())
    source, seen = text.encode(), {text.encode()}
    for line, what, changed in _changes(module["ast"]["rules"], source):
        if changed not in seen:
            seen.add(changed)
            yield Mutant(path, line, what, changed.decode())


_Change: TypeAlias = "tuple[int, str, bytes]"


def _changes(rules: Node, source: bytes) -> Iterator[_Change]:
    for rule in rules:
        (head,) = rule.values()
        yield _cut(_whole(head["span"], source), source, b"", "rule dropped")
        for body in head.get("bodies", [])[1:]:
            yield _cut(_whole(body["span"], source), source, b"", "branch dropped")
        yield from _inside(head, source)


def _inside(node: Node, source: bytes) -> Iterator[_Change]:
    """Changes of this node and of everything in it."""
    if isinstance(node, list):
        for child in node:
            yield from _inside(child, source)
    elif isinstance(node, dict):
        if "stmts" in node:
            yield from _statements(node["stmts"], source)
        for kind, child in node.items():
            if isinstance(child, dict) and "span" in child:
                yield from _expression(kind, child, source)
            yield from _inside(child, source)


def _statements(statements: Node, source: bytes) -> Iterator[_Change]:
    for statement in statements:
        span = _whole(statement["span"], source)
        words = _words(span, source)
        yield _cut(span, source, b"true", f"expression dropped: {words}")
        (literal,) = statement["literal"].items()
        kind, inner = literal
        if kind == "NotExpr":
            plain = _text(inner["expr"], source)
            yield _cut(span, source, plain, f"negation dropped: {words}")
        elif kind == "Expr" and any(name in inner["expr"] for name in _NEGATABLE):
            yield _cut(span, source, b"not " + source[span["start"] : span["end"]], f"not {words}")


def _expression(kind: str, node: Node, source: bytes) -> Iterator[_Change]:
    span = node["span"]
    where = f" in column {span['col']}: {source.splitlines()[span['line'] - 1].strip().decode()}"
    if kind == "Number":
        value = int(source[span["start"] : span["end"]])  # the rules have no fractions
        for other in (value + 1, value - 1):
            yield _cut(span, source, str(other).encode(), f"{value} becomes {other}{where}")
    elif kind == "Bool":
        word = source[span["start"] : span["end"]]
        yield _cut(
            span, source, b"false" if word == b"true" else b"true", f"not {word.decode()}{where}"
        )
    elif node.get("op") in _OPERATORS:
        old, new = _OPERATORS[node["op"]]
        yield _operator(node, source, old, new)


def _operator(node: Node, source: bytes, old: str, new: str) -> _Change:
    left, right = _span(node["lhs"])["end"], _span(node["rhs"])["start"]
    at = source.index(old.encode(), left, right)
    words = _words(node["span"], source)
    changed = source[:at] + new.encode() + source[at + len(old) :]
    return node["span"]["line"], f"{old} becomes {new}: {words}", changed


def _whole(span: Node, source: bytes) -> Node:
    """The span with its quotes: the tree leaves those of a string at either end out."""
    start, end = span["start"], span["end"]
    for quote in (b'"', b"`"):
        if source[start:end].count(quote) % 2 and source[end : end + 1] == quote:
            end += 1
        elif source[start:end].count(quote) % 2 and source[start - 1 : start] == quote:
            start -= 1
    return span | {"start": start, "end": end}


def _span(node: Node) -> Node:
    (inner,) = node.values()
    return inner["span"]


def _text(node: Node, source: bytes) -> bytes:
    span = _whole(_span(node), source)
    return source[span["start"] : span["end"]]


def _words(span: Node, source: bytes) -> str:
    return " ".join(source[span["start"] : span["end"]].decode().split())[:70]


def _cut(span: Node, source: bytes, by: bytes, what: str) -> _Change:
    return span["line"], what, source[: span["start"]] + by + source[span["end"] :]
