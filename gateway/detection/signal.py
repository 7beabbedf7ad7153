"""What detection sees of one audited event: counts, codes and hashes, never who a person is."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from metering.calendar import CHINA
from metering.usage import time_of

Json: TypeAlias = Mapping[str, Any]  # a JSON object
QuotaOf: TypeAlias = Callable[[str, str], Mapping[str, float]]
"""Quotas of a grant, by tenant and grant: counter -> limit; empty where nothing is known."""

OFF_FROM, OFF_UNTIL = 21, 7
"""Hours in China between which an office sleeps; weekends are off as a whole."""
_WEEKEND: Final = 5
_DAILY: Final = ("calls_day", "cells_day", "distinct_queries_day")
_V4, _V6 = 16, 32


@dataclass(frozen=True, slots=True)
class Signal:
    """One event. `time` in seconds since 1970; hashes are of 48 bits; `near` is how few persons the
    question was apart from one answered before; `edge` the largest part of a daily quota that is
    used after it, above 1 where a quota refused it; `figures` are cells told and withheld."""

    event_id: str
    time: float
    kind: str
    result: str
    off_hours: bool
    tenant: str = ""
    service: str = ""
    grant: str = ""
    network: str = ""
    key: int | None = None
    device: int | None = None
    subject: int | None = None
    consent: int | None = None
    query: int | None = None
    shape: int | None = None
    probe: int | None = None
    deny: tuple[str, ...] = ()
    reason: str = ""
    calls: int = 1
    cells: int = 0
    suppressed: int = 0
    near: int | None = None
    edge: float = 0.0
    canary: bool = False

    @property
    def figures(self) -> int:
        return self.cells + self.suppressed


@dataclass(frozen=True)
class Canaries:
    """Persons (by the journal's pseudonym) and codes nobody has a reason to ask about."""

    persons: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()

    def seen(self, audit: Json, asked: Json) -> bool:
        """Whether an event is about one of them."""
        if audit.get("subject") in self.persons:
            return True
        values = [*_values(asked.get("where")), *_values(asked.get("params"))]
        return bool(self.codes) and any(v in self.codes for v in (*values, *asked.get("geo", ())))


def _values(part: object) -> list[str]:
    return [v for v in part.values() if isinstance(v, str)] if isinstance(part, dict) else []


def no_quota(_tenant: str, _grant: str) -> Mapping[str, float]:
    """Where quotas are nobody's business."""
    return {}


@dataclass(frozen=True)
class Reader:
    """Makes signals of what the journal holds."""

    canaries: Canaries = Canaries()
    quota_of: QuotaOf = no_quota

    def signal(self, body: str, decision: str | None) -> Signal:
        """The signal of an audit event and the decision beside it, as they are stored."""
        audit: Json = orjson.loads(body)
        told: Json = orjson.loads(decision) if decision else {}
        asked: Json = told.get("input") or {}
        actor: Json = audit.get("actor") or {}
        tenant, grant = str(audit.get("tenant") or ""), str(audit.get("grant") or "")
        service, deny = str(audit.get("service") or ""), tuple(audit.get("deny_codes") or ())
        at = time_of(audit["time"])
        cells, hidden = _count(audit.get("cells")), _count(audit.get("cells_suppressed"))
        refused = audit.get("result") == "refused"
        return Signal(
            event_id=str(audit["event_id"]),
            time=at.timestamp(),
            kind=str(audit["kind"]),
            result=str(audit["result"]),
            off_hours=off_hours(at),
            tenant=tenant,
            service=service,
            grant=grant,
            network=network_of(actor.get("ip")),
            key=hashed(actor.get("cert") or actor.get("client")),
            device=hashed(actor.get("ip")),
            subject=hashed(audit.get("subject") or actor.get("person")),
            consent=hashed(audit.get("consent_id")),
            query=hashed(audit.get("input_hash")),
            shape=_shape(service, audit.get("query_shape")),
            probe=hashed(f"{service} {grant} {min(deny)}") if refused and deny else None,
            deny=deny,
            reason=str(audit.get("reason") or ""),
            calls=_count(audit.get("count")) or 1,
            cells=cells,
            suppressed=hidden,
            near=_near(asked),
            edge=_edge(asked, deny, self.quota_of(tenant, grant)) if asked else 0.0,
            canary=self.canaries.seen(audit, asked),
        )


def off_hours(at: datetime) -> bool:
    """Whether an office in China sleeps then."""
    local = at.astimezone(CHINA)
    awake = OFF_UNTIL <= local.hour < OFF_FROM
    return local.weekday() >= _WEEKEND or not awake


def moment(seconds: float) -> datetime:
    """A signal's time as an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def hashed(value: object) -> int | None:
    """48 bits of SHA-256; None of nothing. What is hashed is a pseudonym or a shape already."""
    if not value:
        return None
    return int.from_bytes(hashlib.sha256(str(value).encode()).digest()[:6], "big")


@lru_cache(maxsize=4096)  # asked at every event, of the same few addresses
def network_of(ip: object) -> str:
    """The network an address lies in: /16 of IPv4, /32 of IPv6."""
    try:
        address = ipaddress.ip_address(str(ip))
    except ValueError:
        return ""
    bits = _V4 if address.version == 4 else _V6
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _near(asked: Json) -> int | None:
    apart = (asked.get("usage") or {}).get("smallest_difference")
    return apart if isinstance(apart, int) else None


def _shape(service: str, shape: object) -> int | None:
    """Which attributes a question combines, whatever period and page: one point of the lattice."""
    if not isinstance(shape, dict) or "dims" not in shape:
        return None
    parts = [sorted(shape.get(name) or ()) for name in ("dims", "where", "measures", "geo")]
    return hashed(orjson.dumps([service, shape.get("grain"), *parts]).decode())


def _edge(asked: Json, deny: tuple[str, ...], quota: Mapping[str, float]) -> float:
    if any(code in {"D802", "D803"} for code in deny):
        return 2.0
    used: Json = asked.get("usage") or {}
    this = {
        "calls_day": 1,
        "distinct_queries_day": 1,
        "cells_day": _count(asked.get("qty_estimate")),
    }
    parts = [
        (_count(used.get(name)) + this[name]) / quota[name]
        for name in _DAILY
        if quota.get(name, 0) > 0
    ]
    return max(parts, default=0.0)
