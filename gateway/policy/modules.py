"""What the engine's syntax tree says about the rule files: packages, rules, tests, style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import orjson

from gateway.policy.engine import build_engine

Node: TypeAlias = Any  # a JSON syntax tree of the engine's own making


@dataclass(frozen=True)
class Rule:
    """One rule head; several may share a name."""

    name: str
    line: int
    described: bool

    @property
    def public(self) -> bool:
        return not self.name.startswith("_")


@dataclass(frozen=True)
class Module:
    """One rule file."""

    path: str
    package: str
    rules: tuple[Rule, ...]
    tree: Node

    @property
    def is_test(self) -> bool:
        return self.path.endswith("_test.rego")

    @property
    def tests(self) -> tuple[Rule, ...]:
        """Rules to be run, first body of each."""
        named = {rule.name: rule for rule in reversed(self.rules) if rule.name.startswith("test_")}
        return tuple(sorted(named.values(), key=lambda rule: rule.line))


def parse_modules(rego: Mapping[str, str]) -> tuple[Module, ...]:
    """All files parsed; a syntax error is a `PolicyDataError` with file, line and excerpt."""
    engine = build_engine(rego, {})
    return tuple(_module(entry) for entry in orjson.loads(engine.get_ast_as_json()))


def style_findings(modules: tuple[Module, ...]) -> Iterator[str]:
    """Departures from the rules' style sheet, one sentence each with file and line."""
    tested = {module.package for module in modules if module.is_test}
    for module in modules:
        folder = PurePosixPath(module.path).parent.name
        expected = f"{folder}_test" if module.is_test else folder
        if module.package != expected:
            yield f"{module.path}:1: package {module.package} belongs in a folder of its name"
        if not module.is_test:
            if f"{module.package}_test" not in tested:
                yield f"{module.path}:1: package {module.package} has no test"
            yield from _undescribed(module)
        for line in _risky_negations(module.tree):
            yield (
                f"{module.path}:{line}: `not` may only negate a named fact; over anything else "
                "the engines disagree when an operand is undefined"
            )


def _undescribed(module: Module) -> Iterator[str]:
    """The first head of each public rule carries METADATA; further heads add to the same rule."""
    described = {rule.name for rule in module.rules if rule.described}
    for name in dict.fromkeys(rule.name for rule in module.rules if rule.public):
        if name not in described:
            line = next(rule.line for rule in module.rules if rule.name == name)
            yield f"{module.path}:{line}: public rule {name} has no METADATA description"


def _risky_negations(node: Node) -> Iterator[int]:
    """Lines of `not` over something other than a rule's name or a dotted path of names."""
    if isinstance(node, dict):
        negated = node.get("NotExpr")
        if negated is not None and not _is_path(negated["expr"]):
            yield negated["span"]["line"]
        for child in node.values():
            yield from _risky_negations(child)
    elif isinstance(node, list):
        for child in node:
            yield from _risky_negations(child)


def _is_path(node: Node) -> bool:
    if "RefDot" in node:
        return _is_path(node["RefDot"]["refr"])
    return "Var" in node


def _module(entry: Node) -> Module:
    source, tree = entry["source"], entry["ast"]
    lines = source["contents"].splitlines()
    rules = tuple(_rule(rule, lines) for rule in tree["rules"])
    return Module(source["file"], _name(tree["package"]["refr"]), rules, tree)


def _rule(node: Node, lines: list[str]) -> Rule:
    if "Default" in node:
        head, line = node["Default"], node["Default"]["span"]["line"]
    else:
        (head,) = node["Spec"]["head"].values()
        line = node["Spec"]["span"]["line"]
    return Rule(_name(head["refr"]), line, _has_metadata(lines, line))


def _has_metadata(lines: list[str], line: int) -> bool:
    """The comment block right above begins with METADATA and describes the rule."""
    above = line - 2
    while above >= 0 and lines[above].startswith("#"):
        above -= 1
    block = lines[above + 1 : line - 1]
    return "# METADATA" in block and any(text.startswith("# description:") for text in block)


def _name(refr: Node) -> str:
    while "Var" not in refr:
        (inner,) = refr.values()
        refr = inner["refr"]
    name: str = refr["Var"]["value"]
    return name
