"""Queries over real HTTP: the same question gives the same cells, whoever asks and however."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from itertools import product
from typing import Any

import httpx
import jsonschema
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.schemas import META, answer_schema
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.serving.accept import ARROW
from tests.gateway_factory import COST, DRUGS, POLICIES, Gateway

QUARTERS = ("2024Q1", "2024Q2", "2024Q3", "2024Q4")
SLOWLY = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def cells(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Rows as comparable values."""
    return [tuple(json.dumps(row[name], sort_keys=True) for name in sorted(row)) for row in rows]


def answered(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_an_insurer_gets_the_cost_structure_of_its_region(gateway: Gateway) -> None:
    asked = {**COST, "dims": ["benefit5"], "measures": ["persons", "medfee", "ratio_total"]}
    body = answered(gateway.ask("S02", asked))

    expected = product(QUARTERS, ("OP", "OPSP", "IP", "RX", "MAT"))
    found = [(row["period"], row["benefit5"]) for row in body["data"]]
    assert found == list(expected)
    flags = {row[name]["flag"] for row in body["data"] for name in ("persons", "medfee")}
    assert flags <= {"ok", "r", "s", "z"}
    assert {"r", "s"} <= flags
    for row in body["data"]:
        for name in ("persons", "medfee", "ratio_total"):
            assert (row[name]["value"] is None) == (row[name]["flag"] in "sc")
        assert row["persons"]["value"] is None or row["persons"]["value"] % 5 == 0


def test_a_pharma_firm_gets_the_regional_drug_trend(gateway: Gateway) -> None:
    body = answered(gateway.ask("S09", DRUGS, client="pha-app"))

    assert {row["period"] for row in body["data"]} == {"2024-01", "2024-02", "2024-03"}
    assert all(len(row["atc"]) == 1 for row in body["data"])
    assert body["meta"]["profile"] == "DC2P"


@pytest.mark.parametrize(
    ("service", "asked", "client"), [("S02", COST, "ins-app"), ("S09", DRUGS, "pha-app")]
)
def test_an_answer_has_the_documented_form(
    gateway: Gateway, service: str, asked: Mapping[str, Any], client: str
) -> None:
    described = answer_schema(gateway.app.state.desk.catalogue.services[service], META)
    body = answered(gateway.ask(service, asked, client=client))
    jsonschema.Draft202012Validator(described).validate(body)


SERVICES = load_catalogue(POLICIES).services
SCENARIO = {
    "actuarial_pricing_and_reserving": ("SC01", "insurer"),
    "public_supplementary_scheme_design": ("SC02", "insurer"),
    "regional_market_and_access_analysis": ("SC05", "pharma"),
    "public_information": ("SC11", "insurer"),
    "programme_evaluation": ("SC06", "health_mgmt"),
    "payment_reform_feedback": ("SC09", "hospital"),
}


FACTS = {
    "SC06": {"enrolment_list_hash": "5f" * 32},
    "SC09": {"own_institution": "H99010100001"},
}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_the_example_of_each_contract_works(gateway: Gateway, service: Service) -> None:
    scenario, kind = SCENARIO[str(service.example["purpose"])]
    covered = [name for name, one in SERVICES.items() if scenario in one.scenarios]
    facts = FACTS.get(scenario, {})
    client = gateway.admit(
        f"{scenario}-app", f"T-{scenario}", kind, scenario, services=covered, **facts
    )
    contract = answered(gateway.get(f"/v1/services/{service.id}", client))
    assert contract["example"] == service.example
    answered(gateway.ask(service.id, service.example, client=client))
    jsonschema.Draft202012Validator(contract["request_schema"]).validate(service.example)


def test_meta_says_where_an_answer_comes_from_and_what_it_cost(own_gateway: Gateway) -> None:
    asked = {**COST, "dims": ["benefit5"], "measures": ["medfee"]}
    first = answered(own_gateway.ask("S02", asked))
    again = answered(own_gateway.ask("S02", asked, client="ins-batch"))

    meta = first["meta"]
    shown = sum(row["medfee"]["flag"] in ("ok", "r", "e") for row in first["data"])
    assert meta["charge"] == {
        "unit": "per_1000_cells",
        "cells": shown,
        "cells_charged": shown,
        "repeat": False,
        "price_ref": "act.cost-structure/2026",
    }
    assert again["meta"]["charge"]["repeat"]
    assert again["meta"]["charge"]["cells_charged"] == 0
    assert again["data"] == first["data"]
    assert meta["release"].startswith("S02-")
    assert set(meta["quality"]) == set(QUARTERS)
    assert meta["watermark"] != again["meta"]["watermark"]
    used = again["meta"]["quota"]["cells_day"]
    assert used["remaining"] == meta["quota"]["cells_day"]["remaining"] - shown


def test_the_same_cells_in_other_pages_or_by_another_question_cost_nothing_again(
    own_gateway: Gateway,
) -> None:
    def charged(**changes: object) -> tuple[int, int]:
        asked = {**COST, "dims": ["benefit5"], "measures": ["medfee"], **changes}
        charge = answered(own_gateway.ask("S02", asked))["meta"]["charge"]
        return charge["cells"], charge["cells_charged"]

    cells, paid = charged(page_size=7)
    everything, rest = charged()
    assert 0 < cells == paid
    assert rest == everything - cells > 0
    assert charged(page_size=2)[1] == charged(dims=[], where={"benefit5": "IP"})[1] == 0
    both, new = charged(measures=["medfee", "fund"])
    assert 0 < new < both


@SLOWLY
@given(data=st.data())
def test_the_same_question_gives_the_same_cells(gateway: Gateway, data: st.DataObject) -> None:
    dims = ["insutype2", "benefit5", "gend"]
    measures = ["persons", "medfee", "fund", "ratio_total"]
    plain = gateway.everything("S02", {**COST, "dims": dims, "measures": measures})
    asked = {
        **COST,
        "dims": data.draw(st.permutations(dims)),
        "measures": data.draw(st.permutations(measures)),
        "page_size": data.draw(st.integers(1, 100) if data.draw(st.booleans()) else st.just(5000)),
    }
    names = data.draw(st.permutations(list(asked)))
    client = data.draw(st.sampled_from(["ins-app", "ins-batch", "ins2-app"]))
    found = gateway.everything("S02", {name: asked[name] for name in names}, client=client)
    assert cells(found) == cells(plain)


def test_a_fixed_dim_gives_the_same_cells_as_the_whole_list(gateway: Gateway) -> None:
    whole = gateway.everything("S02", COST)
    part = gateway.everything(
        "S02", {**COST, "dims": ["benefit5"], "where": {"insutype2": "resident"}}
    )
    assert cells(part) == cells([row for row in whole if row["insutype2"] == "resident"])


def test_fewer_measures_are_the_same_cells(gateway: Gateway) -> None:
    whole = gateway.everything("S02", COST)
    part = gateway.everything("S02", {**COST, "measures": ["fund"]})
    assert [row["fund"] for row in part] == [row["fund"] for row in whole]


def test_a_service_has_two_names(gateway: Gateway) -> None:
    by_id, by_code = gateway.ask("S02"), gateway.ask("act.cost-structure")
    assert by_id.json()["data"] == by_code.json()["data"]


@pytest.mark.parametrize(
    ("service", "asked", "client"), [("S02", COST, "ins-app"), ("S09", DRUGS, "pha-app")]
)
def test_every_format_carries_the_same_cells(
    gateway: Gateway, service: str, asked: Mapping[str, Any], client: str
) -> None:
    plain = answered(gateway.ask(service, asked, client=client))["data"]

    reply = gateway.ask(service, asked, client=client, headers={"Accept": "text/csv"})
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert json.loads(reply.headers["sluice-meta"])["rows"] == len(plain)
    for line, row in zip(csv.DictReader(io.StringIO(reply.text)), plain, strict=True):
        for name, cell in row.items():
            if isinstance(cell, str):
                assert line[name] == cell
            else:
                shown = "" if cell["value"] is None else str(cell["value"])
                assert (line[name], line[f"{name}_flag"]) == (shown, cell["flag"])

    reply = gateway.ask(service, asked, client=client, headers={"Accept": ARROW})
    assert reply.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(reply.content).read_all()
    assert json.loads(table.schema.metadata[b"sluice.meta"])["rows"] == len(plain)
    for line, row in zip(table.to_pylist(), plain, strict=True):
        for name, cell in row.items():
            value = cell if isinstance(cell, str) else cell["value"]
            same = str(line[name]) if isinstance(line[name], Decimal) else line[name]
            assert same == value


def test_a_cursor_stays_with_its_tenant_query_and_release(gateway: Gateway) -> None:
    asked = {**COST, "page_size": 7}
    first = answered(gateway.ask("S02", asked))
    cursor = first["next_cursor"]
    second = answered(gateway.ask("S02", {**asked, "cursor": cursor}, client="ins-batch"))
    assert second["meta"]["release"] == first["meta"]["release"]

    strangers = (
        gateway.ask("S02", {**asked, "cursor": cursor}, client="ins2-app"),
        gateway.ask("S02", {**asked, "dims": ["gend"], "cursor": cursor}),
        gateway.ask("S02", {**asked, "measures": ["fund"], "cursor": cursor}),
        gateway.ask("S02", {**asked, "cursor": cursor[:-1]}),
        gateway.ask("S02", {**asked, "cursor": ""}),
        gateway.ask("S02", {**asked, "cursor": "AAAA"}),
        gateway.ask("S02", {**asked, "cursor": cursor, "release": "S02-" + "0" * 16}),
    )
    assert {(reply.status_code, reply.json()["code"]) for reply in strangers} == {
        (400, "invalid_cursor")
    }


def test_the_interaction_id_is_echoed_and_every_answer_has_its_own_request_id(
    gateway: Gateway,
) -> None:
    given_id = "0190a7c8-0000-7000-8000-00000000abcd"
    replies = [gateway.ask(headers={"x-fapi-interaction-id": given_id}) for _ in range(2)]
    assert {reply.headers["x-fapi-interaction-id"] for reply in replies} == {given_id}
    ids = [reply.headers["sluice-request-id"] for reply in replies]
    assert ids[0] != ids[1]
    assert [reply.json()["meta"]["request_id"] for reply in replies] == ids

    odd = gateway.ask(headers={"x-fapi-interaction-id": "not a uuid"})
    assert odd.headers["x-fapi-interaction-id"] == odd.headers["sluice-request-id"]


def test_an_answer_is_for_nobody_else_to_keep(gateway: Gateway) -> None:
    reply = gateway.ask()
    assert reply.headers["cache-control"] == "no-store"
    assert "server" not in reply.headers
    assert '"cells_day";r=' in reply.headers["ratelimit"]
    assert '"calls_day";q=' in reply.headers["ratelimit-policy"]


def test_usage_shows_own_calls_and_nobody_elses(gateway: Gateway) -> None:
    gateway.ask(client="ins2-app")
    mine = gateway.get("/v1/usage", client="ins2-app").json()
    assert {row["tenant"] for row in mine["usage"]} == {"T-INS2"}
    assert gateway.get("/v1/usage?month=2020-01").json() == {"month": "2020-01", "usage": []}
    assert gateway.get("/v1/usage?month=nonsense").status_code == 400
