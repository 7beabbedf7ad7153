"""A month from answers to statements: charged, shared, closed, disputed, and found again."""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from contextlib import closing as closed_after
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import duckdb
import orjson
import pytest

from gateway.billing import books
from gateway.billing.checklist import checklist
from gateway.billing.closing import close
from gateway.billing.months import book, truth_of
from gateway.billing.office import Office
from gateway.billing.replay import replay
from gateway.billing.terms import Terms
from gateway.billing.truth import Month
from gateway.catalogue.tariff import Tariff
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.journal.events import SqliteJournals
from gateway.journal.schema import LASTING
from gateway.releases.manifest import Manifest
from metering import movements
from metering.movements import Booking
from metering.sharing import split
from tests.billing_factory import AFTER, MONTH, exported, issued, journal_of

FILES = ("contributions.parquet", "quality.parquet")
HALF = Fraction(1, 2)


def by_the_auditor(events: list[dict]) -> dict[tuple[str, str], int]:
    """Fen per tenant and service: begun thousands of charged cells, from the export alone."""
    rows = [event["usage"] for event in events if event.get("usage")]
    with duckdb.connect() as db:
        db.execute(
            "CREATE TABLE usage (tenant TEXT, grant_id TEXT, service TEXT, price_micro BIGINT,"
            " billable BIGINT)"
        )
        db.executemany(
            "INSERT INTO usage VALUES (?, ?, ?, ?, ?)",
            [
                (r["tenant"], r["grant"], r["service"], r["price_micro"], r["billable_qty"])
                for r in rows
            ],
        )
        found = db.execute(
            "SELECT tenant, service, sum(fen)::BIGINT FROM (SELECT tenant, service,"
            " ceil(sum(billable) / 1000.0) * price_micro / 10000 AS fen FROM usage"
            " GROUP BY tenant, grant_id, service, price_micro) GROUP BY ALL"
        ).fetchall()
    return {(tenant, service): fen for tenant, service, fen in found}


def test_an_auditor_finds_the_same_fen_in_the_exported_journal(office):
    close(office, MONTH, AFTER, "billing")
    lines = {
        (party, line["service"]): line["amount_fen"]
        for (kind, party), row in issued(office).items()
        if kind == "client"
        for line in orjson.loads(row.body)["lines"]
    }
    assert lines == by_the_auditor(exported(office))
    assert set(lines) == {("T-INS", "S02"), ("T-INS2", "S02"), ("T-PHA", "S09")}
    assert min(lines.values()) > 0


def by_the_formula(office: Office, service: str) -> dict[str, Fraction]:
    """Weights of providers, cell by cell, in exact fractions: every charged measure of a cell
    counts its providers' shares by SPEC §7.2, at the quality of the period the cell tells of."""
    weights: dict[str, Fraction] = defaultdict(Fraction)
    with closed_after(sqlite3.connect(journal_of(office))) as db, duckdb.connect() as duck:
        rows = db.execute(
            "SELECT u.providers_ref, c.place, c.cells FROM usage_event u"
            " JOIN charged_cell c ON c.seq = u.seq WHERE u.service = ?",
            (service,),
        ).fetchall()
        for reference, place, cells in rows:
            release, profile = reference.split("/")
            folder = office.releases / service / release
            manifest = Manifest.model_validate_json((folder / "manifest.json").read_text("utf-8"))
            width = len(manifest.measures)
            bits = int.from_bytes(cells, "big")
            for position in range(bits.bit_length()):
                if bits >> position & 1:
                    block, cell = place >> 40, (place & (1 << 40) - 1) * 256 + position // width
                    span = block // len(manifest.geo) % len(manifest.blocks)
                    found = duck.execute(
                        'SELECT c.provider, share, "unique", coalesce(q, 10000),'
                        " coalesce(timely, true) FROM read_parquet(?) c LEFT JOIN read_parquet(?) k"
                        " ON k.provider = c.provider AND k.span = ?"
                        " WHERE profile = ? AND block = ? AND cell = ?",
                        [*(str(folder / name) for name in FILES), span, profile, block, cell],
                    ).fetchall()
                    assert found, "a cell that was answered has contributors"
                    for provider, share, unique, q, timely in found:
                        part = Fraction(round(share * 10**9), 10**9)
                        tenths = 5 + Fraction(3 * q, 10**4) + unique + (1 if timely else HALF)
                        weights[provider] += part * tenths / 10
    return weights


def test_providers_share_by_their_part_in_every_cell_that_was_charged(office):
    truth = truth_of(office, MONTH)
    for service in ("S02", "S09"):
        exact, found = by_the_formula(office, service), truth.weights[service]
        whole, total = sum(exact.values()), sum(found.values())
        named = {name: Fraction(weight, total) for name, weight in found.items()}
        for name, weight in exact.items():
            assert named[office.terms.bureau if name == "unknown" else name] == weight / whole
        parts = truth.splits[service]
        assert sum(parts.providers.values()) == parts.pool_fen > 0
        for name, fen in parts.providers.items():
            assert abs(fen - parts.pool_fen * named[name]) < 1


