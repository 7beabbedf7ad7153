"""Serving processes on one database follow one office; a killed promotion leaves it whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from gateway.db.edition_tables import EditionRow
from gateway.db.engine import open_engine, reading, sqlite_url
from gateway.editions.office import PolicyOffice
from gateway.identity.record import broken_entries
from gateway.settings import Settings
from tests.directory_factory import add_tenant, empty_database
from tests.edition_factory import POLICIES, Press, reworded
from tests.gateway_factory import copy_home, enter_parties, free_port, utc_now

WITHIN = 5.0
ISSUER = "http://localhost:8780"
PROGRAM = Path(sys.executable).with_name("sluice")


@dataclass(frozen=True)
class Replica:
    """One serving process, as anybody sees it."""

    port: int
    process: subprocess.Popen[bytes]

    def document(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/openapi.json", timeout=20).text

    def is_up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200
        except httpx.TransportError:
            return False


def shared_home(home: Path, copy: Path) -> Path:
    """The same directory, keys and releases; a journal of its own."""
    copy.mkdir()
    for name in ("releases", "keys", "sluice.db"):
        (copy / name).symlink_to(home / name)
    return copy


def start(home: Path, stack: ExitStack) -> Replica:
    port = free_port()
    given = {"SLUICE_HOME": str(home), "SLUICE_PORT": str(port), "SLUICE_ISSUER": ISSUER}
    log = stack.enter_context((home / "log").open("wb"))
    process = subprocess.Popen(
        [PROGRAM, "serve", "--no-access-log"], env={**os.environ, **given}, stderr=log
    )
    stack.callback(process.wait, 30)
    stack.callback(process.send_signal, signal.SIGTERM)
    replica = Replica(port, process)
    for _ in range(600):
        assert process.poll() is None, (home / "log").read_text()
        if replica.is_up():
            break
        time.sleep(0.1)
    return replica


@pytest.fixture
def home(released_home: Path, tmp_path: Path) -> Path:
    home = copy_home(released_home, tmp_path / "one")
    enter_parties(Settings(home=home, issuer=ISSUER), utc_now, always=True)
    return home


@pytest.fixture
def press(home: Path) -> Iterator[Press]:
    engine = open_engine(sqlite_url(home / "sluice.db"))
    yield Press(engine, PolicyOffice(home / "keys", POLICIES), utc_now)
    engine.dispose()


def renamed(folder: Path, title: str) -> Path:
    """A copy of the policies in which a service has another title."""
    made = reworded(folder, title)
    service = made / "catalogue" / "S02" / "service.yaml"
    service.write_text(service.read_text("utf-8").replace("费用结构", title), "utf-8")
    return made


def all_say(replicas: tuple[Replica, ...], title: str) -> bool:
    """Whether, at the latest when the promised time is over, every replica serves this title."""
    promised = time.monotonic() + WITHIN
    while time.monotonic() < promised:
        if all(title in each.document() for each in replicas):
            return True
        time.sleep(0.1)
    return False


def test_two_replicas_follow_within_five_seconds_and_a_third_starts_with_it(
    home: Path, press: Press, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        two = (start(home, stack), start(shared_home(home, tmp_path / "two"), stack))
        assert all(
            renewed not in each.document() for each in two for renewed in ("费用甲", "费用乙")
        )
        press.bring_live(renamed(tmp_path / "a", "费用甲"), "T-INS")
        assert all_say(two, "费用甲")
        press.bring_live(renamed(tmp_path / "b", "费用乙"), "T-INS")
        assert all_say(two, "费用乙")
        third = start(shared_home(home, tmp_path / "three"), stack)
        assert "费用乙" in third.document()
        press.roll_back()
        assert all_say((*two, third), "费用甲")


def test_a_promotion_killed_anywhere_leaves_one_live_edition(tmp_path: Path) -> None:
    empty_database(tmp_path)
    engine = open_engine(sqlite_url(tmp_path / "sluice.db"))
    press = Press(engine, PolicyOffice(tmp_path / "keys", POLICIES), utc_now)
    add_tenant(engine)
    press.bring_live(reworded(tmp_path / "one", "one"), "T-INS")
    folder = reworded(tmp_path / "two", "two")
    name = press.bring_canary(folder, "T-INS")
    given = {**os.environ, "SLUICE_HOME": str(tmp_path)}
    chance = random.Random(7)  # noqa: S311 - when to kill, no secret
    ended = set()
    for _ in range(8):
        command = [PROGRAM, "policy", "promote", name, "--actor", "政策官甲"]
        process = subprocess.Popen(
            command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            ended.add(process.wait(chance.uniform(0.8, 2.5)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            ended.add(process.wait())
        with reading(engine) as session:
            states = list(session.scalars(sa.select(EditionRow.state)))
            assert states.count("live") == 1, states
            assert broken_entries(session) == ()
        if press.record(name).state == "live":
            press.roll_back()
            press.bring_canary(folder, "T-INS")
        assert press.record(name).state == "canary"
    engine.dispose()
