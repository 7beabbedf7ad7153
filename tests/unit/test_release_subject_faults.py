"""A service that is about no person is not protected as persons are: so it must not read any."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.catalogue.load import CatalogueError, load_catalogue
from gateway.catalogue.subject import IMPERSONAL, restricted
from gateway.releases.engine.sql import Library
from gateway.releases.impersonal import check_columns, check_reading
from gateway.releases.manifest import ReleaseError
from synthetic.warehouse.schema import TABLES
from tests.impersonal_services import LEDGER, OPEN, add, changed

POLICIES = Path(__file__).resolve().parents[2] / "policies"
CATALOGUE = load_catalogue(POLICIES)
FUND = CATALOGUE.services["S25"]
VIEWS = ("dimensions.yaml", *(p.name for p in (POLICIES / "catalogue").glob("views_[01]*.sql")))
ONE_PERSON = ("psn_no", "certno", "setl_id", "mdtrt_id", "fixmedins_code", "psn_name")


RECONCILED = {
    **LEDGER,
    "paid.sql": LEDGER["entry.sql"].replace("fund_flow_m", "setl_d"),
    "service.yaml": LEDGER["service.yaml"]
    .replace("side: [exposure]", "side: [paid, exposure], reconciles: [paid]")
    .replace("  exposure: {", "  paid: {query: paid.sql, dims: [insutype2]}\n  exposure: {")
    .replace(
        "example: {}",
        """- <<: *sum
  name: paid
  define: {kind: sum, fact: paid, column: amount, style: amount}
  internal: true
- <<: *sum
  name: apart
  define: {kind: gap, difference: paid, of: amount}
