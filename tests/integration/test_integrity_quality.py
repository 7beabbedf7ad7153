"""The four quality figures of a period follow their formulas, and say what cannot be measured."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from synthetic.integrity.quality import quality
from tests.tiny_warehouse import one, rows, write


def test_a_valid_warehouse_has_full_marks_and_names_what_is_not_measured(tmp_path: Path) -> None:
    figures = quality(write(tmp_path, rows()), ["2024-02", "2024Q1", "2023Q4"])
    for period in ("2024-02", "2024Q1"):
        values = {k: v for k, v in figures[period].items() if k != "notes"}
        assert values == {
            "completeness": 1.0,
            "consistency": 1.0,
            "timeliness": 0.0,
            "accuracy": 0.0,
            "blocked_rules": 0,
        }
    assert figures["2023Q4"]["consistency"] is None
    assert figures["2023Q4"]["notes"]["accuracy"] == "no records in this period"  # type: ignore[index]


def test_each_figure_follows_its_formula(tmp_path: Path) -> None:
    content = rows()
    # One of the 12 records of 2024-02 (3 settlements, 2 encounters, 4 lines, 2 diagnoses, and the
    # line of the refund counted among the 4) breaks two rules and still counts once.
    one(content["fee_list_d"], bkkp_sn="S1-2").update(pric=Decimal("10.5"), chrgitm_lv="02")
    one(content["mdtrt_d"], mdtrt_id="MS2").update(dscg_way=None)
    for setl in content["setl_d"]:
        setl["crte_time"] = setl["setl_time"] + timedelta(minutes=7)
    one(content["setl_fund_d"], setl_id="S2", fund_pay_type="310100")["fund_payamt"] += 10
    figures = quality(write(tmp_path, content), ["2024-02", "2024-03", "2024Q1"])

    february = figures["2024-02"]
    lines, settlements, encounters, diagnoses = 4, 3, 2, 2
    records = lines + settlements + encounters + diagnoses
    assert february["consistency"] == round(1 - 1 / records, 6)
    assert february["blocked_rules"] == 2
    assert february["timeliness"] == 7.0
    assert february["accuracy"] == 0.0

    march = figures["2024-03"]
    assert 0.98 < march["completeness"] < 1  # type: ignore[operator]
    booked = one(content["setl_fund_d"], setl_id="S2", fund_pay_type="310100")["fund_payamt"]
    assert march["accuracy"] == round(float(10 / booked), 6)
    assert figures["2024Q1"]["blocked_rules"] == 3  # R01 and R03 in February, R09 in March


def test_without_arrival_times_and_fund_split_these_figures_are_null_with_a_note(
    tmp_path: Path,
) -> None:
    content = rows() | {"setl_fund_d": []}
    for setl in content["setl_d"]:
        setl["crte_time"] = None
    figures = quality(write(tmp_path, content), ["2024-04"])["2024-04"]
    assert figures["timeliness"] is None
    assert figures["accuracy"] is None
    assert set(figures["notes"]) == {"completeness", "timeliness", "accuracy"}  # type: ignore[call-overload]


def test_a_broken_catalogue_blocks_every_period(tmp_path: Path) -> None:
    content = rows()
    one(content["admdvs_b"], admdvs="990102")["prnt_admdvs"] = "990300"
    figures = quality(write(tmp_path, content), ["2024-02", "2024Q2"])
    assert [figures[p]["blocked_rules"] for p in ("2024-02", "2024Q2")] == [1, 1]
