"""Looks for regular expressions that a long text can hold up: every one of the source, pumped.

For each repetition in a pattern a text is made that stays in it as long as one likes and then does
not match; the processor time for twice the text is compared with that for the text. Run as a
program it prints what grows faster than its input, as JSON; a pattern that never ends is the last
one named on standard error.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]  # the parser of `re` itself
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("gateway", "metering", "sandbox", "sluice_client", "synthetic")
METHODS = frozenset({"match", "fullmatch", "search", "sub", "subn", "findall", "finditer", "split"})
LONG = 16_384
LENGTHS = (*range(8, 32, 2), *(2**power for power in range(5, 15)))
"""By small steps first: what doubles with every character is caught before it takes for ever."""
ENOUGH = 0.1
WORTH = 0.004
"""Seconds of the processor for `LONG` characters; below that four times as much is nothing."""
FASTER = 3.0
"""Twice the text takes twice the time where it is linear, four times where it is quadratic."""


class Found(NamedTuple):
    """A pattern, how it is asked, and where it stands."""

    pattern: str
    flags: int
    method: str
    place: str


def _constant(node: ast.expr, names: dict[str, str]) -> str | None:
    """A text that is known from the module alone: plain, put together, or by name."""
    if isinstance(node, ast.Constant):
        value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        return value if isinstance(value, str) else None
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.JoinedStr):
        parts = [
            _constant(one.value if isinstance(one, ast.FormattedValue) else one, names)
            for one in node.values
        ]
        return None if None in parts else "".join(part for part in parts if part is not None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _constant(node.left, names), _constant(node.right, names)
        return None if left is None or right is None else left + right
    return None


def _flags(call: ast.Call) -> int:
    spelt = " ".join(
        ast.unparse(one) for one in (*call.args[1:], *(k.value for k in call.keywords))
    )
    flags = 0
    for name in re.findall(r"\bre\.([A-Z]+)\b", spelt):
        flags |= int(getattr(re, name))
    return flags


def _asked(tree: ast.Module) -> dict[str, str]:
    """By which method each name of a module is asked."""
    return {
        node.func.value.id: node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in METHODS
    }


def of_module(path: Path) -> tuple[list[Found], list[str]]:
    """The patterns of one module, and the places of those that only running it would tell."""
    tree = ast.parse(path.read_text("utf-8"))
    where = str(path.relative_to(ROOT))
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and (text := _constant(node.value, names)) is not None:
                names[target.id] = text
    asked = _asked(tree)
    found, unknown = [], []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        place = f"{where}:{node.lineno}"
        named = [k for k in node.keywords if k.arg == "pattern"]
        called = ast.unparse(node.func)
        if called in {"re.compile", *(f"re.{name}" for name in METHODS)}:
            text = _constant(node.args[0], names)
            method = called[3:] if called != "re.compile" else _method(tree, node, asked)
            if text is None:
                unknown.append(place)
            else:
                found.append(Found(text, _flags(node), method, place))
        elif named and (text := _constant(named[0].value, names)) is not None:
            found.append(Found(text, 0, "search", place))  # as pydantic and msgspec ask
    return found, unknown


def _method(tree: ast.Module, call: ast.Call, asked: dict[str, str]) -> str:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is call:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            return asked.get(target.id, "search") if isinstance(target, ast.Name) else "search"
    return "search"


def of_data(path: Path) -> Iterator[Found]:
    """The patterns of a data file: every text under a key `pattern`."""
    text = path.read_text("utf-8")
    content = (
        json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=yaml.CSafeLoader)
    )
    pending = [content]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if isinstance(node.get("pattern"), str):
                yield Found(node["pattern"], re.ASCII, "fullmatch", str(path.relative_to(ROOT)))
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def of_running(path: Path) -> Iterator[Found]:
    """The patterns that a module holds once it is imported, which puts some together."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    asked = _asked(ast.parse(path.read_text("utf-8")))
    pending = list(vars(importlib.import_module(name)).items())
    for _ in range(3):  # in tuples of tuples, as the recognisers' list is
        for own, one in pending:
            if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
                method = asked.get(own, "finditer")
                yield Found(one.pattern, one.flags & ~re.UNICODE, method, f"{name}.{own}")
        pending = [(own, each) for own, one in pending for each in _inside(one)]


def _inside(one: object) -> list[object]:
    if isinstance(one, dict):
        return list(one.values())
    return list(one) if isinstance(one, tuple | list | frozenset) else []


