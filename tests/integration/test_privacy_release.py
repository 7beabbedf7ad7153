"""Differential privacy in a release: off it changes nothing, on it is spent for and stated."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from gateway.api.schemas import META
from gateway.cli.privacy import app
from gateway.db.engine import open_engine, sqlite_url
from gateway.privacy.ledger import Ledger, PrivacyBudgetExceeded
from gateway.releases.build import Order, build
from gateway.releases.manifest import Manifest
from gateway.releases.store import cell_file
from gateway.releases.verify import verify
from gateway.settings import Settings
from tests.gateway_factory import COST, serving
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

POLICIES = Path(__file__).parents[2] / "policies"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(("S02",), waivers=INVENTED, alone=True)
TABLE = {"dims": ["gend"], "geo": "city", "grain": "quarter"}
ON = {
    "optional": True, "on": True, "epsilon_per_release": 0.5, "epsilon_year": 4,
    "contributions": 1, "tables": {"S02": TABLE},
}  # fmt: skip
WHOLE = {"top2_share_max": 0.7, "percentile_window": 5, "min_manufacturers": 3}
"""What S02 needs besides of a profile."""
OFF = {"optional": True, "epsilon_per_release": 0.5, "epsilon_year": 4}


@dataclass(frozen=True)
class Site:
    """A small home and how to build S02 there under a `dp` of DC3, which S02 then is."""

    home: Path

    def settings(self, dp: dict[str, object]) -> Settings:
        policies = self.home / "policies"
        shutil.copytree(POLICIES, policies, dirs_exist_ok=True)
        profiles = policies / "data" / "sdc_profiles.yaml"
        for field, value in {**WHOLE, "dp": dp}.items():
            _edit(profiles, ["sdc_profiles", "DC3", field], value)
        _edit(policies / "catalogue" / "S02" / "service.yaml", ["sdc"], "DC3")
        return Settings(home=self.home, policies=policies)

    def build(self, dp: dict[str, object], at: datetime = NOW) -> Manifest:
        (made,) = build(self.settings(dp), ORDER, at)
        return made

    def folder(self, made: Manifest) -> Path:
        return self.home / "releases" / "S02" / made.release_id

    @property
    def ledger(self) -> Ledger:
        return Ledger(open_engine(sqlite_url(self.home / "sluice.db")))


def _edit(path: Path, at: list[str], value: object) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    inner = document
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("private")
    build_warehouse(home, persons=1200, visits=2400, days=85)
    yield Site(home)
    for path in home.rglob("*"):
        path.chmod(0o700)


@pytest.fixture(scope="module")
def noised(site: Site) -> Manifest:
    return site.build(ON)


def _cells(site: Site, made: Manifest) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    for key in made.profiles:
        con = sqlite3.connect(site.folder(made) / cell_file(key))
        found[key] = con.execute("SELECT block, cell, marks, persons, medfee FROM cells").fetchall()
        con.close()
    return found


def test_one_table_is_published_with_its_epsilon_and_nothing_else(
    site: Site, noised: Manifest
) -> None:
    every = _cells(site, noised)
    assert every
    assert all(cells for cells in every.values())
    for key, cells in every.items():
        assert len(cells) <= len(noised.domains["gend"]) * len(noised.periods["quarter"])
        assert {medfee for *_, medfee in cells} == {None}
        least = noised.profiles[key]["k_person"]
        assert all(isinstance(p, int) and p >= least for _, _, _, p, _ in cells)
    told = json.loads((site.folder(noised) / "privacy.json").read_text(encoding="utf-8"))
    assert told.keys() == noised.profiles.keys()
    for key, one in told.items():
        assert noised.profiles[key]["dp"]["epsilon_per_release"] == one["epsilon"] == 0.5
        assert (one["sensitivity_l1"], one["periods"]["2024Q1"]) == (1, {"scale": 2.0})
    assert [r.faults for r in verify(site.home / "releases", [noised.release_id])] == [()]


def test_an_answer_says_its_epsilon_and_shows_no_other_measure(
    site: Site, noised: Manifest
) -> None:
    with serving(site.home, site.home / "policies") as gateway:
        period = {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"}
        body = {**COST, "period": period, "dims": ["gend"], "measures": ["persons", "medfee"]}
        first, again = (gateway.ask("S02", body) for _ in range(2))
        assert first.status_code == 200, first.text
        told = first.json()
        jsonschema.validate(told["meta"], META)
        assert told["meta"]["privacy"]["epsilon"] == 0.5
        assert {one["medfee"]["flag"] for one in told["data"]} == {"s"}
        assert any(one["persons"]["value"] for one in told["data"])
        assert again.json()["data"] == told["data"]
        other = gateway.ask("S02", {**body, "dims": ["insutype2"]}).json()["data"]
        assert {one[name]["flag"] for one in other for name in ("persons", "medfee")} == {"s"}


@pytest.mark.slow
def test_all_profiles_of_a_table_share_one_draw_and_building_again_gives_it_again(
    site: Site, noised: Manifest
) -> None:
    periods = len(noised.periods["quarter"])
    lines = len(site.ledger.entries())
    again = site.build(ON, datetime(2026, 2, 1, tzinfo=UTC))
    assert again.release_id == noised.release_id
    assert len(site.ledger.entries()) == lines
    assert {(b.geo, b.year, float(b.spent)) for b in site.ledger.balances()} == {
        ("990100", 2026, 0.5 * periods)
    }
    assert site.ledger.faults() == []


@pytest.mark.slow
def test_off_changes_no_byte_and_needs_neither_ledger_nor_library(
    site: Site, tmp_path: Path
) -> None:
    other = Site(tmp_path / "home")
    shutil.copytree(site.home / "warehouse", other.home / "warehouse")
    first, second = other.build(OFF), other.build({**ON, "on": False})
    assert not (other.home / "sluice.db").exists()
    cells = [[f.sha256 for f in m.files if f.name.startswith("cells")] for m in (first, second)]
    assert cells[0]
    assert cells[0] == cells[1]
    assert "privacy.json" not in {f.name for m in (first, second) for f in m.files}
    assert max(map(len, _cells(other, first).values())) > 30
    script = "import sys, gateway.releases.build; assert 'opendp' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_a_change_of_the_warehouse_is_spent_for_again_until_the_budget_is_used_up(
    site: Site, noised: Manifest, tmp_path: Path
) -> None:
    other = Site(tmp_path / "home")
    other.home.mkdir()
    build_warehouse(other.home, persons=300, visits=400, days=85, seed=8)
    shutil.copy(site.home / "sluice.db", other.home / "sluice.db")
    periods = len(noised.periods["quarter"])
    tight = {**ON, "epsilon_year": 0.5 * periods + 0.25}
    with pytest.raises(PrivacyBudgetExceeded) as refused:
        other.build(tight)
    assert refused.value.code == "privacy_budget"
    assert not (other.home / "releases" / "S02").exists()
    other.build(ON)
    (balance,) = other.ledger.balances()
    assert float(balance.spent) == 1.0 * periods


def test_the_ledger_and_what_is_left_are_told(
    site: Site, noised: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(site.home))
    monkeypatch.setenv("SLUICE_POLICIES", str(site.home / "policies"))
    told = CliRunner().invoke(app, ["ledger", "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["faults"] == []
    assert {line["act"] for line in found["lines"]} == {"spent", "drawn"}
    assert CliRunner().invoke(app, ["budget"]).exit_code == 0
