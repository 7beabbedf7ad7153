"""Close a month: nothing is left to explain, or it stays open.

In one transaction: the month's lines are charged, its fees divided, what became known about earlier
months is booked as a difference, statements are issued, and the month takes no entry any more.

`prepare` does everything that takes long and changes nothing: it reads the evidence, and rehearses
the transaction once so that the PDFs are set before anybody waits for the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import orjson
from sqlalchemy.orm import Session

from gateway.audit.reconcile import reconcile
from gateway.billing import books
from gateway.billing.checklist import checklist, disagreements
from gateway.billing.frame import Frame, Labels, inputs_hash
from gateway.billing.months import book, heads_of, open_month, sealed_heads, truth_of, undisputed
from gateway.billing.office import Office
from gateway.billing.papers import Paper
from gateway.billing.statements import (
    as_made,
    documents_of,
    keep,
    make_statements,
    unbalanced,
)
from gateway.billing.truth import Month, months_used
from gateway.db.billing_tables import (
    BillingMonthRow,
    ChargeLineRow,
    ClosingProposalRow,
    ProviderWeightRow,
)
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.journal.events import Heads
from metering.identities import differences
from metering.plausible import impossible
from metering.rating import LineKey
from metering.revenue_cap import YearState, years

__all__ = [  # what a month is made of, for whoever closes one
    "Closed",
    "Office",
    "Prepared",
    "book",
    "checklist",
    "close",
    "heads_of",
    "income",
    "open_month",
    "prepare",
    "truth_of",
    "undisputed",
]


@dataclass(frozen=True)
class Closed:
    """What a closing booked and issued."""

    month: str
    lines: int
    fees_fen: int
    entries: int
    adjusted_months: tuple[str, ...]
    statements: int


@dataclass(frozen=True)
class Prepared:
    """A month that may be closed at a moment, with everything that was read for it."""

    month: str
    at: datetime
    heads: Heads
    truths: tuple[Month, ...]
    committed: dict[str, LineKey]
    papers: dict[str, Paper]

    @property
    def own(self) -> Month | None:
        """The truth of the month itself."""
        return next((truth for truth in self.truths if truth.month == self.month), None)

    @property
    def digest(self) -> str:
        """Hash of all amounts: the same as long as nothing else became known."""
        told = [
            (
                truth.month,
                [(line.line_id, line.amount_fen) for line in truth.lines],
                [(name, sorted(_parts(truth, name).items())) for name in truth.splits],
            )
            for truth in self.truths
        ]
        return hashlib.sha256(orjson.dumps(told)).hexdigest()


def _parts(truth: Month, service: str) -> dict[str, int]:
    parts = truth.splits[service]
    fixed = {"tax": parts.tax_fen, "operator": parts.operator_fen}
    return {**fixed, "public": parts.public_interest_fen, **parts.providers}


def close(office: Office, month: str, now: datetime, by: str) -> Closed:
    """Close a month. Refuses while anything stands in the way, and then changes nothing."""
    prepared = prepare(office, month, now)
    with writing(office.engine) as session:
        return commit(session, office, prepared, by)


def prepare(office: Office, month: str, now: datetime) -> Prepared:
    """Read everything a closing needs; raises what stands in its way."""
    counted = reconcile(office.events, office.prices.charged_by)
    _refuse(month, checklist(office, month, now, counted))
    heads = office.events.heads()
    used = {each for each in months_used(office.evidence(office.prices)) if each <= month}
    truths = tuple(truth_of(office, each, heads) for each in sorted({*used, month}))
    _refuse(month, disagreements(counted, truths))
    with reading(office.engine) as session:
        committed = dict(office.committed(session, month))
    prepared = Prepared(month, now, heads, truths, committed, {})
    _park(office, prepared)
    with writing(office.engine) as session:
        trial = session.begin_nested()
        documents = _booked(session, office, prepared, "")[1]
        trial.rollback()
    papers = make_statements(documents, office.sealer)
    return replace(prepared, papers={paper.number: paper for paper in papers})


def _refuse(month: str, reasons: Iterable[str]) -> None:
    found = list(reasons)
    if found:
        raise OperatorError("cannot_close", f"{month} cannot be closed: {'; '.join(found[:20])}.")


def commit(session: Session, office: Office, prepared: Prepared, by: str) -> Closed:
    """Close a prepared month in a transaction of the caller's; refuses where its papers would not
    be those that were prepared."""
    closed, documents = _booked(session, office, prepared, by)
    papers = as_made(documents, prepared.papers)
    if papers is None:  # setting PDFs here would hold up everybody who writes
        raise OperatorError(
            "closing.state",
            f"Something was booked or renamed while {prepared.month} was prepared: try again.",
            f"准备 {prepared.month} 关账期间账目或名称有变，请重试。",
        )
    keep(session, prepared.month, prepared.at, papers)
    wrong = [*unbalanced(papers), *differences(books.sums(session))]
    if wrong:
        raise OperatorError("closing_parked", f"{prepared.month} is parked: {'; '.join(wrong)}.")
    proposal = session.get(ClosingProposalRow, prepared.month)
    if proposal is not None:
        session.delete(proposal)
    return replace(closed, statements=len(papers))


def _booked(
    session: Session, office: Office, prepared: Prepared, by: str
) -> tuple[Closed, list[dict[str, object]]]:
    """Charge, share and correct; the month as it is kept, and its statements' documents."""
    month = prepared.month
    if session.get(BillingMonthRow, month) is not None:
        raise OperatorError("month_closed", f"{month} was closed by somebody else just now.")
    truths = [undisputed(session, each, month) for each in prepared.truths]
    booked = [(truth, book(session, truth, month, prepared.at)) for truth in truths]
    adjusted = tuple(truth.month for truth, count in booked if count and truth.month != month)
    own = next(truth for truth in truths if truth.month == month)
    for truth in truths:
        if truth.month in {month, *adjusted}:
            session.add_all(_rows(truth, month))
    row = _month_row(session, office, prepared, by)
    session.add(row)
    session.flush()
    fees, entries = sum(line.amount_fen for line in own.lines), sum(count for _, count in booked)
    closed = Closed(month, len(own.lines), fees, entries, adjusted, 0)
    return closed, documents_of(session, own, frame_of(row))


