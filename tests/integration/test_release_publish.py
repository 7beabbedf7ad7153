"""Publishing: the same input gives the same release, a killed build changes nothing, edits show."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from gateway.cli.release import app
from gateway.errors import OperatorError
from gateway.releases.build import Order, build
from gateway.releases.manifest import Manifest, Waived
from gateway.releases.publish import HELD, point, publish_held
from gateway.releases.shelf import entries, withdraw
from gateway.releases.store import ReleaseStore, current
from gateway.releases.verify import verify
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED, invented

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LINKED = ("S09", "S12")
ORDER = Order(LINKED, waivers=INVENTED, alone=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("publish")
    build_warehouse(folder, persons=200, visits=600, days=85)
    build(Settings(home=folder), ORDER, NOW)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o700)


def _copy(home: Path, to: Path) -> Settings:
    shutil.copytree(home, to, dirs_exist_ok=True)
    return Settings(home=to)


def _s09(made: list[Manifest]) -> Manifest:
    """The service asked for; those it must be protected with are built as well."""
    return next(manifest for manifest in made if manifest.service == "S09")


def _release(settings: Settings) -> Manifest:
    manifest = ReleaseStore(settings.releases).latest("S09")
    assert manifest is not None
    return manifest


def test_the_same_input_gives_the_same_release_byte_for_byte(home: Path, tmp_path: Path) -> None:
    settings = _copy(home, tmp_path)
    shutil.rmtree(settings.releases)
    held = build(settings, replace(ORDER, hold=True), NOW + timedelta(days=3))
    assert current(settings.releases) == {}, "what is held serves nobody"
    assert {entry.state for entry in entries(settings.releases)} == {"ready"}
    assert publish_held(settings.releases) == {each.service: each.release_id for each in held}
    again = _release(settings)
    first = _release(Settings(home=home))
    assert again.release_id == first.release_id
    assert again.files == first.files
    for file in first.files:
        mine = home / "releases" / "S09" / first.release_id / file.name
        assert (
            mine.read_bytes()
            == (settings.releases / "S09" / again.release_id / file.name).read_bytes()
        )


def test_what_lies_ready_is_published_beside_what_it_was_examined_with_and_once(
    home: Path, tmp_path: Path
) -> None:
    settings = _copy(home, tmp_path)
    chosen = current(settings.releases)
    lies_ready = {"releases": chosen, "beside": chosen}
    with pytest.raises(OperatorError) as nothing:
        publish_held(settings.releases)
    (settings.releases / HELD).write_text(json.dumps(lies_ready), encoding="utf-8")
    point(settings.releases, {"S09": chosen["S09"]})  # not what it was examined beside
    with pytest.raises(OperatorError, match="since this build was examined"):
        publish_held(settings.releases)
    point(settings.releases, chosen)
    withdraw(settings.releases, chosen["S12"], "wrong source", NOW)
    with pytest.raises(OperatorError) as changed:
        publish_held(settings.releases)
    assert (nothing.value.code, changed.value.code) == ("release.state", "release.state")
    assert current(settings.releases) == {"S09": chosen["S09"]}
    (settings.releases / "WITHDRAWN.json").unlink()
    lies_ready["beside"] = current(settings.releases)
    (settings.releases / HELD).write_text(json.dumps(lies_ready), encoding="utf-8")
    told = CliRunner().invoke(app, ["publish"], env={"SLUICE_HOME": str(settings.home)})
    assert told.exit_code == 0, told.output
    assert current(settings.releases) == chosen
    again = CliRunner().invoke(app, ["publish"], env={"SLUICE_HOME": str(settings.home)})
    assert again.exit_code == 1, "once"


def test_another_rounding_key_is_refused_and_the_old_one_serves_again(
    home: Path, tmp_path: Path
) -> None:
    settings = _copy(home, tmp_path)
    key, before = settings.keys / "rounding.key", current(settings.releases)
    secret = key.read_bytes()
    key.unlink()
    with pytest.raises(OperatorError, match="two roundings") as refused:
        build(settings, ORDER, NOW)
    assert refused.value.code == "rounding_key_changed"
    assert key.stat().st_mode & 0o777 == 0o600
    assert current(settings.releases) == before
    key.write_bytes(secret)
    assert _s09(build(settings, ORDER, NOW)).release_id == before["S09"]


def test_files_cannot_be_written_and_hold_nothing_internal(home: Path) -> None:
    manifest = _release(Settings(home=home))
    folder = home / "releases" / "S09" / manifest.release_id
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o444
    names = {measure.name for measure in manifest.measures}
    assert "persons" not in names
    assert not list((home / "releases").glob(".building-*"))


_BUILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.releases.build import Order, build
from gateway.settings import Settings
from tests.waivers import invented
order = Order(("S09", "S12"), waivers=invented("another reason"), alone=True)
build(Settings(home=Path(sys.argv[1])), order,
      datetime(2026, 2, 1, tzinfo=UTC), lambda step: print(step.doing, flush=True))
"""


