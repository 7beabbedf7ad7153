"""Facts as statements of their own: macros and views written in, and the portable part held."""

from __future__ import annotations

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.errors import OperatorError
from gateway.releases.engine.sql import Library, check, tables, written
from gateway.settings import Settings

VIEWS = """
CREATE OR REPLACE MACRO kind(code) AS CASE WHEN code = '1' THEN 'one' ELSE 'other' END;
CREATE OR REPLACE MACRO kind_of(a, b) AS kind(a) || '/' || kind(b);
CREATE OR REPLACE VIEW base AS SELECT id, kind_of(x, y) AS pair, amount FROM raw;
CREATE OR REPLACE VIEW above AS SELECT pair, sum(amount) AS amount FROM base GROUP BY pair;
CREATE OR REPLACE VIEW aside AS SELECT max_by(id, amount) AS id FROM raw;
"""
LIBRARY = Library.of(VIEWS)


def test_a_fact_written_out_gives_the_rows_it_gives_over_the_views() -> None:
    fact = "WITH big AS (SELECT * FROM above WHERE amount > 2) SELECT pair, amount FROM big"
    with duckdb.connect(":memory:") as con:
        con.execute("CREATE TABLE raw (id INTEGER, x TEXT, y TEXT, amount INTEGER)")
        con.execute("INSERT INTO raw VALUES (1, '1', '2', 2), (2, '1', '2', 3), (3, '2', '2', 1)")
        whole = con.execute(written(LIBRARY.expanded("fact.sql", fact))).fetchall()
        con.execute(VIEWS)
        assert whole == con.execute(fact).fetchall() == [("one/other", 5)]


def test_a_fact_names_the_tables_it_reaches_and_no_view_beside_them() -> None:
    whole = LIBRARY.expanded("fact.sql", "SELECT pair FROM above")
    assert tables(whole) == {"raw"}
    assert "aside" not in written(whole)


def test_a_view_that_is_not_reached_does_not_change_the_statement() -> None:
    fact = "SELECT pair FROM base"
    other = Library.of(VIEWS.replace("max_by(id, amount)", "min(id)"))
    assert written(other.expanded("f", fact)) == written(LIBRARY.expanded("f", fact))
    changed = Library.of(VIEWS.replace("'one'", "'uno'"))
    assert written(changed.expanded("f", fact)) != written(LIBRARY.expanded("f", fact))


@pytest.mark.parametrize(
    ("fact", "construct"),
    [
        ("SELECT avg(a) FROM raw", "function AVG"),
        ("SELECT a, sum(b) AS b FROM raw GROUP BY ALL", "GROUP BY ALL"),
        ("SELECT a FROM raw ORDER BY ALL", "ORDER BY ALL"),
        ("SELECT a FROM raw LIMIT 3", "LIMIT"),
        ("SELECT date_diff('year', a, b) FROM raw", "date_diff in years"),
        ("SELECT avg(a::DOUBLE) FROM raw", "DOUBLE"),
        ("SELECT max_by(a, b) FROM raw", "max_by"),
        ("SELECT row_number() OVER (PARTITION BY a) FROM raw", "without ORDER BY"),
        ("SELECT unnest([1, 2]) FROM raw", "lists"),
        ("SELECT list_sort(a) FROM raw", "lists|function"),
        ("SELECT quantile_disc(a, 0.5) FROM raw", "quantile"),
        ("SELECT regexp_matches(a, 'x') FROM raw", "regular expression"),
        ("SELECT * EXCLUDE (a) FROM raw", "EXCLUDE"),
        ("SELECT random() FROM raw", "chance"),
        ("SELECT today() FROM raw", "chance|function"),
        ("SELECT strftime(a, '%A') FROM raw", "date format"),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS a UNION SELECT a + 1 FROM n WHERE a < 9) FROM n",
            "RECURS",
        ),
        ("SELECT made_up(a) FROM raw", "function made_up"),
        ("SELECT id FROM aside", "view aside: max_by"),
    ],
)
def test_what_other_engines_read_otherwise_is_refused_with_file_and_construct(
    fact: str, construct: str
) -> None:
    with pytest.raises(OperatorError, match=construct) as refused:
        check("S99/fact.sql", fact, LIBRARY)
    assert refused.value.code == "fact_not_portable"
    assert "S99/fact.sql: " in refused.value.message or "view " in refused.value.message


@pytest.mark.parametrize("text", ["SELECT FROM WHERE", "SELECT 1; SELECT 2", "DROP TABLE raw"])
def test_what_is_not_one_query_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match=r"S99/fact\.sql") as refused:
        check("S99/fact.sql", text, LIBRARY)
    assert refused.value.code == "fact_unreadable"


def test_every_fact_of_the_catalogue_is_portable_and_can_be_said_elsewhere() -> None:
    catalogue = load_catalogue(Settings().policies)
    for service in catalogue.services.values():
        library = Library.of(catalogue.rollups_sql(service))
        texts = [catalogue.fact_sql(service, fact) for fact in service.facts]
        for text in [*texts, *filter(None, [catalogue.records_sql(service)])]:
            check(service.id, text, library)
            whole = library.expanded(service.id, text)
            assert not tables(whole) & library.views.keys()
            for dialect in ("spark", "trino", "clickhouse"):
                assert written(whole, dialect)
