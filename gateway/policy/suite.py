"""Run the tests that stand beside the rules, on the embedded engine, and see what they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.policy.documents import Documents, read_documents, read_rego
from gateway.policy.engine import build_engine, engine_words
from gateway.policy.modules import Module, parse_modules

FLOOR = 95.0
"""Percent of a rule file's lines that its tests must reach."""


@dataclass(frozen=True)
class Outcome:
    """One test: passed, or why not."""

    path: str
    line: int
    name: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True)
class Coverage:
    """Lines of one rule file that some test reached, and those none did."""

    path: str
    reached: int
    unreached: tuple[int, ...]

    @property
    def percent(self) -> float:
        total = self.reached + len(self.unreached)
        return 100.0 * self.reached / total if total else 100.0


@dataclass(frozen=True)
class Report:
    """What a run of the suite found."""

    outcomes: tuple[Outcome, ...]
    coverage: tuple[Coverage, ...]
    untested: tuple[str, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def thin(self) -> tuple[Coverage, ...]:
        """Rule files of which tests reach less than `FLOOR` percent of the lines."""
        return tuple(coverage for coverage in self.coverage if coverage.percent < FLOOR)

    @property
    def ok(self) -> bool:
        return bool(self.outcomes) and not self.failed and not self.untested


def data_for_tests(policies: Path) -> Documents:
    """Policy data without catalogue and directory: tests bring their own."""
    empty: Documents = {name: {} for name in ("tenants", "grants", "services", "profiles")}
    stops: Documents = {kind: {} for kind in ("tenant", "scenario", "service", "region", "brake")}
    return {**read_documents(policies), **empty, "stops": stops, "releases": {}}


def run_suite(rego: Mapping[str, str], documents: Documents) -> Report:
    """Every `test_` rule once; a test passes only if it is exactly true."""
    return run_modules(parse_modules(rego), rego, documents)


def run_modules(
    modules: tuple[Module, ...], rego: Mapping[str, str], documents: Documents
) -> Report:
    """The same for files that have been parsed already."""
    engine = build_engine(rego, documents)
    engine.set_enable_coverage(True)
    outcomes = tuple(
        _run(engine, module, name, line)
        for module in modules
        if module.is_test
        for name, line in ((rule.name, rule.line) for rule in module.tests)
    )
    covered = orjson.loads(engine.get_coverage_report_as_json())["files"]
    return Report(outcomes, _coverage(covered, modules), _untested(modules))


def run_folder(policies: Path) -> Report:
    """The suite of a policies folder."""
    return run_suite(read_rego(policies, tests=True), data_for_tests(policies))


def _run(engine: object, module: Module, name: str, line: int) -> Outcome:
    try:
        engine.set_input_json("{}")  # type: ignore[attr-defined] # regorus has no types
        told = engine.eval_rule_as_json(f"data.{module.package}.{name}")  # type: ignore[attr-defined] # as above
    except RuntimeError as error:
        reason = engine_words(error)
        return Outcome(module.path, line, name, False, reason)
    passed = told == "true"
    return Outcome(module.path, line, name, passed, "" if passed else f"is {told}, not true")


def _coverage(files: list[dict[str, object]], modules: tuple[Module, ...]) -> tuple[Coverage, ...]:
    rules = {module.path for module in modules if not module.is_test}
    return tuple(
        Coverage(str(entry["path"]), len(_lines(entry["covered"])), _lines(entry["not_covered"]))
        for entry in sorted(files, key=lambda entry: str(entry["path"]))
        if entry["path"] in rules
    )


def _lines(found: object) -> tuple[int, ...]:
    return tuple(int(line) for line in found) if isinstance(found, list) else ()


def _untested(modules: tuple[Module, ...]) -> tuple[str, ...]:
    with_tests = {module.package for module in modules if module.is_test and module.tests}
    packages = {module.package for module in modules if not module.is_test}
    return tuple(sorted(name for name in packages if f"{name}_test" not in with_tests))
