"""Packs checked over HTTP: what is told, to whom, how often, and what is on record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from gateway.api.traces_document import ANSWER
from gateway.catalogue.load import load_catalogue
from gateway.traces import guard
from gateway.traces.loading import resold
from tests import trace_world as world
from tests.gateway_factory import POLICIES, Gateway, copy_home, copy_policies, serving
from tests.trace_world import DRUG, OTHER, STENT, asking, check

CONTRACT = load_catalogue(POLICIES).traces["S23"]
DEVICE = "device-0123456789abcdef"


@pytest.fixture(scope="module")
def gateway(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("traces")
    policies = copy_policies(folder / "policies")
    with serving(copy_home(released_home, folder / "home"), policies) as running:
        loaded = world.load(running, folder / "warehouse")
        assert (loaded.packs, loaded.products, loaded.resold) == (10, 3, 1)
        yield running


def wait(gateway: Gateway, while_: timedelta) -> None:
    """Let time go by for good: a gateway's clock never goes back. Tokens are asked for anew."""
    gateway.clock.shift += while_
    gateway._tokens.clear()


@pytest.mark.parametrize(
    ("code", "status", "month"),
    [
        (world.ONCE, "sold_once", "2025-03"),
        (world.TWICE, "sold_more_than_once", "2025-03"),
        (world.SPLIT, "sold_once", "2025-03"),
        (world.GIVEN_BACK, "returned", "2025-03"),
        (world.RESOLD, "sold_once", "2025-03"),
        (world.SHELF, "in_stock", None),
        (world.SENT_BACK, "returned", None),
        (world.OLD, "expired", None),
        (world.RECALLED, "recalled", "2025-03"),
        (world.STRANGE, "unknown", None),
        (world.UDI, "in_stock", None),
        ("89900010000000000099", "unknown", None),
    ],
)
def test_a_pack_is_told_by_its_status_and_month_alone(
    gateway: Gateway, code: str, status: str, month: str | None
) -> None:
    reply = check(gateway, asking(gateway, "hospital"), code)
    assert reply.status_code == 200, reply.text
    jsonschema.Draft202012Validator(ANSWER).validate(reply.json())
    told = reply.json()["result"]
    assert (told["status"], told["first_sale_month"]) == (status, month)
    assert not any(word in reply.text for word in ("P990101", "S01", "2025-03-05", code))
    product = {world.RECALLED: OTHER, world.UDI: STENT}.get(code, DRUG)
    assert told["product"]["med_list_codg"] == product


def test_worked_examples_are_answered_as_documented(gateway: Gateway) -> None:
    for one in CONTRACT.worked:
        reply = check(gateway, asking(gateway, "pharma"), **one.asked)
        told = reply.json()["result"]
        assert {name: told[name] for name in one.told} == one.told


def test_a_catalogue_code_that_does_not_fit_is_told(gateway: Gateway) -> None:
    auth = asking(gateway, "hospital")
    other = check(gateway, auth, world.ONCE, catalogue_code=OTHER).json()["result"]
    strange = check(gateway, auth, "11111110000000000001", catalogue_code=OTHER).json()["result"]
    assert other["catalogue_code_matches"] is False
    assert (strange["catalogue_code_matches"], strange["product"]) == (None, None)


@pytest.mark.parametrize("code", [world.WRONG_UDI, "8990001", 7, None, ["x"], "x" * 5000])
def test_a_code_of_no_pack_is_refused_before_anything_is_looked_up(
    gateway: Gateway, code: object
) -> None:
    reply = check(gateway, asking(gateway, "hospital"), code)
    wanted = "udi_check_digit" if code == world.WRONG_UDI else "trace_code_form"
    assert (reply.status_code, reply.json()["code"]) == (400, wanted)
    assert "8990001" not in reply.text


def test_only_grants_and_kinds_of_the_service_open_it(gateway: Gateway) -> None:
    without = gateway.admit("trace-none", "T-NONE", "hospital", "SC09", services=["S27"])
    auth = gateway.auth(without)
    assert check(gateway, auth, world.ONCE).json()["deny"] == ["D201"]
    assert check(gateway, auth, world.ONCE, grant_id="G-T-NONE").json()["deny"] == ["D401"]
    assert gateway.http.post("/v1/services/S23/check", json={"code": world.ONCE}).status_code == 401
    purpose = check(gateway, asking(gateway, "hospital"), world.ONCE, purpose="marketing")
    assert purpose.json()["deny"] == ["D301"]
    unknown = gateway.http.post(
        "/v1/services/S27/check", json={"code": world.ONCE}, auth=asking(gateway, "hospital")
    )
    assert unknown.status_code == 404


