"""The portal over HTTP: finding a service, the API reference, signing in by a link, asking."""

import base64
import json
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.client import app as cli
from gateway.db.engine import writing
from gateway.identity.changes import disable_client
from gateway.identity.record import Act
from gateway.journal.schema import connect_reading
from gateway.pages.drawing import SHARED
from gateway.pages.words import Words
from gateway.portal import examining, own_pages, pages
from gateway.portal.beginning import steps
from gateway.portal.frame import Frame, Page, words
from tests.portal_world import CLIENT, OTHER, QUESTION, form_of, portal_world

TEMPLATES = Path(pages.__file__).parent / "templates"
PUBLIC = [
    "/portal", "/portal/catalogue", "/portal/api", "/portal/changelog", "/portal/status",
    "/portal/conformance", "/portal/sign-in", "/transparency",
]  # fmt: skip
OWN = [
    "/portal/own", "/portal/own/usage", "/portal/own/statements", "/portal/own/packs",
    "/portal/own/packs/outpatient", "/portal/own/jobs", "/portal/own/try",
    "/portal/own/conformance",
]  # fmt: skip


@pytest.fixture(scope="module")
def portal(released_home, tmp_path_factory):
    with portal_world(released_home, tmp_path_factory.mktemp("portal")) as world:
        yield world


def found(portal, query):
    page = portal.visitor().get("/portal/catalogue", params={"q": query}).text
    return re.findall(r'<h2><a href="/portal/catalogue/(S\d\d)">', page)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("费用结构", "S02"), ("cost structure", "S02"), ("feiyongjiegou", "S02"),
        ("fei yong jie gou", "S02"), ("fyjg", "S02"), ("S02", "S02"), ("act.los", "S04"),
        ("zyr", "S04"), ("集采", "S11"), ("jicai", "S11"), ("persistence", "S10"),
        ("zhui su ma", "S23"), ("理赔", "S19"), ("ＤＲＧ", "S06"),
    ],
)  # fmt: skip
def test_a_service_is_found_in_chinese_english_and_pinyin(portal, query, first):
    assert found(portal, query)[:1] == [first]


def test_what_nobody_offers_is_not_found(portal):
    for query in ("不存在的东西", "zzzzqq", "x" * 65, "\x00", "费用 zzzzqq"):
        assert found(portal, query) == []
    assert len(found(portal, "  ")) == 27


def test_every_service_has_a_page_in_both_languages(portal):
    visitor = portal.visitor()
    for service in found(portal, ""):
        for language in ("zh", "en"):
            page = visitor.get(f"/portal/catalogue/{service}", params={"lang": language})
            assert page.status_code == 200, service
    text = visitor.get("/portal/catalogue/S02?lang=en").text
    for said in ("SC01 Actuarial pricing", "C02-04", "k_person", "¥40.00", "setl_d: medfee_sumamt"):
        assert said in text
    assert text.count("<rect class=") == 0  # only one of the example's cells is shown: no chart
    assert visitor.get("/portal/catalogue/act.los").status_code == 200
    assert visitor.get("/portal/catalogue/S99").status_code == 404


def test_the_reference_has_every_operation_of_the_document_with_its_parts(portal):
    visitor = portal.visitor()
    document = visitor.get("/openapi.json").json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    listed = re.findall(r'<tr id="(\w+)">', visitor.get("/portal/api").text)
    assert sorted(listed) == sorted(one["operationId"] for one in operations)
    for one in operations:
        page = visitor.get(f"/portal/api/{one['operationId']}", params={"lang": "en"})
        assert page.status_code == 200
        for status in one["responses"]:
            assert f'id="status-{status}"' in page.text
    page = visitor.get("/portal/api/queryS02").text
    for said in ("period.from", "data[].medfee.value", "meta.charge.cells", "curl -X POST"):
        assert said in page
    assert visitor.get("/portal/api/none").status_code == 404
    hits = visitor.get("/portal/api", params={"q": "statement"}).text
    assert set(re.findall(r'<tr id="(\w+)">', hits)) == {
        "listStatements", "getStatement", "fhirMetadata",
    }  # fmt: skip


def test_pages_leave_with_strict_headers_and_no_script(portal):
    visitor = portal.visitor(CLIENT)
    for path in (*PUBLIC, *OWN, "/portal/catalogue/S02", "/portal/api/queryS02"):
        reply = visitor.get(path)
        assert reply.status_code == 200, path
        policy = reply.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert not re.search(r"<script|<style|\son\w+=|\sstyle=|https?://(?!127)", reply.text), path
        assert reply.headers["cache-control"] == "no-store"


