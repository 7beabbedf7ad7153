"""What a column of a statement rests on: each kind of clause by an example, then all facts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlglot import exp
from sqlglot.lineage import Node
from sqlglot.lineage import lineage as peer

from gateway.catalogue.load import load_catalogue
from gateway.errors import OperatorError
from gateway.releases.engine.sql import Library
from gateway.releases.lineage.columns import Traced
from gateway.releases.lineage.reads import Reads
from gateway.settings import Settings
from synthetic.warehouse.schema import TABLES, duckdb_columns

CATALOGUE = load_catalogue(Settings().policies)
FACTS = [
    (name, fact)
    for name in ("S02", "S05", "S06", "S11", "S13", "S24")
    for fact in CATALOGUE.services[name].facts
]
SCHEMA = {name: dict(duckdb_columns(table)) for name, table in TABLES.items()}


def traced(sql: str, views: str = "") -> Traced:
    return Traced("query", Library.of(views).expanded("query", sql))


def told(reads: Reads) -> set[str]:
    """`setl_d.age AGGREGATION` for each column and way."""
    return {f"{one.table}.{one.column} {one.act}" for one in reads.paths}


VALUES: dict[str, tuple[str, set[str]]] = {
    "a column as it is": ("SELECT age AS x FROM setl_d", {"setl_d.age IDENTITY"}),
    "a column reckoned with": ("SELECT age + 1 AS x FROM setl_d", {"setl_d.age TRANSFORMATION"}),
    "a constant": ("SELECT 1 AS x FROM setl_d", set()),
    "a sum": (
        "SELECT sum(medfee_sumamt) AS x FROM setl_d GROUP BY psn_no",
        {"setl_d.medfee_sumamt AGGREGATION"},
    ),
    "a condition decides, the values are taken": (
        "SELECT CASE WHEN age > 60 THEN psn_pay ELSE acct_pay END AS x FROM setl_d",
        {
            "setl_d.age CONDITIONAL",
            "setl_d.psn_pay TRANSFORMATION",
            "setl_d.acct_pay TRANSFORMATION",
        },
    ),
    "a rank has no value but its window": (
        "SELECT row_number() OVER (PARTITION BY psn_no ORDER BY setl_time, setl_id) AS x "
        "FROM setl_d",
        {"setl_d.psn_no WINDOW", "setl_d.setl_time SORT", "setl_d.setl_id SORT"},
    ),
    "the row after": (
        "SELECT lead(begntime) OVER (PARTITION BY psn_no ORDER BY mdtrt_id) AS x FROM mdtrt_d",
        {"mdtrt_d.begntime AGGREGATION", "mdtrt_d.psn_no WINDOW", "mdtrt_d.mdtrt_id SORT"},
    ),
    "a column through a query": (
        "WITH a AS (SELECT psn_no, sum(psn_pay) AS paid FROM setl_d GROUP BY psn_no) "
        "SELECT paid / 2 AS x FROM a",
        {"setl_d.psn_pay AGGREGATION"},
    ),
    "either half of a union, by place": (
        "SELECT age AS x FROM setl_d UNION ALL SELECT age AS y FROM mdtrt_d",
        {"setl_d.age IDENTITY", "mdtrt_d.age IDENTITY"},
    ),
    "what a star stands for": (
        "WITH a AS (SELECT * FROM setl_d) SELECT age AS x FROM a",
        {"setl_d.age IDENTITY"},
    ),
    "a key that both tables have is of either": (
        "SELECT mdtrt_id AS x FROM setl_d JOIN mdtrt_d USING (mdtrt_id)",
        {"setl_d.mdtrt_id TRANSFORMATION", "mdtrt_d.mdtrt_id TRANSFORMATION"},
    ),
    "a query that is asked for each row": (
        "SELECT (SELECT max(m.endtime) FROM mdtrt_d m WHERE m.mdtrt_id = s.mdtrt_id) AS x "
        "FROM setl_d s",
        {
            "mdtrt_d.endtime AGGREGATION",
            "mdtrt_d.mdtrt_id FILTER",
            "setl_d.mdtrt_id FILTER",
            "mdtrt_d.vali_flag FILTER",
        },
    ),
    "rows written out": ("SELECT a AS x FROM (VALUES (1), (2)) AS v(a)", set()),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_rests_on_what_it_is_made_of_and_chosen_by(case: str) -> None:
    sql, expected = VALUES[case]
    assert told(traced(sql).column("x")) == expected


ROWS: dict[str, tuple[str, set[str]]] = {
    "a filter": (
        "SELECT 1 AS x FROM setl_d WHERE age > 60",
        {"setl_d.age FILTER", "setl_d.vali_flag FILTER"},
    ),
    "a join, outer ones too": (
        "SELECT 1 AS x FROM setl_d s LEFT JOIN mdtrt_d m ON m.mdtrt_id = s.mdtrt_id",
        {
            "setl_d.mdtrt_id JOIN",
            "mdtrt_d.mdtrt_id JOIN",
            "setl_d.vali_flag FILTER",
            "mdtrt_d.vali_flag FILTER",
        },
    ),
    "groups and what is kept of them": (
        "SELECT psn_no AS x FROM setl_d GROUP BY psn_no HAVING sum(psn_pay) > 0",
        {"setl_d.psn_no GROUP_BY", "setl_d.psn_pay FILTER", "setl_d.vali_flag FILTER"},
    ),
    "rows alike are one": (
        "SELECT DISTINCT psn_no AS x FROM setl_d",
        {"setl_d.psn_no GROUP_BY", "setl_d.vali_flag FILTER"},
    ),
    "a union without doubles": (
        "SELECT age AS x FROM setl_d UNION SELECT age AS x FROM setl_d",
        {"setl_d.age GROUP_BY", "setl_d.vali_flag FILTER"},
    ),
    "rows but those of another query": (
        "SELECT psn_no AS x FROM setl_d EXCEPT SELECT psn_no AS x FROM psn_insu_d",
        {
            "setl_d.psn_no GROUP_BY",
            "psn_insu_d.psn_no GROUP_BY",
            "setl_d.vali_flag FILTER",
            "psn_insu_d.vali_flag FILTER",
        },
    ),
    "groups of several widths": (
        "SELECT psn_no AS x FROM setl_d GROUP BY ROLLUP (psn_no, gend)",
        {"setl_d.psn_no GROUP_BY", "setl_d.gend GROUP_BY", "setl_d.vali_flag FILTER"},
    ),
    "a filter on a rank rests on its window": (
        "WITH a AS (SELECT psn_no, row_number() OVER (PARTITION BY psn_no ORDER BY setl_id) AS n "
        "FROM setl_d) SELECT psn_no AS x FROM a WHERE n = 1",
        {"setl_d.psn_no FILTER", "setl_d.setl_id FILTER", "setl_d.vali_flag FILTER"},
    ),
    "rows that another query has": (
        "SELECT 1 AS x FROM setl_d s WHERE EXISTS "
        "(SELECT 1 AS one FROM mdtrt_d m WHERE m.mdtrt_id = s.mdtrt_id)",
        {
            "mdtrt_d.mdtrt_id FILTER",
            "setl_d.mdtrt_id FILTER",
            "mdtrt_d.vali_flag FILTER",
            "setl_d.vali_flag FILTER",
        },
    ),
    "values that another query lists": (
        "SELECT 1 AS x FROM setl_d WHERE fixmedins_code IN "
        "(SELECT fixmedins_code FROM fixmedins_b)",
        {
            "setl_d.fixmedins_code FILTER",
            "fixmedins_b.fixmedins_code FILTER",
            "fixmedins_b.vali_flag FILTER",
            "setl_d.vali_flag FILTER",
        },
    ),
    "a table that the build makes has no valid flag": ("SELECT a AS x FROM made_by_us", set()),
}


@pytest.mark.parametrize("case", ROWS)
def test_the_rows_rest_on_what_decides_about_them(case: str) -> None:
    sql, expected = ROWS[case]
    assert told(traced(sql).rows) == expected


def test_the_path_names_every_view_on_the_way() -> None:
    views = (
        "CREATE OR REPLACE MACRO twice(a) AS a * 2;"
        "CREATE OR REPLACE VIEW inner_view AS SELECT psn_no, twice(psn_pay) AS paid FROM setl_d;"
        "CREATE OR REPLACE VIEW outer_view AS SELECT paid AS x FROM inner_view;"
    )
    (path,) = traced("SELECT x FROM outer_view", views).column("x").paths.values()
    assert path == ("setl_d.psn_pay", "inner_view.paid", "outer_view.x")


@pytest.mark.parametrize(
    "sql", ["SELECT nowhere AS x FROM setl_d", "SELECT s.nowhere AS x FROM setl_d s"]
)
def test_a_column_of_no_table_stops_the_build(sql: str) -> None:
    with pytest.raises(OperatorError) as caught:
        traced(sql).column("x")
    assert caught.value.code == "lineage_unreadable"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT row_number() OVER w AS x FROM setl_d WINDOW w AS (PARTITION BY age ORDER BY gend)",
        "SELECT age AS x FROM setl_d LIMIT 3",
    ],
)
def test_what_cannot_be_followed_is_refused_rather_than_missed(sql: str) -> None:
    with pytest.raises(OperatorError, match="is not followed") as caught:
        list(traced(sql).rows.paths)
    assert caught.value.code == "lineage_unreadable"


@pytest.mark.parametrize(("service", "fact"), FACTS)
def test_what_values_are_made_of_is_what_sqlglot_finds(service: str, fact: str) -> None:
    """`sqlglot.lineage` does not tell conditions from values; it must find the same columns."""
    own = CATALOGUE.services[service]
    query = Library.of(CATALOGUE.rollups_sql(own)).expanded(fact, CATALOGUE.fact_sql(own, fact))
    ours = Traced(fact, query)
    theirs = peer(None, query, SCHEMA, dialect="duckdb", trim_selects=False)
    for name in ours.names:
        assert {c for c in ours.column(name).columns if c[1] != "vali_flag"} == set(
            leaves(theirs[name])
        ), name


def leaves(node: Node) -> Iterator[tuple[str, str]]:
    for one in node.walk():
        if isinstance(one.expression, exp.Table):
            yield one.expression.name, one.name.split(".")[-1]
