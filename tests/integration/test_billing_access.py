"""An organisation reads its own statements and nobody else's, in any form, by any address."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.api import statements
from gateway.billing.closing import close
from gateway.billing.opening import open_billing
from gateway.billing.table import as_csv
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import open_engine, reading, sqlite_url, writing
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
