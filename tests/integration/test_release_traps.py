"""Mistakes a catalogue author can make, and the builder must stop."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.releases.build import Order, build
from gateway.releases.manifest import ReleaseError
from gateway.releases.publish import workplace
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

POLICIES = Settings().policies
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traps")
    build_warehouse(folder, persons=200, visits=500, days=85)
    return folder


def _mutated(tmp_path: Path, fact: str, old: str, new: str) -> Path:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    path = policies / "catalogue" / fact
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{fact} no longer holds {old!r} once"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return policies


def test_settlements_joined_to_their_lines_before_adding_up_are_refused(
    home: Path, tmp_path: Path
) -> None:
    policies = _mutated(
        tmp_path,
        "S02/settlement.sql",
        "FROM settlement_counted",
        "FROM settlement_counted JOIN (SELECT setl_id FROM fee_list_d) USING (setl_id)",
    )
    with pytest.raises(ReleaseError, match="joined before it is added up"):
        build(Settings(home=home, policies=policies), Order(("S02",), INVENTED), NOW)


def test_lines_repeated_by_a_join_are_refused(home: Path, tmp_path: Path) -> None:
    policies = _mutated(
        tmp_path,
        "S02/fee.sql",
        "FROM line\nJOIN settlement_counted s USING (setl_id)",
        "FROM line\nJOIN settlement_counted s USING (setl_id)\n"
        "JOIN (SELECT setl_id FROM fee_list_d) USING (setl_id)",
    )
    with pytest.raises(ReleaseError, match="joined before it is added up"):
        build(Settings(home=home, policies=policies), Order(("S02",), INVENTED), NOW)


def test_stays_that_disagree_with_the_linked_service_are_refused(
    home: Path, tmp_path: Path
) -> None:
    policies = _mutated(tmp_path, "S04/stay.sql", "FROM inpatient", "FROM inpatient WHERE los > 1")
    with pytest.raises(ReleaseError, match="count the same records but differ"):
        build(Settings(home=home, policies=policies), Order(("S04",), INVENTED), NOW)


def test_a_second_build_in_the_same_place_is_refused(home: Path) -> None:

    with workplace(home / "releases"), pytest.raises(ReleaseError, match="Another release build"):
        build(Settings(home=home), Order(("S09",), INVENTED), NOW)
