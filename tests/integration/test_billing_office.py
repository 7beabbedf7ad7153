"""The billing officers' day over `/admin/v1`: two people close, two settle a dispute."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import orjson
import pytest
import sqlalchemy as sa

from gateway.api import statements
from gateway.billing import papers
from gateway.billing.pdf.render import render
from gateway.billing.replay import replay
from gateway.db.engine import reading
from gateway.identity.record import read_entries
from gateway.staff.model import RECORD
from tests.billing_factory import MONTH
from tests.gateway_factory import copy_home
from tests.staff_factory import Browser, Place, open_place


@pytest.fixture
def place(answered_home: Path, tmp_path: Path) -> Iterator[Place]:
    home = copy_home(answered_home, tmp_path / "home")
    for file in answered_home.glob("journal.db*"):
        shutil.copy(file, home / file.name)
    with open_place(home) as opened:
        yield opened


def told(answer: object, status: int = 200) -> dict:
    assert answer.status_code == status, answer.text
    return answer.json()


def recorded(place: Place) -> list[tuple[str, str]]:
    with reading(place.office.engine) as session:
        entries = read_entries(session, RECORD, 0, 10_000)
    return [(entry["actor"], entry["action"]) for entry in entries]


def closed_by_two(place: Place) -> tuple[Browser, Browser]:
    first = place.signed_in("billing_officer", name="wang")
    second = place.signed_in("billing_officer", name="li")
    told(first.post(f"/billing/months/{MONTH}/propose"))
    told(second.post(f"/billing/months/{MONTH}/close"))
    return first, second


def test_a_month_is_proposed_by_one_and_closed_by_another(place):
    first = place.signed_in("billing_officer", name="wang")
    second = place.signed_in("billing_officer", name="li")
    rated = told(first.get(f"/billing/months/{MONTH}"))
    assert (rated["obstacles"], rated["fees_fen"] > 0) == ([], True)
    for early in (first, second):
        assert early.post(f"/billing/months/{MONTH}/close").json()["code"] == "closing.state"
    proposed = told(first.post(f"/billing/months/{MONTH}/propose"))
    assert proposed["fees_fen"] == rated["fees_fen"]
    same = first.post(f"/billing/months/{MONTH}/close")
    assert (same.status_code, same.json()["code"]) == (409, "closing.same_approver")
    assert same.json()["detail_zh"]
    closed = told(second.post(f"/billing/months/{MONTH}/close"))
    assert closed["statements"] == len(proposed["papers"])
    assert [one["state"] for one in told(first.get("/billing/months"))] == ["closed"]
    assert ("wang", "propose") in recorded(place)
    assert ("li", "close") in recorded(place)
    again = second.post(f"/billing/months/{MONTH}/close")
    assert (again.status_code, again.json()["code"]) == (422, "cannot_close")
    assert told(second.get(f"/billing/months/{MONTH}/replay")) == {"ok": True, "differences": []}


def test_papers_are_handed_out_in_three_forms(place):
    officer, _ = closed_by_two(place)
    listed = told(officer.get(f"/billing/papers?month={MONTH}"))
    assert (listed["next"], {paper["kind"] for paper in listed["papers"]}) == (
        None,
        {"client", "provider"},
    )
    number = f"CS-{MONTH}-T-INS"
    forms = {
        form: officer.get(f"/billing/papers/{number}?form={form}")
        for form in ("json", "csv", "pdf")
    }
    assert orjson.loads(forms["json"].content)["number"] == number
    assert forms["csv"].text.startswith("number,month,about_month")
    assert forms["pdf"].content.startswith(b"%PDF-1.7")
    assert forms["pdf"].headers["content-type"] == "application/pdf"
    assert forms["pdf"].headers["content-disposition"].startswith("attachment")
    for path in (f"/billing/papers/{number}?form=exe", "/billing/papers/CS-none"):
        assert officer.get(path).json()["code"] == "paper_unknown"


def test_a_dispute_is_opened_by_one_and_decided_by_another(place):
    first, second = closed_by_two(place)
    paper = orjson.loads(first.get(f"/billing/papers/CS-{MONTH}-T-INS").content)
    line = paper["lines"][0]
    proof = told(first.get(f"/billing/lines/{line['line_id']}/evidence"))
    assert proof["charged"] == line["cells_charged"]
    case = told(
        first.post(
            "/billing/disputes",
            line=line["line_id"],
            claimed_fen=line["amount_fen"] * 3,
            reason="重复计费",
        ),
        201,
    )
    assert (case["held_fen"], case["claimed_fen"]) == (line["amount_fen"], line["amount_fen"] * 3)
    path = f"/billing/disputes/{case['case']}"
    assert first.post(f"{path}/reject", reason="no").json()["code"] == "second_person"
    part = line["amount_fen"] // 4
    decided = told(second.post(f"{path}/uphold", upheld_fen=part, reason="one quarter"))
    assert (decided["state"], decided["credited_fen"]) == ("partially_upheld", part)
    (note,) = [
        p for p in told(first.get("/billing/papers"))["papers"] if p["kind"] == "credit_note"
    ]
    body = orjson.loads(first.get(f"/billing/papers/{note['number']}").content)
    assert (body["lines_fen"], body["evidence_sha256"]) == (-part, proof["sha256"])
    assert body["corrects"] == paper["number"]
    found = told(first.get("/billing/balances"))
    assert (sum(found["accounts"].values()), found["faults"]) == (0, [])
    assert list(replay(place.office.billing(), MONTH)) == []


def test_papers_are_listed_page_by_page_and_none_is_left_out(place, monkeypatch):
    officer, _ = closed_by_two(place)
    whole = [paper["number"] for paper in told(officer.get("/billing/papers"))["papers"]]
    monkeypatch.setattr(statements, "PAGE", 2)
    found, after = [], ""
    for _ in whole:
        page = told(officer.get(f"/billing/papers?month={MONTH}&after={after}"))
        assert 0 < len(page["papers"]) <= 2
        found += [paper["number"] for paper in page["papers"]]
        after = page["next"]
        if after is None:
            break
    assert len(whole) > 4
    assert found == whole


def test_a_list_of_papers_reads_no_pdf(place):
    officer, _ = closed_by_two(place)
    asked = []
    sa.event.listen(
        place.office.engine, "before_cursor_execute", lambda *said: asked.append(said[2])
    )
    assert told(officer.get("/billing/papers"))["papers"]
    lists = [sql for sql in asked if "FROM paper" in sql]
    assert lists
    assert not [sql for sql in lists if "paper.pdf" in sql]


def test_whoever_adds_up_months_holds_up_no_other_officer(place):
    """More ask for a month than there are threads, while one more does something else."""
    officer = place.signed_in("billing_officer")
    held, books = threading.Event(), place.office.billing

    def slow():
        assert held.wait(30)
        return books()

    object.__setattr__(place.office, "billing", slow)

    async def together():
        transport = httpx.ASGITransport(place.app, client=("192.0.2.7", 50_000))
        async with httpx.AsyncClient(
            transport=transport, base_url=place.office.issuer, cookies=officer.cookies
        ) as client:
            rating = [
                asyncio.create_task(client.get(f"/admin/v1/billing/months/{MONTH}"))
                for _ in range(12)
            ]
            await asyncio.sleep(0.3)
            try:
                other = await asyncio.wait_for(client.get("/admin/v1/billing/months"), 20)
                client.cookies.clear()
                path = f"/admin/v1/billing/months/{MONTH}"
                stranger = await asyncio.wait_for(client.get(path), 20)
            finally:
                held.set()
                answers = await asyncio.gather(*rating)
        return other, stranger, answers

    other, stranger, answers = asyncio.run(together())
    assert (other.status_code, stranger.status_code) == (200, 401)
    assert {answer.status_code for answer in answers} == {200}


def test_no_pdf_is_set_while_others_wait_to_write(place, monkeypatch):
    """A PDF takes long; whoever sets one must not hold the database's one write lock."""
    where = []

    def watched(body, signature):
        with closing(sqlite3.connect(place.office.engine.url.database, timeout=0)) as db:
            db.execute("BEGIN IMMEDIATE")  # raises while anybody holds the lock
            db.rollback()
        where.append(orjson.loads(body)["kind"])
        return render(body, signature)

    monkeypatch.setattr(papers, "render", watched)
    first, second = closed_by_two(place)
    line = orjson.loads(first.get(f"/billing/papers/CS-{MONTH}-T-INS").content)["lines"][0]
    case = told(first.post("/billing/disputes", line=line["line_id"], reason="重复计费"), 201)
    told(second.post(f"/billing/disputes/{case['case']}/uphold", reason="so it is"))
    assert {*where} == {"client", "provider", "credit_note"}


