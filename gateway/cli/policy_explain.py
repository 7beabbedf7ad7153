"""`sluice policy explain`: why a recorded decision was made, by which rule and revision."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import NotFound
from gateway.journal.schema import connect_reading
from gateway.policy.documents import read_rego
from gateway.policy.explain import Source, sources
from gateway.serving.reasons import reason

_FIND = """
SELECT d.body, a.body FROM decision AS d LEFT JOIN audit_event AS a USING (request_id)
WHERE d.decision_id = ?
"""
_SHOWN = ("tenant", "grant", "service", "version", "release", "purpose", "query_shape")


def explanation(journal: Path, policies: Path, decision_id: str) -> dict[str, Any]:
    """What the journal holds of the decision, and the rules its codes come from."""
    with closing(connect_reading(journal)) as db:
        row = db.execute(_FIND, (decision_id,)).fetchone()
    if row is None:
        raise NotFound("unknown_decision", "The journal holds no decision of this id.")
    decision = orjson.loads(row[0])
    audit = orjson.loads(row[1]) if row[1] else {}
    rules = sources(read_rego(policies))
    return {
        "decision_id": decision_id,
        "allow": decision["allow"],
        "policy_version": decision["policy_version"],
        "time": audit.get("time"),
        **{name: audit[name] for name in _SHOWN if name in audit},
        "columns": audit.get("columns", []),
        "reasons": [_reason(code, rules.get(code)) for code in decision["deny"]],
    }


def _reason(code: str, rule: Source | None) -> dict[str, Any]:
    said = reason(code)
    return {
        "code": code,
        "en": said.en,
        "zh": said.zh,
        "rule": f"{rule.path}:{rule.line}" if rule else None,
        "rule_says": rule.description if rule else None,
    }


def readable(told: dict[str, Any]) -> str:
    """The explanation as a page for a person."""
    verdict = "allowed" if told["allow"] else "refused"
    lines = [f"{told['decision_id']} {verdict} at {told['time']}"]
    lines.append(f"  by revision {told['policy_version']}")
    lines += [f"  {name:<12}{_plain(told[name])}" for name in _SHOWN if name in told]
    for each in told["reasons"]:
        lines += [f"  {each['code']}  {each['en']} {each['zh']}"]
        if each["rule"]:
            lines += [f"        {each['rule']}: {each['rule_says']}"]
        else:
            lines += ["        no rule of today's files gives this code"]
    for column in told["columns"]:
        mask = f"mask {column['mask']}"
        lines.append(f"  {column['field']:<24}{column['item']}  {column['level']}  {mask}")
    return "\n".join(lines)


def _plain(value: Any) -> str:  # any JSON value of the journal
    return value if isinstance(value, str) else orjson.dumps(value).decode()
