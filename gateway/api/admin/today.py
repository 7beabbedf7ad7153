"""The office's day: what waits for the person who asks, and how the place is doing."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.audit import subjects
from gateway.billing.books import income_by_year
from gateway.db.billing_tables import ClosingProposalRow, DisputeRow
from gateway.db.consent_tables import ConsentRow
from gateway.db.tables import ClientRow, GrantRow, StopRow, TenantRow
from gateway.detection import book
from gateway.editions.store import read_records
from gateway.identity.listing import count_by_state
from gateway.identity.model import Document
from gateway.journal.activity import DAYS, IN_A_REQUEST, Counts, day_of
from gateway.quality import waivers
from gateway.quality.newest import newest_month
from gateway.releases.publish import held
from gateway.rules import submissions

MOST_PAIRS = 400


def _overview(call: Call) -> Answer:
    office, session, now = call.office, call.session, call.act.at
    counted = office.activity.catch_up(now, IN_A_REQUEST)
    counts = office.activity.counts
    found = (office.offer.releases.latest(each) for each in office.offer.catalogue().released)
    in_force = [manifest for manifest in found if manifest is not None]
    return {
        "waiting": _waiting(call),
        "tenants": count_by_state(session, TenantRow),
        "clients": count_by_state(session, ClientRow),
        "grants": count_by_state(session, GrantRow),
        "consents": consent_states(session),
        "stops": _number(session, sa.select(sa.func.count()).select_from(StopRow)),
        "alarms": len(book.read_alarms(session)),
        "income": {"year": now.year, "fen": income_by_year(session).get(now.year, 0)},
        "releases": len(in_force),
        "quality": newest_month(manifest.quality for manifest in in_force),
        "counted": counted,
        "days": _days(counts, now),
        "refusals": _top(counts.codes),
        "tenants_asking": _top(counts.tenants),
        "services_asked": _top(counts.services),
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
    proposals = [each["state"] for each in office.airlock.proposals(session.connection())]
    outputs = [each["state"] for each in office.airlock.waiting(session.connection())]
    waits = (
        ("releases", "release.publish", len(held(office.offer.root))),
        ("grants", "grant.approve", count_by_state(session, GrantRow).get("review", 0)),
        ("policies", "edition.approve", drafts.count("tested")),
        ("rule_packages", "rule_package.check", packages.count("submitted")),
        ("rule_packages", "rule_package.approve", packages.count("checked")),
        ("waivers", "waiver.sign", asked.count("proposed")),
        ("jobs", "job.check", proposals.count("proposed")),
        ("jobs", "job.approve", proposals.count("checked")),
        ("outputs", "output.pass", outputs.count("waiting")),
        ("outputs", "output.release", outputs.count("passed")),
        ("months", "billing.close", _number(session, proposed)),
        ("alarms", "alarm.lift", len(book.read_alarms(session))),
        ("subjects", "subject.agree", _asked(call)),
        ("disputes", "dispute.uphold", _number(session, disputed)),
    )
    found: Counter[str] = Counter()
    for page, operation, number in waits:
        if office.operations.allows(operation, call.visitor.roles):
            found[page] += number
    return [{"page": page, "number": number} for page, number in found.items() if number]


def _asked(call: Call) -> int:
    """Questions of who stands behind a pseudonym that somebody has to agree to."""
    questions = subjects.read_questions(call.session, subjects.question_key(call.office.keys))
    return sum(one.shown(call.act.at)["state"] == "asked" for one in questions)


def _usage(call: Call) -> Answer:
    """Answers and refusals of the last days by organisation and service: those most asked."""
    office, now = call.office, call.act.at
    counted, counts = office.activity.catch_up(now, IN_A_REQUEST), office.activity.counts
    most = [key[:2] for key, number in counts.pairs.most_common(MOST_PAIRS) if number]
    rows: list[Document] = [
        {
            "tenant": tenant,
            "service": service,
            "answered": counts.pairs[tenant, service, False],
            "refused": counts.pairs[tenant, service, True],
        }
        for tenant, service in dict.fromkeys(most)
    ]
    return {"counted": counted, "days": _days(counts, now), "lines": rows}


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


def _days(counts: Counts, now: datetime) -> list[Document]:
    """Answers and refusals of each of the last days, also of those on which nothing happened."""
    days = [day_of(now - timedelta(days=back)) for back in reversed(range(DAYS))]
    return [
        {
            "day": day,
            "answered": counts.answered[day],
            "refused": counts.refused[day],
            "cells": counts.delivered[day],
            "cells_suppressed": counts.suppressed[day],
        }
        for day in days
    ]


def _top(counts: Counter[str]) -> list[Document]:
    return [{"name": name, "number": number} for name, number in counts.most_common(8) if number]


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "overview.read",
        "GET",
        "/overview",
        _overview,
        summary="今日概况：待办、调用、拒绝、同意 / What waits, calls, refusals, consents",
    ),
    Endpoint(
        "usage.read",
        "GET",
        "/usage",
        _usage,
        summary="近 30 日调用统计 / Calls of the last 30 days by organisation and service",
    ),
    Endpoint(
        "consent.counts",
        "GET",
        "/consents",
        _consents,
        summary="授权同意统计（不含个人） / Consents counted, never whose",
    ),
)
