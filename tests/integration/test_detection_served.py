"""Detection in a running gateway: an alarm acts on the next calls within seconds, and is lifted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import sleep
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from gateway.db.detection_tables import AlarmRow
from gateway.db.engine import reading, writing
from gateway.detection.book import lift_alarm, read_alarms
from gateway.detection.canaries import add_canary
from gateway.detection.keeper import Keeper
from gateway.identity.record import Act
from tests.gateway_factory import COST, Gateway, copy_home, copy_policies, serving

CANARY = "990102"


@pytest.fixture(scope="module")
def watched(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("watched")
    policies = copy_policies(folder / "policies")
    with serving(copy_home(released_home, folder / "home"), policies, detection="act") as running:
        with writing(running.app.state.identity.engine) as session:
            add_canary(session, act(running, "anna"), "code", CANARY)
        yield running


def act(gateway: Gateway, who: str) -> Act:
    return Act(who, gateway.clock(), "drill")


def until(found: Callable[[], Any]) -> Any:
    """What is found, once it is there; the suite's own time limit ends a wait in vain."""
    while not (answer := found()):
        sleep(0.05)
    return answer


def alarm_events(gateway: Gateway) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        rows = db.execute("SELECT body FROM audit_event WHERE kind = 'alarm'").fetchall()
    return [orjson.loads(body) for (body,) in rows]


def test_a_canary_suspends_the_grant_until_two_people_lift_the_alarm(watched: Gateway) -> None:
    assert watched.ask().status_code == 200
    watched.ask(body={**COST, "geo": [CANARY]})
    refused = until(lambda: (reply := watched.ask()).status_code == 403 and reply)
    assert "D201" in refused.text
    assert watched.ask(client="ins2-app").status_code == 200  # another organisation

    (event,) = until(lambda: alarm_events(watched))
    assert event["reason"] == "canary_hit"
    assert event["tenant"] == "T-INS"
    assert event["alarm"]["effects"] == ["grant:G-T-INS"]
    with closing(sqlite3.connect(watched.settings.journal)) as db:
        rows = db.execute("SELECT json_extract(body, '$.event_id') FROM audit_event")
        evidence = {event_id for (event_id,) in rows}
    assert set(event["alarm"]["evidence"]) <= evidence

    engine = watched.app.state.identity.engine
    with writing(engine) as session:
        (alarm,) = read_alarms(session)
        assert lift_alarm(session, act(watched, "anna"), alarm.id).state == "lifting"
    assert watched.ask().status_code == 403
    with writing(engine) as session:
        assert lift_alarm(session, act(watched, "bert"), alarm.id).state == "lifted"
    until(lambda: watched.ask().status_code == 200)


def test_an_alarm_is_recorded_once_though_the_mark_was_lost(watched: Gateway) -> None:
    keeper: Keeper = watched.app.state.detection
    watched.ask(client="pha-app", body={**COST, "geo": [CANARY]})
    until(lambda: len(alarm_events(watched)) == 2)
    with writing(keeper.engine) as session:
        session.execute(sa.update(AlarmRow).values(recorded=False))
    with reading(keeper.engine) as session:
        assert len(read_alarms(session, everything=True)) == 2
    asyncio.run(_round_without_reading(keeper))
    assert len(alarm_events(watched)) == 2
    with reading(keeper.engine) as session:
        assert not session.scalars(sa.select(AlarmRow.id).where(AlarmRow.recorded.is_(False))).all()


async def _round_without_reading(keeper: Keeper) -> None:
    for alarm in keeper._unrecorded():
        await keeper._record(alarm)
