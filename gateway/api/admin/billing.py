"""Operations on money: months are rated, proposed and closed by two people, papers handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, TypeAlias

import sqlalchemy as sa
from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint, File
from gateway.api.admin.office import Office
from gateway.api.statements import FORMS, form_of, forms_of, page_of
from gateway.billing import books, payments
from gateway.billing.checklist import checklist
from gateway.billing.closing import Prepared, income, prepare
from gateway.billing.months import truth_of
from gateway.billing.office import Office as Books
from gateway.billing.proposals import confirm, propose
from gateway.billing.replay import replay
from gateway.billing.truth import Month
from gateway.db.billing_tables import BillingMonthRow, ClosingProposalRow, PaperRow
from gateway.errors import OperatorError
from gateway.identity.entries import Entry, Line
from gateway.identity.model import Document
from gateway.identity.record import append
from gateway.staff.model import RECORD
from metering.calendar import month_range
from metering.identities import standings
from metering.usage import time_text

Fen: TypeAlias = Annotated[int, Field(ge=1, le=10**14)]
_ENDS = {"json": FORMS[0], "csv": FORMS[1], "pdf": FORMS[2]}


class PaymentForm(Entry):
    """What a client paid, and the reference under which it is booked once."""

    tenant: Line
    fen: Fen
    receipt: Line


class PayoutForm(Entry):
    """What a provider was paid, and the order under which it is booked once."""

    provider: Line
    fen: Fen
    order: Line


@dataclass(frozen=True)
class Rated:
    """A month as it stands, and what keeps it open."""

    truth: Month
    obstacles: tuple[str, ...]


def opened(office: Office, _at: Mapping[str, str], _form: Entry | None) -> Books:
    """The books, for an act that needs no more; outside the transaction, for it reads files."""
    return office.billing()


def _month(at: Mapping[str, str]) -> str:
    month = at["month"]
    try:
        if len(month) == len("2026-01"):
            month_range(month)
            return month
    except ValueError:
        pass
    raise OperatorError("entry.invalid", "A month is written as 2026-11.", "月份格式应为 2026-11。")


def _rated(office: Office, at: Mapping[str, str], _form: Entry | None) -> Rated:
    month, books_ = _month(at), office.billing()
    return Rated(truth_of(books_, month), tuple(checklist(books_, month, office.clock())))


def _prepared(office: Office, at: Mapping[str, str], _form: Entry | None) -> tuple[Books, Prepared]:
    books_ = office.billing()
    return books_, prepare(books_, _month(at), office.clock())


def _replayed(office: Office, at: Mapping[str, str], _form: Entry | None) -> tuple[str, ...]:
    return tuple(replay(office.billing(), _month(at)))


def _months(call: Call) -> Answer:
    closed = call.session.scalars(sa.select(BillingMonthRow).order_by(BillingMonthRow.month))
    proposed = call.session.scalars(sa.select(ClosingProposalRow))
    states = [(row.month, "closed", row.closed_at, row.closed_by) for row in closed]
    states += [(row.month, "proposed", row.proposed_at, row.proposed_by) for row in proposed]
    return [
        {"month": month, "state": state, "at": time_text(at), "by": by}
        for month, state, at, by in states
    ]


def _rate(call: Call) -> Answer:
    found: Rated = call.found
    return {**_figures(found.truth), "obstacles": list(found.obstacles)}


def _figures(truth: Month) -> Document:
    return {
        "month": truth.month,
        "fees_fen": sum(line.amount_fen for line in truth.lines),
        "lines": [
            {
                "line_id": line.line_id,
                "tenant": line.key.tenant,
                "grant": line.key.grant,
                "service": line.key.service,
                "unit": line.key.unit,
                "units": line.units,
                "amount_fen": line.amount_fen,
            }
            for line in truth.lines
        ],
        "shares": {
            service: {
                "tax_fen": parts.tax_fen,
                "operator_fen": parts.operator_fen,
                "public_interest_fen": parts.public_interest_fen,
                "providers": dict(parts.providers),
            }
            for service, parts in truth.splits.items()
        },
    }


def _propose(call: Call) -> Answer:
    _, prepared = call.found
    row = propose(call.session, prepared, call.act.at, call.act.actor)
    told: Document = {
        "month": row.month,
        "digest": row.digest,
        "fees_fen": sum(line.amount_fen for line in prepared.own.lines) if prepared.own else 0,
        "papers": sorted(prepared.papers),
    }
    _record(call, "propose", ("month", row.month), told)
    return told


def _close(call: Call) -> Answer:
    books_, prepared = call.found
    closed = confirm(call.session, books_, prepared, call.act.actor)
    told: Document = asdict(closed)
    told["adjusted_months"] = list(closed.adjusted_months)
    _record(call, "close", ("month", prepared.month), told)
    return told


def _replay(call: Call) -> Answer:
    return {"ok": not call.found, "differences": list(call.found)}


def _papers(call: Call) -> Answer:
    wanted = sa.select(PaperRow).order_by(PaperRow.number)
    if "month" in call.query:
        wanted = wanted.filter_by(month=call.query["month"])
    if "after" in call.query:
        wanted = wanted.where(PaperRow.number > call.query["after"])
    papers, more = page_of(call.session, wanted)
    return {"papers": papers, "next": more}


def _paper(call: Call) -> Answer:
    number, form = call.at["number"], call.query.get("form", "json")
    row = call.session.get(PaperRow, number)
    if row is None or form not in _ENDS or _ENDS[form] not in forms_of(row):
        raise OperatorError("paper_unknown", "There is no such paper, or not in this form.")
    return File(f"{row.number}.{form}", _ENDS[form], form_of(row, _ENDS[form]))


def _balances(call: Call) -> Answer:
    found = standings(books.sums(call.session))
    return {
        "accounts": books.balances(call.session),
        "standings": {name: asdict(one) for name, one in found.items()},
        "faults": list(books.faults(call.session)),
    }


def _cap(call: Call) -> Answer:
    books_: Books = call.found
    return [
        {**asdict(state), "left_fen": state.left_fen, "level": state.level}
        for state in income(books_)
    ]


def _receive(call: Call) -> Answer:
    form: PaymentForm = call.form
    left = payments.take_in(call.session, form.tenant, form.fen, form.receipt, call.act.at)
    told: Document = {"tenant": form.tenant, "receipt": form.receipt, "owes_fen": left}
    _record(call, "receive", ("payment", form.receipt), {**told, "fen": form.fen})
    return told


def _pay_out(call: Call) -> Answer:
    form: PayoutForm = call.form
    left = payments.give_out(call.session, form.provider, form.fen, form.order, call.act.at)
    told: Document = {"provider": form.provider, "order": form.order, "owed_fen": left}
    _record(call, "pay_out", ("payout", form.order), {**told, "fen": form.fen})
    return told


def _record(call: Call, action: str, entity: tuple[str, str], after: Document) -> None:
    append(call.session, RECORD, call.act, action, entity, before=None, after=after)


_ONE = "/billing/months/{month}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "billing.months", "GET", "/billing/months", _months, summary="已关账与待关账月份 / Months"
    ),
    Endpoint(
        "billing.rate",
        "GET",
        _ONE,
        _rate,
        finds=_rated,
        heavy=True,
        summary="试算某月费用与分成，并列出关账障碍 / What a month amounts to by now, and what "
        "keeps it open",
    ),
    Endpoint(
        "billing.propose",
        "POST",
        f"{_ONE}/propose",
        _propose,
        finds=_prepared,
        heavy=True,
        summary="提议关账（须由另一人确认） / Propose to close a month; another person closes it",
    ),
    Endpoint(
        "billing.close",
        "POST",
        f"{_ONE}/close",
        _close,
        finds=_prepared,
        heavy=True,
        summary="确认关账并出具账单 / Close a month that another person proposed, and issue its "
        "statements",
    ),
    Endpoint(
        "billing.replay",
        "GET",
        f"{_ONE}/replay",
        _replay,
        finds=_replayed,
        heavy=True,
        summary="由证据重算已关账月份并逐字节核对 / Find a closed month again, byte for byte",
    ),
    Endpoint(
        "billing.papers",
        "GET",
        "/billing/papers",
        _papers,
        query={
            "month": "Only papers of this month, as 2026-11.",
            "after": "`next` of the page before.",
        },
        summary="账单与单据 / Papers issued",
    ),
    Endpoint(
        "billing.paper",
        "GET",
        "/billing/papers/{number}",
        _paper,
        query={"form": "json (by default), csv or pdf."},
        summary="下载账单或单据（form=json|csv|pdf） / One paper as JSON, CSV or PDF",
    ),
    Endpoint(
        "billing.balances", "GET", "/billing/balances", _balances, summary="账户余额 / Accounts"
    ),
    Endpoint(
        "billing.revenue_cap",
        "GET",
        "/billing/revenue-cap",
        _cap,
        finds=opened,
        summary="年度准许收入执行情况 / Each year's income against its allowance",
    ),
    Endpoint(
        "billing.receive",
        "POST",
        "/billing/payments",
        _receive,
        PaymentForm,
        status=201,
        summary="登记客户付款 / Book a client's payment",
    ),
    Endpoint(
        "billing.pay_out",
        "POST",
        "/billing/payouts",
        _pay_out,
        PayoutForm,
        status=201,
        summary="登记向数据贡献方付款 / Book a payment to a provider",
    ),
)
