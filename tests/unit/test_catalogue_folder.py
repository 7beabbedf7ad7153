"""What a service's folder may bring: dims, views, code lists, several queries, a worked example.

A folder adds; it never changes what another service reads, and a fault is refused by name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from gateway.catalogue.describe import describe
from gateway.catalogue.kinds import KINDS, Persons
from gateway.catalogue.load import Catalogue, CatalogueError, load_catalogue
from gateway.catalogue.model import Dim, Text
from gateway.errors import OperatorError
from gateway.releases.domains import listed
from gateway.releases.kinds import EVALUATORS, LATE_EVALUATORS
from gateway.releases.sensitive import is_sensitive
from tests.integration.test_catalogue_29th import FOLDER, with_s29

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SHARED = ("dimensions.yaml", "views_00_dims.sql", "views_10_settlement.sql")
SERVICE = FOLDER["service.yaml"]
PERSONS = "define: {kind: persons, fact: visit}"
CODES = FOLDER["codes_house.csv"]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A catalogue of S29 alone, which a test may spoil."""
    root = tmp_path / "catalogue"
    root.mkdir()
    for name in SHARED:
        shutil.copy(POLICIES / "catalogue" / name, root)
    with_s29(tmp_path, offered=False)
    return change(tmp_path, "\nexample:\n", GROWTH)


def write(policies: Path, name: str, text: str) -> Path:
    (policies / "catalogue" / "S29" / name).write_text(text, encoding="utf-8")
    return policies


GROWTH = """
- name: growth
  title: {zh: 同比, en: Growth}
  item: C06-01
  level: L2
  unit: ratio
  define: {kind: ratio, num: medfee, den: medfee, lag_years: 1, minus_one: true}
example:
"""


def change(policies: Path, old: str, new: str, name: str = "service.yaml") -> Path:
    text = (policies / "catalogue" / "S29" / name).read_text(encoding="utf-8")
    assert old in text
    return write(policies, name, text.replace(old, new))


def fault(policies: Path) -> CatalogueError:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(policies)
    assert "S29" in caught.value.message
    return caught.value


def s29(policies: Path) -> Catalogue:
    return load_catalogue(policies)


def test_a_folder_brings_dims_and_code_lists_with_what_they_say_besides(policies: Path) -> None:
    dims = {dim.name: dim for dim in s29(policies).services["S29"].dims}
    house = dims["house"]
    assert listed(house, "house") == {"hospital": "", "other": ""}
    assert [code.more for code in house.lists["house"]] == [{"beds": "yes"}, {"beds": "no"}]


def test_a_list_beside_the_shared_files_serves_all_but_the_folders_own_comes_first(
    policies: Path,
) -> None:
    shared = policies / "catalogue" / "codes_house.csv"
    shared.write_text("code,title_zh,title_en,parent\nx,甲,A,\n", encoding="utf-8")
    house = s29(policies).services["S29"].dims[2]
    assert set(listed(house, "house")) == {"hospital", "other"}
    (policies / "catalogue" / "S29" / "codes_house.csv").unlink()
    assert set(listed(s29(policies).services["S29"].dims[2], "house")) == {"x"}


def test_a_code_list_that_is_nowhere_is_named(policies: Path) -> None:
    (policies / "catalogue" / "S29" / "codes_house.csv").unlink()
    with pytest.raises(OperatorError, match=r"codes_house\.csv") as caught:
        listed(s29(policies).services["S29"].dims[2], "house")
    assert caught.value.code == "code_list_unknown"


