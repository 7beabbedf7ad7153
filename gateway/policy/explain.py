"""Where an answer comes from: the rule that gives it, in the file where one can read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.policy.modules import parse_modules

_HEAD = 'deny contains "'
_DESCRIPTION = "# description: "


@dataclass(frozen=True)
class Source:
    """The rule behind one code (empty: an allowance): where it stands, what it says of itself."""

    code: str
    path: str
    line: int
    description: str


def sources(rego: Mapping[str, str]) -> dict[str, Source]:
    """Every code the rules can give, with its rule."""
    found: dict[str, Source] = {}
    for module in parse_modules(rego):
        if module.is_test:
            continue
        lines = rego[module.path].splitlines()
        for rule in module.rules:
            head = lines[rule.line - 1]
            if head.startswith(_HEAD):
                code = head.removeprefix(_HEAD).split('"')[0]
                told = _description(lines, rule.line).removeprefix(code).strip()
                found[code] = Source(code, module.path, rule.line, told)
    return found


def allowance(rego: Mapping[str, str]) -> Source | None:
    """The rule that allows; None when the rules have none by this name."""
    for module in parse_modules(rego):
        for rule in module.rules:
            if (module.package, rule.name) == ("decision", "allow"):
                told = _description(rego[module.path].splitlines(), rule.line)
                return Source("", module.path, rule.line, told)
    return None


def _description(lines: list[str], line: int) -> str:
    above = lines[line - 2] if line > 1 else ""
    return above.removeprefix(_DESCRIPTION) if above.startswith(_DESCRIPTION) else ""
