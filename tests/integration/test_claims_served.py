"""Claims verified over HTTP: what each scope opens, how each story ends, and what is on record."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.consent import Consent
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit

from gateway.claims.refunds import Refunds
from gateway.consent.history import accesses
from gateway.db.consent_tables import EventOutboxRow
from gateway.db.engine import reading
from gateway.identity.jose import parse_compact, signature_is_valid
from gateway.identity.keyring import load_ring
from tests.claim_world import APRIL, PEOPLE, STRANGER, ClaimWorld, claim_world, load, warehouse_rows

FHIR = "application/fhir+json"
ALL = ["SETL", "DX", "FEE", "HIST"]


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaimWorld]:
    with claim_world(released_home, tmp_path_factory.mktemp("claims")) as found:
        yield found


def test_a_settlement_is_told_to_the_scope_that_opens_it(world: ClaimWorld) -> None:
    data = world.data(world.consent(), submitted={"medfee_sumamt": "8000", "psn_part_amt": "1"})
    (settled,) = data["settlements"]
    assert data["found"] == 1
    assert data["match"] == {"medfee_sumamt": "equal", "psn_part_amt": "diff"}
    assert settled["medfee_sumamt"] == "8000.00"
    assert settled["fixmedins_name"] == "测试一院"
    assert (settled["begndate"], settled["refd_setl_flag"]) == ("2025-04-03", False)
    assert settled.keys().isdisjoint({"lines", "dscg_maindiag_code_3", "setl_id", "psn_no"})
    assert "history" not in data
    proof = f"{settled['setl_ref']}.INVS-adult"
    assert settled["invono_hash"] == hashlib.sha256(proof.encode()).hexdigest()


def test_every_scope_opens_its_own_part_and_no_other(world: ClaimWorld) -> None:
    data = world.data(world.consent(scopes=ALL), dx_family="I10", history_from="2024-10-01")
    (settled,) = data["settlements"]
    assert (settled["dscg_maindiag_code_3"], settled["dscg_maindiag_name"]) == ("I63", "脑梗死")
    assert [line["list_name"] for line in settled["lines"]] == ["阿司匹林片", "氨氯地平片"]
    assert settled["lines"][0]["pric"] == "10.5"
    assert data["history"] == {
        "dx_family": "I10",
        "prior_diagnosis_flag": True,
        "first_seen_year": 2024,
    }
    alone = world.data(world.consent(scopes=["DX"]))
    assert alone.keys() == {"claim_ref", "diagnoses"}
    assert alone["diagnoses"][0]["dscg_maindiag_code_3"] == "I63"
    seen = world.data(world.consent(scopes=["HIST"]), dx_family="E11")
    assert seen["history"]["prior_diagnosis_flag"] is False
    later = world.data(world.consent(scopes=["HIST"]), dx_family="I10", history_from="2024-12-01")
    assert later["history"]["first_seen_year"] == 2025


def test_sensitive_diagnoses_need_their_own_scope(world: ClaimWorld) -> None:
    kept = world.data(world.consent("patient", scopes=ALL), "patient", dx_family="B20")
    (settled,) = kept["settlements"]
    assert settled["dscg_maindiag_code_3"] is None
    assert [line["list_name"] for line in settled["lines"]] == ["氨氯地平片"]
    # Neither yes nor no: a "no" would be untrue, its absence would tell.
    assert kept["history"]["prior_diagnosis_flag"] is None
    told = world.data(
        world.consent("patient", scopes=[*ALL, "DX_SENSITIVE"]),
        "patient",
        dx_family="B20",
        history_from="2025-01-01",
    )
    assert told["settlements"][0]["dscg_maindiag_code_3"] == "B20"
    assert told["history"]["prior_diagnosis_flag"] is True
    assert len(told["settlements"][0]["lines"]) == 2


def test_another_insurer_s_claim_shows_only_where_the_person_agreed(world: ClaimWorld) -> None:
    rival = world.consent("child", "rival-app", guardian="mother")
    mine = world.consent("child", guardian="mother", scopes=["SETL", "HIST"])
    assert world.data(mine, "child")["already_claimed"] is False
    assert world.verify(world.body(rival, "child"), client="rival-app").status_code == 200
    assert world.data(mine, "child")["already_claimed"] is True
    plain = world.consent("child", guardian="mother")
    assert "already_claimed" not in world.data(plain, "child")


def test_who_speaks_fhir_is_told_the_same_in_valid_resources(world: ClaimWorld) -> None:
    consent = world.consent(scopes=["SETL", "DX", "FEE"])
    plain = world.data(consent)["settlements"][0]
    reply = world.verify(world.body(consent), accept=FHIR)
    assert (reply.status_code, reply.headers["content-type"]) == (200, FHIR)
    bundle = Bundle.model_validate(reply.json())
    _, settled = (one.resource for one in bundle.entry)
    assert isinstance(settled, ExplanationOfBenefit)
    assert settled.id == plain["setl_ref"]
    assert [line.net.value for line in settled.item] == [
        Decimal(line["det_item_fee_sumamt"]) for line in plain["lines"]
    ]
    (total,) = (t.amount.value for t in settled.total if t.category.coding[0].code == "submitted")
    assert total == Decimal(plain["medfee_sumamt"])
    proof = parse_compact(base64.b64decode(reply.json()["signature"]["data"]).decode())
    assert proof.claims["data"]["settlements"] == [plain]
    own = world.body(consent, name=PEOPLE["adult"][1], date="2025-04-10", window=None)
    insured = Bundle.model_validate(world.verify(own, "S18", accept=FHIR).json())
    assert insured.entry[1].resource.get_resource_type() == "Coverage"
    shown = world.gateway.http.get(
        f"/v1/consents/{consent}", headers={"Accept": FHIR}, auth=world.gateway.auth("claims-app")
    )
    assert Consent.model_validate(shown.json()).status == "active"
    spoken = CapabilityStatement.model_validate(world.gateway.http.get("/v1/fhir/metadata").json())
    assert spoken.fhirVersion == "4.0.1"
    assert world.verify(world.body(consent), accept="text/csv").status_code == 406


def test_what_lies_outside_window_consent_or_region_is_not_read(world: ClaimWorld) -> None:
    march = {"from": "2025-03-01", "to": "2025-03-31"}
    narrow = world.consent(window={"from": "2025-04-01", "to": "2025-04-30"})
    assert world.data(world.consent(), window=march)["found"] == 1
    assert world.verify(world.body(narrow, window=march)).status_code == 403
    both = {"from": "2025-03-01", "to": "2025-04-30"}
    assert world.data(narrow, window=both)["found"] == 1
    assert world.data(narrow, window={"from": "2025-04-04", "to": "2025-04-30"})["found"] == 0
    assert world.data(world.consent("elsewhere"), "elsewhere")["found"] == 0
    assert world.data(world.consent(), setl_id="S-adult-march", window=both)["found"] == 1
    assert world.data(world.consent(), invono="INVS-patient")["found"] == 0


def test_name_and_number_must_both_match(world: ClaimWorld) -> None:
    consent = world.consent()
    assert world.eligible(consent) == {
        "match": True,
        "covered": True,
        "coverage": {
            "coverage_status": "1",
            "insutype": "310",
            "psn_type_group": "11",
            "insu_admdvs": "990100",
            "coverage_from": "2018-03",
            "coverage_to": None,
        },
    }
    missed = world.eligible(consent, name="测试乙二")
    assert missed == {"match": False, "covered": None, "coverage": None}
    before = world.eligible(
        world.consent(window={"from": "2024-10-01", "to": "2025-05-31"}), date="2024-12-31"
    )
    assert before["covered"] is True


def test_every_want_of_a_consent_is_refused_alike(world: ClaimWorld) -> None:
    live, other = world.consent(), world.consent("patient")
    revoked, suspended, rejected = world.consent(), world.consent(), world.ask_consent().id
    world.change(revoked, "revoke")
    world.change(suspended, "suspend")
    world.gateway.admit("rival-app", "T-RIV", "insurer", "SC03")
    stories = {
        "unknown person": world.body("c-unknown", STRANGER),
        "a person without a consent": world.body("c-unknown", "dead"),
        "somebody else's consent": world.body(other, "adult"),
        "unknown person, live consent": world.body(live, STRANGER),
        "revoked": world.body(revoked),
        "suspended": world.body(suspended),
        "not answered yet": world.body(rejected),
        "another claim": world.body(live, claim_ref="CLM-2"),
        "no claim": world.body(live, claim_ref=None),
        "another receiver's": world.body(world.consent(client="rival-app")),
        "a child without a guardian": world.body(world.consent("dead"), "dead"),
    }
    shown = set()
    for story, body in stories.items():
        reply = world.verify(body, client="claims-app")
        problem = reply.json()
        assert (reply.status_code, problem["deny"]) == (403, ["D6xx"]), story
        assert problem.pop("request_id")
        shown.add((json.dumps(problem), len(reply.content)))
        clear_misses(world)
    assert len(shown) == 1


def clear_misses(world: ClaimWorld) -> None:
    """Forget refusals, so that stories do not lock each other's persons."""
    with world.consents.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM claim_miss")


