"""S08 over HTTP: a hospital reads its own cases and its peers' benchmark, and nothing of others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from gateway.audit.reconcile import reconcile
from gateway.releases.build import Order, build
from gateway.releases.store import ReleaseStore
from gateway.releases.verify import verify
from gateway.settings import Settings
from tests.gateway_factory import TODAY, Gateway, copy_policies, serving
from tests.hospital_world import (
    AWAY,
    CANARIES,
    MONTH,
    REFUNDED,
    SECONDARY,
    TERTIARY,
    build_hospitals,
    cases,
)
from tests.waivers import INVENTED

OWN = ["own_institution"]
CASES = [*OWN, "medins_setl_id"]
FIRST, SECOND = SECONDARY[:2]
ASKED: dict[str, Any] = {
    "purpose": "payment_reform_feedback",
    "period": {"from": MONTH, "to": MONTH, "grain": "month"},
    "geo": ["990100"],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("hospitals")
    home, policies = folder / "home", copy_policies(folder / "policies")
    build_hospitals(home)
    order = Order(("S08", "S24", "S26"), waivers=INVENTED, alone=True)
    build(Settings(home=home, policies=policies), order, TODAY)
    with serving(home, policies) as running:
        for code in (*SECONDARY, TERTIARY):
            hospital(running, code)
        yield running


def hospital(gateway: Gateway, code: str, **facts: Any) -> str:
    """The client of one hospital, its institution named in its grant."""
    facts = {"services": ["S08", "S24", "S26"], "own_institution": code, **facts}
    return gateway.admit(f"app-{code}", f"T-{code}", "hospital", "SC09", **facts)


def ask(gateway: Gateway, code: str, service: str = "S08", **asked: Any) -> dict[str, Any]:
    reply = gateway.ask(service, {**ASKED, **asked}, client=f"app-{code}")
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def refused(
    gateway: Gateway, client: str, service: str = "S08", **asked: Any
) -> tuple[int, list[str]]:
    reply = gateway.ask(service, {**ASKED, **asked}, client=client)
    return reply.status_code, list(reply.json().get("deny", []))


def test_a_hospital_reads_each_of_its_own_cases_and_no_others(gateway: Gateway) -> None:
    for code in SECONDARY:
        told = ask(gateway, code, dims=CASES, measures=["cost", "reasons"])
        own = {case.number: case.cost for case in cases() if case.house == code}
        assert {r["medins_setl_id"]: float(r["cost"]["value"]) for r in told["data"] if
                r["medins_setl_id"] != REFUNDED} == {
            number: float(cost) for number, cost in own.items() if number != REFUNDED
        }  # fmt: skip
        assert len(told["data"]) == len(own) == told["meta"]["total_rows"]
        assert {row["own_institution"] for row in told["data"]} == {code}


def test_a_patient_of_two_hospitals_is_one_case_in_each(gateway: Gateway) -> None:
    """Neither learns of the other's stay: numbers of their own, no person."""
    shared = [case for case in cases() if case.person == "CANARYPSN-SHARED"]
    assert {case.house for case in shared} == {FIRST, SECOND}
    for case in shared:
        told = json.dumps(ask(gateway, case.house, dims=CASES))
        (other,) = (one for one in shared if one is not case)
        assert case.number in told
        assert other.number not in told


def test_a_case_tells_its_group_its_payment_and_why_less_is_paid(gateway: Gateway) -> None:
    told = ask(gateway, FIRST, dims=CASES)
    rows = {row["medins_setl_id"]: row for row in told["data"]}
    plain = {
        name: cell["value"] for name, cell in rows[f"{FIRST}-0"].items() if isinstance(cell, dict)
    }
    assert plain == {
        "case_dept": "K01", "case_drg": "BR23", "case_dip": "I63.9:", "case_type": "high",
        "weight": 1.15, "score": 800.0, "los": 5.0, "cost": "8000.00", "expected": "9000.00",
        "expected_dip": "8800.00", "fund_paid": "4000.00", "deduction": "0.00", "reasons": "none",
    }  # fmt: skip
    assert rows[f"{FIRST}-2"]["reasons"]["value"] == "ungrouped"
    assert rows[REFUNDED]["reasons"]["value"] == "refunded"
    assert rows[REFUNDED]["expected"]["value"] is None
    last = ask(gateway, SECONDARY[-1], dims=CASES)["data"]
    assert [row["reasons"]["value"] for row in last] == [
        "high_outlier+over_standard", "over_standard", "ungrouped+over_standard",
    ]  # fmt: skip


