"""A service more is a folder more: S29, which no program file knows, is built, asked and billed.

The folder brings its own dims, macros and code list. Who may ask for it is not the folder's to say:
that is one line in the scenario.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.catalogue.describe import describe
from gateway.catalogue.load import load_catalogue
from gateway.identity.boundaries import load_boundaries
from gateway.policy.contents import gather, read_folder
from gateway.policy.profiles import merged_profiles
from gateway.releases.build import Order, build
from gateway.settings import Settings
from tests.gateway_factory import TODAY, Gateway, copy_policies, serving
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

PROGRAM = Path(__file__).parents[2] / "gateway"
FOLDER = {
    "dims.yaml": """
month_third:
  title: {zh: 旬, en: "Third of the month the care began in"}
  item: C03-02
  level: L2
  axis: month_third
  values: [early, middle, late]
house:
  title: {zh: 机构大类, en: "Hospital or other institution"}
  item: C03-05
  level: L2
  axis: house
  code_list: house
""",
    "codes_house.csv": """code,title_zh,title_en,parent,beds
hospital,医院,Hospital,,yes
other,其他机构,Other institution,,no
""",
    "views.sql": """
CREATE OR REPLACE MACRO house(hosp_lv4) AS
    CASE WHEN hosp_lv4 IN ('T', 'S') THEN 'hospital' ELSE 'other' END;
CREATE OR REPLACE MACRO month_third(day_of_month) AS
    CASE WHEN day_of_month <= 10 THEN 'early' WHEN day_of_month <= 20 THEN 'middle'
         ELSE 'late' END;
""",
    "own.sql": """
SELECT period_m, geo_county, geo_city, insutype2, month_third(day(begndate)) AS month_third,
       house(hosp_lv4) AS house, psn_no, fixmedins_code, counting,
       medfee_sumamt AS magnitude, n AS visits, medfee_sumamt AS medfee
FROM settlement_counted
WHERE benefit5 = 'OP'
""",
    "special.sql": """
SELECT n AS visits, medfee_sumamt AS medfee, period_m, geo_county, geo_city, insutype2,
       month_third(day(begndate)) AS month_third, house(hosp_lv4) AS house,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude
FROM settlement_counted
WHERE benefit5 = 'OPSP'
""",
    "exposure.sql": """
SELECT period_m, geo_county, geo_city, insutype2, psn_no, NULL AS fixmedins_code,
       true AS counting, days AS magnitude, days
FROM insured_month
WHERE days > 0
""",
    "service.yaml": """
id: S29
code: test.visit-calendar
version: "1.0"
title: {zh: 就诊旬分布, en: Calendar of visits}
summary: {zh: 门诊与慢特病就诊的旬分布。, en: Outpatient visits by third of the month.}
consumers: [insurer]
grain: aggregate
output_level: L2
sdc: DC2
scenarios: [SC01]
min_lag_days: 30
tariff:
  unit: per_1000_cells
  prices:
  - {ref: test.visit-calendar/2026, valid_from: 2024-01-01, price_fen: 4000}
periods: [quarter, year]
geo:
- {level: city}
dims: [insutype2, month_third, house]
notes:
- {zh: 仅为测试。, en: For tests alone.}
facts:
  visit:
    query: [own.sql, special.sql]
    dims: [insutype2, month_third, house]
  exposure:
    query: exposure.sql
    dims: [insutype2]
disclosure:
  person_measure: persons
  side: [exposure]
measures:
- name: persons
  title: {zh: 就诊人数, en: Persons}
  item: C06-01
  level: L2
  unit: count
  define: {kind: persons, fact: visit}
- name: insured
  title: {zh: 参保人数, en: Insured persons}
  item: C02-04
  level: L2
  unit: count
  define: {kind: persons, fact: exposure}
- name: visits
  title: {zh: 就诊人次, en: Visits}
  item: C06-01
  level: L2
  unit: count
  define: {kind: sum, fact: visit, column: visits, style: count}
- name: medfee
  title: {zh: 医疗费用, en: Cost}
  item: C06-01
  level: L2
  unit: CNY
  define: {kind: sum, fact: visit, column: medfee, style: amount}
- name: avg_cost
  title: {zh: 次均费用, en: Cost per visit}
  item: C06-01
  level: L2
  unit: CNY
  define: {kind: ratio, num: medfee, den: visits, decimals: 2}
example:
  purpose: actuarial_pricing_and_reserving
  period: {from: 2024Q1, to: 2024Q4, grain: quarter}
  geo: ["990100"]
  dims: [month_third]