def test_every_fen_charged_is_shared_and_the_accounts_add_up_to_nothing(office):
    closed = close(office, MONTH, AFTER, "billing")
    with reading(office.engine) as session:
        found = books.balances(session)
        assert not list(books.faults(session))
    assert sum(found.values()) == 0
    assert "suspense" not in found
    owed = sum(fen for account, fen in found.items() if account.startswith("receivable:"))
    assert owed == closed.fees_fen
    tax = Fraction(closed.fees_fen * 600, 10_600)
    assert abs(-found["tax"] - tax) < len(truth_of(office, MONTH).splits)


def test_a_closed_month_is_found_again_byte_for_byte(office):
    close(office, MONTH, AFTER, "billing")
    assert list(replay(office, MONTH)) == []
    for row in issued(office).values():
        assert office.sealer.holds(row.signature, row.body)


def test_a_provider_sees_its_own_part_and_no_other_provider(office):
    close(office, MONTH, AFTER, "billing")
    found = {
        party: row.body.decode()
        for (kind, party), row in issued(office).items()
        if kind == "provider"
    }
    assert len(found) > 1
    for own, text in found.items():
        assert not any(f'"{other}"' in text for other in found if other != own)
        told = orjson.loads(text)
        parts = sum(line["amount_fen"] for line in told["lines"])
        assert told["closing_balance_fen"] == parts


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (datetime(2025, 6, 20, tzinfo=UTC), "may be closed from"),
        (datetime(2025, 7, 2, tzinfo=UTC), "may be closed from"),
    ],
)
def test_a_month_is_not_closed_before_its_time(office, now, reason):
    with pytest.raises(OperatorError) as refused:
        close(office, MONTH, now, "billing")
    assert refused.value.code == "cannot_close"
    assert reason in refused.value.message


def test_a_month_is_closed_once_and_takes_nothing_more(office):
    close(office, MONTH, AFTER, "billing")
    with pytest.raises(OperatorError) as refused:
        close(office, MONTH, AFTER, "billing")
    assert "closed already" in refused.value.message
    late = movements.payment("T-INS", 5, Booking(MONTH, AFTER, MONTH), receipt="r1")
    with pytest.raises(OperatorError) as refused, writing(office.engine) as session:
        books.post(session, [late])
    assert refused.value.code == "month_closed"


def forge(path: Path, statement: str, *tables: str) -> None:
    """Change what refuses to be changed, as somebody with the file could."""
    with closed_after(sqlite3.connect(path)) as db:
        for table in tables:
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}")
        db.execute(statement)
        db.commit()


def test_a_difference_in_the_books_keeps_the_month_open_and_changes_nothing(office):
    forge(
        journal_of(office),
        "DELETE FROM usage_event WHERE seq = (SELECT min(seq) FROM usage_event)",
        *LASTING,
    )
    found = list(checklist(office, MONTH, AFTER))
    assert any("answer_without_usage" in reason for reason in found)
    assert any(reason.startswith("audit:") for reason in found)
    with pytest.raises(OperatorError):
        close(office, MONTH, AFTER, "billing")
    assert issued(office) == {}


@pytest.mark.parametrize(
    ("table", "statement", "expected"),
    [
        ("ledger_posting", "UPDATE ledger_posting SET fen = fen + 1 WHERE fen > 0", "zero"),
        ("ledger_entry", "UPDATE ledger_entry SET cause = 'x' WHERE number = 2", "changed"),
        ("ledger_entry", "DELETE FROM ledger_entry WHERE number = 2", "missing"),
        ("paper", "UPDATE paper SET body = CAST(body || ' ' AS BLOB)", "differently"),
        ("paper", "UPDATE paper SET pdf = CAST(pdf || ' ' AS BLOB)", "PDF comes out differently"),
        ("paper", "DELETE FROM paper WHERE party = 'T-INS'", "not issued"),
        ("paper", "UPDATE paper SET signature = 'AAAA'", "signature"),
        ("paper", "UPDATE paper SET seal = 'AAAA'", "is not what was issued"),
    ],
)
def test_a_change_behind_the_back_of_the_books_is_found(office, table, statement, expected):
    close(office, MONTH, AFTER, "billing")
    path = office.archive.with_name("sluice.db")
    with (
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
        closed_after(sqlite3.connect(path)) as db,
    ):
        db.execute(statement)
    forge(path, statement, table)
    assert any(expected in reason for reason in replay(office, MONTH))