def test_every_declared_field_is_used_and_templates_are_small():
    text = "".join(file.read_text("utf-8") for file in TEMPLATES.glob("*.html"))
    text += (SHARED / "charts.html").read_text("utf-8")
    for module in (pages, own_pages, examining):
        declared = [each for each in vars(module).values() if isinstance(each, type)]
        for each in declared:
            if each.__module__ == module.__name__:
                unused = [one.name for one in fields(each) if f".{one.name}" not in text]
                assert unused == [], each
                assert not issubclass(each, Page) or (TEMPLATES / each.template).is_file()
    assert [one.name for one in fields(Frame) if f"frame.{one.name}" not in text] == []
    assert max(len(f.read_text("utf-8").splitlines()) for f in TEMPLATES.glob("*.html")) <= 150


def test_the_commands_of_how_to_begin_run_as_written(portal, tmp_path, monkeypatch):
    """Outside the sandbox, where the data office registers clients; the sandbox's own steps are
    followed in `test_quick_start`."""
    told = steps(portal.base, Words(words(), "en"), sandbox=False)
    key, services, query, door = (each.command for each in told)
    monkeypatch.chdir(tmp_path)
    made = key.removeprefix("python - <<'END'\n").removesuffix("\nEND")
    subprocess.run([sys.executable, "-c", made], check=True)
    assert "d" not in json.loads(Path("public.json").read_text())
    assert "d" in json.loads(Path("key.json").read_text())
    Path("key.json").write_text(
        json.dumps(portal.gateway.machines[CLIENT].key.as_dict(private=True))
    )

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return portal.gateway.clock()

    for caller in ("gateway.cli.calling", "sluice_client.sluice"):
        monkeypatch.setattr(f"{caller}.datetime", Now)
    for command in (services, door):
        done = CliRunner().invoke(cli, command.replace("MY-APP", CLIENT).split()[2:])
        assert done.exit_code == 0, done.output
    question = query.replace("MY-APP", CLIENT).replace(
        "actuarial_pricing_and_reserving", "development_and_testing"
    )
    exec(compile(question, "begin", "exec"), {})  # noqa: S102 - the page's own snippet


def test_a_link_opens_one_session_and_only_once(portal):
    browser, link = portal.visitor(), portal.link()
    shown = browser.get(link)
    assert (shown.status_code, "dev-app" in shown.text) == (200, True)
    assert "set-cookie" not in {name.lower() for name in shown.headers}
    assert browser.post(link).status_code == 303
    assert browser.get("/portal/own").status_code == 200
    for again in (portal.visitor().post(link), portal.visitor().get(link)):
        assert (again.status_code, "portal_link_gone" in again.text) == (401, True)


def test_a_link_is_for_proven_clients_acting_for_themselves(portal):
    http = portal.gateway.http
    assert http.post("/v1/portal/sessions").status_code == 401
    assert http.post("/v1/portal/sessions", headers={"Authorization": "DPoP x"}).status_code == 401
    links = [portal.link(OTHER) for _ in range(10)]
    refused = http.post("/v1/portal/sessions", auth=portal.gateway.auth(OTHER))
    assert (refused.status_code, refused.json()["code"]) == (429, "portal_links")
    for link in links:
        assert portal.visitor().post(link).status_code == 303
    assert portal.link(OTHER)


def test_forged_cookies_and_foreign_forms_open_nothing(portal):
    browser = portal.visitor(CLIENT)
    form = form_of(browser.get("/portal/own").text)
    stranger = portal.visitor()
    for value in ("", "x", form, base64.b64encode(b"T-DEV").decode()):
        stranger.cookies.set("sluice-portal", value)
        for path in OWN:
            assert stranger.get(path).status_code == 401, path
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert stranger.post(portal.link(), headers=foreign).status_code == 403
    asked = {"service": "S02", "question": json.dumps(QUESTION)}
    for sent in (asked, {**asked, "form": "0" * 64}, {**asked, "form": ""}):
        assert browser.post("/portal/own/try", data=sent).status_code == 403
    assert (
        browser.post("/portal/own/try", data={**asked, "form": form}, headers=foreign).status_code
        == 403
    )
    assert browser.post("/portal/sign-out", data={"form": "0" * 64}).status_code == 403
    assert browser.post("/portal/sign-out", data={"form": form}).status_code == 303
    assert browser.get("/portal/own").status_code == 401


def test_a_run_is_started_and_ended_on_the_page_by_its_own_client(portal):
    browser, page = portal.visitor(CLIENT), "/portal/own/conformance"
    form = form_of(browser.get(page).text)
    assert browser.post(page, data={"do": "start", "form": "0"}).status_code == 403
    assert portal.visitor().post(page, data={"do": "start", "form": form}).status_code == 401
    assert browser.post(page, data={"do": "start", "form": form}).status_code == 303
    shown = browser.get(page, params={"lang": "en"}).text
    assert ("not shown yet" in shown, "Ask the paged question" in shown) == (True, True)
    run = re.search(r"cr-[0-9a-f]{24}", shown)[0]
    assert run not in portal.visitor(OTHER).get(page).text
    assert browser.post(page, data={"do": "end", "form": form}).status_code == 303
    assert "Signed report" in browser.get(page, params={"lang": "en"}).text


