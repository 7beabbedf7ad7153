"""Random slices of S01, S10, S13, S15 and S25 over HTTP agree with second implementations.

The small home of the other services shows too little of these, so a city of twenty thousand is
asked, which a real `sluice serve` answers. What is compared is what a participant is told: shown
cells, after rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from math import ceil, floor, log10
from pathlib import Path

import duckdb
import numpy as np
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.store import ReleaseStore
from gateway.warehouse import store
from tests.gateway_factory import copy_home
from tests.made_once import made_once
from tests.planted_world import City, alone_home, build_city, served, value
from tests.second import s01, s10, s13, s15, s25, slices
from tests.served_slices import figures, question

SCENARIO = {"S01": "SC11", "S10": "SC05", "S13": "SC05", "S15": "SC06", "S25": "SC02"}
QUESTIONS = 30
SECOND = {"S01": (s01, slices.PUBLIC), "S13": (s13, slices.LICENSED)}
ACCOUNTS = ("income", "expenditure", "transfers", "surplus", "balance")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone_home(tmp_path_factory)


@pytest.fixture(scope="module")
def city(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("second")
    with served(copy_home(home, folder / "home"), folder) as running:
        yield running


def asked_of(city: City, home: Path, service: str, seed: int) -> list[slices.Shown]:
    """The figures of the answers to random questions; a combination that is refused is none."""
    contract = load_catalogue(city.settings.policies).services[service]
    manifest = ReleaseStore(home / "releases").latest(service)
    assert manifest is not None
    rng = np.random.default_rng(seed)
    found: list[slices.Shown] = []
    for _ in range(QUESTIONS):
        body = question(contract, manifest, rng)
        status, told = city.status(SCENARIO[service], service, {**body, "page_size": 5000})
        assert status in {200, 400, 403, 422}, told
        if status == 200:
            found += figures(contract, body, told["data"])
    return found


@pytest.mark.parametrize(("service", "least"), [("S01", 200), ("S13", 100)])
def test_random_slices_agree(city: City, home: Path, service: str, least: int) -> None:
    second, rounding = SECOND[service]
    found = [
        one for one in asked_of(city, home, service, 7) if one.measure in second.MEASURES[service]
    ]
    assert len(found) > least, Counter(one.measure for one in found)
    rng = np.random.default_rng(8)
    some = [found[at] for at in rng.choice(len(found), min(len(found), 400), replace=False)]
    recount = slices.recount_of(store.current(home / "warehouse"), (second,), rounding)
    assert list(slices.astray(recount, some)) == []
    wrong = [
        slices.Shown(one.service, one.measure, one.cell, float(one.value) * 1.2)
        for one in some
        if float(one.value)
    ]
    assert len(list(slices.astray(recount, wrong))) > 0.8 * len(wrong)


def test_random_accounts_of_the_fund_agree(city: City, home: Path) -> None:
    accounts = s25.Accounts.of(store.current(home / "warehouse"))
    compared = Counter[str]()
    for one in asked_of(city, home, "S25", 9):
        if one.measure in ACCOUNTS:
            exact = accounts.exact(one.measure, one.cell)
            near = 0.011 + s25.unit(exact) / 2
            assert float(one.value) == pytest.approx(exact, abs=near), one
        elif one.measure == "gap_share":
            assert float(one.value) == pytest.approx(accounts.gap(one.cell), abs=1.1e-4), one
        else:
            continue
        compared[one.measure] += 1
    assert {*ACCOUNTS} <= compared.keys()
    assert compared.total() > 300


def test_every_shown_comparison_of_programmes_agrees(city: City, home: Path) -> None:
    """Estimates are told on steps of half their standard error, or of all of it where one set of
    persons makes much of it; the ends of intervals come of resampling and lie a step outside at
    most of where the clustered error of a regression puts them, give or take a fifth."""
    warehouse = duckdb.connect()
    slices.tables_of(warehouse, store.current(home / "warehouse"))
    cohorts = s15.Cohorts(warehouse)
    values = {name: cohorts.values(own) for name, own in cohorts.people().items()}
    rows = city.ask("SC06", "S15", "year", "2024", "2024",
                    dims=["programme", "outcome", "time_window"])  # fmt: skip
    compared = 0
    for row in rows:
        told = value(row, "estimate")
        if told is None:
            continue
        found = s15.regressed(values[row["programme"]], row["outcome"], row["time_window"])
        steps = [one_digit(found.error / 2), one_digit(found.error)]
        near = [step for step in steps if told == pytest.approx(nearest(found.estimate, step))]
        assert near, (row, found)
        low, high = value(row, "ci_low"), value(row, "ci_high")
        assert low is not None
        assert high is not None
        width = 2 * 1.96 * found.error
        assert 0.8 * width < high - low < 1.2 * width + 2 * max(near), (row, found)
        compared += 1
    assert compared >= 8


def one_digit(width: float) -> float:
    """The smallest number of one digit and zeros that is not less."""
    power = 10.0 ** floor(log10(width))
    return ceil(width / power - 1e-9) * power


def nearest(value: float, step: float) -> float:
    return round(value / step) * step


def test_random_slices_of_persistence_agree(tmp_path_factory: pytest.TempPathFactory) -> None:
    """S10 in a city of two thousand: its second implementation walks every person's every day."""
    home = made_once(
        tmp_path_factory, "planted-S10-mini", partial(build_city, size="mini", alone=("S10",))
    )
    folder = tmp_path_factory.mktemp("persistence")
    with served(copy_home(home, folder / "home"), folder) as small:
        found = [
            one
            for one in asked_of(small, home, "S10", 7)
            if one.measure in s10.MEASURES["S10"]
            # Of a class that is switched to, the share is one of switchers.
            and not (one.measure == "switch_share" and "switch_to" in one.cell)
        ]
    assert len(found) > 100, Counter(one.measure for one in found)
    recount = slices.recount_of(store.current(home / "warehouse"), (s10,))
    assert list(slices.astray(recount, found)) == []
