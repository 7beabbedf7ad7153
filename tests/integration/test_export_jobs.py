"""A bulk export from kick-off to files: what is delivered, counted, charged and written down."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash
from pyarrow import csv, parquet

from gateway.exports.model import Failure
from gateway.exports.sweeping import sweep
from gateway.identity.secrets import secret
from gateway.releases.store import CURRENT
from gateway.serving.accept import CSV
from gateway.serving.watermark import tag
from gateway.watermark.lookup import Found, look_up
from tests.export_world import (
    ASYNC,
    QUESTION,
    SMALL,
    Exporter,
    exporting,
    release,
    reopened,
    values,
    values_of_table,
)
from tests.gateway_factory import Gateway
from tests.small_disk import MEBI, small_disk


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with exporting(tmp_path_factory.mktemp("exports"), file_cells=1200) as gateway:
        yield gateway


@pytest.fixture
def fresh(site: Gateway, request: pytest.FixtureRequest) -> Exporter:
    """A client of an organisation that was never charged for anything."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    client = site.admit(f"app-{name}", f"T-{name}", "insurer", "SC01")
    return Exporter(site, client)


@pytest.fixture
def one(site: Gateway) -> Exporter:
    """Any client, for what does not depend on what was asked before."""
    return Exporter(site, "ins2-app")


def journal(site: Gateway, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(site.settings.journal)) as db:
        return db.execute(query, values).fetchall()


def usage(exporter: Exporter) -> tuple[int, int, int]:
    """Events, cells delivered and cells charged of the client's organisation."""
    tenant = f"T-{exporter.client.removeprefix('app-')}"
    asked = "SELECT count(*), sum(qty), sum(billable_qty) FROM usage_event WHERE tenant = ?"
    events, cells, charged = journal(exporter.gateway, asked, tenant)[0]
    return events, cells or 0, charged or 0


def test_an_export_gives_every_row_with_the_values_of_the_pages(fresh: Exporter) -> None:
    paged = fresh.gateway.everything("S02", {**QUESTION, "page_size": 333}, client=fresh.client)
    told, files = fresh.export()
    lines = [json.loads(line) for line in b"".join(files).splitlines()]
    assert lines == paged
    assert len(lines) == SMALL.rows == sum(each["count"] for each in told["output"])
    assert len(files) == 4
    assert (told["error"], told["status"]) == ([], "done")


def test_every_format_has_the_same_values(one: Exporter) -> None:
    lines = b"".join(one.export(format="ndjson")[1]).splitlines()
    expected = values([json.loads(line) for line in lines])
    tables = [pa.ipc.open_stream(each).read_all() for each in one.export(format="arrow")[1]]
    arrow = pa.concat_tables(tables)
    parts = one.export(format="parquet")[1]
    packed = pa.concat_tables([parquet.read_table(io.BytesIO(each)) for each in parts])
    assert packed.replace_schema_metadata().equals(arrow.replace_schema_metadata())
    assert values_of_table(arrow) == expected

    texts = one.export(format="csv")[1]
    paged = one.gateway.ask("S02", {**QUESTION, "page_size": 5000}, one.client, {"Accept": CSV})
    assert texts[0] + b"".join(each.partition(b"\r\n")[2] for each in texts[1:]) == paged.content
    assert all(csv.read_csv(io.BytesIO(each)).num_rows for each in texts)


def test_files_carry_the_marks_of_their_tenant_in_amounts_alone(site: Gateway) -> None:
    told, told_two = [], []
    for client in ("ins-app", "ins2-app"):
        manifest, files = Exporter(site, client).export()
        told.append(values([json.loads(line) for line in b"".join(files).splitlines()]))
        told_two.append(manifest["meta"]["watermark_amounts"])
    one, other = told
    assert one != other
    assert [cells[:2] + cells[3:] for cells in one.values()] == [
        cells[:2] + cells[3:] for cells in other.values()
    ]
    assert told_two[0]["measures"]
    assert told_two[0] == told_two[1]


