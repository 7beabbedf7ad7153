"""Proofs about the log over HTTP: to whom, of what, and that they hold."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.tlog import merkle, notes
from sluice_client import receipts
from tests.gateway_factory import COST, Gateway


def proven(gateway: Gateway, request: str, client: str) -> dict[str, Any]:
    """The proof; waits as a client does where no note covers the call yet."""
    for _ in range(50):
        answer = gateway.get(f"/v1/audit/inclusion?request={request}", client)
        if answer.status_code != 503:
            break
        assert answer.json()["code"] == "not_signed_yet"
        assert answer.headers["Retry-After"]
        gateway.ask("S02", COST, client=client)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def request_of(gateway: Gateway, client: str) -> str:
    answer = gateway.ask("S02", COST, client=client)
    assert answer.status_code == 200
    (newest,) = gateway.get("/v1/audit/calls?kind=read&limit=1", client).json()["entries"]
    return str(newest["request_id"])


def test_an_organisation_proves_its_call_and_that_the_log_only_grew(gateway: Gateway) -> None:
    key = public_key(gateway.settings.keys / PUBLIC_KEY)
    told = proven(gateway, request_of(gateway, "ins-app"), "ins-app")
    note = notes.opened(told["note"], key)
    path = [base64.b64decode(step) for step in told["inclusion"]]
    leaf = merkle.leaf_hash(bytes.fromhex(told["hash"]))
    assert merkle.includes(told["leaf_index"], note.size, leaf, path, note.root)
    assert told["event"]["tenant"] == "T-INS"
    later = proven(gateway, request_of(gateway, "ins-app"), "ins-app")
    asked = f"origin={told['origin']}&first={note.size}"
    grown = gateway.get(f"/v1/audit/consistency?{asked}", "ins2-app").json()
    old, new = (notes.opened(grown[name], key) for name in ("first_note", "second_note"))
    steps = [base64.b64decode(step) for step in grown["consistency"]]
    assert (old, later["tree_size"] <= new.size) == (note, True)
    assert merkle.consistent(old.size, new.size, old.root, new.root, steps)
    listed = gateway.get("/v1/audit/checkpoints", "ins-app").json()
    assert grown["second_note"] in listed["notes"]
    assert "PUBLIC KEY" in listed["key"]


def test_the_clients_own_check_holds_on_what_a_gateway_answers(gateway: Gateway) -> None:
    request = request_of(gateway, "ins-app")
    proven(gateway, request, "ins-app")
    key = receipts.log_key(gateway.get("/v1/audit/checkpoints", "ins-app").json()["key"])
    answer = gateway.get(f"/v1/audit/inclusion?request={request}", "ins-app").content
    kept = receipts.check_inclusion(answer, key, request)
    proven(gateway, request_of(gateway, "ins-app"), "ins-app")
    asked = f"origin={kept.origin}&first={kept.size}"
    grown = gateway.get(f"/v1/audit/consistency?{asked}", "ins-app").content
    assert receipts.check_growth(grown, key, kept).size >= kept.size
    with pytest.raises(receipts.NotProven):
        receipts.check_inclusion(answer, key, "another")


def test_another_organisations_call_is_as_unknown_as_none(gateway: Gateway) -> None:
    request = request_of(gateway, "ins-app")
    other = gateway.get(f"/v1/audit/inclusion?request={request}", "ins2-app")
    none = gateway.get("/v1/audit/inclusion?request=nobody", "ins2-app")
    assert other.status_code == none.status_code == 404
    assert other.json()["code"] == none.json()["code"] == "unknown_request"
    for path in ("checkpoints", f"inclusion?request={request}", "consistency?origin=x&first=1"):
        assert gateway.http.get(f"/v1/audit/{path}").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "inclusion",
        "inclusion?request=a%2Fb",
        "inclusion?request=r1&request=r2",
        "inclusion?request=r1&tenant=T-INS",
        "checkpoints?x=1",
        "consistency?origin=elsewhere&first=1",
        "consistency?origin=sluice.journal/x&first=0",
        "consistency?origin=sluice.journal/x",
        "consistency?origin=sluice.journal/x&first=1&second=-1",
    ],
)
def test_other_parameters_are_refused(gateway: Gateway, path: str) -> None:
    answer = gateway.get(f"/v1/audit/{path}", "ins-app")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_an_unknown_note_is_not_found(gateway: Gateway) -> None:
    answer = gateway.get("/v1/audit/consistency?origin=sluice.journal/x&first=1", "ins-app")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_note")


def test_asking_for_a_proof_is_in_the_trail(gateway: Gateway) -> None:
    gateway.get("/v1/audit/inclusion?request=nobody", "ins2-app")
    with gateway.app.state.identity.engine.connect() as connection:
        query = "SELECT body FROM office_event WHERE tenant = 'T-INS2' ORDER BY seq DESC LIMIT 1"
        told = json.loads(connection.exec_driver_sql(query).scalar_one())
    assert (told["kind"], told["target"]["id"]) == ("read", "inclusion")
