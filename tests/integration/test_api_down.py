"""A part the path cannot do without is down: 503, and nothing leaves."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

from gateway.releases.publish import point
from gateway.releases.store import current
from tests.gateway_factory import COST, Gateway


def results(gateway: Gateway) -> list[tuple[str, str]]:
    """Result and request of every query on record."""
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        rows = db.execute("SELECT result, request_id FROM audit_event WHERE kind = 'read'")
        return [(str(result), str(request)) for result, request in rows]


def test_without_its_journal_the_gateway_answers_nothing(own_gateway: Gateway) -> None:
    assert own_gateway.ask().status_code == 200
    own_gateway.app.state.desk.journal.close()

    allowed, denied = own_gateway.ask(), own_gateway.ask("S02", {**COST, "purpose": "marketing"})
    for reply in (allowed, denied):
        assert reply.status_code == 503
        assert reply.headers["retry-after"]
        assert "data" not in reply.json()
        assert "deny" not in reply.json()
    assert own_gateway.http.get("/readyz").status_code == 503
    assert own_gateway.http.get("/healthz").status_code == 200
    assert [result for result, _ in results(own_gateway)] == ["answered"]


def test_without_its_policy_the_gateway_answers_nothing_and_says_so_in_the_journal(
    own_gateway: Gateway,
) -> None:
    own_gateway.app.state.desk.policy.close()
    reply = own_gateway.ask()
    assert (reply.status_code, reply.json()["code"]) == (503, "policy_unavailable")
    assert results(own_gateway) == [("refused", reply.json()["request_id"])]


def test_a_release_that_cannot_be_read_is_on_record_as_a_failure(own_gateway: Gateway) -> None:
    assert own_gateway.app.state.desk.releases.latest("S02") is not None  # it was known
    shutil.rmtree(own_gateway.settings.releases / "S02")
    reply = own_gateway.ask()
    assert reply.status_code >= 500
    assert "data" not in reply.json()
    assert results(own_gateway) == [("failed", reply.json()["request_id"])]


def test_a_service_that_was_never_released_is_not_open(own_gateway: Gateway) -> None:
    releases = own_gateway.settings.releases
    point(releases, {name: chosen for name, chosen in current(releases).items() if name != "S02"})
    own_gateway.app.state.desk.releases.refresh()
    reply = own_gateway.ask()
    assert (reply.status_code, reply.json()["code"]) == (404, "service_not_open")


def test_a_cursor_keeps_its_release_until_the_release_is_gone(own_gateway: Gateway) -> None:
    asked = {**COST, "page_size": 7}
    first = own_gateway.ask("S02", asked).json()
    releases = own_gateway.settings.releases
    old = first["meta"]["release"]
    new = "S02-" + "0" * 16
    shutil.copytree(releases / "S02" / old, releases / "S02" / new)
    manifest = json.loads((releases / "S02" / new / "manifest.json").read_text("utf-8"))
    (releases / "S02" / new / "manifest.json").unlink()
    (releases / "S02" / new / "manifest.json").write_text(
        json.dumps({**manifest, "release_id": new}), "utf-8"
    )
    current = json.loads((releases / "CURRENT.json").read_text("utf-8"))
    (releases / "CURRENT.json").unlink()
    (releases / "CURRENT.json").write_text(json.dumps({**current, "S02": new}), "utf-8")
    own_gateway.app.state.desk.releases.refresh()

    assert own_gateway.ask("S02", asked).json()["meta"]["release"] == new
    following = own_gateway.ask("S02", {**asked, "cursor": first["next_cursor"]})
    assert following.json()["meta"]["release"] == old
