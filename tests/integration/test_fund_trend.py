"""S25 as published, against its second implementation and against what was planted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np
import pytest
import yaml

from gateway.catalogue.load import load_catalogue
from gateway.releases.build import Order, build
from gateway.releases.engine.sql import Library, written
from gateway.releases.listing import listing
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau.build import simulate
from tests.gateway_factory import POLICIES, copy_policies
from tests.made_once import made_once
from tests.second import s25
from tests.waivers import INVENTED

Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
ACCOUNTS = ("income", "expenditure", "transfers", "surplus", "balance")
SERIES = ("income", "expenditure")
SPANS = (("month", "2026-05", 1), ("quarter", "2026Q2", 3), ("year", "2026", 12))
ENDS = (("month", "2026-01", 0), ("quarter", "2026Q3", 8), ("year", "2026", 11))
QUARTER = 3


@dataclass(frozen=True)
class Fund:
    """A release of S25: what it shows by grain, period and dims, and the accounts behind it."""

    manifest: Manifest
    told: Mapping[Key, Mapping[str, tuple[float, str]]]
    accounts: s25.Accounts

    def series(self, measure: str, dims: tuple[tuple[str, str], ...]) -> list[float]:
        """The published months with data."""
        ahead = self.manifest.estimated["month"]
        months = [label for label in self.manifest.periods["month"] if label not in ahead]
        return [self.told["month", label, dims][measure][0] for label in months]

    def cells(self) -> list[tuple[tuple[str, str], ...]]:
        """The dims of which there are forecasts."""
        return sorted({dims for grain, label, dims in self.told if label == "2026" and grain})


@pytest.fixture(scope="module")
def fund(tmp_path_factory: pytest.TempPathFactory) -> Fund:
    """A small simulated city, published under a profile that shows both of its schemes."""
    home = made_once(tmp_path_factory, "fund", partial(_release, tmp_path_factory))
    settings = Settings(home=home)
    manifest = ReleaseStore(settings.releases).latest("S25")
    assert manifest is not None
    folder = settings.releases / "S25" / manifest.release_id
    (key,) = [k for k, p in manifest.profiles.items() if p["name"] == "DC1"]
    names = [measure.name for measure in manifest.measures]
    told = {
        (row.grain, row.period, row.values): {
            name: (float(str(value)), mark)
            for name, value, mark in zip(names, row.figures, row.marks, strict=True)
            if value is not None
        }
        for row in listing(folder, manifest, key)
    }
    return Fund(manifest, told, s25.Accounts.of(store.current(home / "warehouse")))


def _release(factory: pytest.TempPathFactory, home: Path) -> None:
    policies = copy_policies(factory.mktemp("fund") / "policies")
    path = policies / "data" / "sdc_profiles.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["sdc_profiles"]["DC1"]["min_exposure"] = 200
    path.write_text(yaml.dump(document), encoding="utf-8")
    draft = home / "warehouse" / "versions" / "draft"
    draft.mkdir(parents=True)
    simulate(draft, size="mini", seed=3)
    store.publish(home / "warehouse", draft, {"kind": "test"}, datetime(2026, 1, 1, tzinfo=UTC))
    order = Order(("S25",), waivers=INVENTED)
    build(Settings(home=home, policies=policies), order, datetime(2026, 3, 1, tzinfo=UTC))


def test_the_accounts_agree_with_the_second_implementation(fund: Fund) -> None:
    """Three hundred random cells, every account of each."""
    cells = [cell for cell, figures in fund.told.items() if figures.keys() & {*ACCOUNTS}]
    chosen = np.random.default_rng(25).choice(len(cells), 300, replace=False)
    compared = 0
    for grain, period, dims in (cells[at] for at in chosen.tolist()):
        figures = fund.told[grain, period, dims]
        for name in sorted(figures.keys() & {*ACCOUNTS}):
            exact = fund.accounts.exact(name, {grain: period, **dict(dims)})
            near = 0.011 + s25.unit(exact) / 2
            assert figures[name][0] == pytest.approx(exact, abs=near), (period, dims)
            compared += 1
    assert compared > 1200


def test_transfers_cancel_out_over_all_funds(fund: Fund) -> None:
    funds = {dict(dims).get("fund_type") for _, _, dims in fund.told}
    assert funds >= {"pooled", "account", None}
    for (_, _, dims), figures in fund.told.items():
        if not {"fund_type", "flow"} & dict(dims).keys() and "transfers" in figures:
            assert figures["transfers"][0] == 0


def test_the_ledger_is_reconciled_with_what_was_settled(fund: Fund) -> None:
    """R25: within 0.1 per cent in every month, scheme by scheme."""
    compared = 0
    for (grain, period, dims), figures in fund.told.items():
        if "gap_share" in figures and grain == "quarter":
            own = fund.accounts.gap({grain: period, **dict(dims)})
            assert figures["gap_share"][0] == pytest.approx(own, abs=1.1e-4)
            compared += 1
    assert compared == 3 * 16
    assert max(abs(f["gap_share"][0]) for f in fund.told.values() if "gap_share" in f) <= 0.001


def test_reserve_is_the_balance_over_the_mean_month_of_a_year(fund: Fund) -> None:
    compared = 0
    for (grain, period, dims), figures in fund.told.items():
        if "reserve_months" not in figures:
            continue
        spent = [fund.told[grain, label, dims]["expenditure"][0] for label in a_year(grain, period)]
        own = 12 * figures["balance"][0] / sum(spent)
        assert figures["reserve_months"][0] == pytest.approx(own, abs=0.0501)
        compared += 1
    assert compared > 100
    first = fund.told["month", "2022-11", ()]
    assert "balance" in first
    assert "reserve_months" not in first  # eleven months are no year


def a_year(grain: str, period: str) -> Iterator[str]:
    """The periods of a grain that make up the twelve months to the end of one."""
    if grain == "year":
        yield period
    elif grain == "quarter":
        at = int(period[:4]) * 4 + int(period[5:]) - 1
        yield from (f"{n // 4}Q{n % 4 + 1}" for n in range(at - 3, at + 1))
    else:
        at = int(period[:4]) * 12 + int(period[5:]) - 1
        yield from (f"{n // 12}-{n % 12 + 1:02d}" for n in range(at - 11, at + 1))


def test_there_are_forecasts_of_twelve_months_for_the_fund_and_for_each_scheme(
    fund: Fund,
) -> None:
    assert fund.cells() == [(), (("insutype2", "employee"),), (("insutype2", "resident"),)]
    assert [len(labels) for labels in fund.manifest.estimated.values()] == [12, 4, 1]
    for (_, period, _), figures in fund.told.items():
        assert {mark for _, mark in figures.values()} <= ({"e"} if period >= "2026" else {"r"})


@pytest.mark.parametrize("measure", SERIES)
def test_forecasts_agree_with_a_direct_call_of_the_model(fund: Fund, measure: str) -> None:
    for dims in fund.cells():
        series = fund.series(measure, dims)
        months = s25.expected(series)
        told = [fund.told["month", f"2026-{m:02d}", dims] for m in range(1, 13)]
        points = [figures[f"{measure}_forecast"][0] for figures in told]
        assert points == pytest.approx([s25.rounded(m) for m in months], rel=0.002, abs=1)
        for number in range(4):
            part = months[QUARTER * number : QUARTER * (number + 1)].sum()
            own = fund.told["quarter", f"2026Q{number + 1}", dims][f"{measure}_forecast"][0]
            assert own == pytest.approx(s25.rounded(part), rel=0.006, abs=1)


@pytest.mark.parametrize("measure", SERIES)
@pytest.mark.parametrize("percent", [80, 95])
def test_bands_are_those_of_the_model_to_the_chance_of_the_simulation(
    fund: Fund, measure: str, percent: int
) -> None:
    for dims in fund.cells():
        series = fund.series(measure, dims)
        low, high = s25.band(series, percent)
        for month, (lowest, highest) in enumerate(zip(low, high, strict=True), 1):
            told = fund.told["month", f"2026-{month:02d}", dims]
            near = 0.06 * (highest - lowest) + 0.006 * abs(highest)
            assert told[f"{measure}_high{percent}"][0] == pytest.approx(highest, abs=near)
            assert told[f"{measure}_low{percent}"][0] == pytest.approx(max(lowest, 0), abs=near)


@pytest.mark.parametrize("measure", SERIES)
def test_the_error_told_is_that_of_back_tests(fund: Fund, measure: str) -> None:
    for dims in fund.cells():
        series = fund.series(measure, dims)
        for grain, period, months in SPANS:
            told = fund.told[grain, period, dims][f"{measure}_mape"][0]
            assert told == pytest.approx(s25.error(series, months), abs=0.06)


def test_income_is_foreseen_to_a_few_per_cent(fund: Fund) -> None:
    """Contributions follow the number of the insured, sickness in a small city does not."""
    assert fund.told["month", "2026-01", ()]["income_mape"][0] < 4
    assert fund.told["year", "2026", ()]["income_mape"][0] < 2


def test_the_balance_to_be_expected_is_the_last_one_and_the_surplus_to_come(fund: Fund) -> None:
    for dims in fund.cells():
        series = fund.series("surplus", dims)
        held = fund.told["month", "2025-12", dims]["balance"][0]
        model = s25.fitted(series)
        path = held + np.cumsum(np.asarray(model.forecast(12))) * np.abs(series).mean()
        for grain, period, last in ENDS:
            told = fund.told[grain, period, dims]
            assert told["balance_forecast"][0] == pytest.approx(path[last], rel=0.006)
            assert (
                told["balance_low95"][0] < told["balance_forecast"][0] < told["balance_high95"][0]
            )


@pytest.mark.parametrize(
    ("fund_type", "flow", "least", "most"),
    [("account", "benefit_rx", 0.74, 0.90), ("pooled", "benefit_op", 1.12, 1.28)],
)
def test_pt4_the_reform_of_2023_shows_in_the_accounts(
    city: duckdb.DuckDBPyConnection, fund_type: str, flow: str, least: float, most: float
) -> None:
    """What employees' funds paid in the first half of 2023 against the half year before, over the
    same in the two years that follow: what they have in common is the season.

    Pooled payments for visits rise by the planted fifth. Accounts pay less for drugs by the planted
    eighth at least: they also run dry, as more visits are paid from them. (How many purchases fewer
    there are is recovered from S02.)
    """
    catalogue = load_catalogue(POLICIES)
    service = catalogue.services["S25"]
    library = Library.of(catalogue.rollups_sql(service))
    sql = written(library.expanded("ledger", catalogue.fact_sql(service, "ledger")))
    halves = city.execute(
        f"""SELECT left(period_m, 4) || (right(period_m, 2) > '06') AS half,
          sum(expenditure)::DOUBLE FROM ({sql})
        WHERE fund_type = '{fund_type}' AND flow = '{flow}' AND insutype2 = 'employee'
        GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    paid = [amount for _, amount in halves]
    steps = [paid[at] / paid[at - 1] for at in (2, 4, 6)]
    assert least < steps[0] / np.mean(steps[1:]) < most
