"""The meta of an answer: where its cells come from, what it cost and what is left (SPEC §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.policy.port import Obligations, TariffRule, Usage
from gateway.privacy.terms import Terms
from gateway.releases.manifest import Manifest
from gateway.serving.charge import Delivery
from gateway.serving.model import Decided

SYNTHETIC: Final = "合成数据 synthetic"


def remaining(limits: Mapping[str, int], usage: Usage, cells: int) -> dict[str, dict[str, int]]:
    """Each quota with what is left after this answer."""
    spent = {"calls_day": 1, "cells_day": cells, "cells_month": cells}
    left = {}
    for name in ("calls_day", "cells_day", "cells_month", "distinct_queries_day"):
        if name in limits:
            used = int(getattr(usage, name)) + spent.get(name, 1)
            left[name] = {"limit": limits[name], "remaining": max(0, limits[name] - used)}
    return left


def made_up(env: str) -> dict[str, object]:
    """In a sandbox every answer says that it is about nobody."""
    return {"data": SYNTHETIC} if env == "sandbox" else {}


def _waivers(manifest: Manifest, periods: Iterable[str]) -> list[dict[str, object]]:
    """What poor quality of these periods was signed for; they may be quarters or years."""
    if manifest.waiver is None or isinstance(manifest.waiver, str):
        return []
    asked = {period: _months(period) for period in periods}
    return [
        one.model_dump(mode="json")
        for one in manifest.waiver
        if any(one.first <= last and first <= one.last for first, last in asked.values())
    ]


def _months(period: str) -> tuple[str, str]:
    """The first and last month of a period."""
    year, _, rest = period.partition("Q")
    if rest:
        return f"{year}-{3 * int(rest) - 2:02d}", f"{year}-{3 * int(rest):02d}"
    return (period, period) if "-" in period else (f"{period}-01", f"{period}-12")


def privacy(terms: Terms) -> dict[str, object]:
    """What is published of the noise in an answer."""
    return {
        "mechanism": "two_sided_geometric",
        "epsilon": float(terms.epsilon),
        "epsilon_year": float(terms.year),
        "unit": "person",
    }


def charge_of(delivery: Delivery, tariff: TariffRule) -> dict[str, object]:
    """What an answer was charged for."""
    return {
        "unit": delivery.unit,
        "cells": delivery.cells,
        "cells_charged": delivery.charged,
        "repeat": delivery.repeat_of is not None,
        "price_ref": tariff.price_ref,
    }


def describe(
    decided: Decided,
    obligations: Obligations,
    delivery: Delivery,
    *,
    usage: Usage,
    watermark: str,
    marked: dict[str, object] | None,
    total_rows: int,
) -> dict[str, object]:
    """Everything a reader needs to trust, repeat, price and trace the answer."""
    case, question, manifest = decided.case, decided.pinned.question, decided.pinned.manifest
    service, decision = question.service, decided.decision
    terms = Terms.of(obligations.profile)
    noise = {} if terms is None else {"privacy": privacy(terms)}
    return (
        noise
        | made_up(case.caller.env)
        | {
            "service": {"id": service.id, "code": service.code, "version": service.version},
            "release": manifest.release_id,
            "definitions": manifest.definitions,
            "code_versions": manifest.code_versions,
            "profile": str(obligations.profile.get("name", "")),
            "quality": {p: manifest.quality[p] for p in question.periods if p in manifest.quality},
            "waivers": _waivers(manifest, question.periods),
            "rows": delivery.rows,
            "total_rows": total_rows,
            "charge": charge_of(delivery, obligations.tariff),
            "quota": remaining(obligations.quota, usage, delivery.cells),
            "watermark": watermark,
            "watermark_amounts": marked,
            "decision_id": decision.decision_id,
            "policy_version": decision.policy_version,
            "request_id": case.call.request_id,
            "trace_id": case.call.trace_id,
            "time": case.stamp.time,
        }
    )
