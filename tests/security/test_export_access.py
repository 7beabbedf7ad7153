"""Who may start, see, fetch and cancel an export: its own client, from where it is registered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.db.engine import writing
from gateway.errors import NotFound
from gateway.exports.model import Failure
from gateway.identity.caller import Caller
from gateway.identity.changes import disable_client
from gateway.identity.entries import TenantUpdate
from gateway.identity.grants import set_grant_status
from gateway.identity.organisations import update_tenant
from gateway.releases.store import WITHDRAWN
from sluice_client.exports import ExportError, Exports
from tests.export_world import ASYNC, QUESTION, Exporter, exporting, release, reopened, until
from tests.factories_identity import act
from tests.gateway_factory import LARGE, Gateway, copy_policies, marking, running, serving

UNKNOWN = "f" * 32


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with exporting(tmp_path_factory.mktemp("exports"), file_cells=1200, parquet=False) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def done(site: Gateway) -> dict[str, Any]:
    """A finished export of `ins-app`."""
    exporter = Exporter(site)
    url = exporter.begun()
    return {"url": url, **exporter.finished(url)}


def addresses(done: dict[str, Any]) -> list[tuple[str, str]]:
    """Every address of a job, with its method."""
    file = str(done["output"][0]["url"])
    return [("GET", done["url"]), ("GET", file), ("DELETE", done["url"])]


def told(reply: httpx.Response) -> tuple[int, dict[str, Any]]:
    """What an answer says, without what is different in every answer."""
    body = {name: value for name, value in reply.json().items() if name != "request_id"}
    return reply.status_code, body


def test_without_a_token_there_is_nothing(site: Gateway, done: dict[str, Any]) -> None:
    paths = [*addresses(done), ("GET", "/v1/exports"), ("GET", "/v1/services/S02/exports")]
    for method, path in [*paths, ("POST", "/v1/services/S02/exports")]:
        assert site.http.request(method, path, headers=ASYNC).status_code == 401, path


@pytest.mark.parametrize("client", ["ins-batch", "ins2-app", "pha-app"])
def test_to_another_client_a_job_is_as_unknown_as_one_that_never_was(
    site: Gateway, done: dict[str, Any], client: str
) -> None:
    job = done["url"].rpartition("/")[2]
    for method, path in addresses(done):
        replies = [
            site.http.request(method, address, auth=site.auth(client))
            for address in (path, path.replace(job, UNKNOWN))
        ]
        assert told(replies[0]) == told(replies[1])
        assert told(replies[0])[1]["code"] == "unknown_export"
    listed = Exporter(site, client).get("/v1/exports").json()["jobs"]
    assert job not in {each["id"] for each in listed}
    assert Exporter(site).get(done["url"]).status_code == 200


def test_from_an_address_that_is_not_registered_nothing_is_told_of_any_job(
    site: Gateway, done: dict[str, Any]
) -> None:
    client = site.admit("far-app", "T-FAR", "insurer", "SC01")
    mine = Exporter(site, client)
    url = mine.begun()
    name = mine.finished(url)["output"][0]["url"]
    _move(site, "T-FAR", ["192.0.2.0/24"])
    asked = [
        ("GET", url), ("GET", name), ("DELETE", url), ("GET", "/v1/exports"),
        ("GET", done["url"]), ("GET", f"/v1/exports/{UNKNOWN}"),
    ]  # fmt: skip
    replies = [told(site.http.request(m, path, auth=site.auth(client))) for m, path in asked]
    assert {(status, body["code"]) for status, body in replies} == {(403, "D101")}
    assert all(body == replies[0][1] for _, body in replies)
    kick_off = mine.start()
    assert (kick_off.status_code, kick_off.json()["deny"]) == (403, ["D101"])
    _move(site, "T-FAR", ["127.0.0.0/8"])
    assert mine.get(url).status_code == 200


def _move(site: Gateway, tenant: str, ranges: list[str]) -> None:
    identity = site.app.state.identity
    with writing(identity.engine) as session:
        update_tenant(session, act(), tenant, TenantUpdate(source_ips=tuple(ranges)))
    identity.directory.refresh()


def _revoke(site: Gateway, grant: str) -> None:
    identity = site.app.state.identity
    with writing(identity.engine) as session:
        set_grant_status(session, act(), grant, "revoked")
    identity.directory.refresh()


def test_a_grant_revoked_while_a_job_works_ends_it_and_keeps_its_files_back(
    site: Gateway,
) -> None:
    mine = Exporter(site, site.admit("rev-app", "T-REV", "insurer", "SC01"))
    url = mine.begun()
    before = mine.finished(url)
    reopened(site, url, keep=1)
    _revoke(site, "G-T-REV")
    site.app.state.exports.worker.wake()
    told_of = mine.finished(url)
    assert told_of["status"] == "failed"
    assert (told_of["error"][0]["code"], told_of["error"][0]["deny"]) == ("refused", ["D201"])
    assert [each["url"] for each in told_of["output"]] == [before["output"][0]["url"]]
    reply = mine.get(told_of["output"][0]["url"])
    assert (reply.status_code, reply.json()["deny"]) == (403, ["D201"])
    assert mine.start().json()["deny"] == ["D201"]


def test_a_client_disabled_while_its_job_works_gets_nothing_more(site: Gateway) -> None:
    mine = Exporter(site, site.admit("off-app", "T-OFF", "insurer", "SC01"))
    url = mine.begun()
    mine.finished(url)
    reopened(site, url, keep=1)
    identity = site.app.state.identity
    with writing(identity.engine) as session:
        disable_client(session, act(), "off-app")
    identity.directory.refresh()
    assert mine.get(url).status_code == 401
    worker, jobs = site.app.state.exports.worker, site.app.state.exports.office.jobs
    worker.wake()
    job = url.rpartition("/")[2]
    until(lambda: jobs.find(job).state == "failed")
    assert jobs.find(job).failure == Failure("export_client_ended")
    assert len(jobs.files(job)) == 1


def test_a_token_that_a_person_authorised_opens_no_export(site: Gateway, done: Any) -> None:
    office = site.app.state.exports.office
    own = Caller("T-INS", "insurer", "ins-app", "prod", "127.0.0.1", "t-1")
    job = done["url"].rpartition("/")[2]
    assert office.find(own, job).id == job
    for persons in (
        replace(own, subject="s-1"),
        replace(own, authorization_details=({"services": ["S02"]},)),
    ):
        with pytest.raises(NotFound):
            office.find(persons, job)
        assert office.list(persons) == []


@pytest.mark.parametrize(
    ("body", "service", "deny"),
    [
        ({**QUESTION, "purpose": "regional_market_and_access_analysis"}, "S02", "D301"),
        ({**QUESTION, "geo": ["990200"]}, "S02", "D501"),
        ({**QUESTION, "grant_id": "G-T-INS2"}, "S02", "D201"),
    ],
)
def test_what_a_page_refuses_an_export_refuses(
    site: Gateway, body: dict[str, Any], service: str, deny: str
) -> None:
    paged = site.ask(service, body)
    reply = Exporter(site).start(body, service=service)
    assert (reply.status_code, reply.json()["deny"]) == (paged.status_code, paged.json()["deny"])
    assert deny in reply.json()["deny"]


def test_files_of_a_release_that_was_withdrawn_are_kept_back(
    site: Gateway, done: dict[str, Any]
) -> None:
    list_of = site.settings.releases / WITHDRAWN
    list_of.write_text(json.dumps({done["release"]: {"time": "2025-06-02", "reason": "test"}}))
    releases = site.app.state.desk.releases
    releases.refresh()
    try:
        reply = Exporter(site).get(done["output"][0]["url"])
        assert (reply.status_code, reply.json()["code"]) == (409, "release_changed")
    finally:
        list_of.unlink()
        releases.refresh()


def test_a_file_made_by_other_rules_than_those_in_force_is_kept_back(tmp_path: Path) -> None:
    """Made while amounts left unmarked; fetched once the bureau has them marked."""
    policies = copy_policies(tmp_path / "policies", LARGE)
    release(tmp_path / "home", policies)
    with serving(tmp_path / "home", policies) as before:
        url = Exporter(before).begun()
        file = Exporter(before).finished(url)["output"][0]["url"]
        assert Exporter(before).get(file).status_code == 200
    marking(policies)
    app = create_app(before.settings, before.clock)
    with running(app, before.settings) as http:
        reply = Exporter(replace(before, app=app, http=http)).get(file)
        assert (reply.status_code, reply.json()["code"]) == (409, "export_rules_changed")


def test_a_format_the_scenario_did_not_agree_to_is_refused(site: Gateway) -> None:
    reply = Exporter(site).start(format="parquet")
    assert (reply.status_code, reply.json()["deny"]) == (403, ["D705"])


def test_the_clients_program_fetches_resumes_and_verifies(site: Gateway, tmp_path: Path) -> None:
    exports = Exports(site.http, site.auth("ins2-app"), lambda seconds: None)
    told = exports.follow(exports.start("S02", QUESTION, since="none"))
    first = told["output"][0]
    path, whole = tmp_path / "first", Exporter(site, "ins2-app").get(first["url"]).content
    path.with_name("first.part").write_bytes(whole[:1000])  # a download that broke off
    exports.fetch(first, path)
    assert path.read_bytes() == whole
    path.with_name("first.part").write_bytes(b"x" * 1000)  # of other octets
    with pytest.raises(ExportError, match="arrived otherwise"):
        exports.fetch(first, path)
    everything = exports.export("S02", QUESTION, tmp_path / "all", since="none")
    kept = {file.name: file.stat().st_size for file in (tmp_path / "all").iterdir()}
    names = [each["url"].rpartition("/")[2] for each in everything["output"]]
    assert kept == dict(zip(names, (each["size"] for each in everything["output"]), strict=True))


def test_the_clients_program_repeats_the_servers_reason(site: Gateway, tmp_path: Path) -> None:
    exports = Exports(site.http, site.auth("ins2-app"))
    with pytest.raises(ExportError, match=r"refused: .* D301"):
        exports.export("S02", {**QUESTION, "purpose": "marketing"}, tmp_path)


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fjobs.db", "jobs.db", "S02-00001.ndjson.part", "S02-99999.ndjson", "%00"]
)
def test_only_files_of_the_manifest_can_be_fetched(
    site: Gateway, done: dict[str, Any], name: str
) -> None:
    reply = Exporter(site).get(f"{done['url']}/files/{name}")
    assert reply.status_code == 404


def test_nothing_of_an_answer_or_a_header_names_a_path_of_the_server(
    site: Gateway, done: dict[str, Any]
) -> None:
    folder = str(site.settings.home)
    for _, path in addresses(done)[:2]:
        reply = Exporter(site).get(path)
        assert folder not in reply.text
        assert folder not in str(reply.headers)


def test_the_quota_of_cells_holds_for_the_whole_of_a_job(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with exporting(tmp_path_factory.mktemp("small"), cells_day=1000) as gateway:
        reply = Exporter(gateway).start()
        assert (reply.status_code, reply.json()["deny"]) == (429, ["D803"])
        assert Exporter(gateway).get("/v1/exports").json() == {"jobs": []}