def test_own_figures_add_up_the_cases_that_stand(gateway: Gateway) -> None:
    (whole,) = ask(gateway, FIRST, dims=OWN)["data"]
    assert (whole["cases"]["value"], whole["cost_sum"]["value"]) == (3, "24600.00")
    assert whole["pay_ratio"]["value"] == pytest.approx(27000 / 24600, abs=1e-6)
    by_dept = ask(gateway, FIRST, dims=[*OWN, "dept"], measures=["cases", "cost_sum"])["data"]
    assert [(r["dept"], r["cases"]["value"], r["cost_sum"]["value"]) for r in by_dept] == [
        ("K01", 2, "16400.00"), ("K02", 1, "8200.00"),
    ]  # fmt: skip
    one = ask(gateway, FIRST, dims=[*OWN, "drg"], where={"drg": "BR23"}, measures=["cases"])
    assert [row["cases"]["value"] for row in one["data"]] == [2]
    assert {cell["flag"] for row in by_dept for cell in (row["cases"], row["cost_sum"])} == {"ok"}


def test_every_hospital_of_a_group_is_told_the_same_of_its_peers(gateway: Gateway) -> None:
    told = [ask(gateway, code, dims=[*OWN, "peer_group"])["data"][0] for code in SECONDARY]
    peers = [{n: c for n, c in row.items() if n.startswith("peer_") and n != "peer_group"}
             for row in told]  # fmt: skip
    assert all(one == peers[0] for one in peers)
    assert peers[0]["peer_mean_cost_p50"] == {"value": "10000.00", "flag": "r"}
    # Means are 8200, 8700, … 11200; the medians without one lie between 9700 and 10200.
    assert {row["mean_cost"]["value"] for row in told} == {f"{8200 + 500 * n}.00" for n in range(7)}


def test_a_hospital_without_five_peers_is_told_nothing_of_any(gateway: Gateway) -> None:
    (row,) = ask(gateway, TERTIARY, dims=[*OWN, "peer_group"])["data"]
    assert row["cases"] == {"value": 3, "flag": "ok"}
    hidden = [
        cell for name, cell in row.items() if name.startswith("peer_") and name != "peer_group"
    ]
    assert hidden == [{"value": None, "flag": "s"}] * 9


def test_no_condition_opens_another_hospitals_data(gateway: Gateway) -> None:
    for dims in (CASES, OWN, []):
        told = refused(gateway, f"app-{FIRST}", dims=dims, where={"own_institution": SECOND})
        assert told == (403, ["D501"])
    same = ask(gateway, FIRST, dims=CASES, where={"own_institution": FIRST})
    assert same["data"] == ask(gateway, FIRST, dims=CASES)["data"]


def test_naming_another_hospitals_case_finds_nothing(gateway: Gateway) -> None:
    """Not even whether there is such a case."""
    for number in (f"{SECOND}-0", "NO-SUCH-CASE"):
        told = ask(gateway, FIRST, dims=CASES, where={"medins_setl_id": number})
        assert (told["data"], told["meta"]["total_rows"]) == ([], 0)


def test_a_grant_that_names_no_institution_opens_nothing(gateway: Gateway) -> None:
    client = gateway.admit("app-none", "T-none", "hospital", "SC09", services=["S08"])
    assert refused(gateway, client, dims=CASES) == (403, ["D501"])
    assert refused(gateway, client, dims=CASES, where={"own_institution": FIRST}) == (403, ["D501"])


def test_the_sandbox_binds_the_institution_like_every_scenario(gateway: Gateway) -> None:
    client = gateway.admit("app-sbx", "T-sbx", "developer", "SC12", services=["S08"])
    body = {"purpose": "development_and_testing", "dims": CASES}
    assert refused(gateway, client, **body)[1] in (["D104"], ["D501"])