def _killed(home: Path, stage: str) -> None:
    """Start a build and kill it as soon as it reaches the stage."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith(stage))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_killed_build_leaves_the_old_release_served(home: Path, tmp_path: Path) -> None:
    settings = _copy(home, tmp_path)
    before = current(settings.releases)
    for stage in ("count S09", "write S09"):
        _killed(tmp_path, stage)
        assert current(settings.releases) == before
        assert all(report.ok for report in verify(settings.releases))
    again = replace(ORDER, waivers=invented("another reason"))
    fresh = _s09(build(settings, again, NOW))
    assert current(settings.releases)["S09"] == fresh.release_id != before["S09"]
    assert not list(settings.releases.glob(".building-*"))


def _altered(home: Path, to: Path, name: str) -> Path:
    settings = _copy(home, to)
    path = settings.releases / "S09" / _release(settings).release_id / name
    path.chmod(0o600)
    return path


def test_one_changed_byte_is_found(home: Path, tmp_path: Path) -> None:
    name = next(f.name for f in _release(Settings(home=home)).files if "cells" in f.name)
    path = _altered(home, tmp_path, name)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    report = next(r for r in verify(tmp_path / "releases") if r.release_id.startswith("S09"))
    assert report.faults == (f"{name}: altered since it was published",)


def test_a_changed_manifest_is_found(home: Path, tmp_path: Path) -> None:
    path = _altered(home, tmp_path, "manifest.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["waiver"] = None
    path.write_text(json.dumps(content), encoding="utf-8")
    report = next(r for r in verify(tmp_path / "releases") if r.release_id.startswith("S09"))
    assert report.faults == ("the manifest is not the one this release id stands for",)


def test_a_withdrawn_release_is_not_served(home: Path, tmp_path: Path) -> None:
    settings = _copy(home, tmp_path)
    release_id = _release(settings).release_id
    withdraw(settings.releases, release_id, "wrong source", NOW)
    store = ReleaseStore(settings.releases)
    assert store.latest("S09") is None
    assert store.find(release_id) is None
    states = {entry.manifest.service: entry.state for entry in entries(settings.releases)}
    assert [service for service, state in states.items() if state == "withdrawn"] == ["S09"]


def test_poor_quality_stops_a_release_unless_two_people_signed_for_it(
    home: Path, tmp_path: Path
) -> None:
    settings = _copy(home, tmp_path)
    unsigned = tuple(replace(one, state="proposed", signed_by=None) for one in INVENTED)
    over = tuple(replace(one, until=NOW.date() - timedelta(days=1)) for one in INVENTED)
    for waivers in ((), unsigned, over):
        with pytest.raises(OperatorError, match="Data quality stops this release"):
            build(settings, replace(ORDER, waivers=waivers), NOW)
    (told,) = _release(settings).waiver or ()
    assert isinstance(told, Waived)
    assert (told.reason, len(told.signed_by)) == ("invented records", 2)


def test_contributions_are_of_published_cells_and_pool_small_providers(home: Path) -> None:
    manifest = _release(Settings(home=home))
    folder = home / "releases" / "S09" / manifest.release_id
    rows = pq.read_table(folder / "contributions.parquet").to_pylist()
    assert rows
    shares: dict[tuple[int, int], float] = {}
    for row in rows:
        shares[row["block"], row["cell"]] = (
            shares.get((row["block"], row["cell"]), 0) + row["share"]
        )
        if not row["provider"].startswith("others("):
            assert row["persons"] >= 11
    assert all(abs(total - 1) < 1e-6 for total in shares.values())


def test_the_command_line_lists_and_verifies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(home))
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    states = {one["service"]: one["state"] for one in listed}
    assert set(states.values()) == {"in force"}
    assert set(LINKED) == states.keys() == current(home / "releases").keys()
    assert runner.invoke(app, ["verify"]).exit_code == 0
    assert runner.invoke(app, ["verify", "S09-0000000000000000"]).exit_code == 1
