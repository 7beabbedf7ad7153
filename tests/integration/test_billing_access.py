"""An organisation reads its own statements and nobody else's, in any form, by any address."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.api import statements
from gateway.billing import books
from gateway.billing.closing import close
from gateway.billing.opening import open_billing
from gateway.billing.table import as_csv
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import open_engine, reading, sqlite_url, writing
from gateway.portal.offers import money
from gateway.portal.transparency import Published
from gateway.serving.accept import JSON
from tests.billing_factory import AFTER, MONTH
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving

OWN = f"CS-{MONTH}-T-INS"


@pytest.fixture(scope="module")
def closed(answered_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server whose journal has answers of three organisations, and their month closed."""
    folder = tmp_path_factory.mktemp("statements")
    home = copy_home(answered_home, folder / "home")
    for file in answered_home.glob("journal.db*"):
        shutil.copy(file, home / file.name)
    with serving(home, copy_policies(folder / "policies")) as gateway:
        engine = open_engine(sqlite_url(home / "sluice.db"))
        close(open_billing(gateway.settings, engine), MONTH, AFTER, "billing")
        yield gateway


def test_own_statements_are_listed_and_read_in_three_forms(closed):
    told = closed.get("/v1/statements").json()
    assert [one["number"] for one in told["statements"]] == [OWN]
    assert told["key"]["crv"] == "Ed25519"
    for accept, start in {
        "application/json": b"{",
        "text/csv": b"number,",
        "application/pdf": b"%PDF",
    }.items():
        answer = closed.http.get(
            f"/v1/statements/{OWN}", auth=closed.auth("ins-app"), headers={"Accept": accept}
        )
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, accept)
        assert answer.content.startswith(start)
        assert answer.headers["sluice-signature"].count(".") == 2
        assert answer.headers["cache-control"] == "private, no-store"
    refused = closed.http.get(
        f"/v1/statements/{OWN}", auth=closed.auth("ins-app"), headers={"Accept": "image/png"}
    )
    assert refused.status_code == 406


def test_own_statements_come_page_by_page_newest_first(closed, monkeypatch):
    with writing(closed.app.state.identity.engine) as session:
        first = session.get_one(PaperRow, OWN)
        told = {column.key: getattr(first, column.key) for column in PaperRow.__table__.columns}
        for number in range(1, 6):
            note = {"kind": "credit_note", "number": f"CN-2025-07-T-INS-{number:02d}"}
            day = AFTER + timedelta(days=number // 2)
            session.add(PaperRow(**{**told, **note, "issued_at": day}))
    numbers = [one["number"] for one in closed.get("/v1/statements").json()["statements"]]
    assert [number[-2:] for number in numbers] == ["04", "05", "02", "03", "01", "NS"]
    monkeypatch.setattr(statements, "PAGE", 2)
    found, after = [], ""
    while after is not None:
        page = closed.get(f"/v1/statements?after={after}").json()
        found += [one["number"] for one in page["statements"]]
        after = page["next"]
    assert found == numbers
    for unknown in ("CS-none", f"CS-{MONTH}-T-PHA", "%00"):
        answer = closed.get(f"/v1/statements?after={unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_statement")


def test_another_tenants_paper_is_as_unknown_as_none(closed):
    unknown = closed.get("/v1/statements/CS-2025-06-T-NOBODY", "ins2-app")
    for number in (OWN, f"CS-{MONTH}-T-PHA", f"PS-{MONTH}-bureau"):
        answer = closed.get(f"/v1/statements/{number}", "ins2-app")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_statement")
        kept = {k: v for k, v in answer.json().items() if k != "request_id"}
        assert kept == {k: v for k, v in unknown.json().items() if k != "request_id"}
    for number in ("%00", "..%2F..", "CS-2025-06-T-INS%27 OR 1=1", "x" * 200):
        assert closed.get(f"/v1/statements/{number}", "ins2-app").status_code in {404, 414, 400}
    listed = closed.get("/v1/statements", "ins2-app").json()["statements"]
    assert {one["party"] for one in listed} == {"T-INS2"}


def test_nobody_reads_statements_without_a_token(closed):
    for path in ("/v1/statements", f"/v1/statements/{OWN}"):
        assert closed.http.get(path).status_code == 401


def test_no_provider_statement_names_another_provider(closed):
    with reading(closed.app.state.identity.engine) as session:
        papers = session.query(PaperRow).filter_by(kind="provider").all()
        texts = {paper.party: paper.body.decode() + as_csv(paper.body) for paper in papers}
    assert len(texts) > 2
    for own, text in texts.items():
        assert not [other for other in texts if other != own and f'"{other}"' in text]


def test_the_portal_shows_own_papers_as_they_were_sealed(closed):
    reply = closed.http.post("/v1/portal/sessions", auth=closed.auth("ins-app"))
    with httpx.Client(base_url=closed.settings.base_url, timeout=60) as browser:
        assert browser.post(reply.json()["url"]).status_code == 303
        page = browser.get("/portal/own/statements", params={"lang": "en"}).text
        assert OWN in page
        assert "T-PHA" not in page
        for form, accept in (("json", JSON), ("csv", "text/csv"), ("pdf", statements.PDF)):
            shown = browser.get(f"/portal/own/statements/{OWN}", params={"form": form})
            auth, wanted = closed.auth("ins-app"), {"Accept": accept}
            api = closed.http.get(f"/v1/statements/{OWN}", auth=auth, headers=wanted)
            assert shown.content == api.content
            assert shown.headers["sluice-seal"] == api.headers["sluice-seal"]
        assert browser.get(f"/portal/own/statements/CS-{MONTH}-T-PHA").status_code == 404


def test_the_public_reads_what_a_closed_month_came_to(closed):
    engine, folder = closed.app.state.identity.engine, closed.settings.home / "transparency"
    shutil.rmtree(folder, ignore_errors=True)
    page = closed.http.get("/transparency", params={"lang": "en"}).text
    told = Published.model_validate_json((folder / f"{MONTH}.json").read_text())
    with reading(engine) as session:
        charged = books.balances(session, MONTH)
        year = books.income_by_year(session)[int(MONTH[:4])]
    assert f'<td class="number">{money(year)}</td>' in page  # a year's income is told whole
    assert 0 < sum(fen > 0 for name, fen in charged.items() if name.startswith("receivable:")) < 5
    amounts = (told.income_fen, told.tax_fen, told.operator_fen, told.providers_fen)
    assert amounts == (None,) * 4  # of so few organisations one could read another's bill
    assert (told.calls, told.organisations, told.denials) == (None,) * 3
    assert "T-INS" not in page
    figures = closed.app.state.portal.public.archive._count(MONTH)
    assert sum(each.calls for each in figures.called) >= 5
    assert {each.tenant for each in figures.called} == {"T-INS", "T-INS2", "T-PHA"}
    assert sum(each.refused for each in figures.called) == 1
    assert figures.moved_fen["income"] == year
    assert sum(figures.moved_fen.values()) == 2 * year  # what came in went somewhere, all of it
    (folder / f"{MONTH}.json").write_text(told.model_copy(update={"stops": 77}).model_dump_json())
    assert '<td class="number">77</td>' in closed.http.get("/transparency").text  # as published
