"""S01 and S05 as published against their second implementations, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pytest

from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from tests.release_warehouse import Built, build_warehouse
from tests.second import s01, s05, slices
from tests.second.slices import LICENSED, PUBLIC, Shown
from tests.served_recount import Found, Recount, Rounding
from tests.waivers import INVENTED

DERIVED = ("reached", "layer_amount", "mean_excess")
_MONEY = ("medfee_sumamt", "fulamt_ownpay_amt", "inscp_amt", "fund_pay_sumamt", "psn_pay")


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The warehouse of the release tests with costs so unequal that every band has persons."""
    home = tmp_path_factory.mktemp("unequal")
    build_warehouse(home)
    bills = store.current(home / "warehouse") / "setl_d.parquet"
    factor = "[0, 1, 4, 9, 20, 50, 120][1 + psn_no[2:]::INT % 7]"
    scaled = ", ".join(f"({name} * {factor})::DECIMAL(16, 2) AS {name}" for name in _MONEY)
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE bills AS SELECT * REPLACE ({scaled}) FROM '{bills}'")
        con.execute(f"COPY bills TO '{bills}'")
    order = Order(("S05",), waivers=INVENTED, alone=True)
    build(Settings(home=home), order, datetime(2026, 1, 1, tzinfo=UTC))
    return Built(home)


@pytest.mark.parametrize(
    ("service", "measures", "rounding", "least"),
    [("S01", s01.MEASURES, PUBLIC, 10), ("S05", s05.MEASURES, LICENSED, 100)],
)
def test_random_cells_agree_with_the_second_implementation(
    built: Built,
    service: str,
    measures: dict[str, dict[str, Found]],
    rounding: Rounding,
    least: int,
) -> None:
    recount = slices.recount_of(built.warehouse, [s01, s05], rounding)
    found = slices.published(built.settings.releases, service, 400, 7, rounding)
    known = [one for one in found if one.measure in measures[service]]
    assert len(known) > least
    assert list(slices.astray(recount, known)) == []


def test_exceedances_and_layers_follow_from_published_cells_and_from_nothing_else(
    unequal: Built,
) -> None:
    compared = 0
    for column, row in _rows(_everything(unequal)):
        for band, own in row.items():
            wanted = s05.derived(column, row, band)
            told = {
                name: value
                for name, value in own.items()
                if name.startswith(DERIVED) and "1000py" not in name
            }
            assert told.keys() <= wanted.keys(), (column, band)
            for name, value in told.items():
                assert value == pytest.approx(wanted[name], rel=6e-4, abs=0.02), (column, band)
            compared += len(told)
    assert compared > 20


def test_exceedances_are_right_to_the_rounding_of_their_parts(unequal: Built) -> None:
    recount = slices.recount_of(unequal.warehouse, [s05])
    found = [
        one
        for one in _everything(unequal)
        if one.measure == "reached" and any(column in one.cell for column in ("layer6", "layer10"))
    ]
    assert found
    for one in found:
        column = next(c for c in one.cell if c.startswith("layer"))
        bands = s05.bands_of(column)
        above = bands[bands.index(one.cell[column]) :]
        exact = sum(_exact(recount, {**one.cell, column: band}) for band in above)
        assert abs(float(one.value) - exact) < 5 * len(above)


def test_a_band_of_which_a_higher_one_is_hidden_has_no_exceedance(unequal: Built) -> None:
    """Persons are published in some band whose exceedance is not: the rule was put to the test."""
    for column, row in _rows(_everything(unequal)):
        for band, own in row.items():
            if "persons" in own and not s05.derived(column, row, band):
                assert not any(name.startswith(DERIVED) for name in own)
                return
    pytest.fail("every band is published")


@dataclass(frozen=True)
class Limits:
    """SPEC 4.3 for one profile: persons, institutions and insured at least, shares at most."""

    persons: int
    institutions: int
    insured: int
    largest: float
    two_largest: float