def test_without_own_institution_there_is_nothing_to_ask(gateway: Gateway) -> None:
    assert refused(gateway, f"app-{FIRST}", dims=[]) == (403, ["D501"])
    assert refused(gateway, f"app-{FIRST}", dims=["dept"]) == (403, ["D501"])


def test_nobody_else_gets_in(gateway: Gateway) -> None:
    stranger = gateway.http.post("/v1/services/S08/queries", json={**ASKED, "dims": CASES})
    assert stranger.status_code == 401
    assert refused(gateway, "ins-app", dims=CASES)[0] == 403
    other = gateway.admit("app-open", "T-open", "hospital", "SC11", services=["S26"])
    asked = {"dims": CASES, "purpose": "public_information", "grant_id": "G-T-open"}
    status, deny = refused(gateway, other, **asked)
    assert status == 403
    assert "D401" in deny


def test_a_hospital_elsewhere_is_not_in_this_regions_grant(gateway: Gateway) -> None:
    hospital(gateway, AWAY)
    told = gateway.ask("S08", {**ASKED, "dims": CASES}, client=f"app-{AWAY}").json()
    assert told["data"] == []  # its cases lie in its own city, which the grant does not name
    assert refused(gateway, f"app-{AWAY}", dims=CASES, geo=["990200"])[0] == 403


def test_pages_put_together_are_the_whole(gateway: Gateway) -> None:
    whole = ask(gateway, FIRST, dims=CASES)["data"]
    assert len(whole) == 4
    paged = gateway.everything(
        "S08", {**ASKED, "dims": CASES, "page_size": 1}, client=f"app-{FIRST}"
    )
    assert paged == whole


def test_a_cursor_of_one_hospital_is_none_of_anothers(gateway: Gateway) -> None:
    cursor = ask(gateway, FIRST, dims=CASES, page_size=1)["next_cursor"]
    reply = gateway.ask("S08", {**ASKED, "dims": CASES, "cursor": cursor}, client=f"app-{SECOND}")
    assert reply.status_code == 400


def test_formats_carry_the_same_rows(gateway: Gateway) -> None:
    body = {**ASKED, "dims": CASES, "measures": ["case_type", "cost"]}
    reply = gateway.ask("S08", body, client=f"app-{FIRST}", headers={"Accept": "text/csv"})
    assert reply.status_code == 200
    rows = [line.split(",") for line in reply.text.splitlines()[1:]]
    assert len(rows) == 4
    assert all(row[2] == FIRST for row in rows)


def test_no_person_is_in_any_body(gateway: Gateway) -> None:
    for dims in (CASES, OWN, *([*OWN, d] for d in ("dept", "drg", "dip_group", "peer_group"))):
        for code in SECONDARY:
            told = json.dumps(ask(gateway, code, dims=dims), ensure_ascii=False)
            assert not [canary for canary in CANARIES if canary in told]
            assert not [other for other in SECONDARY if other != code and other in told]


def test_it_is_metered_at_no_price_and_on_record(gateway: Gateway) -> None:
    told = ask(gateway, FIRST, dims=CASES)
    charge = told["meta"]["charge"]
    assert (charge["unit"], charge["cells_charged"], charge["price_ref"]) == ("free", 0, "free")
    assert charge["cells"] > 0
    assert told["meta"]["profile"] == "DC6"
    asked = (
        "SELECT qty, billable_qty, price_micro, body FROM usage_event"
        " JOIN audit_event USING (request_id) WHERE request_id = ?"
    )
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        ((*counted, body),) = db.execute(asked, (told["meta"]["request_id"],)).fetchall()
    assert counted == [charge["cells"], 0, 0]
    audit = json.loads(body)
    assert (audit["rows"], audit["service"], audit["result"]) == (4, "S08", "answered")
    told_of = {"field": "medins_setl_id", "item": "C06-01", "level": "L3", "mask": "none"}
    assert told_of in audit["columns"]
    assert not reconcile(gateway.settings.journal).differences


