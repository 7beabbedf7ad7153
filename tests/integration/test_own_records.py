"""S21 over HTTP: own records, the second confirmation, children, links and the register."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import segno
from fhir.resources.R4B.bundle import Bundle

import gateway.claims.paper as own_paper
from gateway.catalogue.load import load_catalogue
from gateway.claims.own import Own, own_contract
from gateway.db.engine import reading
from gateway.db.share_tables import PersonShareRow
from gateway.settings import Settings
from tests.claim_world import load, warehouse_rows
from tests.consent_factory import Browser
from tests.gateway_factory import Gateway, copy_home, serving

OPEN = ExitStack()
FHIR, PDF = "application/fhir+json", "application/pdf"


@pytest.fixture(scope="module")
def gateway(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("own")
    policies = Path("policies").resolve()
    home = copy_home(released_home, folder / "home")
    with serving(home, policies, person_login="simulated") as running, OPEN:
        rows = warehouse_rows()
        for number, person in enumerate(rows["psn_info_b"]):
            person["psn_name"] = f"档案本名{number}"  # the sign-in lists the invented people's own
        load(running, folder / "rows", rows)
        yield running


def client(gateway: Gateway) -> httpx.Client:
    """A client with no cookies yet, closed with the gateway."""
    return OPEN.enter_context(httpx.Client(base_url=gateway.http.base_url, timeout=30))


@contextmanager
def later(gateway: Gateway, passed: timedelta) -> Iterator[None]:
    """The gateway's clock put on for a while."""
    gateway.clock.started += passed
    try:
        yield
    finally:
        gateway.clock.started -= passed


class AtHome:
    """Somebody signed in at their pages."""

    def __init__(self, gateway: Gateway, person: str) -> None:
        self.http = client(gateway)
        browser = Browser(self.http)
        browser.open("/person/sign-in")
        browser.sign_in(person)
        self.token = self.http.get("/me/shares").json()["csrf_token"]

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, path, headers={"X-CSRF-Token": self.token}, **more)

    def share(self, **changed: Any) -> httpx.Response:
        wanted = {"receiver": "家庭医生", "purpose": "复诊", "scopes": ["SETL", "DX"], **changed}
        return self.send("POST", "/me/shares", json=wanted)


def opened(gateway: Gateway, token: str, accept: str = "application/json") -> httpx.Response:
    body, headers = {"token": token}, {"Accept": accept}
    return gateway.http.post("/person/shared-records", json=body, headers=headers)


@pytest.fixture(scope="module")
def adult(gateway: Gateway) -> AtHome:
    return AtHome(gateway, "adult")