def test_payments_are_booked_once_and_recorded(place):
    officer, _ = closed_by_two(place)
    paid = {"tenant": "T-PHA", "fen": 4000, "receipt": "R-1"}
    assert told(officer.post("/billing/payments", **paid), 201)["owes_fen"] == 0
    assert officer.post("/billing/payments", **paid).status_code == 409
    much = officer.post("/billing/payouts", provider="bureau", fen=10**12, order="O-1")
    assert much.json()["code"] == "payout_too_much"
    assert ("wang", "receive") in recorded(place)
    caps = told(officer.get("/billing/revenue-cap"))
    assert {year["level"] for year in caps} == {"ok"}


def test_only_those_whose_role_it_is_see_or_move_money(place):
    auditor = place.signed_in("auditor")
    stranger = place.signed_in("policy_officer")
    assert auditor.get("/billing/balances").status_code == 200
    assert auditor.post(f"/billing/months/{MONTH}/propose").status_code == 403
    for path in ("/billing/balances", "/billing/papers", f"/billing/months/{MONTH}"):
        assert stranger.get(path).json()["code"] == "staff_role"
    assert place.browser().get("/billing/balances").status_code == 401
    officer = place.signed_in("billing_officer")
    for month in ("2025-13", "now", "2025-6"):
        assert officer.get(f"/billing/months/{month}").status_code == 400