@pytest.mark.parametrize(("service", "dim"), [("S24", "indicator14"), ("S26", "kpi4")])
def test_a_hospital_sees_of_risk_and_quality_its_own_figures_alone(
    gateway: Gateway, service: str, dim: str
) -> None:
    told = {code: ask(gateway, code, service, dims=[*OWN, dim]) for code in SECONDARY[:2]}
    for code, one in told.items():
        assert one["data"]
        assert {row["own_institution"] for row in one["data"]} == {code}
        assert one["meta"]["charge"]["unit"] == "free"
    client = f"app-{FIRST}"
    assert refused(gateway, client, service, dims=[dim]) == (403, ["D501"])
    assert refused(gateway, client, service, dims=[]) == (403, ["D501"])
    for where in ({"own_institution": SECOND}, {"own_institution": SECOND, dim: "F01"}):
        assert refused(gateway, client, service, dims=[dim], where=where) == (403, ["D501"])


def test_own_indicators_count_own_units(gateway: Gateway) -> None:
    data = ask(gateway, FIRST, "S24", dims=[*OWN, "indicator14"])["data"]
    (split,) = (row for row in data if row["indicator14"] == "F02")
    assert (split["checked"], split["hits"]["value"]) == ({"value": 3, "flag": "ok"}, 0)
    assert split["amount"]["value"] == "24600.00"


def test_a_hospital_is_told_its_place_among_its_peers_by_indicator(gateway: Gateway) -> None:
    """Nobody splits stays here, so that each rate is nought and so is every quantile: a figure that
    lies at the lowest one is in the lowest band."""
    dims = [*OWN, "peer_group", "indicator14"]
    for code in SECONDARY:
        rows = ask(gateway, code, "S24", dims=dims)["data"]
        (split,) = (row for row in rows if row["indicator14"] == "F02")
        assert split["peer_group"] == "S-1"
        assert split["checked"] == {"value": 3, "flag": "ok"}
        assert split["peer_hits_1000_p75"] == {"value": 0.0, "flag": "r"}
        assert split["peer_band"] == {"value": "p0_p25", "flag": "r"}
    alone = ask(gateway, TERTIARY, "S24", dims=dims)["data"]
    assert alone
    assert {row["peer_band"]["flag"] for row in alone} == {"s"}
    assert refused(gateway, f"app-{FIRST}", "S24", dims=dims[1:]) == (403, ["D501"])


def test_own_quality_is_of_what_the_hospital_delivered(gateway: Gateway) -> None:
    data = ask(gateway, FIRST, "S26", dims=[*OWN, "kpi4"])["data"]
    assert {row["kpi4"] for row in data} >= {"completeness", "consistency"}
    assert all(0 <= row["value"]["value"] <= 1 for row in data)


def test_the_public_report_has_no_institution(gateway: Gateway) -> None:
    client = gateway.admit("app-pub", "T-pub", "public", "SC11", services=["S26"])
    asked = {
        "purpose": "public_information",
        "period": {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"},
    }
    assert refused(gateway, client, "S26", dims=["kpi4"], **asked)[0] == 200
    assert refused(gateway, client, "S26", dims=[*OWN, "kpi4"], **asked) == (403, ["D501"])


def test_the_release_can_be_verified(gateway: Gateway) -> None:
    assert all(report.ok for report in verify(gateway.settings.releases))


@pytest.mark.parametrize("service", ["S08", "S24", "S26"])
def test_every_column_of_an_own_answer_is_in_the_lineage(gateway: Gateway, service: str) -> None:
    """Each view of own rows in the release is an output, each of its columns with a path."""
    manifest = ReleaseStore(gateway.settings.releases).latest(service)
    assert manifest is not None
    event = gateway.get(f"/v1/services/{service}/lineage", client=f"app-{FIRST}").json()
    told = {
        one["name"]: one["facets"]["columnLineage"]["fields"]
        for one in event["outputs"]
        if "." in one["name"]
    }
    heads = {"period", "geo", *OWN}
    assert {name: set(fields) for name, fields in told.items()} == {
        f"{service}.{table.name}": heads | {*table.dims} | {m.name for m in table.measures}
        for table in manifest.own
    }
    assert all(field["inputFields"] for fields in told.values() for field in fields.values())
