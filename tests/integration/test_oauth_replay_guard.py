"""The replay guard under a crowd: one use wins, answers are on disk, failures accept nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from gateway.db.engine import open_engine, reading, sqlite_url, write_connection
from gateway.db.tables import AssertionJtiRow
from gateway.db.upgrade import upgrade
from gateway.errors import Unavailable
from gateway.identity.assertion import Assertion, read_assertion
from gateway.identity.jose import encode_json
from gateway.identity.replay import (
    Insert,
    ReplayGuard,
    insert_by_driver,
    insert_by_statement,
)
from tests.factories_identity import NOON

ISSUER = "https://gateway.example"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    url = sqlite_url(tmp_path / "sluice.db")
    upgrade(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


def assertion(client: str = "c", jti: str = "j", now: datetime = NOON) -> Assertion:
    at = int(now.timestamp())
    claims = {"iss": client, "sub": client, "aud": ISSUER, "jti": jti, "iat": at, "exp": at + 60}
    return read_assertion(f"{encode_json({'alg': 'ES256'})}.{encode_json(claims)}.AA", ISSUER, now)


def kept(engine: sa.Engine) -> int:
    with reading(engine) as session:
        return session.scalars(sa.select(sa.func.count()).select_from(AssertionJtiRow)).one()


def test_in_a_crowd_every_assertion_is_accepted_exactly_once(engine: sa.Engine) -> None:
    guard = ReplayGuard(engine)
    crowd = [assertion(jti=f"j{number}") for number in range(40)] * 5

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda each: guard.first_use(each, NOON), crowd))

    won: dict[str, int] = {}
    for each, answer in zip(crowd, answers, strict=True):
        won[each.jti] = won.get(each.jti, 0) + answer
    assert set(won.values()) == {1}
    assert kept(engine) == 40


def test_two_processes_guards_share_one_memory(engine: sa.Engine) -> None:
    first, second = ReplayGuard(engine), ReplayGuard(engine)

    assert first.first_use(assertion(), NOON)
    assert not second.first_use(assertion(), NOON)


def test_names_that_join_to_one_text_are_still_two_assertions(engine: sa.Engine) -> None:
    guard = ReplayGuard(engine)

    assert guard.first_use(assertion("ab", "c"), NOON)
    assert guard.first_use(assertion("a", "bc"), NOON)


def test_an_accepted_use_outlives_a_killed_process(tmp_path: Path, engine: sa.Engine) -> None:
    """The process dies without any goodbye in the instant after the answer."""
    program = (
        "import os, signal\n"
        "from tests.integration.test_oauth_replay_guard import *\n"
        f"guard = ReplayGuard(open_engine({sqlite_url(tmp_path / 'sluice.db')!r}))\n"
        "assert guard.first_use(assertion(), NOON)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    assert died.returncode == -9
    assert not ReplayGuard(engine).first_use(assertion(), NOON)


def test_when_the_disk_refuses_nobody_is_let_in(engine: sa.Engine) -> None:
    guard = ReplayGuard(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE assertion_jti")

    def attempt(number: int) -> str:
        try:
            guard.first_use(assertion(jti=str(number)), NOON)
        except (OperationalError, Unavailable) as error:
            return type(error).__name__
        return "let in"

    with ThreadPoolExecutor(8) as pool:
        outcomes = set(pool.map(attempt, range(24)))
    assert outcomes <= {"OperationalError", "Unavailable"}


def test_expired_uses_are_swept_and_live_ones_are_not(engine: sa.Engine) -> None:
    guard = ReplayGuard(engine)
    later, last = NOON + timedelta(seconds=65), NOON + timedelta(seconds=72)
    guard.first_use(assertion(jti="old"), NOON)
    guard.first_use(assertion(jti="live", now=later), later)  # "old" has 5 s of leeway left
    assert kept(engine) == 2

    ReplayGuard(engine).first_use(assertion(jti="new", now=last), last)

    assert kept(engine) == 2


@pytest.mark.parametrize("insert", [insert_by_driver, insert_by_statement])
def test_both_ways_to_write_uses_down_are_one(engine: sa.Engine, insert: Insert) -> None:
    with write_connection(engine) as connection:
        insert_by_statement(connection, {"before": NOON})
        won = insert(connection, {"before": NOON, "new": NOON, "newer": NOON + timedelta(hours=9)})
        again = insert(connection, {"new": NOON})
    with reading(engine) as session:
        rows = session.execute(sa.select(AssertionJtiRow.digest, AssertionJtiRow.expires_at))
        stored = {row.digest: row.expires_at for row in rows}

    assert (won, again) == ({"new", "newer"}, set())
    assert stored == {"before": NOON, "new": NOON, "newer": NOON + timedelta(hours=9)}


def test_both_ways_store_an_instant_as_one_text(engine: sa.Engine) -> None:
    """The sweep compares texts."""
    odd = NOON.astimezone(timezone(timedelta(hours=8))) + timedelta(microseconds=7)
    with write_connection(engine) as connection:
        insert_by_driver(connection, {"one": odd})
        insert_by_statement(connection, {"other": odd})
        texts = connection.exec_driver_sql("SELECT DISTINCT expires_at FROM assertion_jti").all()

    assert len(texts) == 1


def test_a_use_is_undone_with_the_transaction_it_joined(engine: sa.Engine) -> None:
    guard = ReplayGuard(engine)
    with engine.connect() as connection, connection.begin() as transaction:
        assert guard.first_use_in(connection, assertion())
        transaction.rollback()

    assert guard.first_use(assertion(), NOON)
