"""The office's day: what waits for the person who asks, and how the place is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.db.billing_tables import ClosingProposalRow, DisputeRow
from gateway.db.consent_tables import ConsentRow
from gateway.db.tables import ClientRow, GrantRow, StopRow, TenantRow
from gateway.editions.store import read_records
from gateway.identity.listing import count_by_state
from gateway.identity.model import Document
from gateway.journal.activity import Line, day_of
from gateway.quality import waivers
from gateway.rules import submissions

DAYS = 30


def _overview(call: Call) -> Answer:
    office, session, now = call.office, call.session, call.act.at
    counted = office.activity.catch_up(now)
    lines = office.activity.since(now, DAYS)
    return {
        "waiting": _waiting(call),
        "tenants": count_by_state(session, TenantRow),
        "clients": count_by_state(session, ClientRow),
        "grants": count_by_state(session, GrantRow),
        "consents": consent_states(session),
        "stops": _number(session, sa.select(sa.func.count()).select_from(StopRow)),
        "releases": sum(
            office.offer.releases.latest(each) is not None
            for each in office.offer.catalogue().released
        ),
        "counted": counted,
        "days": _days(lines, now),
        "refusals": _top(lines, lambda line: line.code if line.result == "refused" else ""),
        "tenants_asking": _top(lines, lambda line: line.tenant if line.kind == "read" else ""),
        "services_asked": _top(lines, lambda line: line.service if line.kind == "read" else ""),
    }


def _waiting(call: Call) -> list[Document]:
    """What somebody of the office has to decide, by page; the page's operations say who may."""
    session, office = call.session, call.office
    drafts = [each.state for each in read_records(session, office.editions.key)]
    packages = [
        each.document()["state"]
        for each in submissions.read_submissions(session, submissions.rules_key(office.keys))
    ]
    asked = [
        each.document()["state"]
        for each in waivers.read_waivers(session, waivers.waiver_key(office.keys))
    ]
    proposed = sa.select(sa.func.count()).select_from(ClosingProposalRow)
    disputed = sa.select(sa.func.count()).select_from(DisputeRow).where(DisputeRow.state == "held")
    found = {
        "grants": ("grant.approve", count_by_state(session, GrantRow).get("review", 0)),
        "policies": ("edition.approve", drafts.count("tested")),
        "rule_packages": (
            "rule_package.check",
            sum(s in {"submitted", "checked"} for s in packages),
        ),
        "waivers": ("waiver.sign", asked.count("proposed")),
        "jobs": ("job.check", len(office.airlock.proposals(session.connection()))),
        "outputs": ("output.pass", len(office.airlock.waiting(session.connection()))),
        "months": ("billing.close", _number(session, proposed)),
        "disputes": ("dispute.uphold", _number(session, disputed)),
    }
    return [
        {"page": page, "number": number}
        for page, (operation, number) in found.items()
        if number and office.operations.allows(operation, call.visitor.roles)
    ]


def consent_states(session: Session) -> dict[str, int]:
    """How many consents stand in each state; never whose."""
    rows = session.execute(sa.select(ConsentRow.state, sa.func.count()).group_by(ConsentRow.state))
    return {str(state): int(number) for state, number in rows}


def _consents(call: Call) -> Answer:
    by = (ConsentRow.tenant_id, ConsentRow.scenario, ConsentRow.state)
    rows = call.session.execute(sa.select(*by, sa.func.count()).group_by(*by).order_by(*by))
    return {
        "states": consent_states(call.session),
        "by_tenant": [
            {"tenant": tenant, "scenario": scenario, "state": state, "number": number}
            for tenant, scenario, state, number in rows
        ],
    }


def _number(session: Session, query: sa.Select[Any]) -> int:  # Any: one number
    return int(session.scalars(query).one())


def _days(lines: list[tuple[Line, int]], now: datetime) -> list[Document]:
    """Answers and refusals of each of the last days, also of those on which nothing happened."""
    answered: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for line, number in lines:
        if line.result == "refused":
            refused[line.day] += number
        elif line.kind == "read":
            answered[line.day] += number
    days = [day_of(now - timedelta(days=back)) for back in reversed(range(DAYS))]
    return [{"day": day, "answered": answered[day], "refused": refused[day]} for day in days]


def _top(lines: list[tuple[Line, int]], name: Callable[[Line], str]) -> list[Document]:
    counts: Counter[str] = Counter()
    for line, number in lines:
        if found := name(line):
            counts[found] += number
    return [{"name": found, "number": number} for found, number in counts.most_common(8)]


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "overview.read",
        "GET",
        "/overview",
        _overview,
        summary="今日概况：待办、调用、拒绝、同意 / What waits, calls, refusals, consents",
    ),
    Endpoint(
        "consent.counts",
        "GET",
        "/consents",
        _consents,
        summary="授权同意统计（不含个人） / Consents counted, never whose",
    ),
)
