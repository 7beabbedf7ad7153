"""S08 on a simulated city: own cases and peers agree with a second implementation in pandas."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gateway.releases.build import Order, build
from gateway.releases.manifest import Manifest
from gateway.releases.own.table import own_file
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.gateway_factory import copy_policies
from tests.second import s08
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated city with S08 built; peers are compared whatever number of persons they
    had, so that a city of two thousand has groups that are large enough."""
    home = tmp_path_factory.mktemp("second") / "home"
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", 7, threads=1)
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)
    profiles = copy_policies(home / "policies") / "data" / "sdc_profiles.yaml"
    text = profiles.read_text(encoding="utf-8")
    assert "peer_k_person: 11" in text
    profiles.write_text(text.replace("peer_k_person: 11", "peer_k_person: 1"), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def made(home: Path) -> Manifest:
    settings = Settings(home=home, policies=home / "policies")
    (made,) = build(settings, Order(("S08",), waivers=INVENTED), NOW)
    return made


@pytest.fixture(scope="module")
def cases(home: Path) -> pd.DataFrame:
    return s08.own_cases(store.current(home / "warehouse"))


def rows(home: Path, made: Manifest, view: str) -> Iterator[dict[str, Any]]:
    """All own rows of a view, of every institution."""
    (key,) = (key for key in made.profiles if key.startswith("DC6-") and "DC7" not in key)
    path = home / "releases" / "S08" / made.release_id / own_file(key)
    with closing(sqlite3.connect(path)) as con:
        con.row_factory = sqlite3.Row
        yield from map(dict, con.execute(f'SELECT * FROM "{view}"'))


@pytest.mark.slow
def test_every_case_is_listed_once_with_its_figures(
    home: Path, made: Manifest, cases: pd.DataFrame
) -> None:
    told = {(row["institution"], row["medins_setl_id"]): row for row in rows(home, made, "case")}
    assert len(told) == len(cases) > 1000
    for case in cases.itertuples():
        row = told[case.fixmedins_code, case.medins_setl_id]
        assert (row["period"], row["geo"], row["case_dept"]) == (case.month, case.geo, case.dept)
        assert (row["case_drg"], row["case_dip"]) == (case.drg_drg_code, case.dip_dip_code)
        assert float(row["cost"]) == pytest.approx(case.cost, abs=0.001)
        assert float(row["fund_paid"]) == pytest.approx(case.fund_paid, abs=0.001)
        assert row["los"] == case.los
        assert (row["case_type"] == "refunded") is not case.stands
        if case.stands:
            assert float(row["expected"]) == float(case.drg_pay_std_amt)
            over = max(0.0, case.cost - float(case.drg_pay_std_amt))
            assert float(row["deduction"]) == pytest.approx(over, abs=0.001)
            assert ("over_standard" in row["reasons"]) is (over > 0)


@pytest.mark.slow
def test_own_totals_agree(home: Path, made: Manifest, cases: pd.DataFrame) -> None:
    expected = s08.total(cases)
    told = {(r["institution"], r["period"]): r for r in rows(home, made, "total")}
    assert told.keys() == expected.keys()
    for key, (count, cost) in expected.items():
        assert told[key]["cases"] == count
        assert float(told[key]["cost_sum"]) == pytest.approx(cost, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("view", "also"), [("peers", None), ("peers_drg", "drg_drg_code")])
def test_peers_agree_within_the_step_they_are_rounded_to(
    home: Path, made: Manifest, cases: pd.DataFrame, view: str, also: str | None
) -> None:
    expected = s08.peers(cases, also)
    told = list(rows(home, made, view))
    assert len(told) == len(expected)
    shown = 0
    for row in told:
        named = ["peer_group", *(["drg"] if also else [])]
        key = (row["institution"], row["geo"], row["period"], *(row[name] for name in named))
        one = expected[key]
        assert row["cases"] == one["cases"]
        assert float(row["mean_cost"]) == pytest.approx(one["mean_cost"], abs=0.006)
        for p in (25, 50, 75):
            value = row[f"peer_mean_cost_p{p}"]
            if value is not None:
                shown += 1
                assert one["quantiles"] is not None
                exact = one["quantiles"][p]
                assert float(value) == pytest.approx(exact, abs=0.1001 * float(value))
    assert shown >= (10 if also is None else 0)


@pytest.mark.slow
def test_all_members_of_a_group_are_told_the_same(home: Path, made: Manifest) -> None:
    told: dict[tuple[str, str, str], set[tuple[Any, ...]]] = {}
    for row in rows(home, made, "peers"):
        cell = (row["geo"], row["period"], row["peer_group"])
        quantiles = tuple(v for n, v in row.items() if n.startswith("peer_") and n != "peer_group")
        told.setdefault(cell, set()).add(quantiles)
    assert all(len(one) == 1 for one in told.values())
    assert sum(any(v is not None for v in next(iter(one))) for one in told.values()) > 10
