"""Lineage of facts is true: what it does not name may be anything, what it names matters.

Over every column of every table: each column of a fact keeps its values, row for row alike, while
everything that its lineage does not name is replaced at once; and nothing is named for show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library
from gateway.releases.lineage.columns import Traced
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from synthetic.warehouse.schema import TABLES, arrow_schema
from tests.lineage_world import Column, Tables, columns_of, mixed, spoilt, tables_of
from tests.release_warehouse import build_warehouse

CATALOGUE = load_catalogue(Settings().policies)
SERVICES = ("S06", "S09")
FACTS = [(service, fact) for service in SERVICES for fact in CATALOGUE.services[service].facts]
SEEDS = (11, 12)
Values = Mapping[str, Counter[object]]


class World:
    """A warehouse, and what a fact of it gives when some columns are spoilt."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.columns = columns_of(self.tables)
        self._others = [spoilt(self.tables, seed) for seed in SEEDS]
        self._con = duckdb.connect(":memory:")
        self._service = ""
        for name in TABLES:
            self._see(name, self.tables.get(name, arrow_schema(TABLES[name]).empty_table()))

    def _see(self, name: str, table: pa.Table) -> None:
        """Show a table as the build does: its valid rows."""
        self._con.register(f"rows_of_{name}", table)
        self._con.execute(
            f"CREATE OR REPLACE VIEW {name} AS FROM rows_of_{name} WHERE vali_flag = '1'"
        )

    def values(self, service: str, fact: str, columns: set[Column], seed: int = 0) -> Values:
        """The values of each column of the fact, and how often it has them."""
        changed = mixed(self.tables, self._others[seed], columns)
        touched = {name for name, _ in columns}
        for name in touched:
            self._see(name, changed[name])
        own = CATALOGUE.services[service]
        if service != self._service:
            self._con.execute(CATALOGUE.rollups_sql(own))
            self._service = service
        sql = CATALOGUE.fact_sql(own, fact)
        table = self._con.sql(sql.strip().rstrip(";")).to_arrow_table()
        for name in touched:
            self._see(name, self.tables[name])
        return {name: Counter(table[name].to_pylist()) for name in table.column_names}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("lineage") / "home"
    warehouse = build_warehouse(home, persons=60, visits=500, days=120)
    return World(tables_of(store.current(warehouse)))


def named(service: str, fact: str) -> dict[str, frozenset[Column]]:
    """The columns that each column of a fact rests on, by its lineage."""
    own = CATALOGUE.services[service]
    library = Library.of(CATALOGUE.rollups_sql(own))
    traced = Traced(fact, library.expanded(fact, CATALOGUE.fact_sql(own, fact)))
    return {name: traced.column(name).columns | traced.rows.columns for name in traced.names}


@pytest.mark.parametrize(("service", "fact"), FACTS)
def test_what_lineage_does_not_name_may_be_anything(world: World, service: str, fact: str) -> None:
    told = named(service, fact)
    before = world.values(service, fact, set())
    assert sum(before["counting"].values()) > 100
    for columns in set(told.values()):
        after = world.values(service, fact, world.columns - columns)
        for name in (one for one, own in told.items() if own == columns):
            assert after[name] == before[name], name


UNUSED_JOIN = {("mdtrt_d", "med_type"), ("mdtrt_d", "vali_flag")}
"""Of an outer join that a fact does not look at, only a doubled key shows."""

REFUND = {("setl_d", "init_setl_id")}
"""Of a refund's original only its count matters, and only if that was a mid-term settlement."""

UNCOUNTED = {
    *REFUND,
    *(("setl_d", name) for name in ("refd_setl_flag", "mid_setl_flag", "mdtrt_id")),
}
"""Facts that add up amounts do not look at counts, nor at the join that tells which there are."""

# `psn_insu_date` stands in where `crt_insu_date` is null, which it nowhere is.
EXPOSURE = {("psn_insu_d", "psn_insu_date")}

NOT_SEEN_HERE = {
    ("S06", "case"): UNUSED_JOIN | REFUND,
    ("S06", "line"): UNUSED_JOIN | UNCOUNTED,
    ("S06", "cost"): UNUSED_JOIN | REFUND,
    ("S06", "exposure"): EXPOSURE,
    ("S09", "line"): UNCOUNTED,
    ("S09", "exposure"): EXPOSURE,
}
"""Columns named by right, of which no rows of this warehouse show it."""


@pytest.mark.parametrize(("service", "fact"), FACTS)
def test_what_lineage_names_matters(world: World, service: str, fact: str) -> None:
    before = world.values(service, fact, set())
    left = set(unmoved(world, service, fact, before))
    assert left <= NOT_SEEN_HERE.get((service, fact), set())


def unmoved(world: World, service: str, fact: str, before: Values) -> Iterator[Column]:
    """The columns named that change no column of the fact which names them, however spoilt."""
    told = named(service, fact)
    for column in sorted(frozenset().union(*told.values())):
        changes = any(
            after[name] != before[name]
            for seed in range(len(SEEDS))
            for after in [world.values(service, fact, {column}, seed)]
            for name, own in told.items()
            if column in own
        )
        if not changes:
            yield column


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every fifth person of a small simulated city, which has rows in every table."""
    folder = tmp_path_factory.mktemp("city")
    simulate(folder, size="mini", seed=1)
    every = {name: table for name, table in tables_of(folder).items() if name in TABLES}
    persons = every["psn_info_b"]["psn_no"].combine_chunks()[::5]
    settled = every["setl_d"].filter(pc.is_in(every["setl_d"]["psn_no"], persons))
    of = {"psn_no": persons, "setl_id": settled["setl_id"].combine_chunks()}
    for name, table in every.items():
        key = next((one for one in of if one in table.column_names), None)
        if key is not None:
            every[name] = table.filter(pc.is_in(table[key], of[key]))
    return World(every)


@pytest.mark.slow
@pytest.mark.parametrize("service", CATALOGUE.services)
def test_no_fact_of_any_service_moves_while_what_it_does_not_name_is_replaced(
    city: World, service: str
) -> None:
    for fact in CATALOGUE.services[service].facts:
        own = frozenset().union(*named(service, fact).values())
        if {table for table, _ in own} <= TABLES.keys():  # else the build makes the table
            assert city.values(service, fact, city.columns - own) == city.values(
                service, fact, set()
            ), fact