def doubled(month: Month, terms: Terms) -> Month:
    """The same month, had everything been used twice."""
    lines = tuple(replace(line, amount_fen=2 * line.amount_fen) for line in month.lines)
    splits = {
        service: split(
            2 * parts.fees_fen,
            terms.deductions(2 * parts.fees_fen),
            month.weights[service],
            bureau=terms.bureau,
        )
        for service, parts in month.splits.items()
    }
    return replace(month, lines=lines, splits=splits)


def test_a_later_truth_is_a_difference_in_an_open_month_and_the_closed_one_stays(office):
    close(office, MONTH, AFTER, "billing")
    known = truth_of(office, MONTH)
    with reading(office.engine) as session:
        before, own = books.balances(session), books.balances(session, MONTH)
    with writing(office.engine) as session:
        assert book(session, known, "2025-07", AFTER) == 0
        assert book(session, doubled(known, office.terms), "2025-07", AFTER) > 0
    with reading(office.engine) as session:
        after = books.balances(session)
        assert books.balances(session, MONTH) == own
    for account, fen in before.items():
        if account.startswith("receivable:"):
            assert after[account] == 2 * fen
    with writing(office.engine) as session:
        assert book(session, known, "2025-08", AFTER) > 0
    with reading(office.engine) as session:
        assert books.balances(session) == before
        assert not list(books.faults(session))
    assert list(replay(office, MONTH)) == []


def test_other_terms_hold_for_other_months_only(office):
    close(office, MONTH, AFTER, "billing")
    changed = replace(office, terms=office.terms.model_copy(update={"tax_bp": 0}))
    closed = close(changed, "2025-07", AFTER + timedelta(days=31), "billing")
    assert (closed.entries, closed.adjusted_months, closed.fees_fen) == (0, (), 0)
    assert list(replay(changed, MONTH)) == []


def test_what_is_late_of_a_month_before_the_books_keeps_the_terms_of_the_first_closing(office):
    """Its journal is found after July was closed, the first month of these books."""
    july, august = AFTER + timedelta(days=31), AFTER + timedelta(days=62)
    close(replace(office, events=SqliteJournals(())), "2025-07", july, "billing")
    untaxed = replace(office, terms=office.terms.model_copy(update={"tax_bp": 0}))
    found = close(untaxed, "2025-08", august, "billing")
    assert found.adjusted_months == (MONTH,)
    with reading(office.engine) as session:
        booked = books.balances(session)
    taxed = truth_of(office, MONTH)
    assert -booked["tax"] == sum(parts.tax_fen for parts in taxed.splits.values()) > 0
    again = close(untaxed, "2025-09", august + timedelta(days=31), "billing")
    assert (again.entries, again.adjusted_months) == (0, ())
    assert list(replay(untaxed, "2025-08")) == []


def test_what_no_price_list_knows_cannot_be_charged(office):
    unlisted = replace(office, tariffs={"S09": office.tariffs["S09"]})
    found = [reason for reason in checklist(unlisted, MONTH, AFTER) if "price list" in reason]
    assert set(found) == {"S02 was charged by act.cost-structure/2026, which is on no price list"}
    with pytest.raises(OperatorError) as refused:
        close(unlisted, MONTH, AFTER, "billing")
    assert refused.value.code == "cannot_close"


def test_a_month_is_charged_by_the_kind_of_price_the_list_says(office):
    capped = {
        "ref": "act.cost-structure/2026",
        "valid_from": date(2024, 1, 1),
        "price_fen": 4000,
        "minimum_fen": 9000,
    }
    tariffs = {**office.tariffs, "S02": Tariff(unit="per_1000_cells", prices=(capped,))}
    committed = truth_of(replace(office, tariffs=tariffs), MONTH)
    fen = {line.key.service: line.amount_fen for line in committed.lines}
    assert fen == {"S02": 9000, "S09": 4000}


def test_a_free_first_tier_takes_nothing_from_the_providers(office):
    """The stamp of such an answer says 0; what the month charges is still shared by its cells."""
    before = truth_of(office, MONTH)
    forge(journal_of(office), "UPDATE usage_event SET price_micro = 0", "usage_event")
    tiers = ({"up_to": 1, "price_fen": 0}, {"price_fen": 500})
    price = {"ref": "act.cost-structure/2026", "valid_from": date(2024, 1, 1), "kind": "graduated"}
    tariffs = {"S02": Tariff(unit="per_1000_cells", prices=({**price, "tiers": tiers},))}
    after = truth_of(replace(office, tariffs=tariffs), MONTH)
    assert after.weights == before.weights
    assert set(after.splits["S02"].providers) == set(before.splits["S02"].providers)


def test_a_missing_release_is_named_and_nothing_is_booked(office):
    release = next(event["usage"]["release"] for event in exported(office) if event.get("usage"))
    shutil.rmtree(office.releases / "S02" / release)
    with pytest.raises(OperatorError) as refused:
        close(office, MONTH, AFTER, "billing")
    assert refused.value.code == "release_missing"
    assert issued(office) == {}
