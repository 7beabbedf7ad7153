"""Rounds: repeated work on a thread, which no failing round ends."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.rounds import Rounds
from gateway.errors import Unavailable

PATIENCE = 10.0


@contextmanager
def running(work: Callable[[], object]) -> Iterator[Rounds]:
    rounds = Rounds("test rounds", 0.001, work)
    rounds.start()
    try:
        yield rounds
    finally:
        rounds.stop()


class Counted:
    """Work that counts its rounds and fails in the first of them."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.rounds, self._failure = 0, failure
        self.third = threading.Event()

    def __call__(self) -> None:
        self.rounds += 1
        if self.rounds == 3:
            self.third.set()
        if self.rounds == 1 and self._failure is not None:
            raise self._failure


def test_work_is_repeated_until_it_is_stopped() -> None:
    work = Counted()
    with running(work):
        assert work.third.wait(PATIENCE)
    done = work.rounds
    assert not threading.Event().wait(0.02)
    assert work.rounds == done


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (SQLAlchemyError("row of a person"), logging.WARNING),
        (Unavailable("identity_unavailable", "row of a person"), logging.WARNING),
        (KeyError("row of a person"), logging.ERROR),
    ],
)
def test_a_round_that_fails_is_logged_by_its_kind_and_the_next_one_comes(
    failure: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    work = Counted(failure)
    with running(work):
        assert work.third.wait(PATIENCE)
    (record,) = caplog.records
    assert record.levelno == level
    assert "test rounds" in record.getMessage()
    assert "row of a person" not in caplog.text


def test_stopping_waits_for_the_round_that_is_under_way() -> None:
    entered, finished = threading.Event(), threading.Event()
    rounds = Rounds("test rounds", 0.001, lambda: _linger(entered, finished, rounds))
    rounds.start()
    assert entered.wait(PATIENCE)
    rounds.stop()
    assert finished.is_set()
    assert not rounds.running


def _linger(entered: threading.Event, finished: threading.Event, rounds: Rounds) -> None:
    """A long round that breaks off when it hears that it should."""
    entered.set()
    while not rounds.ending:
        threading.Event().wait(0.001)
    finished.set()


def test_started_twice_it_runs_on_one_thread() -> None:
    threads: list[int] = []
    with running(lambda: threads.append(threading.get_ident())) as rounds:
        rounds.start()
        while len(threads) < 20:
            threading.Event().wait(0.001)
    assert len(set(threads)) == 1


def test_stopped_it_can_be_started_again() -> None:
    work = Counted()
    with running(work) as rounds:
        assert work.third.wait(PATIENCE)
        rounds.stop()
        work.rounds = 0
        work.third.clear()
        rounds.start()
        assert rounds.running
        assert work.third.wait(PATIENCE)


def test_stopping_what_was_never_started_does_nothing() -> None:
    rounds = Rounds("test rounds", 0.001, Counted())
    rounds.stop()
    assert not rounds.running