def everything() -> tuple[list[Found], list[str]]:
    """All patterns of the source and of its data, and the places that ask by a pattern of data."""
    found: list[Found] = []
    unknown: list[str] = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            own, others = of_module(path)
            found += own
            unknown += others
            found += of_running(path) if others else []
    for folder in (*FOLDERS, "policies"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".yaml", ".json"} and "pattern" in path.read_text("utf-8"):
                found += of_data(path)
    return found, unknown


def _sample(items: Any) -> str:  # Any: the parser's own tree
    """A short text that the items match, lookarounds left out."""
    return "".join(_one(op, value) for op, value in items)


def _one(op: Any, value: Any) -> str:
    if op is sre.LITERAL:
        return chr(value)
    if op in (sre.NOT_LITERAL, sre.ANY):
        return "b" if value == ord("a") else "a"
    if op is sre.IN:
        return _member(value)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return _sample(value[2]) * max(value[0], 1 if value[1] else 0)
    inside = {sre.BRANCH: lambda: value[1][0], sre.SUBPATTERN: lambda: value[3]}
    if op in inside:
        return _sample(inside[op]())
    return _sample(value) if op is sre.ATOMIC_GROUP else ""


_OF_CATEGORY = {
    sre.CATEGORY_DIGIT: "1",
    sre.CATEGORY_NOT_DIGIT: "a",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: "a",
    sre.CATEGORY_WORD: "a",
    sre.CATEGORY_NOT_WORD: "-",
}


def _member(value: Any) -> str:
    if value[0][0] is sre.NEGATE:
        for char in "a1 -甲Z_":
            if not re.match(_class(value[1:]), char):
                return char
        return "\x01"
    op, first = value[0]
    if op is sre.LITERAL:
        return chr(first)
    if op is sre.RANGE:
        return chr(first[0])
    return _OF_CATEGORY.get(first, "a")


def _class(value: Any) -> str:
    """A set written again, as far as needed to ask whether a letter is in it."""
    parts = []
    for op, one in value:
        if op is sre.LITERAL:
            parts.append(re.escape(chr(one)))
        elif op is sre.RANGE:
            parts.append(f"{re.escape(chr(one[0]))}-{re.escape(chr(one[1]))}")
        elif op is sre.CATEGORY:
            spelt = {"1": r"\d", " ": r"\s", "-": r"\W"}
            parts.append(spelt.get(_OF_CATEGORY.get(one, "a"), r"\w"))
    return f"[{''.join(parts)}]"


def pumps(items: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """For every repetition: what stands before it, and what it repeats."""
    for op, value in items:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            if value[1] > 8:
                yield before, _sample(value[2])
                for kind, own in value[2]:
                    if kind is sre.BRANCH:
                        yield from ((before, _sample(each)) for each in own[1])
            yield from pumps(value[2], before)
        elif op is sre.SUBPATTERN:
            yield from pumps(value[3], before)
        elif op is sre.BRANCH:
            for branch in value[1]:
                yield from pumps(branch, before)
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            yield from pumps(value[1], before)
        before += _one(op, value)


def _seconds(regex: re.Pattern[str], method: str, text: str) -> float:
    best = 1e9
    for _ in range(2):
        begun = time.process_time()
        if method == "finditer":
            sum(1 for _ in regex.finditer(text))
        elif method in {"sub", "subn"}:
            getattr(regex, method)("", text)
        else:
            getattr(regex, method)(text)
        best = min(best, time.process_time() - begun)
    return best


def held_up(one: Found) -> str | None:
    """The beginning of a text whose double takes far more than twice as long, if there is one."""
    regex = re.compile(one.pattern, one.flags)
    tree = parser.parse(one.pattern, one.flags)
    for prefix, pump in {*pumps(tree), ("", "a"), ("", "1"), ("", " ")}:
        for suffix in ("", "\x01"):
            if not pump:
                continue
            took = before = 0.0
            for length in LENGTHS:
                text = prefix + pump * (length // len(pump)) + suffix
                took, before = _seconds(regex, one.method, text), took
                if took > ENOUGH:
                    break
            if took > ENOUGH or (took > WORTH and took > FASTER * max(before, 1e-6)):
                return prefix + pump * 3
    return None


def main() -> None:
    """Ask every pattern once; print the places of those that can be held up."""
    found, _ = everything()
    slow = {}
    for one in dict.fromkeys(found):
        print(one.place, one.pattern, file=sys.stderr, flush=True)  # noqa: T201 - a program
        if (text := held_up(one)) is not None:
            slow[one.place] = [one.pattern, one.method, text]
    print(json.dumps({"asked": len(set(found)), "slow": slow}, ensure_ascii=False))  # noqa: T201 - a program


if __name__ == "__main__":
    main()
