"""The follower: every event once, whatever stops it, in bounded memory; persons stay unnamed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.detection_tables import DetectionPlaceRow, DetectionStateRow
from gateway.db.engine import reading
from gateway.detection import follower as module
from gateway.detection.book import read_alarms
from gateway.detection.engine import Detector, Finding
from gateway.detection.follower import Follower
from gateway.detection.rule import DetectionRuleError, load_rules
from gateway.detection.signal import Canaries, Reader, network_of
from gateway.settings import Settings
from tests.detection_attacks import enumeration, lattice, quota_edge, taken_key_by_day
from tests.detection_traffic import START, Event, Tenant, growth, phone, write
from tests.detection_trial import READER, RULES, database, source

LONG_AFTER = START + timedelta(days=90)


def traffic() -> Iterable[Event]:
    """One organisation, attacked in several ways after a week."""
    tenant = Tenant("t-1", source("t-1"))
    yield from growth(tenant, 8)
    for attack in (enumeration, lattice, quota_edge, taken_key_by_day):
        yield from attack(tenant, 7)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traffic") / "journal.db"
    write(path, traffic())
    return path


def followed(engine: sa.Engine, path: Path, batch: int = 500) -> Follower:
    return Follower(engine, lambda: [path], Detector(RULES), lambda _: READER, batch=batch)


def kept(engine: sa.Engine) -> tuple[Any, Any, Any]:
    """Alarms, positions and states, as they lie in the database."""
    with reading(engine) as session:
        alarms = [(a.rule, a.who, a.evidence, a.value) for a in read_alarms(session)]
        places = [(row.journal, row.seq) for row in session.scalars(sa.select(DetectionPlaceRow))]
        rows = session.scalars(sa.select(DetectionStateRow))
        states = {(row.kind, row.name): orjson.loads(row.state) for row in rows}
    return sorted(alarms), places, states


@pytest.fixture(scope="module")
def undisturbed(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    engine = database(tmp_path_factory.mktemp("undisturbed"))
    followed(engine, journal).catch_up(lambda: LONG_AFTER)
    assert len(kept(engine)[0]) >= 4
    return kept(engine)


def test_a_batch_that_dies_is_read_again_and_counted_once(
    journal: Path,
    tmp_path: Path,
    undisturbed: tuple[Any, Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, whole = database(tmp_path), module.raise_alarm
    tried: set[object] = set()

    def dying(session: Session, finding: Finding, *given: Any, **facts: Any) -> Any:
        if finding.evidence not in tried:
            tried.add(finding.evidence)
            raise OSError("the machine went away")
        return whole(session, finding, *given, **facts)

    monkeypatch.setattr(module, "raise_alarm", dying)
    alone, more = followed(engine, journal, 120), True
    while more:
        try:
            _, more = alone.round(LONG_AFTER)
        except OSError:
            alone = followed(engine, journal, 120)  # as a new process
    assert kept(engine) == undisturbed


def test_two_followers_of_one_home_count_every_event_once(
    journal: Path, tmp_path: Path, undisturbed: tuple[Any, Any, Any]
) -> None:
    engine = database(tmp_path)
    two, more = [followed(engine, journal, 90), followed(engine, journal, 200)], [True, True]
    while any(more):
        for number, each in enumerate(two):
            _, more[number] = each.round(LONG_AFTER)
    assert kept(engine) == undisturbed


def test_who_comes_second_gives_its_batch_up(
    journal: Path, tmp_path: Path, undisturbed: tuple[Any, Any, Any]
) -> None:
    engine = database(tmp_path)
    slow, fast = followed(engine, journal, 50), followed(engine, journal)
    judge = slow._judge

    def overtaken(*given: Any) -> Any:
        slow._judge = judge  # type: ignore[method-assign]  # once
        fast.catch_up(lambda: LONG_AFTER)
        return judge(*given)

    slow._judge = overtaken  # type: ignore[method-assign]  # another process in between
    assert slow.round(LONG_AFTER) == ([], True)
    assert kept(engine) == undisturbed
    slow.catch_up(lambda: LONG_AFTER)
    assert kept(engine) == undisturbed


def test_memory_is_bounded_and_names_nobody(tmp_path: Path) -> None:
    """Thousands of persons, devices, networks and combinations leave a few kilobytes."""
    tenant = Tenant("t-large", source("large"))
    states: dict[str, dict[str, Any]] = {}
    detector, reader = Detector(RULES), READER
    for number in range(1_500):
        at = START + timedelta(minutes=number * 20)
        for event in (
            tenant.consent(at, number, phone(tenant.rng)),
            tenant.person(at, number, "D601", actor={"ip": f"{number % 200}.{number % 250}.1.1"}),
            tenant.cells(at, shape=number),
        ):
            body = {"event_id": f"e{number}", "time": at.isoformat(), **event.audit}
            signal = reader.signal(orjson.dumps(body).decode(), None)
            detector.take("tenant", "t-large", states, signal)
    text = orjson.dumps(states)
    assert len(text) < 150_000
    assert b"at-large" not in text  # how the events name persons
    for word in (b"subject", b"query_shape", b"consent_id"):
        assert word not in text


def test_alarms_and_states_hold_no_pseudonym(undisturbed: tuple[Any, Any, Any]) -> None:
    alarms, _, states = undisturbed
    text = orjson.dumps([alarms, list(states.values())])
    assert b"at-1" not in text
    assert b"sha" not in text


def test_a_canary_is_a_person_a_code_or_a_region(tmp_path: Path) -> None:
    reader = Reader(Canaries(frozenset({"a7"}), frozenset({"YP9900", "999901"})))
    base = {"event_id": "e", "kind": "read", "result": "answered", "time": START.isoformat()}

    def seen(audit: dict[str, object], asked: dict[str, object]) -> bool:
        decision = orjson.dumps({"input": asked}).decode()
        return reader.signal(orjson.dumps({**base, **audit}).decode(), decision).canary

    assert seen({"subject": "a7"}, {})
    assert seen({}, {"where": {"drug": "YP9900"}})
    assert seen({}, {"geo": ["999901"]})
    assert not seen({"subject": "a8"}, {"where": {"drug": "YP9901"}, "geo": ["990100"]})


def test_networks_are_coarse() -> None:
    assert network_of("36.110.4.9") == network_of("36.110.200.1") != network_of("36.111.4.9")
    assert network_of("2001:db8:1::1") == network_of("2001:db8:ffff::9")
    assert network_of("unknown") == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"statistic": {"kind": "guess"}}, "statistic"),
        ({"id": "Other"}, "id"),
        ({"window": {"hours": 1, "slots": 7}}, "slots do not divide"),
        ({"who": "network"}, "can only alert"),
        ({"who": "service"}, "only a tenant"),
        ({"sql": "SELECT 1"}, "sql"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(
    tmp_path: Path, change: dict[str, object], fault: str
) -> None:
    known = load_rules(Settings().policies)
    rule = next(one for one in known if one.response == "throttle")
    folder = tmp_path / "detection" / "rules"
    folder.mkdir(parents=True)
    changed = {**rule.model_dump(mode="json"), **change}
    (folder / f"{rule.id}.yaml").write_bytes(orjson.dumps(changed))
    with pytest.raises(DetectionRuleError, match=fault):
        load_rules(tmp_path)
    with pytest.raises(DetectionRuleError, match="no rule"):
        load_rules(tmp_path / "elsewhere")


def test_a_journal_is_never_written_to(journal: Path, tmp_path: Path) -> None:
    before = journal.read_bytes()
    followed(database(tmp_path), journal).catch_up(lambda: LONG_AFTER)
    with closing(sqlite3.connect(journal)) as db:
        assert db.execute("SELECT count(*) FROM audit_event WHERE kind = 'alarm'").fetchone() == (
            0,
        )
    assert journal.read_bytes() == before


def test_states_survive_a_restart_in_the_middle_of_a_window(
    journal: Path, tmp_path: Path, undisturbed: tuple[Any, Any, Any]
) -> None:
    engine, more = database(tmp_path), True
    while more:
        _, more = followed(engine, journal, 333).round(LONG_AFTER)
    assert kept(engine) == undisturbed
    with Session(engine) as session:
        assert session.scalars(sa.select(DetectionStateRow.kind)).all()
