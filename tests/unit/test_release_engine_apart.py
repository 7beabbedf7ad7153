"""Which relations can be run for some persons at a time: what is not recognised cannot."""

from __future__ import annotations

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.apart import apart
from gateway.releases.engine.sql import Library
from gateway.settings import Settings

APART = (
    "SELECT psn_no, setl_id FROM setl_d WHERE med_type = '21'",
    "SELECT psn_no, sum(medfee_sumamt) AS fee FROM setl_d GROUP BY psn_no",
    "SELECT s.psn_no, d.drg_code FROM drg_rslt_d d JOIN setl_d s USING (setl_id)",
    "SELECT s.psn_no FROM fee_list_d f JOIN setl_d s ON s.setl_id = f.setl_id GROUP BY s.psn_no",
    "SELECT psn_no, row_number() OVER (PARTITION BY mdtrt_id ORDER BY setl_id) AS n FROM setl_d",
    "SELECT s.psn_no FROM setl_d s LEFT JOIN setl_d o ON s.setl_id ="
    " CASE WHEN o.refd_setl_flag = '1' THEN o.init_setl_id ELSE o.setl_id END",
    "WITH line AS (SELECT setl_id, sum(cnt) AS n FROM fee_list_d WHERE setl_id IS NOT NULL"
    " GROUP BY setl_id) SELECT s.psn_no, line.n FROM line JOIN setl_d s USING (setl_id)",
    "SELECT psn_no FROM setl_d UNION ALL SELECT psn_no FROM opsp_reg_d",
    "SELECT DISTINCT psn_no, left(begndate, 4) AS year FROM opsp_reg_d",
    "SELECT s.psn_no, x.n FROM setl_d s JOIN (SELECT psn_no, count(*) AS n FROM opsp_reg_d"
    " GROUP BY psn_no) AS x ON x.psn_no = s.psn_no",
)


ACROSS = (
    "SELECT '' AS psn_no, fixmedins_code FROM fixmedins_b",  # of nobody
    "SELECT fixmedins_code AS psn_no FROM setl_d",  # a column of another meaning
    "SELECT max(psn_no) AS psn_no FROM setl_d",
    "SELECT max(psn_no) AS psn_no, fixmedins_code FROM setl_d GROUP BY fixmedins_code",
    "SELECT psn_no, sum(cnt) OVER (PARTITION BY fixmedins_code) AS n FROM fee_list_d",
    "SELECT psn_no, sum(cnt) OVER () AS n FROM fee_list_d",
    "SELECT a.psn_no FROM setl_d a JOIN setl_d b ON a.fixmedins_code = b.fixmedins_code",
    "SELECT a.psn_no FROM setl_d a JOIN setl_d b ON a.setl_id = b.mdtrt_id",
    "SELECT a.psn_no FROM setl_d a CROSS JOIN opsp_reg_d b",
    "SELECT s.psn_no FROM fixmedins_b h LEFT JOIN setl_d s ON s.fixmedins_code = h.fixmedins_code",
    "SELECT s.psn_no FROM setl_d s RIGHT JOIN fixmedins_b h ON s.fixmedins_code = h.fixmedins_code",
    "SELECT o.psn_no FROM setl_d s LEFT JOIN opsp_reg_d o ON o.psn_no = s.psn_no",  # may be empty
    "SELECT psn_no FROM setl_d UNION ALL SELECT '' AS psn_no FROM fixmedins_b",
    "SELECT psn_no FROM setl_d WHERE fixmedins_code IN (SELECT fixmedins_code FROM mdtrt_d)",
    "SELECT psn_no, (SELECT count(*) FROM mdtrt_d) AS n FROM setl_d",
    "SELECT psn_no FROM setl_d ORDER BY psn_no LIMIT 5",
    "SELECT DISTINCT ON (fixmedins_code) psn_no FROM setl_d",
    "SELECT psn_no FROM setl_d GROUP BY ROLLUP (psn_no)",
)


@pytest.mark.parametrize("sql", APART)
def test_what_joins_and_groups_by_person_settlement_or_encounter_lies_apart(sql: str) -> None:
    fact = apart(sql)
    assert (fact.whole, fact.across) == (False, ())


@pytest.mark.parametrize("sql", ACROSS)
def test_everything_else_is_run_whole(sql: str) -> None:
    assert apart(sql).whole


