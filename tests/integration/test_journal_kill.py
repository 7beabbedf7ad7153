"""kill -9 and power cuts at random instants: no acknowledged answer is lost, none is doubled.

The builds with a planted mistake show that these tests would notice one.
"""

from collections import Counter
from contextlib import closing

import pytest

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from tests import power
from tests.crash_harness import Target, crash, free_port, post
from tests.nursery import nursery


@pytest.fixture(scope="module")
def launch():
    with nursery("tests.journal_server") as running:
        yield running.start


def target(launch, home, sabotage="none", cut_power=False):
    port, trace = free_port(), home / "trace"
    command = ["tests.journal_server", str(home), str(port)]
    command += ["--sabotage", sabotage] + (["--trace", str(trace)] if cut_power else [])

    def stored():
        with closing(connect_reading(home / "journal.db")) as db:
            counted = Counter(row[0] for row in db.execute("SELECT request_id FROM usage_event"))
            audited = {row[0] for row in db.execute("SELECT request_id FROM audit_event")}
        return Counter({r: n for r, n in counted.items() if r in audited})

    def after_kill(chance):
        if trace.exists():
            power.cut(home, trace, chance)

    return Target(command, port, post, stored, home / "server.log", after_kill, launch=launch)


def assert_kept(report, home, kills):
    assert report.kept_its_word, (report.lost, report.doubled, report.broken)
    assert report.kills == kills
    assert report.killed_while_starting > 0
    assert len(report.acknowledged) > kills // 4
    assert not verify(home / "journal.db", public_key(home / "keys" / PUBLIC_KEY)).findings
    assert not reconcile(home / "journal.db").differences


def test_sixty_kills_lose_and_double_nothing(launch, tmp_path):
    assert_kept(crash(target(launch, tmp_path), kills=60, seed=1), tmp_path, 60)


def test_twenty_power_cuts_lose_and_double_nothing(launch, tmp_path):
    assert_kept(crash(target(launch, tmp_path, cut_power=True), kills=20, seed=2), tmp_path, 20)


@pytest.mark.parametrize(
    ("sabotage", "cut_power", "seen_by"),
    [
        ("ack-before-commit", False, "lost"),
        ("no-unique-key", False, "doubled"),
        ("ack-before-commit", True, "lost"),
        ("synchronous-normal", True, "lost"),
        ("shared-sectors", True, "lost"),
    ],
)
def test_a_planted_mistake_is_caught_within_thirty_kills(
    launch, tmp_path, sabotage, cut_power, seen_by
):
    report = crash(
        target(launch, tmp_path, sabotage, cut_power), kills=30, seed=3, stop_when_caught=True
    )
    assert getattr(report, seen_by)
    assert not report.broken


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_and_power_cuts_lose_and_double_nothing(launch, tmp_path):
    for name, cut_power in (("kill", False), ("power", True)):
        (tmp_path / name).mkdir()
        assert_kept(
            crash(target(launch, tmp_path / name, cut_power=cut_power), 200, 5),
            tmp_path / name,
            200,
        )
