"""Lineage is shown to whoever may read the contract: every proven caller, nobody else."""

from __future__ import annotations

import pytest

from tests.gateway_factory import Gateway

PATH = "/v1/services/{}/lineage"


def test_a_proven_caller_reads_where_the_columns_come_from(gateway: Gateway) -> None:
    for key in ("S02", "act.cost-structure"):
        reply = gateway.get(PATH.format(key))
        assert reply.status_code == 200, reply.text
        event = reply.json()
        assert event["job"]["name"] == "build.S02"
        (output,) = event["outputs"]
        made_of = output["facets"]["columnLineage"]["fields"]["medfee"]["inputFields"]
        assert "medfee_sumamt" in {one["field"] for one in made_of}


@pytest.mark.parametrize("scheme", ["", "DPoP x.y.z", "Bearer x.y.z"])
def test_nobody_else_learns_anything_not_even_which_services_exist(
    gateway: Gateway, scheme: str
) -> None:
    headers = {"Authorization": scheme} if scheme else {}
    told = []
    for service in ("S02", "S99"):
        reply = gateway.http.get(PATH.format(service), headers=headers)
        assert reply.status_code == 401
        told.append({k: v for k, v in reply.json().items() if k != "request_id"})
    assert told[0] == told[1]


def test_a_token_is_of_no_use_without_its_key(gateway: Gateway) -> None:
    headers = {"Authorization": f"DPoP {gateway.token()}"}
    assert gateway.http.get(PATH.format("S02"), headers=headers).status_code == 401


@pytest.mark.parametrize("service", ["S99", "S2", "..%2Fmanifest.json", "S02%2F..%2FS04"])
def test_an_unknown_service_is_not_found_whatever_its_name(gateway: Gateway, service: str) -> None:
    reply = gateway.get(PATH.format(service))
    assert reply.status_code == 404
    assert reply.json()["code"] in {"unknown_service", "not_found"}


def test_it_tells_no_value_and_no_place_of_the_machine(gateway: Gateway) -> None:
    text = gateway.get(PATH.format("S02")).text
    assert str(gateway.settings.home) not in text
    assert "sha256" not in text
    assert "rowCount" not in text