def test_lines_of_no_settlement_are_not_grouped_part_by_part() -> None:
    grouped = "WITH line AS (SELECT setl_id, count(*) AS n FROM fee_list_d GROUP BY setl_id) "
    fact = apart(grouped + "SELECT s.psn_no FROM setl_d s JOIN line ON line.setl_id = s.setl_id")
    assert (fact.whole, fact.across) == (False, ("line",))


def test_what_lies_across_is_run_before_with_what_it_reads_cut() -> None:
    fact = apart(
        "WITH paid AS (SELECT psn_no, fixmedins_code, sum(medfee_sumamt) AS fee FROM setl_d "
        "GROUP BY psn_no, fixmedins_code), peer AS (SELECT fixmedins_code, avg(fee) AS fee "
        "FROM paid GROUP BY fixmedins_code) "
        "SELECT p.psn_no, p.fee - peer.fee AS more FROM paid p JOIN peer USING (fixmedins_code)"
    )
    assert (fact.whole, fact.across, fact.cut("peer")) == (False, ("peer",), ["paid"])
    assert fact.statement("peer", {"paid": "SELECT 1"}).count("setl_d") == 0
    assert fact.statement(fact.facts[0], {"peer": "SELECT 1"}).count("setl_d") == 1


def test_what_rests_upon_what_lies_across_is_run_once_too() -> None:
    fact = apart(
        "WITH fee AS (SELECT fixmedins_code, sum(medfee_sumamt) AS fee FROM setl_d "
        "GROUP BY fixmedins_code), place AS (SELECT fixmedins_code, rank() OVER (ORDER BY fee) "
        "AS place FROM fee), kind AS (SELECT fixmedins_code FROM fixmedins_b) "
        "SELECT s.psn_no FROM setl_d s JOIN place p ON p.fixmedins_code = s.fixmedins_code "
        "JOIN kind k ON k.fixmedins_code = s.fixmedins_code"
    )
    assert (fact.whole, fact.across) == (False, ("fee", "place"))


SETTLED = "SELECT psn_no, setl_id, medfee_sumamt AS fee FROM setl_d"


def test_the_queries_of_a_fact_are_told_apart_with_what_more_than_one_of_them_reads() -> None:
    fact = apart(
        f"WITH settled AS ({SETTLED}), paid AS (SELECT * FROM settled WHERE fee > 0), "
        "stay AS (SELECT psn_no, setl_id, fee FROM paid), "
        "once AS (SELECT psn_no, setl_id, fee FROM settled WHERE fee > 9) "
        "SELECT psn_no, fee FROM (SELECT * FROM paid) UNION ALL "
        "SELECT psn_no, fee FROM (WITH dear AS (SELECT * FROM stay WHERE fee > 5) FROM dear) "
        "UNION ALL SELECT psn_no, fee FROM stay UNION ALL SELECT psn_no, fee FROM once"
    )
    assert (len(fact.facts), fact.whole) == (4, False)
    assert fact.shared == ["settled", "stay"]
    laid = dict.fromkeys(fact.shared, "SELECT 1")
    assert "setl_d" not in " ".join(fact.statement(name, laid) for name in fact.facts)


@pytest.mark.parametrize(
    "other",
    [
        "UNION SELECT psn_no, setl_id FROM setl_d",  # rows of both sides become one
        "UNION ALL SELECT psn_no, mdtrt_id FROM setl_d",  # told apart, it would be another column
        "UNION ALL SELECT * FROM setl_d",
        "UNION ALL SELECT psn_no, setl_id FROM setl_d ORDER BY psn_no LIMIT 5",
    ],
)
def test_queries_that_are_more_than_their_rows_put_together_stay_one(other: str) -> None:
    assert len(apart(f"SELECT psn_no, setl_id FROM setl_d {other}").facts) == 1


def test_all_facts_about_persons_but_a_few_are_run_in_parts() -> None:
    catalogue = load_catalogue(Settings().policies)
    whole = set()
    for service in catalogue.services.values():
        library = Library.of(catalogue.rollups_sql(service))
        for name in service.facts:
            text = library.whole(name, catalogue.fact_sql(service, name)).text
            if apart(text).whole:
                whole.add(f"{service.id}/{name}")
    assert whole == {
        "S06/cost", "S11/agreed", "S25/closing", "S25/ledger", "S25/settled",
        "S26/figure", "S26/further", "S26/rule_result",
    }  # fmt: skip
