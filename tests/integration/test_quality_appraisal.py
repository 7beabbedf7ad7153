"""What a sound city's quality report says: nothing fails but what was planted to be found."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from synthetic.bureau import simulate
from synthetic.integrity.appraisal import Appraisal, appraise
from synthetic.integrity.findings import Finding
from synthetic.integrity.kpis import NAMES
from synthetic.integrity.placing import DELIVERED
from tests.tiny_warehouse import Row, one, rows, write


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Appraisal:
    folder = tmp_path_factory.mktemp("sound")
    simulate(folder, "mini", 5)
    return appraise(folder)


def test_a_sound_city_passes_all_four_figures_in_every_table_month_and_feeder(
    sound: Appraisal,
) -> None:
    assert len(sound.regional) == 48
    assert [kpi for kpi in sound.kpis if kpi.failed] == []
    assert {kpi.table for kpi in sound.kpis} == {"", *DELIVERED}
    assert len({kpi.feeder for kpi in sound.kpis}) > 50


def test_pt10_one_institution_maps_a_drug_to_another_code_than_its_peers_from_2024_03(
    sound: Appraisal,
) -> None:
    found = [one for one in sound.findings if one.rule == "R19b"]
    assert {(one.feeder, one.table) for one in found} == {("H99010200005", "fee_list_d")}
    assert min(one.period for one in found) == "2024-03"
    assert all(one.amount_affected > 0 and 0 < one.rate < 0.2 for one in found)


def test_no_other_rule_fails_in_a_sound_city(sound: Appraisal) -> None:
    assert {one.rule for one in sound.findings} == {"R19b", "R24"}
    assert {one.name for one in sound.further if one.failed} <= {"ungrouped"}


def _own(content: dict[str, list[Row]], code: str = "") -> list[Row]:
    """Drug lines of four institutions that send one own code, the last of them as `code`."""
    drug = one(content["drug_cat_b"], atc_code="C08CA01")["med_list_codg"]
    line = one(content["fee_list_d"], bkkp_sn="S3-1")
    return [
        {
            **line,
            "bkkp_sn": f"X{i}",
            "setl_id": None,
            "fixmedins_code": f"P9901010000{i}",
            "medins_list_codg": "OWN7",
            "med_list_codg": code if code and i == 4 else drug,
        }
        for i in range(1, 5)
    ]


def _mapped(folder: Path, content: dict[str, list[Row]]) -> list[Finding]:
    return [one for one in appraise(write(folder, content)).findings if one.rule == "R19b"]


def test_an_own_code_means_what_most_institutions_send_it_as(tmp_path: Path) -> None:
    content = rows()
    other = {**content["drug_cat_b"][0], "med_list_codg": "XA10BA02001", "atc_code": "A10BA02"}
    content["drug_cat_b"].append(other)
    content["fee_list_d"] += _own(content, "XA10BA02001")
    (found,) = _mapped(tmp_path, content)
    assert (found.feeder, found.failed) == ("P99010100004", 1)
    assert found.amount_affected == content["fee_list_d"][-1]["det_item_fee_sumamt"]


def test_peers_that_agree_break_nothing(tmp_path: Path) -> None:
    content = rows()
    content["fee_list_d"] += _own(content)
    assert _mapped(tmp_path, content) == []


def test_a_code_that_is_in_no_catalogue_is_r19s_and_not_counted_twice(tmp_path: Path) -> None:
    content = rows()
    content["fee_list_d"] += _own(content, "X0")
    assert _mapped(tmp_path, content) == []


def _reported(content: dict[str, list[Row]], **more: object) -> Row:
    """What the hospital of S1 reported for February 2024, with something changed."""
    settled = one(content["setl_d"], setl_id="S1")
    own = [
        s
        for s in content["setl_d"]
        if s["fixmedins_code"] == settled["fixmedins_code"] and s["setl_time"].month == 2
    ]
    return {
        "fixmedins_code": settled["fixmedins_code"],
        "ym": "202402",
        "stmt_cnt": len(own),
        "medfee_sumamt": sum(s["medfee_sumamt"] for s in own),
        "fund_pay_sumamt": sum(s["fund_pay_sumamt"] for s in own),
        "acct_pay": Decimal(0),
        "stmt_rslt": "000000",
        **more,
    }


def test_half_of_what_was_reported_is_half_complete_and_names_the_feeder(tmp_path: Path) -> None:
    content = rows()
    said = _reported(content)
    content["recon_3201_d"] = [{**said, "stmt_cnt": 2 * said["stmt_cnt"]}]
    found = appraise(write(tmp_path, content)).kpis
    (own,) = [
        kpi
        for kpi in found
        if (kpi.feeder, kpi.table, kpi.period) == (said["fixmedins_code"], "setl_d", "2024-02")
    ]
    assert own.fields == 1
    assert own.completeness == own.received == 0.5
    assert own.failed == ("completeness",)


def test_another_total_than_reported_is_inaccurate_by_its_part(tmp_path: Path) -> None:
    content = rows()
    said = _reported(content)
    content["recon_3201_d"] = [{**said, "medfee_sumamt": said["medfee_sumamt"] * 2}]
    found = appraise(write(tmp_path, content)).regional
    (february,) = [kpi for kpi in found if kpi.period == "2024-02"]
    assert february.accuracy == 0.5
    assert "accuracy" in february.failed


def test_the_ledger_of_the_fund_is_a_third_witness_for_all_feeders_together(
    tmp_path: Path,
) -> None:
    content = rows()
    content["recon_3201_d"] = [_reported(content)]
    paid = sum(s["fund_pay_sumamt"] for s in content["setl_d"] if s["setl_time"].month == 2)
    ledger = {"ym": "202402", "insu_admdvs": "990100", "insutype": "310", "fund_type": "pooled"}
    content["fund_flow_m"] = [{**ledger, "flow": "benefit_op", "amt": paid * 4}]
    found = appraise(write(tmp_path, content))
    (february,) = [kpi for kpi in found.regional if kpi.period == "2024-02"]
    assert february.accuracy == 0.75
    assert all(kpi.accuracy in (None, 0) for kpi in found.kpis if kpi.feeder)


def test_p95_is_of_real_time_classes_and_hours_are_of_the_others(tmp_path: Path) -> None:
    content = rows()
    for setl in content["setl_d"]:
        setl["crte_time"] = setl["setl_time"] + timedelta(minutes=90)
    one(content["setl_d"], setl_id="S1")["setl_type"] = "1"
    found = appraise(write(tmp_path, content))
    (february,) = [kpi for kpi in found.regional if kpi.period == "2024-02"]
    assert february.timeliness == 90
    assert february.batch_hours == 1.5


def test_what_nothing_measures_is_null_and_has_not_failed(tmp_path: Path) -> None:
    content = rows() | {"setl_fund_d": []}
    for setl in content["setl_d"]:
        setl["crte_time"] = None
    for kpi in appraise(write(tmp_path, content)).regional:
        assert (kpi.received, kpi.timeliness, kpi.accuracy) == (None, None, None)
        assert not {"completeness", "timeliness", "accuracy"} & {*kpi.failed}


def test_a_finding_says_everything_the_specification_asks_for_and_no_key(
    sound: Appraisal,
) -> None:
    wanted = {"rule", "table", "period", "region", "feeder"}
    wanted |= {"checked", "failed", "rate", "amount_affected", "severity"}
    for found in sound.findings:
        assert set(found.as_dict()) == wanted
    assert {*NAMES} < set(sound.regional[0].as_dict())