@pytest.mark.parametrize(
    ("name", "swap", "code", "says"),
    [
        ("dims.yaml", ("month_third:\n", "insutype2:\n"), "catalogue_dim", "insutype2 is in"),
        ("dims.yaml", ("  code_list: house", "  lists: {}"), "catalogue_dim", "codes_*.csv"),
        (
            "dims.yaml",
            ("  code_list: house", "  code_list: ../x"),
            "catalogue_invalid",
            "code_list",
        ),
        (
            "dims.yaml",
            ("axis: house", "axis: house\n  sensitive: dx"),
            "catalogue_reference",
            "house",
        ),
        ("codes_house.csv", ("other,", "hospital,"), "catalogue_codes", "line 3: a code twice"),
        ("codes_house.csv", (",,no", ",no"), "catalogue_codes", "line 3: too many or too few"),
        ("codes_house.csv", ("code,title_zh", "code,title"), "catalogue_codes", "begins with"),
        ("codes_house.csv", (CODES[CODES.index("\n") + 1 :], ""), "catalogue_codes", "no codes"),
        ("views.sql", ("MACRO house", "MACRO hosp_lv4"), "catalogue_views", "views_00_dims.sql"),
        ("views.sql", ("MACRO house", "MACRO Benefit5"), "catalogue_views", "benefit5"),
        ("views.sql", ("MACRO month_third", "MACRO house"), "catalogue_views", "house is made"),
        ("views.sql", ("CREATE OR REPLACE MACRO house", "COPY x"), "catalogue_views", "COPY"),
        (
            "views.sql",
            ("CREATE OR REPLACE MACRO house", "CREATE MACRO house"),
            "catalogue_views",
            "",
        ),
    ],
)
def test_a_fault_in_what_a_folder_brings_has_a_code_and_a_place(
    policies: Path, name: str, swap: tuple[str, str], code: str, says: str
) -> None:
    found = fault(change(policies, *swap, name))
    assert (found.code, says in found.message) == (code, True), found.message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("query: exposure.sql", "query: ../exposure.sql", "query"),
        ("[own.sql, special.sql]", "[own.sql, own.sql]", "a file appears twice"),
        ("[own.sql, special.sql]", "[own.sql, absent.sql]", "absent.sql does not exist"),
        ("[own.sql, special.sql]", "[]", "query"),
        ("num: medfee", "num: avg_cost", "avg_cost: is made of itself"),
        ("den: visits,", "den: visits, over: [house], lag_years: 1,", "do not go together"),
        (
            "num: medfee, den: visits",
            "num: growth, den: visits, over: [house]",
            "avg_cost: cannot be made of a figure that looks at other periods",
        ),
        ("person_measure: persons", "person_measure: insured", "insured does not count"),
        ("person_measure: persons", "person_measure: visits", "visits does not count"),
        ("side: [exposure]", "side: [exposure, visit]", "visit is a side fact"),
        ("fact: visit, column: visits", "fact: exposure, column: visits", "sum of `days`"),
        ("column: medfee", 'column: "m) --"', "no name of a column"),
        ("unit: CNY", "unit: gold", "unit"),
        ("unit: per_1000_cells", "unit: per_query", "tariff.unit"),
        ("kind: ratio", "kind: guess", "define"),
    ],
)
def test_what_the_build_would_not_honour_is_refused_when_it_is_read(
    policies: Path, old: str, new: str, says: str
) -> None:
    assert says in fault(change(policies, old, new)).message


def test_persons_at_a_pivot_are_refused_for_nothing_guards_them(policies: Path) -> None:
    change(policies, "axis: house\n", "axis: house\n  pivot: true\n", "dims.yaml")
    change(policies, "  code_list: house\n", "  values: [hospital, other]\n", "dims.yaml")
    found = fault(change(policies, PERSONS, PERSONS + "\n  at: {house: hospital}"))
    assert "persons at a pivot are not guarded" in found.message


def test_a_dim_whose_coarser_one_is_not_offered_is_the_top_of_its_axis(policies: Path) -> None:
    change(
        policies, "dims: [insutype2, month_third, house]\nnotes", "dims: [psn_group6, house]\nnotes"
    )
    change(policies, "dims: [insutype2, month_third, house]", "dims: [psn_group6, house]")
    change(policies, "dims: [insutype2]", "dims: [psn_group6]")
    assert s29(policies).services["S29"].dims[0].parent is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: change(root, "医院", "大医院", "codes_house.csv"),
        lambda root: change(root, "旬,", "旬段,", "dims.yaml"),
        lambda root: change(root, "<= 10", "<= 11", "views.sql"),
        lambda root: change(root, "'OPSP'", "'IP'", "special.sql"),
    ],
)
def test_whatever_defines_a_figure_is_in_the_digest_of_its_definitions(
    policies: Path, spoil: Callable[[Path], Path]
) -> None:
    before = s29(policies)
    digest = before.definitions_digest(before.services["S29"])
    after = s29(spoil(policies))
    assert after.definitions_digest(after.services["S29"]) != digest


