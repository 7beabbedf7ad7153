"""`sluice release loss`: what each way of protecting the same cells keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.release import app
from gateway.releases.shelf import entries
from tests.gateway_factory import copy_home


def test_both_ways_keep_no_more_than_what_is_fit_and_nothing_is_published(
    released_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy_home(released_home, tmp_path / "home")
    (home / "warehouse").symlink_to(released_home / "warehouse")
    monkeypatch.setenv("SLUICE_HOME", str(home))
    before = [entry.manifest.release_id for entry in entries(home / "releases")]
    done = CliRunner().invoke(app, ["loss", "S03", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {one["service"] for one in found} == {"S03"}
    for one in found:
        for measure in (0, 1):
            assert 0 < one["naive"][measure] <= one["fit"][measure]
            assert 0 < one["kept"][measure] <= one["fit"][measure]
    assert [entry.manifest.release_id for entry in entries(home / "releases")] == before


def test_a_service_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["loss", "S99"])
    assert (done.exit_code, "service_unknown" in done.output) == (1, True)
