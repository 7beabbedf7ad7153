"""A rolling upgrade with a migration, under load: the program before the newest migration and this
one, side by side on the newer schema, and back again.

The program before is taken from the project's own history.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.db.upgrade import newest
from tests.fault_load import STOPPED, Told, answers_again, compared, load, one
from tests.fault_table import Row, write_row
from tests.gateway_factory import copy_policies
from tests.two_replicas import World, opened, two_replicas

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
CALM = 3.0


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no history to take the program before from: {done.stderr}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project as it was before the newest migration."""
    (file,) = (ROOT / "gateway" / "migrations" / "versions").glob(f"{newest()}_*.py")
    added = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(file))
    tree = tmp_path_factory.mktemp("before") / "tree"
    _git("worktree", "add", "--detach", str(tree), f"{added}^" if added else "HEAD")
    yield tree
    _git("worktree", "remove", "--force", str(tree))


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with two_replicas(released_home, tmp_path_factory.mktemp("upgrade")) as built:
        yield built


def test_nobody_waits_for_an_upgrade_and_the_way_back_keeps_all_records(
    world: World, before: Path, tmp_path: Path
) -> None:
    owner = tmp_path / "owner.dsn"
    owner.write_text(world.site.postgres.dsn(world.database))
    owner.chmod(0o600)
    steps = before / "gateway" / "migrations" / "versions"
    earlier = max(path.name for path in steps.glob("[0-9]*.py"))[:4]
    assert earlier < newest()
    newer = [replica.serve.env for replica in world.replicas]
    old = copy_policies(tmp_path / "policies", source=before / "policies")
    older = {"PYTHONPATH": str(before), "SLUICE_POLICIES": str(old)}

    def database(*words: str) -> None:
        done = world.run(*words, "--owner-dsn-file", str(owner), env=newer[0])
        assert done.returncode == 0, done.stderr

    database("database", "downgrade", earlier)
    for replica, env in zip(world.replicas, newer, strict=True):
        replica.serve.env = {**env, **older}
    opened(world)
    assert world.run("stop", "raise", "tenant", STOPPED, "--reason", "drill").returncode == 0
    time.sleep(5)  # until every replica follows the stop
    with load(world, balanced=True) as told:
        time.sleep(CALM)  # the program before on its own schema
        database("database", "upgrade")
        database("journal", "init")
        time.sleep(CALM)  # the program before on the newer schema
        for replica, env in reversed(list(zip(world.replicas, newer, strict=True))):
            replica.end(signal.SIGTERM)
            replica.serve.env = env
            replica.start()
            time.sleep(CALM)  # side by side, then both new
        recovered = answers_again(world)
    found = compared(world, told)
    write_row(
        Row("both replicas", f"rolling upgrade {earlier} to {newest()}", recovered), told, found
    )
    assert found.answered > 0
    assert found.whole, found
    assert max(each.tries for each in told) <= len(world.replicas)  # the other one answered

    records = world.events()
    for replica in world.replicas:
        replica.end(signal.SIGTERM)
    database("database", "downgrade", earlier)
    for replica, env in zip(world.replicas, newer, strict=True):
        replica.serve.env = {**env, **older}
        replica.start()
        assert one(replica, Told(), os.urandom(8).hex())
    assert set(records) < set(world.events())
    assert world.run("audit", "verify", env={**newer[0], **older}).returncode == 0
