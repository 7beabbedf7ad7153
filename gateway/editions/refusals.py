"""That an edition can still refuse: every group of reasons is there, asked, and knows its codes.

A rule that is missing refuses nothing, and no test of the edition's own need notice. So what the
program promises about refusals is held against the rules themselves, whatever their tests say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.policy.answer import read_answer
from gateway.policy.bundle import Edition
from gateway.policy.engine import build_engine, engine_words
from gateway.policy.explain import sources
from gateway.policy.modules import Module, parse_modules
from gateway.policy.port import PolicyInput, PolicyUnavailable

GROUPS: Mapping[str, tuple[str, ...]] = {
    "intake": ("D000",),
    "identity": ("D101", "D102", "D103", "D104"),
    "status": ("D201", "D202", "D203", "D204", "D205"),
    "purpose": ("D301", "D302", "D303"),
    "shape": ("D401", "D402", "D403", "D404", "D405", "D406", "D407", "D408"),
    "region_time": ("D501", "D502", "D503", "D504", "D505", "D506", "D507"),
    "consent": ("D601", "D602", "D603", "D604", "D605", "D606", "D607", "D608", "D609"),
    "level": ("D701", "D702", "D703", "D704", "D705"),
    "budget": ("D801", "D802", "D803", "D804", "D805", "D806", "D807"),
}
"""The groups of reasons and the codes of each (SPEC 5.2). An edition may have more, not fewer."""

_STRANGER: Mapping[str, Any] = {
    "request_id": "trial",
    "time": datetime(2026, 3, 10, 4, tzinfo=UTC),
    "tenant": {"id": "nobody", "ip": "192.0.2.1"},
    "user": {"id": "nobody"},
    "grant_id": "none",
    "version": "v1",
    "period": {"from": "2025Q1", "to": "2025Q1", "grain": "quarter"},
    "geo": ["990100"],
    "env": "prod",
    "usage": {},
}


def missing_refusals(rego: Mapping[str, str]) -> Iterator[str]:
    """Groups without their rule, codes nobody gives any more, groups the decision does not ask."""
    modules = [module for module in parse_modules(rego) if not module.is_test]
    present = {module.package for module in modules if "deny" in _names(module)}
    given = _given(modules, rego)
    for group, codes in GROUPS.items():
        if group not in present:
            yield f"package {group} with its rule `deny` is missing: nothing would be refused by it"
            continue
        lost = [code for code in codes if code not in given.get(group, ())]
        if lost:
            yield f"package {group} has no rule `deny contains` for {', '.join(lost)}"
    yield from _unasked(modules, rego)


def unfounded_allowances(edition: Edition) -> Iterator[str]:
    """Services of which a stranger is not refused although there is no grant at all."""
    nobody = edition.bundle({})
    engine = build_engine(nobody.rego, nobody.documents)
    for service in sorted(edition.documents["services"]):
        for scenario in edition.documents["scenarios"].values():
            asked = {**_STRANGER, "service": service, "purpose_code": scenario["purpose"]}
            if not _refuses(engine, PolicyInput.model_validate(asked)):
                yield f"{service}: a stranger who has no grant at all is not refused"
                break


def _refuses(engine: Any, question: PolicyInput) -> bool:  # regorus has no types
    engine.set_input_json(question.question())
    try:
        return not read_answer(engine.eval_rule_as_json("data.decision.told"), "").allow
    except PolicyUnavailable:
        return False


def _names(module: Module) -> set[str]:
    return {rule.name for rule in module.rules}


def _given(modules: list[Module], rego: Mapping[str, str]) -> dict[str, set[str]]:
    """The codes by the package whose rule gives them."""
    packages = {module.path: module.package for module in modules}
    found: dict[str, set[str]] = {}
    for code, source in sources(rego).items():
        found.setdefault(packages[source.path], set()).add(code)
    return found


def _unasked(modules: list[Module], rego: Mapping[str, str]) -> Iterator[str]:
    """Each group in turn is made the only one that refuses: the decision must be its code."""
    around = {m.path: rego[m.path] for m in modules if m.package not in GROUPS}
    for group, (code, *_) in GROUPS.items():
        stubs = {f"{name}.rego": _stub(name, code if name == group else "") for name in GROUPS}
        engine = build_engine({**around, **stubs}, {})
        engine.set_input_json("{}")
        for rule in ("told", "answer"):
            if not _refused_by(engine, f"data.decision.{rule}", code):
                yield f"data.decision.{rule} does not refuse when package {group} does"


def _refused_by(engine: Any, rule: str, code: str) -> bool:  # regorus has no types
    try:
        answer = orjson.loads(engine.eval_rule_as_json(rule))
    except (RuntimeError, orjson.JSONDecodeError) as error:
        raise RuntimeError(f"{rule}: {engine_words(error)}") from None
    return isinstance(answer, dict) and (answer.get("allow"), answer.get("deny")) == (False, [code])


def _stub(package: str, code: str) -> str:
    refusal = f'deny contains "{code}"' if code else "deny := set()"
    return f"package {package}\n\n{refusal}\n"