""",
}
ASKED: dict[str, Any] = {
    "purpose": "actuarial_pricing_and_reserving",
    "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["month_third", "house"],
}


def with_s29(policies: Path, *, offered: bool = True) -> Path:
    """The policies with the folder, and the line by which SC01 offers it."""
    folder = policies / "catalogue" / "S29"
    folder.mkdir()
    for name, text in FOLDER.items():
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
    if offered:
        path = policies / "data" / "scenarios" / "SC01.yaml"
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        document["SC01"]["services"]["S29"] = {"dims_deny": []}
        path.write_text(yaml.dump(document, allow_unicode=True), encoding="utf-8")
    return policies


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("s29")
    policies = with_s29(copy_policies(folder / "policies"))
    home = folder / "home"
    build_warehouse(home, persons=500, visits=2500)
    settings = Settings(home=home, policies=policies)
    made = build(settings, Order(("S29",), waivers=INVENTED), TODAY)
    assert [manifest.service for manifest in made] == ["S29"]
    with serving(home, policies) as running:
        running.admit("s29-app", "T-29", "insurer", "SC01", services=["S29"])
        yield running


def test_it_is_asked_over_http_with_a_token_bound_to_a_key(asked: Gateway) -> None:
    reply = asked.ask("S29", ASKED, client="s29-app")
    assert reply.status_code == 200, reply.text
    rows = reply.json()["data"]
    assert {(row["month_third"], row["house"]) for row in rows} == {
        (third, house) for third in ("early", "middle", "late") for house in ("hospital", "other")
    }
    shown = [row for row in rows if row["persons"]["flag"] == "r"]
    assert shown
    for row in shown:
        assert row["persons"]["value"] >= 11
        assert row["insured"]["value"] >= 100
        assert float(row["medfee"]["value"]) > 0


def test_both_queries_of_the_fact_are_counted_by_the_names_of_their_columns(
    asked: Gateway,
) -> None:
    year = {**ASKED, "period": {"from": "2024", "to": "2024", "grain": "year"}, "dims": []}
    row = asked.ask("S29", year, client="s29-app").json()["data"][0]
    cost = float(row["medfee"]["value"]) / row["visits"]["value"]
    assert abs(cost - float(row["avg_cost"]["value"])) < 0.02
    assert row["visits"]["value"] > 500  # of 2500 visits half are plain and a tenth special


def test_contract_openapi_and_reference_page_tell_of_it(asked: Gateway) -> None:
    contract = asked.get("/v1/services/S29", client="s29-app").json()
    assert [dim["name"] for dim in contract["dims"]] == ["insutype2", "month_third", "house"]
    assert contract["dims"][2]["values"] == ["hospital", "other"]
    assert contract["notes"] == [{"zh": "仅为测试。", "en": "For tests alone."}]
    paths = asked.http.get("/openapi.json").json()["paths"]
    assert "queryS29" in {m.get("operationId") for path in paths.values() for m in path.values()}
    page = describe(load_catalogue(asked.settings.policies))
    assert "## S29 `test.visit-calendar`" in page
    assert "For tests alone." in page


def test_it_is_metered_and_priced_by_its_own_tariff(asked: Gateway) -> None:
    question = {**ASKED, "dims": ["house"]}
    meta = asked.ask("S29", question, client="s29-app").json()["meta"]
    assert meta["charge"]["price_ref"] == "test.visit-calendar/2026"
    assert meta["charge"]["cells_charged"] > 0
    used = asked.get("/v1/usage", client="s29-app").json()["usage"]
    assert {row["service"] for row in used} == {"S29"}


def test_who_has_no_grant_for_it_is_refused(asked: Gateway) -> None:
    assert asked.ask("S29", ASKED, client="ins-app").status_code == 403


def test_a_folder_that_no_scenario_names_is_granted_to_nobody(tmp_path: Path) -> None:
    """`scenarios: [SC01]` in a folder is a wish: without the scenario's own line there is no
    profile to build it by and nothing to grant."""
    policies = with_s29(copy_policies(tmp_path / "policies"), offered=False)
    assert "S29" not in load_boundaries(policies).scenarios["SC01"]["services"]
    build_warehouse(tmp_path / "home", persons=60, visits=80)
    with pytest.raises(Exception, match="No scenario gives a profile for S29"):
        build(Settings(home=tmp_path / "home", policies=policies), Order(("S29",)), TODAY)


@pytest.mark.parametrize("own", ["DC0", "DC1", "DC5", "DC6", "DC7"])
def test_a_folder_cannot_weaken_what_the_scenario_demands(tmp_path: Path, own: str) -> None:
    """The stricter of the scenario's profile and the service's holds, threshold by threshold."""
    policies = with_s29(copy_policies(tmp_path / "policies"))
    demanded = _profile(policies)
    path = policies / "catalogue" / "S29" / "service.yaml"
    path.write_text(FOLDER["service.yaml"].replace("sdc: DC2", f"sdc: {own}"), encoding="utf-8")
    merged = _profile(policies)
    for field in ("k_person", "min_exposure", "min_institutions", "count_round"):
        assert merged[field] >= demanded[field], field
    for field in ("top1_share_max", "top2_share_max", "amount_sig_digits", "max_dims"):
        assert merged[field] <= demanded[field], field
    assert merged["complementary"] is True


def _profile(policies: Path) -> dict[str, Any]:
    return merged_profiles(policies, load_catalogue(policies).as_policy_data())["S29", "SC01"]


def test_every_file_of_the_folder_is_part_of_the_edition(tmp_path: Path) -> None:
    policies = with_s29(copy_policies(tmp_path / "policies"))
    names = [read_folder(policies).name]
    assert {f"catalogue/S29/{name}" for name in FOLDER} <= gather(policies).texts.keys()
    for name in FOLDER:
        path = policies / "catalogue" / "S29" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        names.append(read_folder(policies).name)
    assert len(set(names)) == 1 + len(FOLDER)


def test_no_program_file_knows_it() -> None:
    for path in PROGRAM.rglob("*.py"):
        assert "S29" not in path.read_text(encoding="utf-8"), path.name
