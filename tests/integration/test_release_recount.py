"""No shown cell of any service breaks a threshold or a dominance rule: all of them, recounted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.release_recount import RECOUNTED, Recount, sheets
from tests.release_warehouse import Built

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recount(built: Built) -> Recount:
    return Recount(built.warehouse)


def _compared(recount: Recount, releases: Path) -> Counter[str]:
    cells: Counter[str] = Counter()
    for sheet in sheets(releases):
        if sheet.service not in RECOUNTED:
            continue  # tests/second counts it in a way of its own
        faults = list(recount.faults(sheet))
        assert not faults, faults[:10]
        cells[sheet.service] += len(sheet)
        for place in sheet.where["geo"]:
            assert place != recount.hidden_county
    return cells


def test_every_shown_cell_keeps_every_threshold(built: Built, recount: Recount) -> None:
    cells = _compared(recount, built.home / "releases")
    assert set(cells) == RECOUNTED
    full = {service for service, number in cells.items() if number > 50}
    assert full >= {"S02", "S04", "S06", "S09", "S11", "S24"}


def test_the_smallest_county_is_the_one_with_nine_insured(recount: Recount) -> None:
    assert recount.hidden_county == "990104"


SPOILT = {
    "persons": "DELETE FROM {t} WHERE person > (SELECT quantile_disc(person, 0.003) FROM {t})",
    "institutions": "UPDATE {t} SET house = house % 2",
    "insured": "DELETE FROM insured_row "
    "WHERE person > (SELECT quantile_disc(person, 0.02) FROM {t})",
    "one institution": "UPDATE {t} SET fen = 1000 * fen WHERE house = (SELECT max(house) FROM {t})",
    "two institutions": "UPDATE {t} SET fen = 1000 * fen "
    "WHERE house IN (SELECT DISTINCT house FROM {t} ORDER BY 1 LIMIT 2)",
    "one person": "UPDATE {t} SET fen = 9999 * fen WHERE person = (SELECT max(person) FROM {t})",
    "negative": "UPDATE {t} SET fen = -fen",
    "figure": "DELETE FROM {t} WHERE hash(person) % 4 = 0",
}


@pytest.mark.parametrize("rule", SPOILT)
@pytest.mark.parametrize(("service", "table"), [("S02", "care_row"), ("S09", "drug_row")])
def test_rows_that_break_a_rule_are_noticed(
    built: Built, recount: Recount, service: str, table: str, rule: str
) -> None:
    sheet = next(s for s in sheets(built.home / "releases") if s.service == service and len(s))
    with recount.spoilt(SPOILT[rule].format(t=table)):
        assert rule in {fault.rule for fault in recount.faults(sheet)}


@pytest.mark.slow
def test_every_shown_cell_of_a_simulated_city_keeps_every_threshold(tmp_path: Path) -> None:
    folder = tmp_path / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "ci", 1)
    store.publish(tmp_path / "warehouse", folder, {"kind": "test"}, NOW)
    build(Settings(home=tmp_path), Order(), NOW)
    cells = _compared(Recount(store.current(tmp_path / "warehouse")), tmp_path / "releases")
    assert sum(cells.values()) > 500_000
