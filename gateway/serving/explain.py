"""Why a recorded decision was made: its rules, its revision, and the facts that they compared.

Rules are quoted from the very edition that decided, where it is still at hand; documents of the
directory are today's, and said to have changed where they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from sqlalchemy.orm import Session

from gateway.errors import NotFound
from gateway.identity.standing import Standing, grant_standing, tenant_standing
from gateway.journal.looking import Looking, one
from gateway.journal.seal import content_hash
from gateway.policy.bundle import edition_of
from gateway.policy.decision_log import Logged, read_event
from gateway.policy.explain import Source
from gateway.serving.deny_codes import deny_codes
from gateway.serving.reasons import reasons
from gateway.serving.rulebook import Rulebook

Json: TypeAlias = dict[str, Any]  # a JSON object, or a tree of policy data

_OF_SCENARIO = ("name_zh", "name_en", "purpose", "status", "max_output_level", "sensitive_dx")
_LIMITS = ("regions", "time", "quota", "sdc", "egress", "consent", "cross_border", "validity_days")
_OF_GRANT = (
    "id",
    "tenant",
    "scenario",
    "status",
    "regions",
    "services",
    "dims",
    "measures",
    "valid_from",
    "valid_to",
    "approved_by",
    "price_plan",
)


@dataclass(frozen=True)
class Found:
    """A decision of the journal with the audit event of its call."""

    logged: Logged
    audit: Json
    intact: bool = True  # the chained audit event seals this very decision

    @property
    def time(self) -> str:
        return str(self.logged.time or self.audit.get("time", ""))


@dataclass(frozen=True)
class Standings:
    """What the directory says today of who asked and under which grant."""

    tenant: Standing | None = None
    grant: Standing | None = None


NOBODY = Standings()


def find(journal: Path | Looking, name: str) -> Found:
    """The decision of this id, or of the request of this id; raises `NotFound`."""
    row = (one(journal) if isinstance(journal, Path) else journal).decision(name)
    if row is None:
        raise NotFound(
            "unknown_decision",
            "The journal holds no decision of this id, nor a decided request.",
            "日志中没有该判定编号。",
        )
    body, audit = row[0], orjson.loads(row[1]) if row[1] else {}
    intact = audit.get("decision_hash") == content_hash(body.encode())
    return Found(read_event(body), audit, intact)


def standings(session: Session, found: Found) -> Standings:
    """Who asked and under which grant, as the directory knows them today."""
    asked = found.logged.input or {}
    tenant = asked.get("tenant", {}).get("id") or found.audit.get("tenant", "")
    grant = asked.get("grant_id") or found.audit.get("grant", "")
    since = datetime.fromisoformat(found.time)
    return Standings(
        tenant_standing(session, tenant, since) if tenant else None,
        grant_standing(session, grant, since) if grant else None,
    )


def explain(found: Found, book: Rulebook, known: Standings = NOBODY) -> Json:
    """The whole explanation, by the rules of `book`."""
    logged, facts = found.logged, _facts(found, book, known)
    return {
        "decision_id": logged.decision_id,
        "allow": logged.allow,
        "time": found.time,
        "intact": found.intact,
        "policy_version": logged.revision,
        "edition": edition_of(logged.revision),
        "rules": {"edition": book.edition, "decided": book.decided},
        "allowed_by": _rule(book.allowance) if logged.allow else None,
        "reasons": [_reason(code, book, facts) for code in logged.deny],
        "question": logged.input or found.audit.get("query_shape"),
        "hidden": {"erased": list(logged.erased), "masked": list(logged.masked)},
        "tenant": _today(known.tenant, facts["tenant"], ("type", "status", "env")),
        "grant": _today(known.grant, facts["grant"], _OF_GRANT),
        "scenario": _scenario(facts),
        "profile": facts["profile"],
        "obligations": logged.obligations,
        "columns": found.audit.get("columns", []),
        "call": {
            name: found.audit[name]
            for name in ("tenant", "grant", "service", "version", "release", "purpose", "result")
            if name in found.audit
        },
    }


def _facts(found: Found, book: Rulebook, known: Standings) -> dict[str, Any]:
    """What rules look at, by the names of `deny_codes.yaml`; empty where it is not known."""
    asked = found.logged.input or {}
    grant = known.grant.document if known.grant else {}
    scenario = book.documents["scenarios"].get(grant.get("scenario"), {})
    service = asked.get("service") or found.audit.get("service", "")
    return {
        "input": asked,
        "tenant": known.tenant.document if known.tenant else {},
        "grant": grant,
        "scenario": scenario,
        "entry": scenario.get("services", {}).get(service, {}),
        "service": book.documents["services"].get(service, {}),
        "profile": book.profiles.get(service, {}).get(grant.get("scenario")),
    }


def _reason(code: str, book: Rulebook, facts: Mapping[str, Any]) -> Json:
    said, behind = reasons().get(code), deny_codes().get(code)
    compared = {path: _at(facts, path) for path in (behind.compares if behind else ())}
    return {
        "code": code,
        "en": said.en if said else "This code is not in use any more.",
        "zh": said.zh if said else "该代码已不再使用。",
        "rule": _rule(book.refusals.get(code)),
        "compared": {path: value for path, value in compared.items() if value is not None},
        "do": {"en": behind.en, "zh": behind.zh} if behind else None,
    }


def _rule(source: Source | None) -> Json | None:
    if source is None:
        return None
    return {"at": f"{source.path}:{source.line}", "says": source.description}


def _at(facts: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none; of a mapping of services the names."""
    for part in path.split("."):
        facts = facts.get(part) if isinstance(facts, Mapping) else None
    if path == "scenario.services" and isinstance(facts, Mapping):
        return list(facts)
    return facts


def _today(standing: Standing | None, document: Json, names: tuple[str, ...]) -> Json | None:
    if standing is None:
        return None
    shown = {name: document[name] for name in names if name in document}
    return {**shown, "changed_since": standing.changed}


def _scenario(facts: Mapping[str, Any]) -> Json | None:
    scenario = facts["scenario"]
    if not scenario:
        return None
    shown = {name: scenario[name] for name in _OF_SCENARIO if name in scenario}
    limits = {name: scenario[name] for name in _LIMITS if name in scenario}
    return {"id": facts["grant"]["scenario"], **shown, "entry": facts["entry"], "limits": limits}