def test_who_tries_numbers_waits_and_nobody_else(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MISSES_AN_HOUR", 5)
    auth = asking(gateway, "pharma", "trace-tries")
    codes = [f"8990001999999999{n:04d}" for n in range(5)]
    assert {check(gateway, auth, code).status_code for code in codes} == {200}
    locked = check(gateway, auth, world.ONCE)
    assert (locked.status_code, locked.json()["code"]) == (429, "trace_codes_tried")
    assert 0 < int(locked.headers["Retry-After"]) <= 3601
    assert check(gateway, asking(gateway, "pharma"), world.ONCE).status_code == 200
    wait(gateway, timedelta(hours=1))
    again = asking(gateway, "pharma", "trace-tries")
    assert check(gateway, again, world.ONCE).status_code == 200


def test_an_answer_is_on_record_without_its_code_and_charged_where_it_is_not_free(
    gateway: Gateway,
) -> None:
    found = {}
    for kind in ("hospital", "pharma"):
        reply = check(gateway, asking(gateway, kind, f"trace-book-{kind}"), world.ONCE)
        meta = reply.json()["meta"]
        assert meta["load"].startswith("traces-")
        with closing(sqlite3.connect(gateway.settings.journal)) as db:
            (audit,) = db.execute(
                "SELECT body FROM audit_event WHERE request_id = ?", (meta["request_id"],)
            ).fetchone()
            usage = db.execute(
                "SELECT unit, qty, billable_qty, price_ref, price_micro FROM usage_event"
                " WHERE request_id = ?",
                (meta["request_id"],),
            ).fetchone()
        assert world.ONCE not in str(audit)
        assert json.loads(audit)["query_shape"]["operation"] == "verify"
        found[kind] = (meta["charge"]["unit"], *usage)
    assert found["hospital"] == ("free", "free", 0, 0, "free", 0)
    assert found["pharma"] == ("per_call", "per_call", 1, 1, "trc.verify/2026", 0)


def test_the_source_holds_no_code_and_no_place(gateway: Gateway, tmp_path: Path) -> None:
    held = gateway.settings.traces.read_bytes()
    assert not any(word in held for word in (world.ONCE.encode(), b"P990101", b"2025-03-05"))
    clue = list(resold(world.write(tmp_path, world.rows())))
    assert [(one.code, one.fixmedins_code) for one in clue] == [
        (world.TWICE, "P99010100001"), (world.TWICE, "P99010100002"),
    ]  # fmt: skip


def test_without_a_source_nothing_is_answered(gateway: Gateway, tmp_path: Path) -> None:
    path = gateway.settings.traces
    path.rename(tmp_path / "away")
    try:
        reply = check(gateway, asking(gateway, "hospital"), world.ONCE)
        assert (reply.status_code, reply.json()["code"]) == (503, "trace_source_unavailable")
    finally:
        (tmp_path / "away").rename(path)


def test_a_device_of_the_public_has_twenty_checks_a_day(gateway: Gateway) -> None:
    auth = asking(gateway, "public")
    assert check(gateway, auth, world.ONCE).json()["code"] == "trace_device_needed"
    replies = [check(gateway, auth, world.ONCE, device=DEVICE) for _ in range(21)]
    assert [reply.status_code for reply in replies] == [200] * 20 + [429]
    assert replies[-1].json()["code"] == "trace_device_day"
    # Neither another device, nor one of the same name of another app, has used any.
    assert check(gateway, auth, world.ONCE, device=f"{DEVICE}-2").status_code == 200
    other = asking(gateway, "public", "trace-public-2")
    assert check(gateway, other, world.ONCE, device=DEVICE).status_code == 200
    wait(gateway, timedelta(days=1))
    again = asking(gateway, "public")
    assert check(gateway, again, world.ONCE, device=DEVICE).status_code == 200
    with closing(sqlite3.connect(gateway.settings.database)) as db:
        assert DEVICE not in json.dumps(db.execute("SELECT device FROM trace_device").fetchall())