DC1, DC2 = Limits(30, 5, 1000, 0.6, 0.8), Limits(11, 3, 100, 0.8, 0.9)
OWN = ("insutype2", "gend", "age10")


@pytest.mark.parametrize("service", ["S01", "S05"])
def test_every_shown_cell_keeps_every_threshold(service: str, built: Built, unequal: Built) -> None:
    home, table = (built, "care") if service == "S01" else (unequal, "year_care")
    limits, rounding = (DC1, PUBLIC) if service == "S01" else (DC2, LICENSED)
    sql = slices.recount_of(home.warehouse, [s01, s05], rounding).connection
    sql.execute(s05.CARE)
    found = slices.published(home.settings.releases, service, 10**6, 1, rounding)
    shown = {tuple(sorted(one.cell.items())) for one in found}
    assert len(shown) > 5
    for columns in {tuple(name for name, _ in cell) for cell in shown}:
        held = _counted(sql, table, columns)
        for cell in (cell for cell in shown if tuple(name for name, _ in cell) == columns):
            persons, houses, insured, one, two, person = held[tuple(value for _, value in cell)]
            assert persons >= limits.persons, cell
            assert houses >= limits.institutions, cell
            assert insured >= limits.insured, cell
            assert one <= limits.largest, cell
            assert two <= limits.two_largest, cell
            assert person <= 0.5, cell


def _counted(
    sql: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]
) -> dict[tuple[str, ...], tuple[float, ...]]:
    """By cell: persons, institutions, insured, and the largest parts of the cost."""
    keys = ", ".join(columns)
    period = columns[[name in {"year", "quarter"} for name in columns].index(True)]
    own = ", ".join([period, *(name for name in columns if name in OWN)])
    rows = sql.execute(f"""
        WITH r AS (SELECT {keys}, psn_no, fixmedins_code AS house, medfee_sumamt::DOUBLE AS fee
                   FROM {table}),
        h AS (SELECT {keys}, house, sum(fee) AS fee FROM r GROUP BY ALL),
        p AS (SELECT {keys}, psn_no, sum(fee) AS fee, bool_or(fee <> 0) AS counts
              FROM r GROUP BY ALL),
        i AS (SELECT {own}, count(DISTINCT psn_no) AS insured
              FROM (SELECT *, month[:4] AS year FROM insured) GROUP BY ALL),
        hs AS (SELECT {keys}, count(*) AS houses, sum(fee) AS whole, max(fee) AS one,
                      list_sum(max(fee, 2)) AS two FROM h GROUP BY ALL),
        ps AS (SELECT {keys}, count(*) FILTER (counts) AS persons, max(fee) AS person
               FROM p GROUP BY ALL)
        SELECT {keys}, persons, houses, coalesce(insured, 0),
               one / nullif(whole, 0), two / nullif(whole, 0), person / nullif(whole, 0)
        FROM hs JOIN ps USING ({keys}) LEFT JOIN i USING ({own})""").fetchall()
    size = len(columns)
    return {row[:size]: tuple(float(v or 0) for v in row[size:]) for row in rows}


def _everything(home: Built) -> list[Shown]:
    return slices.published(home.home / "releases", "S05", 10**6, 1)


def _exact(recount: Recount, cell: Mapping[str, str]) -> float:
    span = recount.span("S05", "persons", cell)
    assert not isinstance(span, str)
    return sum(span) / 2


def _rows(figures: list[Shown]) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """The column and, by band, the figures of each row of cells that differ in the band alone."""
    rows: dict[tuple[str, frozenset[tuple[str, str]]], dict[str, dict[str, float]]] = {}
    for one in figures:
        column = next((c for c in one.cell if c.rstrip("160") in s05.BASES), None)
        if column is not None:
            rest = frozenset((c, v) for c, v in one.cell.items() if c != column)
            row = rows.setdefault((column, rest), {})
            row.setdefault(one.cell[column], {})[one.measure] = float(one.value)
    for (column, _), row in rows.items():
        yield column, row
