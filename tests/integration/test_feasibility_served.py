"""Cohort counts over real HTTP: who may ask, what is told, what is charged, what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.api.feasibility_document import cohort_answer_schema, cohort_meta
from gateway.api.schemas import META
from tests.feasibility_factory import QUESTION, admit, ask, counting_gateway
from tests.gateway_factory import COST, Gateway

WOMEN = {"kind": "gend", "values": ["2"]}
FORTY = {"kind": "age10", "values": ["40-49"]}
KINDS = ("age10", "gend", "index_year", "enrolled", "dx_group", "dx_chapter", "generic", "atc",
         "procedure", "disease12")  # fmt: skip
PRESSURE = {"kind": "dx_group", "codes": ["I10-I15"]}


@pytest.fixture(scope="module")
def counting(cohort_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for the module; each test is an organisation of its own."""
    with counting_gateway(cohort_home, tmp_path_factory.mktemp("counting")) as running:
        yield running


@pytest.fixture
def client(counting: Gateway, request: pytest.FixtureRequest) -> str:
    name = "".join(c for c in request.node.name if c.isalnum())[-24:]
    return admit(counting, f"rwe-{name}", f"T-{name}", (f"G-{name}",))


def told(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def denied(reply: httpx.Response) -> tuple[int, list[str]]:
    return reply.status_code, reply.json().get("deny", [reply.json()["code"]])


def test_a_question_is_answered_in_bands_and_charged_once(counting: Gateway, client: str) -> None:
    first, again = told(ask(counting, client)), told(ask(counting, client))
    assert first["data"]["persons"] == {"value": "100-199", "flag": "r"}
    assert [one["persons"]["value"] for one in first["data"]["index_years"]] == ["50-99", "50-99"]
    assert again["data"] == first["data"]
    assert first["meta"]["charge"] == {
        "unit": "per_query",
        "cells": 1,
        "cells_charged": 1,
        "repeat": False,
        "price_ref": "rwe.feasibility/2026",
    }
    assert (again["meta"]["charge"]["cells_charged"], again["meta"]["charge"]["repeat"]) == (
        0,
        True,
    )
    used = counting.get("/v1/usage", client).json()["usage"]
    assert [(one["unit"], one["units"], one["amount_fen"]) for one in used] == [
        ("per_query", 1, 20_000)
    ]


def test_an_answer_has_the_documented_form(counting: Gateway, client: str) -> None:
    schema = cohort_answer_schema(cohort_meta(META))
    body = told(ask(counting, client, FORTY, WOMEN))
    jsonschema.Draft202012Validator(schema).validate(body)


def test_the_contract_lists_the_codes_and_takes_its_example(counting: Gateway, client: str) -> None:
    contract = told(counting.get("/v1/services/S16", client))
    assert contract["periods"] == {"year": ["2023", "2024"]}
    jsonschema.Draft202012Validator(contract["request_schema"]).validate(contract["example"])
    listed = told(counting.get("/v1/services", client))["services"]
    assert any(one["id"] == "S16" for one in listed)


def test_the_lineage_names_the_source_of_all_that_can_be_asked_and_told(
    counting: Gateway, client: str
) -> None:
    event = told(counting.get("/v1/services/rwe.feasibility/lineage", client))
    (output,) = event["outputs"]
    fields = output["facets"]["columnLineage"]["fields"]
    assert {*fields} == {"period", "geo", "persons", "follow_up_months", *KINDS}
    assert all(one["inputFields"] for one in fields.values())
    assert {"dscg_maindiag_code"} == {one["field"] for one in fields["dx_group"]["inputFields"]}


def test_fewer_than_the_smallest_band_is_an_answer_and_is_charged(
    counting: Gateway, client: str
) -> None:
    index = {"kind": "dx_group", "codes": ["J00-J06"]}
    body = told(ask(counting, client, index=index))
    assert body["data"]["persons"] == {"value": "<20", "flag": "r"}
    assert body["meta"]["charge"]["cells_charged"] == 1
    assert body["data"]["follow_up_months"]["p50"] == {"value": None, "flag": "s"}


def test_the_order_of_codes_and_criteria_makes_no_new_cohort(
    counting: Gateway, client: str
) -> None:
    first = told(ask(counting, client, FORTY, WOMEN))
    turned = told(ask(counting, client, WOMEN, FORTY))
    assert turned["data"]["persons"] == first["data"]["persons"]


def test_one_relation_in_time_is_counted_by_the_day(counting: Gateway, client: str) -> None:
    def before(days: int) -> dict[str, Any]:
        return {**PRESSURE, "within": {"relation": "before", "days": days}}

    assert told(ask(counting, client, before(18)))["data"]["persons"]["value"] == "50-99"
    near = told(ask(counting, client, before(17)))
    assert near["data"]["persons"]["value"] == "<20"
    assert denied(ask(counting, client, before(19))) == (403, ["D804"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"purpose": "actuarial_pricing_and_reserving"}, (403, ["D301"])),
        ({"geo": ["990200"]}, (403, ["D501", "D507"])),
        ({"geo": ["990101"]}, (403, ["D502", "D503"])),
        ({"period": {"from": "2024", "to": "2025"}}, (403, ["D505"])),
        ({"index": {"kind": "dx_group", "codes": ["B20-B24"]}}, (403, ["D702"])),
        ({"index": {"kind": "atc", "codes": ["J05AR"]}}, (403, ["D702"])),
        ({"criteria": [{"kind": "shoe_size", "codes": ["44"]}]}, (403, ["D402"])),
        ({"criteria": [{"kind": "enrolled", "before": n} for n in range(9)]}, (422, ["D403"])),
        ({"k_person": 3}, (400, ["D406"])),
        ({"index": {"kind": "atc", "codes": ["Z99"]}}, (400, ["value_not_listed"])),
        ({"period": {"from": "2022", "to": "2023"}}, (400, ["period_not_released"])),
        ({"criteria": [{"kind": "enrolled", "before": 61}]}, (400, ["invalid_parameter"])),
        ({"sql": "select 1"}, (400, ["invalid_parameter"])),
    ],
)
def test_what_may_not_be_asked_is_refused_and_uses_nothing_up(
    counting: Gateway, client: str, asked: dict[str, Any], code: tuple[int, list[str]]
) -> None:
    assert denied(ask(counting, client, **asked)) == code
    study = told(ask(counting, client))["meta"]["study"]
    assert study["queries_per_study"] == {"limit": 60, "remaining": 59}
    assert told(ask(counting, client))["meta"]["charge"]["repeat"]


