"""/metrics is nobody's by default, and what anybody asks adds no word to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api.metrics import PATH
from gateway.metrics.meters import FAMILIES, OTHER, QUOTAS, Lease, Outcome
from tests.gateway_factory import COST, Gateway, copy_home, copy_policies, serving

TOKEN = "a-token-of-the-monitoring-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(scope="module")
def watched(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("watched")
    token = folder / "token"
    token.write_text(TOKEN + "\n", encoding="ascii")
    policies = copy_policies(folder / "policies")
    home = copy_home(released_home, folder / "home")
    with serving(home, policies, metrics_token_file=token) as gateway:
        yield gateway


def figures(gateway: Gateway) -> dict[Sample, float]:
    reply = gateway.http.get(PATH, headers=BEARER)
    assert reply.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def calls(gateway: Gateway, service: str, outcome: str) -> float:
    labels = (("outcome", outcome), ("service", service))
    return figures(gateway).get(("gateway_metered_calls_total", labels), 0.0)


def test_without_a_token_file_there_are_no_metrics(gateway: Gateway) -> None:
    assert gateway.settings.metrics_token_file is None
    for headers in ({}, BEARER):
        assert gateway.http.get(PATH, headers=headers).status_code == 404


def test_metrics_are_for_who_shows_their_token(watched: Gateway) -> None:
    for shown in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe4"):
        reply = watched.http.get(PATH, headers={"Authorization": shown.encode("latin-1")})
        assert reply.status_code == 401, shown
        assert reply.json()["code"] == "metrics_token"
        assert "gateway_" not in reply.text
    assert watched.http.get(PATH, auth=watched.auth()).status_code == 401
    assert watched.http.get(f"{PATH}?token={TOKEN}").status_code == 401
    assert watched.http.post(PATH, headers=BEARER).status_code == 405


def test_each_outcome_is_counted_once_under_its_service(watched: Gateway) -> None:
    before = {one: calls(watched, "S02", one) for one in ("answered", "refused", "rejected")}
    durable = figures(watched)["meter_events_acked_total", ()]
    assert watched.ask("S02").status_code == 200
    assert watched.ask("S02", {**COST, "purpose": "advertising"}).status_code == 403
    assert watched.ask("S02", {**COST, "dims": "all"}).is_client_error
    assert watched.http.post("/v1/services/S02/queries", json=COST).status_code == 401
    after = {one: calls(watched, "S02", one) for one in before}
    assert {one: after[one] - before[one] for one in before} == {
        "answered": 1,
        "refused": 1,
        "rejected": 2,
    }
    found = figures(watched)
    assert found["gateway_denials_total", (("family", "D3"),)] >= 1
    assert found["gateway_request_seconds_count", (("service", "S02"),)] >= 4
    assert found["gateway_ready", ()] == 1
    assert found["meter_events_acked_total", ()] >= durable + 2  # the answer and the refusals
    assert found["journal_commit_seconds_count", ()] >= 2


def test_a_call_by_the_services_code_counts_for_the_service(watched: Gateway) -> None:
    code = watched.app.state.desk.catalogue.services["S02"].code
    before = calls(watched, "S02", "answered")
    assert watched.ask(code).status_code == 200
    assert calls(watched, "S02", "answered") == before + 1


def test_a_hostile_client_adds_no_label(watched: Gateway) -> None:
    known = figures(watched)  # of the whole test process, other gateways included
    hostile = ['S02"} 1', "S99", "x" * 200, "%0Aevil", "..%2f..", "S02%20", "機構", "T-INS"]
    for service in hostile:
        assert watched.ask(service, {**COST, "purpose": service}).is_client_error
        watched.http.get(f"/v1/{service}", auth=watched.auth())
        watched.http.request("PURGE", f"/{service}", headers={"X-Forwarded-For": service.encode()})
        watched.http.post(f"/v1/services/{service}/queries", content=service.encode())
    services = {*watched.app.state.desk.catalogue.services, OTHER}
    allowed = {
        "service": services,
        "outcome": {*get_args(Outcome), *get_args(Lease)},
        "family": {*FAMILIES, OTHER},
        "quota": set(QUOTAS.values()),
        "status": {"1xx", "2xx", "3xx", "4xx", "5xx"},
    }
    for name, labels in figures(watched).keys() - known.keys():
        for label, value in labels:
            if label != "le":
                assert value in allowed[label], (name, label, value)


def test_no_figure_names_who_asked_or_what(watched: Gateway) -> None:
    watched.ask("S02")
    text = watched.http.get(PATH, headers=BEARER).text
    for word in ("T-INS", "ins-app", "G-T-INS", "990100", "actuarial", str(watched.settings.home)):
        assert word not in text
