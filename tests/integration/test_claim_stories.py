"""The claim stories, each answered as its script says, and what follows from them: nothing names
a person, every refusal costs the same work, a revocation holds at once, the month can be closed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.billing.closing import close
from gateway.billing.months import truth_of
from gateway.billing.opening import open_billing
from gateway.claims import desk as claim_desk
from gateway.claims import refunds
from gateway.claims.telling import Said
from tests.claim_stories import Stage, read_stories
from tests.claim_world import PEOPLE, STRANGER, ClaimWorld, claim_world, load, warehouse_rows
from tests.leak_watch import watching

_TABLES = ("consent", "claim_", "person", "setl_d", "mdtrt_d", "fee_list_d", "setl_diag_list_d")
_KEEPERS = ("consent pushes", "consent sweep")
"""Threads that do their rounds by the clock, whoever asks what meanwhile."""
_REVOKE = """
import sys
from datetime import datetime
from pathlib import Path
from gateway.consent import changes
from gateway.consent.changes import Deed
from gateway.consent.record import Actor
from gateway.db.engine import open_engine, sqlite_url, writing
engine = open_engine(sqlite_url(Path(sys.argv[1])))
deed = Deed(Actor("bureau", "o-1"), datetime.fromisoformat(sys.argv[3]), "test")
with writing(engine) as session:
    changes.revoke(session, sys.argv[2], deed)
"""


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaimWorld]:
    folder = tmp_path_factory.mktemp("stories")
    with pytest.MonkeyPatch.context() as patched:
        # The stories look for refunds when they say so; by the clock it would fall into a count.
        patched.setattr(refunds, "LOOK_SECONDS", 1e6)
        with claim_world(released_home, folder) as found:
            yield found


def test_the_stories_end_as_they_are_told(world: ClaimWorld) -> None:
    stories = read_stories()
    assert len(stories) >= 200
    with watching() as watch:
        assert Stage(world, stories).play() == {}
    assert watch.found == {}
    assert watch.seen_bytes > 200_000  # it did look


def test_a_planted_leak_is_seen(world: ClaimWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world.gateway, world.folder / "leak", warehouse_rows())
    consent, told = world.consent(), claim_desk.verification

    def leaking(ask: Any, *given: Any, **named: Any) -> Said:
        said = told(ask, *given, **named)
        return Said({**said.data, "of": ask.certno.get_secret_value()}, said.settlements)

    monkeypatch.setattr(claim_desk, "verification", leaking)
    with watching() as watch:
        world.data(consent)
    assert watch.found == {"/v1/services/S19/verify": {PEOPLE["adult"][0]}}


@contextmanager
def work_counted(world: ClaimWorld) -> Iterator[Counter[str]]:
    """Statements about persons and consents, decisions and journal entries of the block."""
    done: Counter[str] = Counter()

    def count(_: object, __: object, statement: str, *more: object) -> None:
        beside = threading.current_thread().name in _KEEPERS
        if not beside and any(table in statement for table in _TABLES):
            done[statement] += 1

    journal = world.gateway.app.state.claims.desk.journal
    record = type(journal).record

    async def recording(self: Any, *given: Any, **named: Any) -> Any:
        done["journal entry"] += 1
        return await record(self, *given, **named)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(journal), "record", recording)
        try:
            yield done
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", count)


def refusals(world: ClaimWorld) -> dict[str, Any]:
    """Questions refused for as many reasons as there are about a consent."""
    live, other, revoked = world.consent(), world.consent("patient"), world.consent()
    world.change(revoked, "revoke")
    return {
        "unknown person": world.body("c-unknown", STRANGER),
        "unknown person, live consent": world.body(live, STRANGER),
        "no consent": world.body("c-unknown", "adult"),
        "somebody else's consent": world.body(other, "adult"),
        "revoked": world.body(revoked),
        "awaits its person": world.body(world.ask_consent().id),
        "another claim": world.body(live, claim_ref="CLM-2"),
        "dead": world.body(world.consent("dead"), "dead"),
        "a child's own word": world.body(world.consent("child"), "child"),
    }


def test_every_refusal_costs_the_same_work(world: ClaimWorld) -> None:
    load(world.gateway, world.folder / "work", warehouse_rows())
    world.verify(world.body("c-unknown", "adult"))  # signs the client in, which is on record too
    work = {}
    for story, body in refusals(world).items():
        with work_counted(world) as done:
            reply = world.verify(body)
        assert reply.status_code == 403, story
        work[story] = (done, len(reply.content), sorted(reply.headers))
    assert work["revoked"][0]["journal entry"] == 1
    for story, one in work.items():
        assert one == work["no consent"], story


def test_what_another_process_revokes_ends_a_job_that_runs(world: ClaimWorld) -> None:
    load(world.gateway, world.folder / "job", warehouse_rows())
    with world.consents.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM claim_miss")
    consent, over, statuses = world.consent(), threading.Event(), list[tuple[bool, int]]()

    def job() -> None:
        while len(statuses) < 2000 and not (statuses and statuses[-1][0]):
            late = over.is_set()  # began after the other process was done
            reply = world.verify(world.body(consent), key="a-running-job")
            statuses.append((late, reply.status_code))

    running = threading.Thread(target=job)
    running.start()
    database = world.gateway.settings.database
    told = [
        sys.executable,
        "-c",
        _REVOKE,
        str(database),
        consent,
        world.gateway.clock().isoformat(),
    ]
    subprocess.run(told, check=True, timeout=60)
    over.set()
    running.join(60)
    assert statuses[0] == (False, 200)
    assert statuses[-1] == (True, 403)


def test_a_month_of_answers_about_persons_is_closed(world: ClaimWorld) -> None:
    settings = world.gateway.settings
    office = open_billing(settings, world.consents.engine)
    closed = close(office, "2025-06", datetime(2025, 7, 30, tzinfo=UTC), "o-1")
    assert closed.fees_fen > 0
    split = truth_of(office, "2025-06", office.events.heads()).splits["S19"]
    assert set(split.providers) == {office.terms.bureau}  # who answered gets all of it