def test_uses_run_out_and_a_repeat_takes_none(world: ClaimWorld) -> None:
    consent = world.consent(uses_max=2)
    body = world.body(consent)
    first = world.verify(body, key="claim-key-1")
    again = world.verify(body, key="claim-key-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["data"] == first.json()["data"]
    assert world.verify(body).status_code == 200
    assert world.verify(body).status_code == 403
    # The last answer can still be fetched again by the key it was given under.
    assert world.verify(body, key="claim-key-1").status_code == 200
    assert world.consents.read(consent, "T-CLM").state == "CONSUMED"
    assert world.verify(body, key=None).json()["code"] == "idempotency_key_needed"
    reused = world.verify({**body, "claim_ref": "CLM-9"}, key="claim-key-1")
    assert reused.json()["code"] == "idempotency_key_reused"
    clear_misses(world)


def test_a_pair_that_probes_is_locked_and_looks_like_any_refusal(world: ClaimWorld) -> None:
    clear_misses(world)
    consent = world.consent()
    plain = world.verify(world.body("c-unknown"))
    for _ in range(4):
        assert world.verify(world.body("c-unknown")).status_code == 403
    locked = world.verify(world.body(consent))
    assert locked.status_code == 403
    assert len(locked.content) == len(plain.content)
    assert locked.json()["deny"] == plain.json()["deny"]
    assert world.verify(world.body(world.consent("patient"), "patient")).status_code == 200
    clear_misses(world)
    assert world.verify(world.body(consent)).status_code == 200


def test_a_revoked_consent_opens_nothing_at_once(world: ClaimWorld) -> None:
    consent = world.consent()
    assert world.verify(world.body(consent)).status_code == 200
    world.change(consent, "revoke")
    assert world.verify(world.body(consent)).status_code == 403
    clear_misses(world)


def test_the_person_sees_who_looked_and_nobody_is_named(world: ClaimWorld) -> None:
    consent = world.consent(scopes=["SETL", "DX"])
    told = world.data(consent)
    token = world.subjects.audit_token(world.reference("adult"))
    (seen, *_) = accesses(world.gateway.app.state.looking, [token])
    assert (seen.service, seen.result, seen.consent_id) == ("S19", "answered", consent)
    assert {"medfee_sumamt", "dscg_maindiag_code_3"} <= set(seen.fields)
    home = world.gateway.settings.home
    kept = b"".join(path.read_bytes() for path in home.glob("journal*"))
    kept += (home / "sluice.db").read_bytes() + (home / "persons" / "persons.db").read_bytes()
    for certno, name in PEOPLE.values():
        assert certno.encode() not in kept
        assert name.encode() not in kept
    assert b"N-adult" not in kept
    assert told["settlements"][0]["setl_ref"].encode() not in kept


def test_the_proof_shows_who_said_what_to_whom(world: ClaimWorld) -> None:
    consent = world.consent()
    reply = world.verify(world.body(consent)).json()
    parsed = parse_compact(reply["proof"])
    identity = world.gateway.app.state.identity
    ring = load_ring(identity.engine, world.gateway.settings.keys, world.gateway.clock())
    key = ring.verifying[parsed.header["kid"]]
    assert signature_is_valid("ES256", key, parsed.signing_input, parsed.signature)
    assert (parsed.header["typ"], parsed.claims["aud"]) == ("sluice-claim+jwt", "claims-app")
    assert parsed.claims["iss"] == identity.issuer
    assert parsed.claims["data"] == reply["data"]
    published = world.gateway.http.get("/oauth/jwks").json()
    assert parsed.header["kid"] in {each["kid"] for each in published["keys"]}


def test_a_definite_answer_is_charged_once_and_a_refusal_is_not(world: ClaimWorld) -> None:
    def used() -> dict[str, int]:
        rows = world.gateway.get("/v1/usage", "claims-app").json()["usage"]
        return {row["service"]: row["units"] for row in rows if row["unit"] == "per_verified_claim"}

    consent, before = world.consent(), used()
    body = world.body(consent)
    world.verify(body, key="claim-key-2")
    world.verify(body, key="claim-key-2")
    world.verify(world.body("c-unknown"))
    after = used()
    assert after["S19"] - before.get("S19", 0) == 1
    clear_misses(world)


def test_a_refund_shows_once_the_source_is_loaded_anew(world: ClaimWorld, tmp_path: Path) -> None:
    consent = world.consent()
    assert world.data(consent)["settlements"][0]["refd_setl_flag"] is False
    load(world.gateway, tmp_path / "after", warehouse_rows(refunded=True))
    told = world.data(consent)
    assert told["found"] == 1
    assert told["settlements"][0]["refd_setl_flag"] is True
    load(world.gateway, tmp_path / "back", warehouse_rows())


def test_who_was_told_hears_of_the_refund_once_while_the_consent_runs(
    world: ClaimWorld, tmp_path: Path
) -> None:
    running, ended = world.consent(), world.consent()
    (settled,) = world.data(running)["settlements"]
    world.data(ended)
    world.change(ended, "revoke")
    refunds: Refunds = world.gateway.app.state.refunds
    load(world.gateway, tmp_path / "undone", warehouse_rows(refunded=True))
    asyncio.run(refunds.look())
    asyncio.run(refunds.look())
    with reading(world.consents.engine) as session:
        waiting = [row.claims for row in session.scalars(sa.select(EventOutboxRow))]
    heard = [one for one in waiting if "urn:sluice:event:consent:refunded" in one["events"]]
    mine = [one for one in heard if one["txn"] == running]
    assert len(mine) == 1
    told = mine[0]["events"]["urn:sluice:event:consent:refunded"]
    assert (told["setl_ref"], told["claim_ref"]) == (settled["setl_ref"], "CLM-1")
    assert all(one["txn"] != ended for one in heard)
    load(world.gateway, tmp_path / "restored", warehouse_rows())


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"window": {"from": "2025-05-01", "to": "2025-04-01"}}, 400, "invalid_parameter"),
        ({"certno": ""}, 400, "invalid_parameter"),
        ({"threshold": 1}, 403, None),
        ({"surname": "x"}, 400, "invalid_parameter"),
        ({"purpose": "marketing"}, 403, None),
    ],
)
def test_a_form_out_of_order_is_refused(
    world: ClaimWorld, change: dict[str, object], status: int, code: str | None
) -> None:
    reply = world.verify(world.body("c-unknown", **change))
    assert reply.status_code == status, reply.text
    assert code is None or reply.json()["code"] == code
    assert orjson.dumps(PEOPLE["adult"][0]) not in reply.content
    clear_misses(world)


def test_who_has_no_token_no_grant_or_another_scenario_is_told_nothing(world: ClaimWorld) -> None:
    body = world.body(world.consent())
    bare = world.gateway.http.post("/v1/services/S19/verify", json=body)
    assert bare.status_code == 401
    other = world.verify(body, client="ins-app")
    assert other.status_code == 403
    assert all(code.endswith("xx") for code in other.json()["deny"])
    assert world.verify(body, service="S99").status_code == 404
    assert world.gateway.http.get("/v1/services/S19/verify").status_code == 405
    clear_misses(world)


def test_today_s_window_may_run_and_tomorrow_s_may_not_begin(world: ClaimWorld) -> None:
    consent = world.consent(window={"from": "2025-04-01", "to": "2025-06-02"})
    running = {"from": APRIL["from"], "to": "2025-06-02"}
    assert world.data(consent, window=running)["found"] == 1
    ahead = {"from": "2025-07-01", "to": "2025-07-02"}
    assert world.verify(world.body(consent, window=ahead)).status_code == 403
    clear_misses(world)
