"""A diagnosis less a group that lies in it by its records alone leaves no handful of persons.

The warehouse's grouper puts nearly all stays of a diagnosis into one group. The attacker of
`tests.subtraction_attacker` is given the stays behind every count and shares no code with the
build.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.policy.documents import read_documents
from gateway.releases.build import Order, build
from gateway.releases.recounting import recount
from gateway.releases.verify import REST, Report
from gateway.settings import Settings
from tests.integration.test_release_attack import settlements
from tests.release_recount import Recount
from tests.release_warehouse import Built, build_warehouse
from tests.waivers import INVENTED

QUARTER = "2024Q1"
COMPARED = ("S02", "S04", "S06")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("grouped")
    build_warehouse(home, persons=1200, visits=2600, seed=11, days=89, by_diagnosis=True)
    return home / "warehouse"


def released(home: Path, warehouse: Path, policies: Path) -> Built:
    home.mkdir()
    (home / "warehouse").symlink_to(warehouse)
    settings = Settings(home=home, policies=policies)
    build(settings, Order(COMPARED, waivers=INVENTED, alone=True), NOW)
    return Built(home)


def leaks(built: Built) -> list[str]:
    return settlements(built, Recount(built.warehouse), QUARTER).leaks()


def recounted(built: Built) -> Report:
    policies = Settings().policies
    sensitive = read_documents(policies)["sensitive"]
    catalogue = load_catalogue(policies)
    (report,) = recount(built.settings.releases, catalogue, sensitive, built.settings.warehouse)
    return report


def test_what_lies_in_a_diagnosis_by_its_records_leaves_no_handful(
    warehouse: Path, tmp_path: Path
) -> None:
    built = released(tmp_path / "home", warehouse, Settings().policies)
    assert leaks(built) == []
    report = recounted(built)
    assert report.release_id == "S04 with S02, S06 by records"
    assert report.faults == ()


def test_built_without_the_records_a_handful_is_left_and_the_recount_names_it(
    warehouse: Path, tmp_path: Path
) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(Settings().policies, policies)
    contract = policies / "catalogue" / "S04" / "service.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("  records: records.sql\n", ""), encoding="utf-8")
    built = released(tmp_path / "home", warehouse, policies)
    found = leaks(built)
    assert any("dx_cat3=" in leak and "adrg=" in leak for leak in found)
    faults = recounted(built).faults
    assert faults
    assert all(fault.startswith(f"{REST}: ") for fault in faults)


def test_a_release_whose_warehouse_is_gone_is_said_not_to_be_recounted(
    warehouse: Path, tmp_path: Path
) -> None:
    built = released(tmp_path / "home", warehouse, Settings().policies)
    (built.home / "warehouse").unlink()
    assert recounted(built).release_id.endswith("not recounted")