def test_another_tenant_sees_nothing_of_this_one(portal):
    mine, other = portal.visitor(CLIENT), portal.visitor(OTHER)
    job = re.search(r"/portal/own/jobs/(\w+)", mine.get("/portal/own/jobs").text)[1]
    assert mine.get(f"/portal/own/jobs/{job}").status_code == 200
    assert other.get(f"/portal/own/jobs/{job}").status_code == 404
    assert "risk-model" not in other.get("/portal/own/jobs").text
    for path in OWN:
        assert "T-DEV<" not in other.get(path).text.replace("T-DEV)", "T-DEV<")
        assert "G-T-DEV<" not in other.get(path).text
    assert "G-T-DEV<" in mine.get("/portal/own").text
    assert "S02" in mine.get("/portal/own/usage").text
    assert "act.cost-structure" not in other.get("/portal/own/usage").text
    assert other.get("/portal/own/statements/CS-2025-04-T-DEV").status_code == 404


def test_no_private_part_of_a_key_is_shown(portal):
    page = portal.visitor(CLIENT).get("/portal/own").text
    key = portal.gateway.machines[CLIENT].key
    assert key.thumbprint() in page
    assert key.as_dict(private=True)["d"] not in page


def test_a_question_from_the_page_goes_the_way_of_the_api(portal):
    browser = portal.visitor(CLIENT)
    form = form_of(browser.get("/portal/own/try?service=S02").text)

    def ask(question, service="S02"):
        sent = {"form": form, "service": service, "question": question}
        return browser.post("/portal/own/try", params={"lang": "en"}, data=sent).text

    before = portal.gateway.get("/v1/usage", CLIENT).json()["usage"]
    page = ask(json.dumps(QUESTION))
    assert "<svg" in page, re.findall(r'role="alert".{0,400}', page, re.S)
    decision = re.search(r"<dt>decision_id</dt><dd>([0-9a-f-]+)</dd>", page)[1]
    body, event = portal.gateway.app.state.looking.decision(decision)
    assert json.loads(event)["actor"]["client"] == CLIENT
    assert json.loads(event)["tenant"] == "T-DEV"
    assert json.loads(body)["result"]["allow"] is True
    after = portal.gateway.get("/v1/usage", CLIENT).json()["usage"]
    assert sum(row["answers"] for row in after) == sum(row["answers"] for row in before) + 1
    api = portal.gateway.ask("S02", QUESTION, CLIENT).json()["data"]
    for row in api[:20]:
        if row["medfee"]["value"] is not None:
            assert row["medfee"]["value"] in page
    assert "D301" in ask(json.dumps({**QUESTION, "purpose": "marketing"}))
    for wrong in ("", "{", "[]", json.dumps({**QUESTION, "k_person": 1}), "x" * 9000):
        assert 'role="alert"' in ask(wrong)
    assert "unknown_service" in ask("{}", "S99")


def test_a_session_ends_with_its_client(portal):
    identity = portal.gateway.app.state.identity
    browser = portal.visitor(OTHER)
    assert browser.get("/portal/own").status_code == 200
    link = portal.link(OTHER)
    with writing(identity.engine) as session:
        disable_client(session, Act("测试己一", portal.gateway.clock(), "test"), OTHER)
    identity.directory.refresh()
    assert browser.get("/portal/own").status_code == 401
    assert portal.visitor().post(link).status_code == 401


def test_signing_in_is_on_record(portal):
    portal.visitor(CLIENT)
    path = portal.gateway.settings.home / "journal.db"
    with closing(connect_reading(path)) as db:
        rows = db.execute("SELECT body FROM audit_event WHERE kind = 'login'").fetchall()
    said = [json.loads(row[0]) for row in rows]
    for reason in ("portal_link", "portal_session"):
        mine = [one for one in said if one.get("reason") == reason and one["tenant"] == "T-DEV"]
        assert mine
        assert mine[-1]["actor"]["client"] == CLIENT
    assert any(one.get("reason") == "portal_link_gone" for one in said)


def test_the_status_page_names_no_tenant(portal):
    page = portal.visitor().get("/portal/status?lang=en").text
    assert "Service S13" in page
    assert "T-PHA" not in page
    assert "Answering" in page


def test_documents_of_the_conformance_page_are_there(portal):
    page = portal.visitor().get("/portal/conformance").text
    for address in re.findall(r'<dt><a class="code" href="([^"]+)">', page):
        assert portal.visitor().get(address).status_code == 200, address


def test_a_link_is_good_for_a_minute_and_a_session_for_an_hour(portal):
    clock = portal.gateway.clock  # never set back: what is recorded is in order of time
    link, browser = portal.link(), portal.visitor(CLIENT)
    clock.shift += timedelta(seconds=61)
    assert portal.visitor().post(link).status_code == 401
    assert browser.get("/portal/own").status_code == 200
    clock.shift += timedelta(seconds=3540)
    assert browser.get("/portal/own").status_code == 401
