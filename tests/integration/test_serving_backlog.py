"""`sluice serve` after a long outage of its central store: a million events wait in the spool, and
it answers before they are shipped. What that costs is told in CPU, beside a start without them.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading
from gateway.settings import Settings
from tests.crash_harness import PATIENCE
from tests.gateway_factory import copy_home, copy_policies, free_port
from tests.integration.test_crash_recovery import filled
from tests.integration.test_serving_kill import Insurer, given, insurer_of
from tests.journal_store import Store, store_on
from tests.postgres_server import PostgresServer

WAITING = 1_000_000
_SHIPPED = "SELECT coalesce(max(seq), 0) FROM checkpoint WHERE journal_id = $1"


@dataclass(frozen=True)
class First:
    """What a server had needed, and its store had heard, at its first answer."""

    cpu: float
    seconds: float
    shipped: int


@dataclass(frozen=True)
class Site:
    """A home before a store of its own."""

    settings: Settings
    both: Store
    insurer: Insurer

    @property
    def shipped(self) -> int:
        with closing(connect_reading(self.settings.journal)) as db:
            return int(self.both.ask(_SHIPPED, identity(db)[0])[0][0])

    @contextmanager
    def serving(self) -> Iterator[First]:
        """The gateway as a process, until it has answered once and longer."""
        home = self.settings.home
        dsn, log = home / "dsn", home / "log"
        dsn.write_text(self.both.dsn)
        command = [sys.executable, "-c", "from gateway.cli import main; main()"]
        more = {**os.environ, **given(self.settings), "SLUICE_POSTGRES_DSN_FILE": str(dsn)}
        began = time.monotonic()
        with log.open("ab") as out:
            child = subprocess.Popen(
                [*command, "serve", "--no-access-log"], env=more, stdout=out, stderr=out
            )
        try:
            self._first_answer(child, log)
            yield First(_cpu(child.pid), time.monotonic() - began, self.shipped)
        finally:
            child.kill()
            child.wait()

    def _first_answer(self, child: subprocess.Popen[bytes], log: Path) -> None:
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            assert child.poll() is None, log.read_text()
            port = self.settings.port
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
                try:
                    self.insurer.ask(line, "first")
                except ConnectionError:
                    time.sleep(0.02)
                else:
                    return
        raise AssertionError(log.read_text())


def _cpu(pid: int) -> float:
    """Seconds a process has worked, for itself and in the kernel."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def site_of(released: Path, folder: Path, both: Store) -> Site:
    """Nothing has been asked of it yet."""
    home = copy_home(released, folder / "home")
    policies = copy_policies(folder / "policies", lookback_months=1200)
    settings = Settings(home=home, policies=policies, port=free_port(), token_ttl_seconds=900)
    return Site(settings, both, insurer_of(settings))


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(3600)
def test_a_million_events_that_wait_do_not_keep_the_gateway_from_answering(
    released_home: Path,
    tmp_path: Path,
    postgres: PostgresServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        store_on(postgres) as both,
        site_of(released_home, tmp_path / "idle", both).serving() as idle,
    ):
        pass
    with store_on(postgres) as both:
        site = site_of(released_home, tmp_path / "laden", both)
        filled(site.settings.home, WAITING, 50_000)
        with site.serving() as laden:
            while site.shipped < WAITING:
                time.sleep(0.2)
        used = both.ask("SELECT count(*), count(DISTINCT request_id) FROM usage_event")
        assert used == [(WAITING + 1, WAITING + 1)]
        assert not both.count("quarantine")
    with capsys.disabled():
        sys.stdout.write(
            f"\nfirst answer, nothing to ship: {idle.cpu:.2f} CPU-s ({idle.seconds:.2f} s);"
            f" {WAITING:,} events: {laden.cpu:.2f} CPU-s ({laden.seconds:.2f} s),"
            f" {laden.shipped} of them shipped by then\n"
        )
    assert laden.shipped < WAITING, "it answered before everything was shipped"
    assert laden.cpu < idle.cpu + 5  # reading or shipping them all is far more
