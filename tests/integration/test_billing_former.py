"""Books that were kept before there were several journals and three forms: they go on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from gateway.api.statements import listed
from gateway.billing.checklist import checklist
from gateway.billing.closing import close
from gateway.billing.disputes import decide, raise_dispute
from gateway.billing.evidence import evidence_of
from gateway.billing.months import heads_of, truth_of
from gateway.billing.office import Office
from gateway.billing.replay import replay
from gateway.db.billing_tables import BillingMonthRow
from gateway.db.engine import reading
from gateway.journal.events import SqliteJournals
from tests.billing_factory import MONTH, books_at, books_of_copy, issued, journal_of
from tests.former_books import formerly_closed
from tests.gateway_factory import Gateway, copy_policies, serving
from tests.integration.test_billing_commands import meter

NEXT = "2025-07"
IN_TIME = datetime(2025, 8, 1, tzinfo=UTC)
LATER = datetime(2025, 8, 10, tzinfo=UTC)
COUNTED = "which an earlier month counted"
OWN = f"CS-{MONTH}-T-INS"


@pytest.fixture(scope="module")
def migrated(answered_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose month was closed before the migration."""
    home = tmp_path_factory.mktemp("former") / "home"
    former = formerly_closed(books_of_copy(answered_home, home))
    former.engine.dispose()
    return home


@pytest.fixture
def former(migrated: Path, tmp_path: Path) -> Office:
    return books_at(Path(shutil.copytree(migrated, tmp_path / "home")))


def test_a_former_month_is_found_again_byte_for_byte(former):
    papers = issued(former)
    assert {kind for kind, _ in papers} == {"client", "provider"}
    assert all((paper.seal, paper.pdf) == ("", b"") for paper in papers.values())
    with reading(former.engine) as session:
        kept = heads_of(former.events, session.get_one(BillingMonthRow, MONTH))
    assert kept == former.events.heads()
    assert truth_of(former, MONTH, kept).lines
    assert list(replay(former, MONTH)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("body = CAST(replace(body, '4', '5') AS BLOB)", "comes out differently"),
        ("sha256 = 'x'", "is not what was issued"),
        ("signature = 'eA=='", "its signature does not hold"),
        ("signature = '人'", "its signature does not hold"),
        ("seal = 'x'", "is not what was issued"),
    ],
)
def test_a_former_paper_that_was_changed_is_noticed(former, change, told):
    with closing(sqlite3.connect(former.archive.parent / "sluice.db")) as db:
        db.execute("DROP TRIGGER paper_no_update")
        db.execute(f"UPDATE paper SET {change} WHERE number = ?", (OWN,))
        db.commit()
    assert f"{OWN}: {told}" in list(replay(former, MONTH))


def test_a_paper_without_its_seal_is_not_taken_for_a_former_one(office):
    close(office, MONTH, LATER, "billing")
    with closing(sqlite3.connect(office.archive.parent / "sluice.db")) as db:
        db.execute("DROP TRIGGER paper_no_update")
        db.execute("UPDATE paper SET seal = '', pdf = x'' WHERE number = ?", (OWN,))
        db.commit()
    assert f"{OWN}: its signature does not hold" in list(replay(office, MONTH))


def test_the_month_after_a_former_one_is_closed_and_nothing_is_booked_twice(former):
    done = close(former, NEXT, LATER, "billing")
    assert (done.month, done.adjusted_months, done.fees_fen) == (NEXT, (), 0)
    assert list(replay(former, NEXT)) == list(replay(former, MONTH)) == []


def test_a_line_of_a_former_month_has_its_evidence_and_may_be_disputed(former):
    line = orjson.loads(issued(former)["client", "T-INS"].body)["lines"][0]
    found = evidence_of(former, line["line_id"])
    assert sum(one.charged for one in found.events) == line["cells_charged"] > 0
    assert set(found.heads) == set(former.events.heads())
    case = raise_dispute(former, line["line_id"], "not ours", IN_TIME, "wang")
    assert decide(former, case, upheld=True, now=IN_TIME, by="li") == line["amount_fen"]
    (note,) = [paper for (kind, _), paper in issued(former).items() if kind == "credit_note"]
    assert orjson.loads(note.body)["corrects"] == OWN
    assert list(replay(former, MONTH)) == []


def test_a_former_month_whose_journal_is_gone_lets_no_month_be_closed(former):
    elsewhere = replace(former, events=SqliteJournals(()))
    shutil.rmtree(former.archive)  # which would know that one is missing
    assert any(COUNTED in one for one in checklist(elsewhere, NEXT, LATER))


def test_a_former_journal_that_was_cut_short_is_noticed(former):
    with closing(sqlite3.connect(journal_of(former))) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM audit_event WHERE seq = (SELECT max(seq) FROM audit_event)")
        db.commit()
    shutil.rmtree(former.archive)
    assert any(COUNTED in one for one in checklist(former, NEXT, LATER))


def test_a_list_of_papers_has_former_ones(former):
    for (kind, _), paper in issued(former).items():
        told = listed(paper)
        lines = orjson.loads(paper.body)["lines"]
        own = sum(line["amount_fen" if kind == "client" else "part_fen"] for line in lines)
        assert (told["number"], told["lines_fen"]) == (paper.number, own)


def test_a_former_paper_is_printed_and_has_no_table_and_no_pdf(former):
    home = former.archive.parent
    said = meter(home, "statement", MONTH, "T-INS")
    assert json.loads(said.stdout)["statement"] == f"{MONTH}/client/T-INS"
    assert meter(home, "statement", MONTH, "T-INS", "--signature").returncode == 0
    for form in (("--csv",), ("--pdf", str(home / "x.pdf")), ("--seal",)):
        refused = meter(home, "statement", MONTH, "T-INS", *form)
        assert (refused.returncode, "[paper_form]" in refused.stderr) == (1, True), refused.stderr
    assert not (home / "x.pdf").exists()


@pytest.fixture
def served(migrated: Path, tmp_path: Path) -> Iterator[Gateway]:
    home = Path(shutil.copytree(migrated, tmp_path / "home"))
    with serving(home, copy_policies(tmp_path / "policies")) as gateway:
        yield gateway


def test_a_former_paper_is_served_in_its_one_form(served):
    def ask(accept: str):
        headers = {"Accept": accept}
        return served.http.get(
            f"/v1/statements/{OWN}", auth=served.auth("ins-app"), headers=headers
        )

    assert [one["number"] for one in served.get("/v1/statements").json()["statements"]] == [OWN]
    assert ask("application/json").json()["statement"] == f"{MONTH}/client/T-INS"
    assert ask("text/csv, */*;q=0.1").headers["content-type"] == "application/json"
    for form in ("text/csv", "application/pdf"):
        assert (ask(form).status_code, ask(form).json()["code"]) == (406, "not_acceptable")
