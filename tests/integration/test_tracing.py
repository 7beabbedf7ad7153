"""Spans of a request: policy, release, database, journal; none says a value of anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import app as assembly
from gateway import tracing
from tests.gateway_factory import COST, Gateway, copy_home, copy_policies, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def traced(
    released_home: Path, kept: InMemorySpanExporter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose spans are kept here instead of sent."""
    folder = tmp_path_factory.mktemp("traced")

    def here(url: str, node: str, share: float) -> None:
        tracing.switch_on(url, node, share, SimpleSpanProcessor(kept))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "switch_on", here)
        facts = {"traces_url": "http://127.0.0.1:9/v1/traces", "traces_share": 1.0}
        policies = copy_policies(folder / "policies")
        with serving(copy_home(released_home, folder / "home"), policies, **facts) as gateway:
            yield gateway
    assert not tracing.tracing()


def spans(kept: InMemorySpanExporter, trace: str = TRACE) -> list[ReadableSpan]:
    found = kept.get_finished_spans()
    return [one for one in found if one.context and f"{one.context.trace_id:032x}" == trace]


def ended(kept: InMemorySpanExporter, name: str, request_id: str) -> list[ReadableSpan]:
    """The trace's spans once the request's own is over: that ends after its answer has left."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = spans(kept)
        ids = [(one.attributes or {}).get("sluice.request_id") for one in found if one.name == name]
        if request_id in ids:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{name} did not end")


def test_a_request_is_one_trace_from_the_caller_to_the_journal(
    traced: Gateway, kept: InMemorySpanExporter
) -> None:
    traced.token()
    kept.clear()
    caller = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}  # its word on sampling is not ours
    reply = traced.ask("S02", COST, headers=caller)
    assert reply.status_code == 200
    path = "POST /v1/services/{service}/queries"
    found = ended(kept, path, reply.headers["sluice-request-id"])
    last = {one.name: one for one in found}
    assert {path, "policy.decide", "release.page", "journal.record"} <= set(last)
    root = last[path]
    assert root.attributes is not None
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["sluice.request_id"] == reply.headers["sluice-request-id"]
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == "b7ad6b7169203331"
    for name in ("policy.decide", "release.page", "journal.record"):
        parent = last[name].parent
        assert parent is not None
        assert parent.span_id in {one.context.span_id for one in found if one.name == path}


def test_the_database_is_a_span_without_its_statement(
    traced: Gateway, kept: InMemorySpanExporter
) -> None:
    kept.clear()
    with traced.app.state.identity.engine.connect() as connection:
        connection.exec_driver_sql("SELECT id FROM tenant WHERE id = 'T-INS'").all()
    (one,) = [one for one in kept.get_finished_spans() if one.name == "database"][-1:]
    assert dict(one.attributes or {}) == {
        "db.system.name": traced.app.state.identity.engine.dialect.name,
        "db.operation.name": "SELECT",
    }


def test_no_span_says_what_was_asked_or_by_whom(
    traced: Gateway, kept: InMemorySpanExporter
) -> None:
    kept.clear()
    secret = "330106198001011234"
    traced.ask("S02", {**COST, "where": {"insutype2": secret}})
    traced.http.get(f"/v1/services/{secret}", auth=traced.auth())
    traced.http.request("POST", f"/{secret}?certno={secret}", headers={"User-Agent": secret})
    told = "".join(json.dumps(json.loads(one.to_json())) for one in kept.get_finished_spans())
    assert "POST" in told
    for word in (secret, "T-INS", "ins-app", "insutype2", "127.0.0.1"):
        assert word not in told, word
    for one in kept.get_finished_spans():
        assert set(one.attributes or {}) <= tracing.ATTRIBUTES
        assert not one.events


def test_nothing_is_made_while_tracing_is_off(gateway: Gateway) -> None:
    tracing.switch_off()
    assert tracing.span("policy.decide", sluice__engine="opa") is tracing.span("another")
