"""Stops on persons: effective on every replica, on record, and nowhere is it said who they are."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from gateway.cli import stop
from gateway.consent.subjects import open_subjects
from gateway.db.engine import reading, writing
from gateway.db.tables import DirectoryAuditRow
from gateway.errors import OperatorError
from gateway.identity.changes import lift_stop, raise_stop
from gateway.identity.desk import Identity
from gateway.identity.directory import Directory
from gateway.identity.model import alias
from gateway.identity.record import broken_entries
from gateway.policy.embedded import EmbeddedPolicy
from gateway.serving.persons import person_part
from gateway.settings import Settings
from tests.factories_identity import act, add_tenant, open_at, project_bounds
from tests.policy_factory import POLICIES, ask, catalogue
from tests.policy_scenarios import embedded_world, given, golden
from tests.staff_factory import Place, open_place

PERSON = f"p{'0123456789' * 4}"
CERTNO = "999901199001019999"  # of no country's form of checksum: invented
LIVE_WITHIN = 5.0

Sluice = Callable[..., Result]


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    opened, _ = open_at(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("stops") / "home") as opened:
        yield opened


@pytest.fixture
def sluice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    return lambda *words, typed="": CliRunner().invoke(stop.app, list(words), input=typed)


def entries(identity: Identity) -> list[DirectoryAuditRow]:
    with reading(identity.engine) as session:
        return list(session.scalars(sa.select(DirectoryAuditRow)))


def test_a_person_is_stopped_on_every_replica_within_seconds(identity: Identity) -> None:
    other = Directory(identity.engine, project_bounds())
    identity.directory.start()
    other.start()
    try:
        with writing(identity.engine) as session:
            raise_stop(session, act(reason="court order"), "person", PERSON)
        ends = time.monotonic() + LIVE_WITHIN
        replicas = (identity.directory, other)
        while any(PERSON not in each.snapshot.stopped_persons for each in replicas):
            assert time.monotonic() < ends
            time.sleep(0.02)
        with writing(identity.engine) as session:
            lift_stop(session, act(), "person", alias(PERSON))
        while any(each.snapshot.stopped_persons for each in replicas):
            assert time.monotonic() < ends + LIVE_WITHIN
            time.sleep(0.02)
    finally:
        other.stop()
        identity.directory.stop()


def test_the_rules_data_and_the_revision_do_not_know_persons(identity: Identity) -> None:
    add_tenant(identity)
    identity.directory.refresh()
    before = identity.directory.policy_data()
    with writing(identity.engine) as session:
        raise_stop(session, act(reason="court order"), "person", PERSON)
    identity.directory.refresh()
    after: Any = identity.directory.policy_data()
    assert PERSON not in json.dumps(after)
    assert set(after["stops"]) == {"tenant", "scenario", "service", "region", "brake"}
    with closing(EmbeddedPolicy(POLICIES, catalogue(), before)) as policy:
        version = policy.version
        policy.load(after)
        assert policy.version == version


def test_a_stop_is_on_record_under_another_name(
    identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        with writing(identity.engine) as session:
            assert raise_stop(session, act(reason="theft"), "person", PERSON) == alias(PERSON)
        identity.directory.refresh()
        with writing(identity.engine) as session:
            assert lift_stop(session, act(), "person", PERSON) == alias(PERSON)
        identity.directory.refresh()
    told = [(each.action, each.entity_id) for each in entries(identity)]
    assert told[-2:] == [("stop", f"person:{alias(PERSON)}"), ("lift", f"person:{alias(PERSON)}")]
    with reading(identity.engine) as session:
        assert broken_entries(session) == ()
    assert PERSON not in caplog.text
    assert PERSON not in repr(identity.directory.snapshot)


def test_refusals_of_the_office_do_not_name_the_person(identity: Identity) -> None:
    def refused(code: str, change: Callable[..., object], target: str) -> None:
        with pytest.raises(OperatorError) as said, writing(identity.engine) as session:
            change(session, act(), "person", target)
        assert said.value.code == code
        assert target not in str(said.value)

    with writing(identity.engine) as session:
        raise_stop(session, act(), "person", PERSON)
    refused("stop.exists", raise_stop, PERSON)
    refused("stop.person", raise_stop, CERTNO)
    refused("stop.unknown", lift_stop, f"p{'a' * 40}")


def test_the_command_line_takes_a_certificate_number_and_keeps_it_to_itself(
    sluice: Sluice,
) -> None:
    raised = sluice("raise", "person", "-", "--reason", "theft", typed=f"{CERTNO}\n")
    reference = open_subjects(Settings().keys).reference(CERTNO)
    assert raised.stdout == f"The person {alias(reference)} is stopped.\n"
    listed = json.loads(sluice("list", "--json").stdout)
    assert [(each["kind"], each["target"]) for each in listed] == [("person", alias(reference))]
    assert sluice("lift", "person", listed[0]["target"]).exit_code == 0
    assert json.loads(sluice("list", "--json").stdout) == []
    nothing = sluice("raise", "person", "-", "--reason", "theft", typed="\n")
    assert isinstance(nothing.exception, OperatorError)


def test_the_office_stops_a_person_over_the_administration(place: Place) -> None:
    guard = place.signed_in("security_officer")
    reference = open_subjects(place.office.keys).reference(CERTNO)
    raised = guard.post("/stops/raise", kind="person", target=CERTNO, reason="theft")
    assert raised.json() == {"kind": "person", "target": alias(reference), "on": True}
    place.identity.directory.refresh()
    assert place.identity.directory.snapshot.stopped_persons == {reference}
    listed = guard.get("/stops")
    assert listed.json()[0]["target"] == alias(reference)
    assert reference not in listed.text
    lifted = guard.post("/stops/lift", kind="person", target=reference)
    assert lifted.json()["on"] is False
    assert guard.get("/stops").json() == []


def test_a_stop_turns_an_allowed_question_into_one_without_consent(identity: Identity) -> None:
    consent = given("SC03") | {"subject_ref": PERSON}
    base = golden("SC03") | {"consent": consent, "subject_ref": PERSON}

    def decided(policy: EmbeddedPolicy) -> tuple[str, ...]:
        identity.directory.refresh()
        part = person_part("c-sc03", None, PERSON, identity.directory.snapshot.stopped_persons)
        return policy.decide(ask(base, subject_stopped=part.subject_stopped)).deny

    with closing(embedded_world()) as policy:
        assert decided(policy) == ()
        with writing(identity.engine) as session:
            raise_stop(session, act(), "person", PERSON)
        assert decided(policy) == ("D601",)
        with writing(identity.engine) as session:
            lift_stop(session, act(), "person", PERSON)
        assert decided(policy) == ()