ADDRESSES = [
    ("GET", "/me/records"),
    ("POST", "/me/records/sensitive"),
    ("GET", "/me/shares"),
    ("POST", "/me/shares"),
    ("POST", "/me/shares/sh-1/revoke"),
    ("GET", "/me/opt-out"),
    ("PUT", "/me/opt-out"),
    ("DELETE", "/me/opt-out"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nobody_but_a_signed_in_person_is_answered(
    gateway: Gateway, adult: AtHome, method: str, path: str
) -> None:
    body = {"receiver": "a", "purpose": "b", "scopes": ["SETL"]}
    reply = gateway.http.request(method, path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (401, "person_signed_out")
    if method != "GET":
        forged = adult.http.request(method, path, json=body, headers={"X-CSRF-Token": "0" * 64})
        assert (forged.status_code, forged.json()["code"]) == (403, "form_not_ours")


def test_a_person_reads_their_own_records_and_sees_that_they_did(adult: AtHome) -> None:
    reply = adult.http.get("/me/records")
    data = reply.json()["data"]
    assert reply.headers["cache-control"] == "no-store"
    assert [one["begndate"] for one in data["settlements"]] == ["2025-04-03", "2025-03-03"]
    (stay, _) = data["settlements"]
    assert (stay["medfee_sumamt"], stay["invono"]) == ("8000.00", "INVS-adult")
    assert (stay["dscg_maindiag_code"], stay["dscg_maindiag_name"]) == ("I63.900", "脑梗死")
    assert len(stay["lines"]) == 2
    assert [one["insutype"] for one in data["coverage"]] == ["310"]
    assert "N-adult" not in reply.text
    (event, *_) = adult.http.get("/me/access-events").json()["access_events"]
    assert (event["service"], event["result"]) == ("S21", "done")
    assert "medfee_sumamt" in event["fields"]


def test_sensitive_diagnoses_want_a_second_confirmation(gateway: Gateway) -> None:
    patient = AtHome(gateway, "patient")
    (stay,) = patient.http.get("/me/records").json()["data"]["settlements"]
    assert stay["dscg_maindiag_code"] is None
    assert [line["list_name"] for line in stay["lines"]] == ["氨氯地平片"]
    (stay,) = patient.send("POST", "/me/records/sensitive").json()["data"]["settlements"]
    assert stay["dscg_maindiag_code"] == "B20.100"
    assert len(stay["lines"]) == 2


def test_a_guardian_reads_for_a_child_and_nobody_reads_for_strangers(gateway: Gateway) -> None:
    parent = AtHome(gateway, "parent")
    told = parent.http.get("/me/records", params={"about": "child-1"}).json()["data"]
    assert [one["invono"] for one in told["settlements"]] == ["INVS-child"]
    for about in ("child-2", "adult", ""):
        reply = parent.http.get("/me/records", params={"about": about})
        assert (reply.status_code, reply.json()["code"]) == (403, "records_not_yours")
    child = client(gateway)
    browser = Browser(child)
    browser.open("/person/sign-in")
    browser.sign_in("child")
    assert child.get("/me/records").json()["code"] == "records_not_yours"


def test_unknown_and_dead_persons_have_the_same_empty_records(gateway: Gateway) -> None:
    unknown, dead = (
        AtHome(gateway, who).http.get("/me/records").json() for who in ("teenager", "elder")
    )
    assert unknown["data"] == dead["data"] == {"coverage": [], "settlements": []}
    assert unknown.keys() == dead.keys()


def test_the_download_is_valid_fhir(adult: AtHome) -> None:
    reply = adult.http.get("/me/records", headers={"Accept": FHIR})
    assert reply.headers["content-type"] == FHIR
    Bundle.model_validate_json(reply.content)
    kinds = {entry["resource"]["resourceType"] for entry in reply.json()["entry"]}
    assert kinds == {"ExplanationOfBenefit", "Coverage"}
    assert adult.http.get("/me/records", headers={"Accept": "text/csv"}).status_code == 406


def test_the_download_as_pdf_is_paper_of_the_same_records(adult: AtHome) -> None:
    reply = adult.http.get("/me/records", headers={"Accept": PDF})
    assert (reply.status_code, reply.headers["content-type"]) == (200, PDF)
    assert reply.content.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3</pdfaid:part>" in reply.content
    assert "attachment" in reply.headers["content-disposition"]
    (event, *_) = adult.http.get("/me/access-events").json()["access_events"]
    assert (event["service"], event["result"]) == ("S21", "done")


def test_paper_holds_every_value_and_takes_no_text_for_markup(adult: AtHome) -> None:
    """What is handed to the layout, read back; markup in a value stays a text."""
    contract = own_contract(load_catalogue(Settings().policies))
    data = adult.http.get("/me/records").json()["data"]
    data["settlements"][0]["dscg_maindiag_name"] = '#panic("read as markup") $x$ *y*'
    with patch.object(own_paper, "set_pages", wraps=own_paper.set_pages) as layout:
        made = own_paper.paper(Own("load-1", data, ()), contract, datetime(2025, 6, 2, tzinfo=UTC))
    assert made.startswith(b"%PDF")
    parts = json.loads(layout.call_args.args[1]["body"])["parts"]
    assert [part["title"]["en"] for part in parts] == ["Enrolment", "Settlement", "Settlement"]
    for part, said in zip(parts, [*data["coverage"], *data["settlements"]], strict=True):
        told = [pair["value"] for pair in part["pairs"]]
        plain = {k: v for k, v in said.items() if k != "lines"}
        assert len(told) == len(plain)
        assert {v for v in plain.values() if isinstance(v, str)} <= set(told)
        assert len(part["rows"]) == len(said.get("lines", ()))


def test_a_link_comes_as_a_qr_code_whose_page_opens_it_as_pdf(
    gateway: Gateway, adult: AtHome
) -> None:
    made = adult.share(uses_max=2).json()
    address = f"{gateway.app.state.identity.issuer}/person/shared#{made['token']}"
    assert made["qr"] == segno.make_qr(address, error="m").svg_data_uri(scale=4)
    page = gateway.http.get("/person/shared")
    assert page.status_code == 200
    assert "script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    paper = gateway.http.post("/person/shared", data={"token": f" {made['token']} "})
    assert (paper.status_code, paper.headers["content-type"]) == (200, PDF)
    (event, *_) = adult.http.get("/me/access-events").json()["access_events"]
    assert event["share_id"] == made["share_id"]
    adult.send("POST", f"/me/shares/{made['share_id']}/revoke")
    for token in (made["token"], "A" * 43, ""):
        refused = gateway.http.post("/person/shared", data={"token": token})
        assert refused.status_code == 404
        assert "链接无效" in refused.text
        assert token == "" or token not in refused.text


def test_a_link_opens_what_it_names_and_is_shown_to_its_person(
    gateway: Gateway, adult: AtHome
) -> None:
    made = adult.share().json()
    reply = opened(gateway, made["token"])
    assert reply.status_code == 200, reply.text
    (stay, _) = reply.json()["data"]["settlements"]
    assert stay["dscg_maindiag_name"] == "脑梗死"
    assert "lines" not in stay
    assert "coverage" not in reply.json()["data"]
    assert reply.json()["shared"]["receiver"] == "家庭医生"
    (event, *_) = adult.http.get("/me/access-events").json()["access_events"]
    assert event["share_id"] == made["share_id"]
    assert "dscg_maindiag_name" in event["fields"]
    (listed,) = [
        one
        for one in adult.http.get("/me/shares").json()["shares"]
        if one["share_id"] == made["share_id"]
    ]
    assert (listed["uses"], listed["open"]) == (1, False)
    assert "token" not in listed
    with reading(gateway.app.state.persons.engine) as session:
        row = session.get(PersonShareRow, made["share_id"])
        assert row is not None
        assert made["token"] not in repr(vars(row))


def test_links_that_open_nothing_are_answered_alike(gateway: Gateway, adult: AtHome) -> None:
    used, ended, late = (adult.share().json() for _ in range(3))
    assert opened(gateway, used["token"]).status_code == 200
    adult.send("POST", f"/me/shares/{ended['share_id']}/revoke")
    tokens = ("A" * 43, used["token"], ended["token"], late["token"])
    with later(gateway, timedelta(hours=1, seconds=1)):
        replies = [opened(gateway, token) for token in tokens]
    told = [
        (one.status_code, {k: v for k, v in one.json().items() if k != "request_id"})
        for one in replies
    ]
    assert told[0][0] == 404
    assert all(one == told[0] for one in told)


def test_only_the_person_ends_a_link(gateway: Gateway, adult: AtHome) -> None:
    made = adult.share().json()
    path = f"/me/shares/{made['share_id']}/revoke"
    foreign = AtHome(gateway, "patient").send("POST", path)
    nothing = AtHome(gateway, "patient").send("POST", "/me/shares/sh-none/revoke")
    assert foreign.status_code == 404
    assert foreign.json()["code"] == nothing.json()["code"]
    assert opened(gateway, made["token"]).status_code == 200


def test_a_link_shows_sensitive_diagnoses_only_where_that_was_confirmed(gateway: Gateway) -> None:
    patient = AtHome(gateway, "patient")
    plain = opened(gateway, patient.share().json()["token"]).json()["data"]["settlements"]
    assert plain[0]["dscg_maindiag_code"] is None
    scopes = ["SETL", "DX", "DX_SENSITIVE"]
    assert patient.share(scopes=scopes).status_code == 400
    made = patient.share(scopes=scopes, confirm_sensitive=True).json()
    (stay,) = opened(gateway, made["token"]).json()["data"]["settlements"]
    assert stay["dscg_maindiag_code"] == "B20.100"


@pytest.mark.parametrize(
    "changed",
    [{"hours": 25}, {"uses_max": 11}, {"scopes": ["DX"]}, {"scopes": []}, {"receiver": "a\nb"}],
)
def test_a_link_beyond_the_bounds_is_not_made(adult: AtHome, changed: dict[str, Any]) -> None:
    assert adult.share(**changed).status_code == 400


def test_who_tries_link_after_link_is_held_up(gateway: Gateway) -> None:
    gateway.app.state.records.probing._misses.clear()
    with later(gateway, timedelta(minutes=5)):
        replies = [opened(gateway, f"{number:043d}") for number in range(21)]
    assert [one.status_code for one in replies] == [404] * 20 + [429]
    gateway.app.state.records.probing._misses.clear()


def test_a_person_opts_out_and_back_in(adult: AtHome) -> None:
    assert adult.http.get("/me/opt-out").json()["opted_out"] is False
    since = adult.send("PUT", "/me/opt-out").json()["since"]
    assert adult.send("PUT", "/me/opt-out").json()["since"] == since
    assert adult.send("DELETE", "/me/opt-out").json()["opted_out"] is False


def test_looks_a_day_and_downloads_a_month_are_bounded_by_the_scenario(gateway: Gateway) -> None:
    """The figures of SC10; what was refused is not counted, and another person goes on. The last
    test: sessions that were open before are swept by then."""
    quota = gateway.app.state.records.reader().documents["scenarios"]["SC10"]["quota"]
    assert (quota["calls_day"], quota["downloads_month"]) == (50, 5)
    paper = {"Accept": FHIR}

    def looks(times: int, **more: Any) -> list[int]:
        return [elder.http.get("/me/records", **more).status_code for _ in range(times)]

    with later(gateway, timedelta(days=35)):  # in July
        elder = AtHome(gateway, "elder")
        assert looks(7, headers=paper) == [200] * 5 + [429] * 2
        assert looks(46) == [200] * 45 + [429]
        refused = elder.http.get("/me/records").json()
        assert refused["code"] == "person_day_quota"
        assert AtHome(gateway, "teenager").http.get("/me/records").status_code == 200
    with later(gateway, timedelta(days=36)):
        elder = AtHome(gateway, "elder")
        reply = elder.http.get("/me/records", headers=paper)
        assert (reply.status_code, reply.json()["code"]) == (429, "person_month_quota")
        assert looks(1) == [200]
