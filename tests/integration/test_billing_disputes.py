"""Objections to a line: held at once, then given back or released, to the fen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa

from gateway.billing import books, disputes
from gateway.billing.closing import close
from gateway.billing.months import book, truth_of, undisputed
from gateway.billing.replay import replay
from gateway.billing.truth import with_amounts
from gateway.db.billing_tables import ChargeLineRow, DisputeRow
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from tests.billing_factory import AFTER, MONTH, issued


def test_a_dispute_holds_and_gives_back_or_releases_exactly_its_amount(office):
    close(office, MONTH, AFTER, "billing")
    line = next(
        line
        for (kind, party), row in issued(office).items()
        if (kind, party) == ("client", "T-INS")
        for line in orjson.loads(row.body)["lines"]
    )
    with reading(office.engine) as session:
        before = books.balances(session)
    case = disputes.raise_dispute(office, line["line_id"], "not ours", AFTER, "clerk")
    with reading(office.engine) as session:
        assert books.balances(session)[f"held:{case}"] == -line["amount_fen"]
    with pytest.raises(OperatorError):
        disputes.decide(office, case, upheld=True, now=AFTER, by=" Clerk ")
    assert disputes.decide(office, case, upheld=True, now=AFTER, by="judge") == line["amount_fen"]
    with reading(office.engine) as session:
        after = books.balances(session)
    assert after.get("receivable:T-INS", 0) == before["receivable:T-INS"] - line["amount_fen"]
    assert f"held:{case}" not in after
    assert sum(after.values()) == 0
    for code, args in {
        "state.not_allowed": (case,),
        "dispute_unknown": ("D-none",),
    }.items():
        with pytest.raises(OperatorError) as refused:
            disputes.decide(office, *args, upheld=False, now=AFTER, by="judge")
        assert refused.value.code == code


def test_a_rejected_dispute_leaves_every_account_as_it_was(office):
    close(office, MONTH, AFTER, "billing")
    with reading(office.engine) as session:
        before = books.balances(session)
    line = next(iter(truth_of(office, MONTH).lines))
    case = disputes.raise_dispute(office, line.line_id, "too much", AFTER, "clerk")
    disputes.decide(office, case, upheld=False, now=AFTER, by="judge")
    with reading(office.engine) as session:
        assert books.balances(session) == before
        assert session.get_one(DisputeRow, case).state == "rejected"


def test_a_dispute_of_an_unknown_line_or_after_its_time_is_refused(office):
    close(office, MONTH, AFTER, "billing")
    line = next(iter(truth_of(office, MONTH).lines)).line_id
    late = AFTER + timedelta(days=office.terms.dispute_days, seconds=1)
    for code, args in {
        "line_unknown": ("2025-06-S02-nothing", AFTER),
        "dispute_late": (line, late),
    }.items():
        with pytest.raises(OperatorError) as refused:
            disputes.raise_dispute(office, args[0], "x", args[1], "clerk")
        assert refused.value.code == code
    disputes.raise_dispute(office, line, "x", AFTER, "clerk")
    with pytest.raises(OperatorError) as refused:
        disputes.raise_dispute(office, line, "again", AFTER, "clerk")
    assert refused.value.code == "dispute.exists"


@pytest.mark.parametrize(("upheld", "credited"), [(True, 1), (False, 0), (None, 0)])
def test_a_correction_after_a_dispute_gives_nothing_back_twice(office, upheld, credited):
    """What is in dispute, or was given back, stays at what was charged; the rest is corrected."""
    close(office, MONTH, AFTER, "billing")
    truth = truth_of(office, MONTH)
    line = next(line for line in truth.lines if line.key.tenant == "T-INS")
    case = disputes.raise_dispute(office, line.line_id, "too much", AFTER, "clerk")
    if upheld is not None:
        disputes.decide(office, case, upheld=upheld, now=AFTER, by="judge")
    halves = {one.line_id: one.amount_fen // 2 for one in truth.lines}
    later = with_amounts(truth, halves)
    with writing(office.engine) as session:
        kept = undisputed(session, later, "2025-07")
        book(session, kept, "2025-07", AFTER)
        found = books.balances(session)
    expected = line.amount_fen // 2 if upheld is False else line.amount_fen * (1 - credited)
    assert found.get("receivable:T-INS", 0) == expected
    other = next(one for one in truth.lines if one.key.tenant == "T-INS2")
    assert found["receivable:T-INS2"] == other.amount_fen // 2
    assert sum(found.values()) == 0
    assert "suspense" not in found


def test_a_credit_note_that_would_come_out_otherwise_by_now_is_not_issued(office):
    close(office, MONTH, AFTER, "billing")
    lines = [line for line in truth_of(office, MONTH).lines if line.key.tenant == "T-INS"]
    case = disputes.raise_dispute(office, lines[0].line_id, "too much", AFTER, "clerk")
    prepared = disputes.prepare_credit(office, case, AFTER, 3)
    with reading(office.engine) as session:
        before = books.balances(session)
        assert session.get_one(DisputeRow, case).state == "held"
    other = replace(prepared, fen=4)
    for outdated in (other, replace(prepared, note=None)):
        with pytest.raises(OperatorError) as refused, writing(office.engine) as session:
            disputes.settle(session, outdated, "judge")
        assert refused.value.code == "dispute.state"
    with reading(office.engine) as session:
        assert books.balances(session) == before
    with writing(office.engine) as session:
        assert disputes.settle(session, prepared, "judge").credited_fen == 3
    assert ("credit_note", "T-INS") in issued(office)


def test_a_dispute_does_not_bring_new_terms_to_an_old_month(office):
    close(office, MONTH, AFTER, "billing")
    line = next(iter(truth_of(office, MONTH).lines))
    case = disputes.raise_dispute(office, line.line_id, "too much", AFTER, "clerk")
    disputes.decide(office, case, upheld=True, now=AFTER, by="judge")
    with reading(office.engine) as session:
        before = books.balances(session)
    changed = replace(office, terms=office.terms.model_copy(update={"tax_bp": 0}))
    july = datetime(2025, 8, 10, tzinfo=UTC)
    closed = close(changed, "2025-07", july, "billing")
    assert (closed.entries, closed.adjusted_months) == (0, ())
    with reading(office.engine) as session:
        assert books.balances(session) == before


def test_a_credit_note_comes_out_again_after_a_later_truth_about_its_line(office):
    close(office, MONTH, AFTER, "billing")
    line = next(iter(truth_of(office, MONTH).lines))
    case = disputes.raise_dispute(office, line.line_id, "too much", AFTER, "clerk")
    disputes.decide(office, case, upheld=True, now=AFTER, by="judge")
    close(office, "2025-07", datetime(2025, 8, 10, tzinfo=UTC), "billing")
    with writing(office.engine) as session:
        known = session.scalars(sa.select(ChargeLineRow).filter_by(line_id=line.line_id)).one()
        values = {
            column.key: getattr(known, column.key) for column in sa.inspect(ChargeLineRow).columns
        }
        session.add(ChargeLineRow(**{**values, "closing": "2025-07", "qty": known.qty + 1}))
    assert list(replay(office, "2025-07")) == []