def test_the_manifest_names_size_and_both_checksums(one: Exporter) -> None:
    told, files = one.export()
    for each, octets in zip(told["output"], files, strict=True):
        sm3 = Hash(SM3())
        sm3.update(octets)
        assert each["size"] == len(octets)
        assert each["sha256"] == hashlib.sha256(octets).hexdigest()
        assert each["sm3"] == sm3.finalize().hex()
        assert each["count"] == len(octets.splitlines())
    assert told["requiresAccessToken"] is True
    assert told["request"].endswith("/v1/services/S02/exports")


def test_the_manifest_says_until_when_the_files_are_kept(one: Exporter) -> None:
    url = one.begun()
    one.finished(url)
    reply = one.get(url)
    expires = parsedate_to_datetime(reply.headers["Expires"])
    left = expires - one.gateway.clock()
    assert timedelta(hours=23, minutes=58) < left <= timedelta(hours=24)


def test_a_kick_off_by_get_is_the_same_question(one: Exporter) -> None:
    told, files = one.export()
    period = QUESTION["period"]
    params = {
        "purpose": QUESTION["purpose"], **period, "geo": "990100",
        "dims": "insutype2,benefit5", "measures": "visits,fund", "_since": "none",
    }  # fmt: skip
    reply = one.gateway.http.get(
        "/v1/services/S02/exports",
        params=params,
        headers=ASYNC,
        auth=one.gateway.auth(one.client),
    )
    assert reply.status_code == 202, reply.text
    again = one.finished(reply.headers["Content-Location"])
    assert [each["sha256"] for each in again["output"]] == [
        each["sha256"] for each in told["output"]
    ]
    assert files


def test_cells_that_were_paged_are_not_charged_again_nor_the_other_way_round(
    fresh: Exporter,
) -> None:
    body = {**QUESTION, "page_size": 500}
    first = fresh.gateway.ask("S02", body, fresh.client).json()
    paged = first["meta"]["charge"]["cells_charged"]
    assert paged > 0
    told, _ = fresh.export()
    everything = sum(each["cells"] for each in told["output"])
    charged = sum(each["cells_charged"] for each in told["output"])
    assert charged == everything - paged
    again, _ = fresh.export()
    assert sum(each["cells_charged"] for each in again["output"]) == 0
    rest = fresh.gateway.ask("S02", {**body, "cursor": first["next_cursor"]}, fresh.client).json()
    assert rest["meta"]["charge"]["cells_charged"] == 0
    assert usage(fresh)[2] == everything


def test_suppressed_cells_are_free_and_counted_as_suppressed(fresh: Exporter) -> None:
    told, files = fresh.export()
    flags = [
        cell["flag"]
        for line in b"".join(files).splitlines()
        for cell in json.loads(line).values()
        if isinstance(cell, dict)
    ]
    assert sum(each["cells_suppressed"] for each in told["output"]) == flags.count("s") > 0
    assert sum(each["cells_charged"] for each in told["output"]) == sum(
        flag not in "scz" for flag in flags
    )


def test_every_file_is_one_event_on_record_under_the_digest_of_its_octets(one: Exporter) -> None:
    url = one.begun()
    told = one.finished(url)
    job = url.rpartition("/")[2]
    asked = (
        "SELECT json_extract(body, '$.output_hash'), json_extract(body, '$.watermark_tag'),"
        " qty, billable_qty FROM audit_event JOIN usage_event USING (request_id)"
        " WHERE kind = 'export' AND result = 'answered' AND json_extract(body, '$.job') = ?"
        " ORDER BY audit_event.seq"
    )
    assert journal(one.gateway, asked, job) == [
        (each["sha256"], each["watermark"], each["cells"], each["cells_charged"])
        for each in told["output"]
    ]


