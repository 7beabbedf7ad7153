"""The data office accepts a sandbox's report for an organisation, and asks for one at approval.

A bureau that has sandbox keys (`SLUICE_CONFORMANCE_KEYS`) approves a grant only of an organisation
with a report accepted within the year; without the setting nobody is asked for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.conformance.report import opened, shortcomings
from gateway.db.conformance_tables import ConformanceReportRow
from gateway.db.tables import GrantRow, TenantRow
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.identity.record import Act, record_change

VALID: Final = timedelta(days=365)

Keys = Sequence[Mapping[str, str]]


def accept(session: Session, act: Act, tenant_id: str, report: str, keys: Keys) -> Document:
    """Take a report for an organisation; raises `OperatorError` with what is wrong with it."""
    tenant = session.get(TenantRow, tenant_id)
    if tenant is None:
        raise OperatorError("tenant.unknown", f"There is no tenant {tenant_id}.")
    told = opened(report, keys)
    _check(told, tenant, act.at)
    if session.get(ConformanceReportRow, told["run"]) is not None:
        raise OperatorError("conformance.exists", "This report is accepted already.")
    ended = datetime.fromisoformat(told["ended_at"])
    row = ConformanceReportRow(
        run_id=told["run"],
        tenant_id=tenant_id,
        client_name=str(told["client"]["name"])[:200],
        suite=told["suite"],
        ended_at=ended,
        accepted_at=act.at,
        accepted_by=act.actor,
        valid_to=ended + VALID,
        report=report.strip(),
    )
    session.add(row)
    after = _document(row)
    record_change(
        session, act, "accept", ("conformance_report", row.run_id), before=None, after=after
    )
    return after


def _check(told: Mapping[str, Any], tenant: TenantRow, now: datetime) -> None:
    if missing := shortcomings(told):
        raise OperatorError("conformance.failed", f"Not passed: {', '.join(missing)}.")
    if not tenant.uscc or told["organisation"]["uscc"] != tenant.uscc:
        raise OperatorError(
            "conformance.organisation",
            "The report is of no organisation with this one's credit code: it is given at sign-up "
            "in the sandbox (uscc).",
        )
    if datetime.fromisoformat(told["ended_at"]) + VALID <= now:
        raise OperatorError("conformance.old", "The report is older than a year: run it again.")


def accepted(session: Session) -> list[Document]:
    """Every report that was accepted, newest first."""
    row = ConformanceReportRow
    return [
        _document(each) for each in session.scalars(sa.select(row).order_by(row.accepted_at.desc()))
    ]


def check_ready(session: Session, grant_id: str, now: datetime) -> None:
    """Raises `OperatorError` where a grant's organisation has no report that still counts."""
    grant = session.get(GrantRow, grant_id)
    if grant is None:
        return  # whoever approves says so
    row = ConformanceReportRow
    wanted = sa.select(row.run_id).where(row.tenant_id == grant.tenant_id, row.valid_to > now)
    if session.scalars(wanted).first() is None:
        raise OperatorError(
            "grant.conformance",
            f"{grant.tenant_id} has no accepted conformance report: it passes the suite in the "
            "sandbox and hands in the report.",
        )


def _document(row: ConformanceReportRow) -> Document:
    return {
        "report": row.run_id,
        "tenant": row.tenant_id,
        "client_name": row.client_name,
        "suite": row.suite,
        "ended_at": row.ended_at.isoformat(),
        "accepted_at": row.accepted_at.isoformat(),
        "accepted_by": row.accepted_by,
        "valid_to": row.valid_to.isoformat(),
    }
