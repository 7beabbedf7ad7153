"""From facts to answers: what the measures of the catalogue rest on, and how it is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.own import view_name
from gateway.releases.lineage.cohort import cohort_lineage
from gateway.releases.lineage.figures import Lineage, lineage_of
from gateway.releases.lineage.own import ViewLineage
from gateway.releases.lineage.page import source_lines
from gateway.releases.lineage.reads import Act
from gateway.settings import Settings
from synthetic.warehouse.schema import TABLES

POLICIES = Settings().policies
CATALOGUE = load_catalogue(POLICIES)
MADE_BY_THE_BUILD = {"dq_rslt_m", "delivered_quality"}


def lineage(service: str, catalogue: Catalogue = CATALOGUE) -> Lineage:
    return lineage_of(catalogue, catalogue.services[service])


def direct(service: str, column: str) -> set[str]:
    return {f"{table}.{name}" for table, name in lineage(service).fields[column].direct}


def acting(service: str, column: str, act: Act) -> set[str]:
    paths = lineage(service).fields[column].paths
    return {f"{one.table}.{one.column}" for one in paths if one.act == act}


def every_table(service: str) -> dict[str, Lineage | ViewLineage]:
    """The tables that answers of a service are read from: its cells, and its views of own rows."""
    if service in CATALOGUE.cohorts:
        return {"": cohort_lineage(CATALOGUE.root, CATALOGUE.cohorts[service])}
    found = lineage(service)
    cells: dict[str, Lineage | ViewLineage] = {"": found} if found.fields else {}
    return cells | {view.name: view for view in found.views}


def released_columns(service: str) -> dict[str, set[str]]:
    """What the contract promises of each of these tables."""
    if service in CATALOGUE.cohorts:
        kinds = CATALOGUE.cohorts[service].kinds
        return {"": {"period", "geo", "persons", "follow_up_months", *kinds}}
    own = CATALOGUE.services[service]
    dims = [dim.name for dim in own.dims if not dim.pivot]
    cells = {"period", "geo", *dims, *(m.name for m in own.measures if not m.internal)}
    views = own.own.views if own.own else ()
    heads = {"period", "geo", "own_institution"}
    told = {view_name(v): heads | {*v.dims} | {m.name for m in v.measures} for v in views}
    return ({"": cells} if own.facts else {}) | told


@pytest.mark.parametrize("service", [*CATALOGUE.services, *CATALOGUE.cohorts])
def test_every_released_column_of_every_service_has_a_path_to_a_column_that_exists(
    service: str,
) -> None:
    found = every_table(service)
    assert {name: set(one.fields) for name, one in found.items()} == released_columns(service)
    for place, one in found.items():
        for name, reads in one.fields.items():
            assert reads.paths, (place, name)
            for table, column in reads.columns:
                if table in TABLES:
                    assert column in {one.name for one in TABLES[table].columns}
                else:
                    assert table in MADE_BY_THE_BUILD


def test_an_institution_is_told_of_its_peers_from_their_rows() -> None:
    (peers,) = (view for view in lineage("S08").views if view.name == "peers_drg")
    told = peers.fields["peer_mean_cost_p50"]
    assert told.direct == {("setl_d", "medfee_sumamt")}
    grouped = {one.column for one in told.paths if one.act == Act.GROUP_BY}
    assert {"hosp_lv", "medins_type", "drg_code", "setl_time"} <= grouped
    own = peers.fields["mean_cost"]
    assert "comparison of peers" not in {place for path in own.paths.values() for place in path}


def test_a_study_counts_persons_by_whatever_a_question_may_name() -> None:
    found = cohort_lineage(CATALOGUE.root, CATALOGUE.cohorts["S16"])
    assert found.fields["generic"].direct == {("drug_cat_b", "atc_code"), ("drug_cat_b", "route")}
    assert ("mdtrt_d", "oprn_oprt_code") in found.fields["persons"].columns
    assert found.fields["persons"].columns <= found.control.columns
    assert ("psn_insu_d", "crt_insu_date") in found.fields["follow_up_months"].columns


def test_a_measure_of_measures_is_made_of_what_they_are_made_of() -> None:
    assert direct("S06", "deviation_trend") == {"setl_d.medfee_sumamt", "drg_rslt_d.std_fee"}
    (path,) = {
        path
        for one, path in lineage("S06").fields["deviation_trend"].paths.items()
        if one.act.direct and one.column == "std_fee"
    }
    assert path == (
        "drg_rslt_d.std_fee", "ranked.std_fee", "grouped.std_fee", "inpatient.std_fee",
        "case.expected", "expected", "deviation", "deviation_trend",
    )  # fmt: skip


def test_the_value_of_a_pivot_chooses_records() -> None:
    assert "fee_list_d.med_chrgitm_type" in acting("S06", "drug_share", Act.FILTER)
    assert "fee_list_d.med_chrgitm_type" not in acting("S06", "medfee", Act.FILTER)


def test_persons_are_made_of_their_numbers_and_concentration_of_amounts_by_maker() -> None:
    assert direct("S02", "persons") == {"setl_d.psn_no"}
    assert direct("S09", "hhi_band") == {
        "drug_cat_b.prodentp_name",
        "fee_list_d.det_item_fee_sumamt",
    }


def test_every_figure_is_grouped_by_when_where_and_the_dims_of_its_fact() -> None:
    assert {"setl_d.setl_time", "setl_d.insu_admdvs", "setl_d.insutype"} <= acting(
        "S06", "rw_sum", Act.GROUP_BY
    )


def test_disclosure_control_reads_persons_institutions_and_amounts_of_deciding_facts() -> None:
    control = {f"{table}.{column}" for table, column in lineage("S06").control.columns}
    assert {"setl_d.psn_no", "setl_d.fixmedins_code", "setl_d.medfee_sumamt"} <= control
    assert {"psn_insu_d.psn_no", "fee_list_d.det_item_fee_sumamt"} <= control
    assert not control & {"drg_rslt_d.rw", "drg_rslt_d.std_fee", "setl_d.begndate"}
    assert lineage("S06").beside == ("S02", "S04")


def test_the_records_that_linked_services_share_are_control_too() -> None:
    assert ("dip_rslt_d", "dip_code") in lineage("S04").control.columns


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


def test_the_same_definitions_are_worked_out_once_whatever_the_price(tmp_path: Path) -> None:
    policies = copied(tmp_path)
    path = policies / "catalogue" / "S06" / "service.yaml"
    path.write_text(path.read_text().replace("price_fen: 4000", "price_fen: 4100"))
    assert lineage("S06", load_catalogue(policies)) is lineage("S06")


def test_another_definition_has_another_lineage(tmp_path: Path) -> None:
    policies = copied(tmp_path)
    path = policies / "catalogue" / "S06" / "case.sql"
    path.write_text(path.read_text().replace("n * rw AS", "n * std_fee AS"))
    found = lineage("S06", load_catalogue(policies)).fields["rw_sum"]
    assert ("drg_rslt_d", "rw") not in found.columns
    assert ("drg_rslt_d", "std_fee") in found.direct


def test_the_reference_page_names_the_columns_of_each_measure() -> None:
    lines = list(source_lines(CATALOGUE, CATALOGUE.services["S06"]))
    (weights,) = (line for line in lines if "`rw_sum`" in line)
    assert weights.startswith("| `rw_sum`, `rw_mean` | drg_rslt_d: rw | setl_d: ")
    assert sum(line.count("`") // 2 for line in lines[2:]) == len(lineage("S06").fields)
    assert lines[-1] == ""