def test_rows_of_several_queries_meet_by_the_names_of_their_columns(policies: Path) -> None:
    catalogue = s29(policies)
    texts = {
        "own.sql": "SELECT 'a' AS period_m, 'b' AS geo_county, 'c' AS geo_city, 'i' AS insutype2,"
        " 'm' AS month_third, 'h' AS house, 'p' AS psn_no, 'f' AS fixmedins_code,"
        " true AS counting, 5 AS magnitude, 7 AS visits, 9 AS medfee",
        "special.sql": "SELECT 90 AS medfee, 70 AS visits, 50 AS magnitude, 'a' AS period_m,"
        " 'b' AS geo_county, 'c' AS geo_city, 'i' AS insutype2, 'm' AS month_third,"
        " 'h' AS house, 'p' AS psn_no, 'f' AS fixmedins_code, true AS counting",
    }
    for name, text in texts.items():
        write(policies, name, text)
    sql = catalogue.fact_sql(catalogue.services["S29"], "visit")
    found = duckdb.sql(f"SELECT magnitude, visits, medfee FROM ({sql}) ORDER BY 1").fetchall()
    assert found == [(5, 7, 9), (50, 70, 90)]
    write(policies, "special.sql", texts["special.sql"].replace("90 AS medfee, ", ""))
    with pytest.raises(duckdb.BinderException, match="medfee"):
        duckdb.sql(catalogue.fact_sql(catalogue.services["S29"], "visit"))
    write(policies, "own.sql", texts["own.sql"] + ", 'k' AS maker")
    with pytest.raises(CatalogueError, match="some queries have a maker"):
        catalogue.fact_sql(catalogue.services["S29"], "visit")


def test_every_kind_can_be_told_and_worked_out() -> None:
    assert KINDS
    assert set(EVALUATORS) == set(KINDS) >= set(LATE_EVALUATORS)
    assert len({kind.model_fields["kind"].annotation for kind in KINDS}) == len(KINDS)
    assert Persons(kind="persons", fact="x").phrase()


def test_a_sensitive_dim_that_nothing_is_said_of_is_not_taken_for_harmless() -> None:
    text = Text(zh="诊断", en="Diagnosis")
    dim = Dim(name="own_dx", title=text, item="C04-01", level="L2", axis="own_dx")
    document = {
        "dims": {},
        "families": {},
        "dx": [{"id": "hiv", "enabled": True, "ranges": [["B20", "B24"]]}],
        "prefix": {"atc": [{"prefix": "J05AR", "implies": "hiv"}]},
    }
    with pytest.raises(OperatorError, match="own_dx"):
        is_sensitive(document, dim, "B20.x01")
    by_dx = dim.model_copy(update={"sensitive": "dx"})
    by_drug = dim.model_copy(update={"sensitive": "atc"})
    assert [is_sensitive(document, by_dx, code) for code in ("B20.x01", "I63.9")] == [True, False]
    assert [is_sensitive(document, by_drug, c) for c in ("J05AR10", "A10BA02")] == [True, False]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("about: [", "catalogue_unreadable"),
        ("about: {zh: 甲, en: A}\n", "catalogue_invalid"),
        (
            "about: {zh: 甲, en: A}\nscenario: SC01\nrecords: []\n"
            "ask: {period: {from: 2024Q1, to: 2024Q1, grain: quarter}, geo: ['990100'],"
            " measures: [visits]}\nanswer: |\n  period | visits\n  2024Q1\n",
            "catalogue_worked",
        ),
    ],
)
def test_a_worked_example_of_the_wrong_form_is_refused(
    policies: Path, text: str, code: str
) -> None:
    catalogue = s29(write(policies, "worked.yaml", text))
    with pytest.raises(CatalogueError) as caught:
        catalogue.example("S29")
    assert caught.value.code == code


def test_the_reference_page_prints_the_worked_example_and_the_notes() -> None:
    page = describe(load_catalogue(POLICIES))
    assert "| 2024Q1 | 990400 | I63 | 40 r | 240 r | 6.0 r |" in page
    assert "Asked under SC01: quarters 2024Q1 to 2024Q1; geo 990400" in page