def _month_row(session: Session, office: Office, prepared: Prepared, by: str) -> BillingMonthRow:
    return BillingMonthRow(
        month=prepared.month,
        closed_at=prepared.at,
        closed_by=by,
        heads=sealed_heads(office.events, prepared.heads),
        terms=office.terms.model_dump(mode="json"),
        tariffs=office.prices.document(),
        labels=office.labels(session).document(),
        committed={line: asdict(key) for line, key in prepared.committed.items()},
        ledger_head=books.head(session),
    )


def frame_of(row: BillingMonthRow) -> Frame:
    """What all papers of a closed month say alike."""
    inputs = {
        "heads": row.heads,
        "terms": row.terms,
        "prices": row.tariffs,
        "committed": row.committed,
        "labels": row.labels,
    }
    return Frame(row.closed_at, Labels.read(row.labels), inputs_hash(inputs))


def income(office: Office) -> tuple[YearState, ...]:
    """Each year's income from clients, credit notes taken off, against what was approved for it."""
    with reading(office.engine) as session:
        earned = books.income_by_year(session)
    return years(office.terms.approved_income_fen, earned)


def _park(office: Office, prepared: Prepared) -> None:
    """Raise where a result is impossible: a person has to look before anything is booked."""
    wrong = [
        f"{truth.month}: {finding}"
        for truth in prepared.truths
        for finding in impossible(truth.lines, truth.splits, office.terms.bounds)
    ]
    if wrong:
        raise OperatorError(
            "closing_parked",
            f"{prepared.month} is parked, its result cannot be: {'; '.join(wrong[:20])}.",
        )


def _rows(truth: Month, closing: str) -> Iterator[ChargeLineRow | ProviderWeightRow]:
    for line in truth.lines:
        key, used = line.key, line.used
        yield ChargeLineRow(
            closing=closing,
            line_id=line.line_id,
            month=truth.month,
            tenant=key.tenant,
            grant_id=key.grant,
            service=key.service,
            unit=key.unit,
            price_ref=key.price_ref,
            price_micro=key.price_micro,
            answers=used.answers,
            qty=used.qty,
            billable=used.billable,
            repeated=used.repeated,
            units=line.units,
            amount_fen=line.amount_fen,
        )
    for service, weights in truth.weights.items():
        for provider, weight in weights.items():
            yield ProviderWeightRow(
                closing=closing,
                month=truth.month,
                service=service,
                provider=provider,
                weight=str(weight),
            )
