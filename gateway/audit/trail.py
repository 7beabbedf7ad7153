"""The whole audit trail, whichever chain an event is in: calls in the nodes' journals, acts in the
office journal, merged by their ids and told in the fields of SPEC §8.2."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa

from gateway.db.engine import reading
from gateway.db.office_journal import Listed, Sought, read_events
from gateway.identity.model import Document
from gateway.journal.listing import newest
from gateway.journal.looking import Looking

_HERE = timezone(timedelta(hours=8))
_SAME = (
    *("kind", "result", "tenant", "grant", "service", "version", "release", "query_shape"),
    *("consent_id", "columns", "rows", "cells", "cells_suppressed", "bytes", "latency_ms"),
    *("watermark_tag", "input_hash", "output_hash", "evidence_hash", "scenario", "purpose"),
    *("decision_id", "request_id", "reason", "action", "operation", "target", "alarm", "entry"),
    *("states", "count", "decision_hash", "usage_hash", "source_tables", "batch_root", "about"),
)


def read_trail(journal: Looking, engine: sa.Engine, sought: Sought, most: int) -> list[Listed]:
    """The newest events of all chains that are sought, newest first."""
    with reading(engine) as session:
        acts = read_events(session, sought, most)
    return newest([*acts, *journal.events(sought, most)], most)


def told(one: Listed) -> Document:
    """An event in the fields of SPEC §8.2; those it does not have are null. What else its chain
    says of it keeps the name it has there."""
    body: dict[str, Any] = json.loads(one.body)
    decision: dict[str, Any] = json.loads(one.decision) if one.decision else {}
    asked = decision.get("input") or {}
    moment = datetime.fromisoformat(str(body["time"]))
    return {
        "event_id": one.event_id,
        "ts": moment.astimezone(UTC).isoformat(),
        "ts_local": moment.astimezone(_HERE).isoformat(),
        **{name: body.get(name) for name in _SAME},
        "actor": _actor(body),
        "deny_codes": body.get("deny_codes", []),
        "policy_version": _version(decision),
        "scenario": body.get("scenario") or asked.get("scenario"),
        "subject_token": body.get("subject") or body.get("subject_token"),
        "meter_id": one.event_id if body.get("usage_hash") else None,
        "trace_id": _of_actor(body).get("trace_id"),
        "journal": one.journal,
        "seq": one.seq,
        "prev_hash": one.prev_hash,
        "hash": one.hash,
    }


def _of_actor(body: dict[str, Any]) -> dict[str, Any]:
    actor = body.get("actor")
    return actor if isinstance(actor, dict) else {}


def _actor(body: dict[str, Any]) -> Document:
    actor = _of_actor(body)
    return {
        "tenant": body.get("tenant") if "client" in actor else None,
        "user": actor.get("user") or actor.get("client") or actor.get("person"),
        "role": actor.get("role"),
        "ip": actor.get("ip"),
        "cert": actor.get("cert"),
    }


def _version(decision: dict[str, Any]) -> str | None:
    """The policy under which it was decided, of either form of a decision."""
    for bundle in decision.get("bundles", {}).values():
        return str(bundle.get("revision"))
    version = decision.get("policy_version")
    return None if version is None else str(version)
