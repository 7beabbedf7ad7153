"""The audit trail as the office reads it: every event of every chain, newest first, by key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.audit.office import Witness, verify_office, witnesses_in
from gateway.db.chains import NOTHING
from gateway.db.engine import reading, writing
from gateway.db.event_ids import uuid7
from gateway.db.event_kinds import KINDS
from gateway.db.office_journal import head, link
from gateway.db.office_tables import OfficeEventRow
from gateway.identity import audited
from gateway.identity.audited import kind_of
from gateway.identity.record import DIRECTORY, Act, read_entries, record_change
from gateway.journal.entry import Entry
from tests.consent_book import given
from tests.factories_identity import tenant_entry
from tests.journal_factory import NOON, answered, opened, refused
from tests.staff_factory import Browser, Place, open_place

FIELDS = (
    *("event_id", "ts", "kind", "actor", "decision_id", "policy_version", "grant", "scenario"),
    *("service", "version", "release", "query_shape", "subject_token", "consent_id", "columns"),
    *("rows", "cells", "cells_suppressed", "bytes", "latency_ms", "result", "deny_codes"),
    *("watermark_tag", "meter_id", "input_hash", "output_hash", "source_tables", "trace_id"),
    *("prev_hash", "hash", "batch_root"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("trail") / "home"
    with open_place(home) as opened_place:
        journal = opened(home)
        for number in range(1, 41):
            made = answered(number) if number % 4 else refused(number)
            journal.record_now(stamped(made, number))
        journal.close()
        yield opened_place


def stamped(entry: Entry, number: int) -> Entry:
    """The entry with an id of its moment."""
    millis = int((NOON + timedelta(milliseconds=number)).timestamp() * 1000)
    event_id = uuid7(millis * 4096, number)
    used = None if entry.usage is None else replace(entry.usage, event_id=event_id)
    return replace(entry, event_id=event_id, usage=used)


@pytest.fixture(scope="module")
def auditor(place: Place) -> Browser:
    return place.signed_in("auditor", name="auditor")


@pytest.fixture(scope="module")
def officer(place: Place) -> Browser:
    browser = place.signed_in("policy_officer", name="officer")
    tenant = tenant_entry("T-INS").model_dump(mode="json")
    assert browser.post("/tenants", **tenant, reason="new partner").status_code == 201
    return browser


def events(browser: Browser, **asked: object) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    answer = browser.get(f"/audit/events?{query}")
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


@pytest.mark.usefixtures("officer")
def test_acts_and_calls_are_one_trail_with_every_field(auditor: Browser) -> None:
    found = events(auditor, limit=500)
    assert [one["event_id"] for one in found] == sorted(
        (one["event_id"] for one in found), reverse=True
    )
    assert {"login", "config", "read"} <= {one["kind"] for one in found}
    for one in found:
        assert not set(FIELDS) - one.keys()
    act = next(one for one in found if one["action"] == "register")
    assert act["actor"] == {
        "tenant": None,
        "user": "officer",
        "role": "policy_officer",
        "ip": "192.0.2.7",
        "cert": None,
    }
    assert act["trace_id"]
    assert (act["kind"], act["result"], act["reason"]) == ("config", "done", "new partner")
    call = next(one for one in found if one["request_id"] == "r39")
    assert (call["decision_id"], call["policy_version"], call["meter_id"]) == (
        "d39",
        "1",
        call["event_id"],
    )


def test_pages_follow_each_other_by_key(auditor: Browser) -> None:
    whole = [one["event_id"] for one in events(auditor, tenant="t-life", limit=500)]
    assert len(whole) == 40
    walked: list[str] = []
    key = ""
    while True:
        query = f"tenant=t-life&limit=7{f'&after={key}' if key else ''}"
        page = auditor.get(f"/audit/events?{query}").json()
        walked += [one["event_id"] for one in page["entries"]]
        key = page["next"]
        if key is None:
            break
    assert walked == whole


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"result": "refused", "tenant": "t-life"}, 10),
        ({"service": "S02", "result": "answered"}, 30),
        ({"request": "r7"}, 1),
        ({"kind": "alarm"}, 0),
        ({"tenant": "t-life", "until": "2026-11-22T12:00:00.005%2B08:00"}, 4),
        ({"tenant": "t-life", "from": "2026-11-22T04:00:00.040Z"}, 1),
    ],
)
def test_what_is_asked_for_is_what_comes(
    auditor: Browser, asked: dict[str, str], number: int
) -> None:
    assert len(events(auditor, limit=500, **asked)) == number


@pytest.mark.parametrize(
    "query",
    ["kind=reading", "limit=0", "limit=501", "after=x", "from=now", "tenant=a b", "result=x"],
)
def test_what_is_no_value_is_refused(auditor: Browser, query: str) -> None:
    answer = auditor.get(f"/audit/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_reading_the_trail_is_in_the_trail(auditor: Browser) -> None:
    events(auditor, tenant="t-life", limit=3)
    newest = next(one for one in events(auditor) if (one["target"] or {}).get("entity") == "audit")
    assert newest["query_shape"] == {"tenant": "t-life", "limit": "3"}
    assert newest["actor"]["user"] == "auditor"


def test_others_may_not_and_that_too_is_told(auditor: Browser, officer: Browser) -> None:
    answer = officer.get("/audit/events")
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_role")
    refusal = events(auditor, kind="decision", result="refused")[0]
    assert (refusal["actor"]["user"], refusal["deny_codes"]) == ("officer", ["staff_role"])
    assert refusal["operation"] == "audit.events"


def test_each_step_of_a_consent_is_an_event_that_names_nobody(
    place: Place, auditor: Browser, officer: Browser
) -> None:
    consent = given(place.office.engine, now=place.clock())
    path = f"/consents/{consent.id}/suspend"
    assert officer.post(path, reason="a dispute").status_code == 200
    found = [
        one
        for one in events(auditor, kind="consent-change", limit=500)
        if one["consent_id"] == consent.id
    ]
    assert found[0]["states"][1] == "SUSPENDED"
    assert [one["action"] for one in reversed(found)][:2] == ["request", "submit"]
    assert found[0]["actor"]["user"] == "officer"
    assert {one["tenant"] for one in found if one["actor"]["role"] == "receiver"} <= {None, "T-INS"}
    assert all(len(one["evidence_hash"]) == 64 for one in found)
    assert str(consent.subject_ref) not in str(found)


def test_every_kind_an_entry_can_be_is_a_kind() -> None:
    assert {*audited.OF_ENTITY.values(), *audited.OF_ACT.values(), kind_of("tenant", "x")} < KINDS
    assert kind_of("operation", "refused") == "decision"
    assert kind_of("job", "check") == "job"


def test_an_act_that_is_undone_leaves_no_event(place: Place, officer: Browser) -> None:
    del officer
    with reading(place.office.engine) as session:
        before = head(session)
    act = Act("somebody", place.clock())
    with pytest.raises(ZeroDivisionError), writing(place.office.engine) as session:  # noqa: PT012 — the block is the act
        record_change(session, act, "set", ("region", "510100"), before=None, after=None)
        raise ZeroDivisionError
    with reading(place.office.engine) as session:
        assert head(session) == before


def test_every_entry_of_the_directory_has_its_event(place: Place, officer: Browser) -> None:
    del officer
    with reading(place.office.engine) as session:
        entries = {one["hash"] for one in read_entries(session, DIRECTORY, 0, 1000)}
        bodies = " ".join(session.scalars(sa.select(OfficeEventRow.body)))
    assert entries
    assert all(str(entry) in bodies for entry in entries)


@pytest.mark.parametrize(
    ("change", "code", "first"),
    [
        (
            ("UPDATE office_event SET body = replace(body, 'done', 'gone') WHERE seq = 3",),
            "edited",
            3,
        ),
        (("UPDATE office_event SET kind = 'alarm' WHERE seq = 3",), "edited", 3),
        (("DELETE FROM office_event WHERE seq = 3",), "gap", 3),
        (
            (
                "UPDATE office_event SET seq = -1 WHERE seq = 3",
                "UPDATE office_event SET seq = 3 WHERE seq = 4",
                "UPDATE office_event SET seq = 4 WHERE seq = -1",
            ),
            "broken_link",
            2,
        ),
        (("DELETE FROM office_event WHERE seq >= 5",), "truncated", 5),
        (
            (
                "DROP TRIGGER directory_audit_no_delete",
                "DELETE FROM directory_audit WHERE revision = 1",
            ),
            "entry_changed",
            1,
        ),
    ],
)
def test_a_change_of_the_office_journal_is_found(
    place: Place, officer: Browser, change: tuple[str, ...], code: str, first: int
) -> None:
    del officer
    with reading(place.office.engine) as session:
        witnesses = [head(session)]
        assert verify_office(session, witnesses).findings == ()
    with place.office.engine.connect() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER office_event_no_{verb}")
        for each in change:
            connection.exec_driver_sql(each)
        with Session(connection) as session:
            found = verify_office(session, witnesses).findings[0]
        connection.rollback()
    assert (found.code, found.first) == (code, first)


def test_a_chain_computed_anew_is_not_the_witnessed_one(place: Place, officer: Browser) -> None:
    del officer
    with reading(place.office.engine) as session:
        witnesses = [head(session)]
    with place.office.engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER office_event_no_update")
        with Session(connection) as session:
            prev = NOTHING
            for one in session.scalars(sa.select(OfficeEventRow).order_by(OfficeEventRow.seq)):
                one.body = one.body.replace("new partner", "old partner")
                one.prev_hash, one.hash = prev, link(prev, one.body)
                prev = one.hash
            session.flush()
            (found,) = verify_office(session, witnesses).findings
        connection.rollback()
    assert found.code == "witness_mismatch"


def test_the_head_is_witnessed_in_the_journal_of_calls(place: Place, officer: Browser) -> None:
    del officer
    home = place.office.leaks.index.parent
    journal = opened(home, place.clock())
    witness = Witness(place.office.engine, journal, place.clock)

    async def look_twice() -> None:
        await witness.look()
        await witness.look()

    before = witnesses_in(place.office.journal)
    asyncio.run(look_twice())
    journal.close()
    with reading(place.office.engine) as session:
        assert witnesses_in(place.office.journal) == [head(session), *before]
