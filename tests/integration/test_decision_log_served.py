"""What a running gateway writes down of its decisions, and that nothing else minds how it does."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway.audit.export import plain_lines
from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.catalogue.load import load_catalogue
from gateway.cli import policy as cli
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from gateway.policy.decision_log import Logged, read_event
from gateway.policy.embedded import EmbeddedPolicy
from tests.gateway_factory import COST, Gateway

PERSON = "990100190001010011"  # the form of an identity number, of no district there is


def logged(gateway: Gateway, request_id: str) -> Logged:
    """The decision on record for a request."""
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        asked = "SELECT body FROM decision WHERE request_id = ?"
        (body,) = db.execute(asked, (request_id,)).fetchone()
    return read_event(body)


def request_of(reply: Any) -> str:
    return str(reply.headers["sluice-request-id"])


def decision_of(reply: Any) -> str:
    return str(reply.headers["sluice-decision"])


@pytest.fixture(scope="module")
def replies(gateway: Gateway) -> dict[str, Any]:
    """Two answers to one question, a refusal, an attempt, and a question with somebody's number."""
    return {
        "first": gateway.ask("S02", COST),
        "second": gateway.ask("S02", COST),
        "refused": gateway.ask("S02", {**COST, "geo": ["990200"]}),
        "attempt": gateway.ask("S02", {**COST, "k_person": 1}),
        "somebody": gateway.ask("S02", {**COST, "where": {"gend": PERSON}}),
        "listed": gateway.ask("S02", {**COST, "where": {"gend": "1"}}),
    }


def test_an_answer_is_logged_with_question_and_obligations(
    gateway: Gateway, replies: dict[str, Any]
) -> None:
    told = logged(gateway, request_of(replies["first"]))
    assert told.allow
    assert told.whole
    assert told.input is not None
    assert told.input["geo"] == ["990100"]
    assert told.obligations is not None
    assert told.obligations["profile"] == "DC2"
    assert told.revision == gateway.app.state.desk.policy.version


def test_a_remembered_decision_is_logged_as_one_of_its_own(
    gateway: Gateway, replies: dict[str, Any]
) -> None:
    first, second = (logged(gateway, request_of(replies[name])) for name in ("first", "second"))
    assert first.decision_id != second.decision_id
    assert second.whole
    assert second.obligations == first.obligations
    assert second.question().usage.calls_day == first.question().usage.calls_day + 1


def test_a_logged_question_gets_the_same_answer_again(
    gateway: Gateway, replies: dict[str, Any]
) -> None:
    policies = gateway.settings.policies
    services = load_catalogue(policies).as_policy_data()
    directory = gateway.app.state.identity.directory.policy_data()
    with closing(EmbeddedPolicy(policies, services, directory)) as policy:
        for name in ("first", "refused", "listed"):
            told = logged(gateway, request_of(replies[name]))
            again = policy.decide(told.question())
            assert (again.allow, again.deny) == (told.allow, told.deny)
            assert again.policy_version == told.revision


def test_an_attempt_keeps_its_short_form(gateway: Gateway, replies: dict[str, Any]) -> None:
    told = logged(gateway, request_of(replies["attempt"]))
    assert (told.allow, told.deny, told.input) == (False, ("D406",), None)


def test_what_somebody_wrote_into_a_value_is_nowhere_in_the_journal(
    gateway: Gateway, replies: dict[str, Any]
) -> None:
    told = logged(gateway, request_of(replies["somebody"]))
    assert told.erased == ("/input/where/gend",)
    assert logged(gateway, request_of(replies["listed"])).whole
    with closing(connect_reading(gateway.settings.journal)) as db:
        assert PERSON.encode() not in b"".join(plain_lines(db))


def test_chain_export_and_meter_agree_with_whole_decisions(
    gateway: Gateway, replies: dict[str, Any]
) -> None:
    assert replies
    journal, keys = gateway.settings.journal, gateway.settings.keys
    assert verify(journal, public_key(keys / PUBLIC_KEY)).findings == ()
    assert reconcile(journal).differences == ()
    with closing(connect_reading(journal)) as db:
        told = [orjson.loads(line) for line in plain_lines(db)]
    decided = [line["decision"] for line in told if line.get("decision")]
    assert any("bundles" in decision for decision in decided)


def test_the_office_reads_why_from_the_journal_of_a_running_gateway(
    gateway: Gateway, replies: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(gateway.settings.home))
    monkeypatch.setenv("SLUICE_POLICIES", str(gateway.settings.policies))
    assert (
        "D501" in CliRunner().invoke(cli.app, ["explain", decision_of(replies["refused"])]).stdout
    )
    told = CliRunner().invoke(cli.app, ["explain", request_of(replies["refused"]), "--json"])
    assert told.exit_code == 0, told.output
    page = json.loads(told.stdout)
    (reason,) = [each for each in page["reasons"] if each["code"] == "D501"]
    assert reason["compared"] == {"input.geo": ["990200"], "grant.regions": ["990100"]}
    assert page["rules"]["decided"] is True
    asked = CliRunner().invoke(cli.app, ["what-if", str(gateway.settings.policies), "--json"])
    report = json.loads(asked.stdout)
    assert (asked.exit_code, report["changed"]) == (0, 0)
    assert report["unchanged"] >= 4
