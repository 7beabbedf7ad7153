"""Operations on disputes: opened by one person, decided by another, on printed evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from gateway.api.admin.billing import Fen, opened
from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.admin.office import Office
from gateway.billing import disputes
from gateway.billing.evidence import LineEvidence, evidence_of
from gateway.db.billing_tables import DisputeRow
from gateway.identity.entries import Entry, Line
from gateway.identity.model import Document
from gateway.identity.record import append
from gateway.staff.model import RECORD
from metering.usage import time_text


class DisputeForm(Entry):
    """A line of a closed month, and what of it is disputed; all of it by default."""

    line: Line
    claimed_fen: Fen | None = None


class UpholdForm(Entry):
    """How much of what is held the client gets back; all of it by default."""

    upheld_fen: Annotated[int, Field(ge=1)] | None = None


def _evidence(office: Office, at: Mapping[str, str], _form: Entry | None) -> LineEvidence:
    return evidence_of(office.billing(), at["line"])


def _proven(office: Office, at: Mapping[str, str], form: Entry | None) -> disputes.Decision:
    fen = form.upheld_fen if isinstance(form, UpholdForm) else None
    return disputes.prepare_credit(office.billing(), at["case"], office.clock(), fen)


def _list(call: Call) -> Answer:
    rows = call.session.scalars(sa.select(DisputeRow).order_by(DisputeRow.opened_at))
    return [_document(row) for row in rows]


def _show_evidence(call: Call) -> Answer:
    found: LineEvidence = call.found
    return {**found.document(), "sha256": found.sha256}


def _open(call: Call) -> Answer:
    form: DisputeForm = call.form
    row = disputes.open_case(
        call.session,
        call.found,
        form.line,
        call.act.reason,
        now=call.act.at,
        by=call.act.actor,
        claimed=form.claimed_fen,
    )
    return _recorded(call, "open", row)


def _uphold(call: Call) -> Answer:
    row = disputes.settle(call.session, call.found, call.act.actor)
    return _recorded(call, "uphold", row)


def _reject(call: Call) -> Answer:
    decision = disputes.Decision(call.at["case"], call.act.at, upheld=False)
    row = disputes.settle(call.session, decision, call.act.actor)
    return _recorded(call, "reject", row)


def _recorded(call: Call, action: str, row: DisputeRow) -> Document:
    told = _document(row)
    entity = ("dispute", row.case_id)
    append(call.session, RECORD, call.act, action, entity, before=None, after=told)
    return told


def _document(row: DisputeRow) -> Document:
    return {
        "case": row.case_id,
        "line": row.line_id,
        "tenant": row.tenant,
        "month": row.month,
        "claimed_fen": row.claimed_fen,
        "held_fen": row.fen,
        "credited_fen": row.credited_fen,
        "state": row.state,
        "reason": row.reason,
        "opened_at": time_text(row.opened_at),
        "opened_by": row.opened_by,
        "decided_at": time_text(row.decided_at) if row.decided_at else None,
        "decided_by": row.decided_by,
    }


_ONE = "/billing/disputes/{case}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("dispute.list", "GET", "/billing/disputes", _list, summary="异议列表 / Disputes"),
    Endpoint(
        "dispute.evidence",
        "GET",
        "/billing/lines/{line}/evidence",
        _show_evidence,
        finds=_evidence,
        heavy=True,
        summary="费用行的计费事件及其在哈希链中的位置 / The events a line was counted from, with "
        "their hashes in the chain",
    ),
    Endpoint(
        "dispute.open",
        "POST",
        "/billing/disputes",
        _open,
        DisputeForm,
        says_why=True,
        status=201,
        finds=opened,
        summary="登记异议并冻结相应分成 / Open a dispute; what the line was shared into is held",
    ),
    Endpoint(
        "dispute.uphold",
        "POST",
        f"{_ONE}/uphold",
        _uphold,
        UpholdForm,
        says_why=True,
        finds=_proven,
        heavy=True,
        summary="异议成立或部分成立，出具贷项通知 / Uphold a dispute, wholly or in part; a credit "
        "note is issued",
    ),
    Endpoint(
        "dispute.reject",
        "POST",
        f"{_ONE}/reject",
        _reject,
        says_why=True,
        summary="异议不成立，解冻 / Reject a dispute; what was held goes back",
    ),
)