def test_a_fetched_file_is_on_record_and_counts_nothing(one: Exporter) -> None:
    told = one.finished(one.begun())
    before = usage(one)
    for _ in range(2):
        assert one.get(told["output"][0]["url"]).status_code == 200
    asked = (
        "SELECT count(*) FROM audit_event WHERE kind = 'export' AND result = 'repeated'"
        " AND json_extract(body, '$.watermark_tag') = ?"
    )
    assert journal(one.gateway, asked, told["output"][0]["watermark"]) == [(2,)]
    assert usage(one) == before


def test_a_download_goes_on_where_it_broke_off(one: Exporter) -> None:
    told, files = one.export()
    url, whole = told["output"][0]["url"], files[0]
    head = one.get(url, Range="bytes=0-999")
    assert head.status_code == 206
    assert head.headers["Content-Range"] == f"bytes 0-999/{len(whole)}"
    tail = one.get(url, Range="bytes=1000-", If_Range=head.headers["ETag"])
    assert head.content + tail.content == whole
    assert one.get(url, Range="bytes=-10").content == whole[-10:]


def test_a_part_of_another_file_is_not_mixed_in(one: Exporter) -> None:
    told, files = one.export()
    url = told["output"][0]["url"]
    reply = one.get(url, Range="bytes=1000-", If_Range='"another"')
    assert (reply.status_code, reply.content) == (200, files[0])
    beyond = one.get(url, Range=f"bytes={len(files[0])}-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "export_range")
    assert beyond.headers["Content-Range"] == f"bytes */{len(files[0])}"


def test_a_third_job_is_refused_and_those_in_flight_are_named(fresh: Exporter) -> None:
    first, second = fresh.begun(), fresh.begun()
    for url in (first, second):  # as if both still worked, however fast they were
        fresh.finished(url)
        reopened(fresh.gateway, url, keep=0)
    third = fresh.start()
    assert third.status_code == 429
    assert third.json()["code"] == "export_jobs_open"
    assert third.json()["jobs"] == [first, second]
    assert int(third.headers["Retry-After"]) > 0
    assert fresh.delete(first).status_code == 202
    assert fresh.start().status_code == 202
    fresh.gateway.app.state.exports.worker.wake()


def test_a_job_cut_off_by_a_crash_goes_on_and_charges_nothing_twice(fresh: Exporter) -> None:
    exports = fresh.gateway.app.state.exports
    url = fresh.begun()
    first, before = fresh.finished(url), usage(fresh)
    reopened(fresh.gateway, url, keep=1)
    exports.worker.wake()
    again = fresh.finished(url)
    kept = ("url", "count", "size", "sha256", "sm3", "cells_charged")
    assert [[each[name] for name in kept] for each in again["output"]] == [
        [each[name] for name in kept] for each in first["output"]
    ]
    assert usage(fresh) == before
    for told in (first, again):  # every mark that was ever told is on record and genuine
        for mark in (told["watermark"], *(each["watermark"] for each in told["output"])):
            assert looked_up(fresh.gateway, mark).genuine
    files = [fresh.get(each["url"]).content for each in again["output"]]
    assert [hashlib.sha256(each).hexdigest() for each in files] == [
        each["sha256"] for each in first["output"]
    ]


def looked_up(site: Gateway, mark: str) -> Found:
    settings, made = site.settings, partial(tag, secret(site.settings.keys, "watermark"))
    return look_up(mark, settings.home / "marks.db", [settings.journal], made)


def test_a_cancelled_job_is_gone_with_its_files(one: Exporter) -> None:
    url = one.begun()
    told = one.finished(url)
    assert one.delete(url).status_code == 202
    for address in (url, told["output"][0]["url"]):
        assert (one.get(address).status_code, code(one.get(address))) == (404, "unknown_export")
    assert one.delete(url).status_code == 404
    assert url not in [each["url"] for each in one.get("/v1/exports").json()["jobs"]]


def code(reply: httpx.Response) -> str:
    return str(reply.json()["code"])


def test_a_job_whose_day_is_over_is_gone_and_says_so(one: Exporter) -> None:
    office = one.gateway.app.state.exports.office
    url = one.begun()
    told = one.finished(url)
    folder = office.folder / url.rpartition("/")[2]
    assert folder.is_dir()
    sweep(office.jobs, office.folder, office.clock() + timedelta(hours=25))
    for address in (url, told["output"][0]["url"]):
        reply = one.get(address)
        assert (reply.status_code, code(reply)) == (410, "export_expired")
    assert not folder.exists()
    sweep(office.jobs, office.folder, office.clock() + timedelta(days=91))
    assert one.get(url).status_code == 404


def test_a_failed_job_is_a_manifest_with_its_reason(one: Exporter) -> None:
    office = one.gateway.app.state.exports.office
    url = one.begun()
    one.finished(url)
    reopened(one.gateway, url, keep=2)
    office.jobs.end(url.rpartition("/")[2], "failed", office.clock(), Failure("export_store_full"))
    told = one.get(url)
    assert told.status_code == 200
    assert told.json()["status"] == "failed"
    assert told.json()["error"][0]["code"] == "export_store_full"
    assert len(told.json()["output"]) == 2  # what was charged can be fetched
    assert one.get(told.json()["output"][1]["url"]).status_code == 200


def test_a_full_disk_ends_the_job_with_a_code_and_charges_nothing(
    fresh: Exporter, tmp_path: Path
) -> None:
    worker = fresh.gateway.app.state.exports.worker
    kept = worker.folder
    with small_disk(tmp_path / "disk", MEBI) as disk:
        disk.fill()
        worker.folder = disk.folder
        try:
            told = fresh.finished(fresh.begun())
        finally:
            worker.folder = kept
    assert (told["status"], told["output"]) == ("failed", [])
    assert told["error"][0]["code"] == "export_store_full"
    assert usage(fresh) == (0, 0, 0)
    assert fresh.export()[0]["status"] == "done"


def test_without_respond_async_nothing_begins(one: Exporter) -> None:
    one.headers = {}
    reply = one.start()
    assert (reply.status_code, code(reply)) == (400, "export_async_only")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"format": "xlsx"}, "export_format"),
        ({"since": "S02-0000000000000000"}, "export_since_unknown"),
        ({"_until": "2024"}, "invalid_parameter"),
        ({"k_person": "1"}, "client_sdc_parameter"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused(
    one: Exporter, params: dict[str, str], expected: str
) -> None:
    reply = one.start(**params)
    assert (reply.status_code, code(reply)) == (400, expected)


@pytest.mark.parametrize("field", [{"page_size": 10}, {"cursor": "abc"}])
def test_an_export_has_no_pages(one: Exporter, field: dict[str, Any]) -> None:
    assert code(one.start({**QUESTION, **field})) == "invalid_parameter"


def test_an_export_since_a_release_leaves_out_what_did_not_change(
    site: Gateway, fresh: Exporter
) -> None:
    current = site.settings.releases / CURRENT
    kept = current.read_bytes()
    try:
        whole, _ = fresh.export(since="")
        nothing = fresh.finished(fresh.begun(since=""))
        assert (nothing["output"], nothing["since"]) == ([], whole["release"])

        newer = release(site.settings.home, site.settings.policies, shift=10)
        site.app.state.desk.releases.refresh()
        told, files = fresh.export(since="")
        assert (told["since"], told["release"]) == (whole["release"], newer.release_id)
        rows = [json.loads(line) for line in b"".join(files).splitlines()]
        fetched = fresh.gateway.everything("S02", QUESTION, client=fresh.client)
        older = fresh.gateway.everything(
            "S02", {**QUESTION, "release": whole["release"]}, client=fresh.client
        )
        pairs = zip(fetched, older, strict=True)  # amounts are marked anew in each release
        changed = [new for new, old in pairs if new["visits"] != old["visits"]]
        assert 0 < len(changed) < SMALL.rows / 50
        assert rows == changed
        again, _ = fresh.export()
        assert sum(each["count"] for each in again["output"]) == SMALL.rows
    finally:
        current.write_bytes(kept)
        site.app.state.desk.releases.refresh()