def test_nobody_asks_under_another_scenario_or_another_tenants_grant(
    counting: Gateway, client: str
) -> None:
    pricing = {**COST, "purpose": "study_feasibility"}
    assert counting.ask("S16", pricing, client=client).status_code == 404
    assert denied(ask(counting, "ins-app")) == (403, ["D201", "D202", "D203", "D204", "D205"]) or (
        ask(counting, "ins-app").status_code == 403
    )
    other = admit(counting, "rwe-other", "T-OTHER", ("G-OTHER",))
    status, codes = denied(ask(counting, other, grant_id=f"G-{client.removeprefix('rwe-')}"))
    assert (status, codes[0][:2]) == (403, "D2")
    narrow = admit(counting, "rwe-narrow", "T-NARROW", ("G-NARROW",), services=["S26"])
    assert denied(ask(counting, narrow, grant_id="G-NARROW")) == (403, ["D401"])


def test_accept_of_another_format_is_refused(counting: Gateway, client: str) -> None:
    reply = counting.http.post(
        "/v1/services/S16/query",
        json=QUESTION,
        headers={"Accept": "text/csv"},
        auth=counting.auth(client),
    )
    assert denied(reply) == (406, ["not_acceptable"])


def test_the_journal_keeps_shapes_and_no_counts(counting: Gateway, client: str) -> None:
    told(ask(counting, client, FORTY))
    with sqlite3.connect(counting.settings.journal) as db:
        ((audit,),) = db.execute(
            "SELECT body FROM audit_event"
            " WHERE service = 'S16' AND result = 'answered' AND tenant = ?",
            (f"T-{client.removeprefix('rwe-')}",),
        ).fetchall()
    assert '"dims":["age10","atc"]' in audit
    assert "100-199" not in audit
