"""The ε ledger: never overspent, spent once, whatever is killed or at once; tampering shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from gateway.db.engine import open_engine, sqlite_url
from gateway.db.upgrade import upgrade
from gateway.privacy.ledger import Ledger, PrivacyBudgetExceeded, Purpose, purpose_digest

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAST = datetime(2026, 12, 31, 16, 30, tzinfo=UTC)  # 2027 already, where the bureau is
HALF, FOUR = Fraction(1, 2), Fraction(4)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ledger") / "sluice.db"
    upgrade(sqlite_url(path))
    return path.read_bytes()


@pytest.fixture
def database(empty: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "sluice.db"
    path.write_bytes(empty)
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[sa.Engine]:
    engine = open_engine(sqlite_url(database))
    yield engine
    engine.dispose()


def purpose(
    name: object,
    *geos: str,
    epsilon: Fraction = HALF,
    budget: Fraction = FOUR,
) -> Purpose:
    return Purpose(purpose_digest(name), f"table {name}", geos or ("990100",), epsilon, budget)


def test_a_purpose_is_spent_for_once_and_drawn_once(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    assert ledger.drawn(purpose("a"), NOW, lambda: "first") == "first"
    assert ledger.drawn(purpose("a"), NOW, lambda: pytest.fail("drawn again")) == "first"
    assert [(e.act, e.geo, e.epsilon) for e in ledger.entries()] == [
        ("spent", "990100", "1/2"),
        ("drawn", "", "0"),
    ]
    assert ledger.faults() == []


def test_sums_are_exact_and_a_year_begins_where_the_bureau_is(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    tenth = Fraction("0.1")
    for number in range(10):  # ten times 0.1 is 1, not 0.9999999999999999
        ledger.spend(purpose(number, epsilon=tenth, budget=Fraction(1)), NOW)
    with pytest.raises(PrivacyBudgetExceeded) as refused:
        ledger.spend(purpose("more", epsilon=Fraction(1, 10**9), budget=Fraction(1)), NOW)
    assert (refused.value.code, refused.value.status) == ("privacy_budget", 429)
    ledger.spend(purpose("next year", epsilon=tenth, budget=Fraction(1)), LAST)
    assert ledger.spent(2026, ["990100"]) == 1
    assert ledger.spent(2027, ["990100"]) == tenth


def test_all_geographies_are_charged_or_none(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    for number in range(8):
        ledger.spend(purpose(number, "990200"), NOW)
    before = len(ledger.entries())
    with pytest.raises(PrivacyBudgetExceeded, match="990200"):
        ledger.drawn(
            purpose("both", "990100", "990200"), NOW, lambda: pytest.fail("drawn all the same")
        )
    assert len(ledger.entries()) == before
    ledger.spend(purpose("other", "990100"), NOW)
    assert ledger.spent(2026, ["990100", "990200"]) == FOUR


def test_many_at_once_do_not_overspend(engine: sa.Engine) -> None:
    ledger = Ledger(engine)

    def attempt(number: int) -> bool:
        try:
            ledger.drawn(purpose(number), NOW, lambda: str(number))
        except PrivacyBudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(attempt, range(24)))
    assert sum(done) == 8
    assert ledger.spent(2026, ["990100"]) == FOUR
    assert ledger.faults() == []


def test_two_that_draw_the_same_are_given_the_same(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda n: ledger.drawn(purpose("same"), NOW, lambda: str(n)), range(16))
        )
    assert len({*found}) == 1
    assert ledger.spent(2026, ["990100"]) == HALF


_KILLED = """
import os, signal, sys
from tests.integration.test_privacy_ledger import NOW, purpose
from gateway.db.engine import open_engine, sqlite_url
from gateway.privacy.ledger import Ledger
from pathlib import Path
ledger = Ledger(open_engine(sqlite_url(Path(sys.argv[1]))))
def draw():
    os.kill(os.getpid(), signal.SIGKILL)
ledger.drawn(purpose("killed"), NOW, draw)
"""


def test_killed_between_spending_and_drawing_it_is_neither_spent_twice_nor_lost(
    database: Path, engine: sa.Engine
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(database)],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == -signal.SIGKILL
    ledger = Ledger(engine)
    assert ledger.spent(2026, ["990100"]) == HALF  # what was spent stays spent
    assert ledger.drawn(purpose("killed"), NOW, lambda: "now") == "now"
    assert ledger.spent(2026, ["990100"]) == HALF
    assert ledger.keep(purpose("killed"), NOW, "another") == "now"


def test_lines_cannot_be_changed_and_a_change_behind_the_database_shows(
    database: Path, engine: sa.Engine
) -> None:
    ledger = Ledger(engine)
    for number in range(3):
        ledger.drawn(purpose(number), NOW, lambda: "x")
    for forbidden in ("UPDATE privacy_entry SET epsilon = '0'", "DELETE FROM privacy_draw"):
        with pytest.raises(exc.IntegrityError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(forbidden))
    for trigger in ("privacy_entry_no_update", "privacy_entry_no_delete", "privacy_draw_no_update"):
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP TRIGGER {trigger}"))
    for change, fault in {
        "UPDATE privacy_entry SET epsilon = '1/4' WHERE seq = 3": "line 3 was altered",
        "UPDATE privacy_draw SET drawn = 'y'": "is not the one that was kept",
        "DELETE FROM privacy_entry WHERE seq = 6": "lines 6 to 6 are missing",
    }.items():
        with engine.begin() as connection:
            connection.execute(sa.text(change))
        assert any(fault in one for one in ledger.faults()), (change, ledger.faults())


def test_a_draw_without_spending_is_not_kept(engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="spent for"):
        Ledger(engine).keep(purpose("free"), NOW, "x")