example: {}
""",
    ),
}


def catalogue_with(folder: dict[str, str], root: Path) -> Path:
    (root / "catalogue").mkdir()
    for name in VIEWS:
        shutil.copy(POLICIES / "catalogue" / name, root / "catalogue")
    return add(root, folder, offered=False)


def fault(folder: dict[str, str], root: Path) -> CatalogueError:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(catalogue_with(folder, root))
    return caught.value


def test_impersonal_tables_hold_no_person_no_settlement_and_no_institution() -> None:
    for name in IMPERSONAL & TABLES.keys():
        assert not {column.name for column in TABLES[name].columns} & {*ONE_PERSON}, name


def test_every_other_table_is_taken_to_hold_persons() -> None:
    for name in TABLES.keys() - IMPERSONAL:
        assert not restricted_reads(f"SELECT * FROM {name}"), name
    assert restricted_reads("SELECT * FROM fund_flow_m")


def restricted_reads(sql: str) -> bool:
    """Whether an open fact may be this query, by what is looked at when it is built."""
    assert restricted(FUND) == ("ledger", "closing")
    try:
        check_reading(FUND, Library.of(""), {"ledger": sql, "closing": "SELECT 1 AS one"})
    except ReleaseError as error:
        return error.code != "fact_subject"
    return True


@pytest.mark.parametrize(
    "sql",
    [
        "FROM setl_d",
        "FROM fund_flow_m JOIN SETL_D USING (insutype)",
        'FROM "Setl_D"',
        "FROM fund_flow_m WHERE amt > (SELECT min(fund_pay_sumamt) FROM setl_d)",
        "FROM fund_flow_m UNION ALL SELECT 1 FROM psn_insu_d",
        "FROM settlement_counted",  # a shared view of settlements
        "FROM fund_flow_m /* */ , insured_month",
        "FROM recon_3201_d",  # of one institution
        "FROM fixmedins_b",
    ],
)
@pytest.mark.parametrize("folder", [OPEN, LEDGER])
def test_a_fact_about_no_person_that_reaches_one_is_refused_when_it_is_read(
    folder: dict[str, str], sql: str, tmp_path: Path
) -> None:
    found = fault(changed(folder, "FROM fund_flow_m", sql, "entry.sql"), tmp_path)
    assert found.code == "fact_subject"
    assert "must not read" in found.message


@pytest.mark.parametrize("file", ["views.sql", "more.sql"])
def test_neither_an_own_view_nor_a_second_query_is_a_way_round(file: str, tmp_path: Path) -> None:
    folder = changed(OPEN, "FROM fund_flow_m", "FROM innocent", "entry.sql")
    if file == "views.sql":
        folder[file] = "CREATE OR REPLACE VIEW innocent AS SELECT * FROM setl_d;"
    else:
        folder = changed(OPEN, "query: entry.sql", "query: [entry.sql, more.sql]")
        folder[file] = OPEN["entry.sql"].replace("fund_flow_m", "setl_d")
    assert fault(folder, tmp_path).code == "fact_subject"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'warehouse/setl_d.parquet'",
        "SELECT * FROM (WITH fund_flow_m AS (SELECT * FROM setl_d) SELECT * FROM fund_flow_m)",
        "SELECT (SELECT max(psn_no) FROM psn_info_b) AS one FROM fund_flow_m",
        "SELECT * FROM setl_other",  # no table that is known
    ],
)
def test_what_the_words_do_not_show_the_parsed_query_does(sql: str) -> None:
    assert not restricted_reads(sql)


@pytest.mark.parametrize("name", ["psn_no", "fixmedins_code", "counting", "magnitude", "MAKER"])
def test_a_fact_about_no_person_has_no_column_that_tells_persons_apart(name: str) -> None:
    check_columns(FUND, "ledger", ["period_m", "income"])
    with pytest.raises(ReleaseError, match="tells no persons apart"):
        check_columns(FUND, "ledger", ["period_m", name])


@pytest.mark.parametrize(
    ("folder", "old", "new", "says"),
    [
        (OPEN, "{subject: open}", "{subject: open, makers_for: [flow]}",
         "disclosure.makers_for: belongs to services about persons"),
        (OPEN, "{subject: open}", "{subject: open, records: entry.sql}", "disclosure.records"),
        (OPEN, "{subject: open}", "{subject: open, reconciles: [entry]}", "is of a ledger"),
        (OPEN, "{subject: open}", "{subject: nobody}", "disclosure.subject"),
        (OPEN, "sdc: DC0", "sdc: DC1", "what is open has DC0"),
        (OPEN, "{unit: free}", "{unit: per_1000_cells}", "no provider to share with"),
        (OPEN, "kind: sum, fact: entry, column: entries, style: count",
         "kind: persons, fact: entry", "kind persons counts or reads persons"),
        (OPEN, "kind: sum, fact: entry, column: entries, style: count",
         "kind: quantile, fact: entry, column: entries, p: 50", "kind quantile"),
        (OPEN, "flow]\nfacts", "flow, readmit31]\nfacts", "a pivot"),
        (OPEN, "dims: [insutype2, flow]}", "dims: [flow], stock: true}", "balances cover no cells"),
        (LEDGER, "subject: ledger", "subject: open", "nobody is exposed to what is open"),
        (LEDGER, "  exposure: {query: exposure.sql, dims: [insutype2]}\n", "", "no `exposure`"),
        (LEDGER, "fact: entry, column: entries, style: count",
         "fact: exposure, column: days, style: person_time",
         "exposure is a threshold here"),
        (LEDGER, "side: [exposure]", "side: [exposure], reconciles: [exposure]", "exposure is no"),
        (LEDGER, "side: [exposure]", "side: [exposure], reconciles: [entry]", "must be in it"),
        (LEDGER, "side: [exposure]", "side: [exposure, entry], reconciles: [entry]",
         "may have those of exposure alone"),
        (LEDGER, "subject: ledger, side", "reconciles: [entry], side", "belongs to a ledger"),
        (RECONCILED, "internal: true", "internal: false", "must be internal"),
        (RECONCILED, "kind: gap, difference: paid, of: amount",
         "kind: ratio, num: paid, den: amount",
         "only a gap is told"),
    ],
)  # fmt: skip
def test_what_belongs_to_persons_is_refused_where_the_subject_is_none(
    folder: dict[str, str], old: str, new: str, says: str, tmp_path: Path
) -> None:
    assert says in fault(changed(folder, old, new), tmp_path).message


def test_both_services_are_in_order_as_they_stand(tmp_path: Path) -> None:
    for number, folder in enumerate((OPEN, LEDGER, RECONCILED)):
        (tmp_path / str(number)).mkdir()
        assert load_catalogue(catalogue_with(folder, tmp_path / str(number))).services


def test_a_service_that_says_nothing_is_about_persons() -> None:
    services = CATALOGUE.services
    assert services["S02"].disclosure.subject == "persons"
    assert [s.id for s in services.values() if s.disclosure.subject == "ledger"] == ["S25"]
