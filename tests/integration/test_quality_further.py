"""Planted faults of the further figures: a code of two meanings, a late day, a sample miscoded."""

from __future__ import annotations

import base64
import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from gateway.cli.quality import app
from gateway.errors import OperatorError
from gateway.warehouse.store import draft, publish
from synthetic.integrity.appraisal import Appraisal, appraise
from synthetic.integrity.quality import measure
from synthetic.integrity.results import write_results
from synthetic.integrity.told import Told
from tests.tiny_warehouse import Row, Rows, one, rows, write

AUDITED = (Told("audited_sample", "2024-02", "990100", 399, 400),)
POOR = (Told("audited_sample", "2024-02", "990100", 390, 400),)
HOUSES = ("H99010100001", "H99010200002", "P99010100003")


def figure(found: Appraisal, name: str) -> dict[str, tuple[int, int]]:
    """A further figure by month: what is counted, of how many."""
    return {one.period: (one.counted, one.of) for one in found.further if one.name == name}


def sent_by_all(content: Rows) -> list[Row]:
    """Two lines of one month and code from each of three institutions; further ones by one."""
    line = one(content["fee_list_d"], bkkp_sn="S1-1")
    made = [
        {**line, "bkkp_sn": f"X{house}{n}", "fixmedins_code": house, "med_list_codg": f"C{n}"}
        for house in HOUSES
        for n in (1, 2)
    ]
    content["fee_list_d"] += [*made, {**line, "bkkp_sn": "Y", "med_list_codg": "OWN"}]
    return made


def test_a_code_that_all_send_alike_is_comparable_and_one_nobody_shares_is_not_counted(
    tmp_path: Path,
) -> None:
    content = rows()
    sent_by_all(content)
    assert figure(appraise(write(tmp_path, content)), "comparable_codes") == {"2024-02": (2, 2)}


@pytest.mark.parametrize("field", ["chrgitm_lv", "med_chrgitm_type", "list_type"])
def test_a_code_that_one_institution_charges_as_something_else_is_not_comparable(
    tmp_path: Path, field: str
) -> None:
    content = rows()
    sent_by_all(content)[0][field] = "1"
    found = appraise(write(tmp_path, content))
    assert figure(found, "comparable_codes") == {"2024-02": (1, 2)}
    assert [one.failed for one in found.further if one.name == "comparable_codes"] == [True]


def test_a_slip_among_many_lines_is_no_other_meaning(tmp_path: Path) -> None:
    content = rows()
    made = sent_by_all(content)
    content["fee_list_d"] += [{**made[0], "bkkp_sn": f"Z{n}"} for n in range(3)]
    made[0]["chrgitm_lv"] = "1"
    assert figure(appraise(write(tmp_path, content)), "comparable_codes") == {"2024-02": (2, 2)}


def arriving(content: Rows, late: int, of: int) -> None:
    """One day of so many settlements, of which some arrive after an hour."""
    first = one(content["setl_d"], setl_id="S1")
    for n in range(of):
        made = first["setl_time"] + timedelta(hours=1 if n < late else 0)
        content["setl_d"].append({**first, "setl_id": f"D{n}", "crte_time": made})
    content["setl_d"].remove(first)


def test_a_day_is_late_where_more_than_one_in_twenty_is(tmp_path: Path) -> None:
    found = {}
    for late in (5, 6):
        content = rows()
        arriving(content, late, 100)
        folder = tmp_path / str(late)
        folder.mkdir()
        appraised = appraise(write(folder, content))
        (day,) = [one for one in appraised.days if one.settlements == 100]
        assert (day.late, day.failed) == (late, late == 6)
        found[late] = appraised
    assert figure(found[5], "days_on_time") == {"2024-02": (1, 1)}
    assert figure(found[6], "days_on_time") == {"2024-02": (0, 1)}
    (house,) = found[6].punctuality
    assert (house.feeder, house.judged, house.failed, house.minutes) == (HOUSES[1], 1, 1, 60)
    assert house.worst == date(2024, 2, 5)


def test_a_day_of_few_settlements_is_told_and_not_judged(tmp_path: Path) -> None:
    content = rows()
    arriving(content, 99, 99)
    found = appraise(write(tmp_path, content))
    (day,) = [one for one in found.days if one.settlements == 99]
    assert (day.late, day.judged, day.failed) == (99, False, False)
    assert found.punctuality == ()
    assert figure(found, "days_on_time") == {}


def test_accuracy_is_the_larger_of_totals_and_audited_error(tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    assert measure(folder, ["2024-02"]).figures["2024-02"]["accuracy"] == 0
    good = measure(folder, ["2024-02", "2024Q1", "2024Q2"], told=AUDITED)
    assert good.figures["2024-02"]["accuracy"] == good.figures["2024Q1"]["accuracy"] == 0.0025
    assert good.figures["2024Q2"]["accuracy"] is None
    assert good.failing["2024Q1"] == ()
    poor = measure(folder, ["2024Q1"], told=POOR)
    assert poor.failing["2024Q1"] == ("accuracy",)
    months = {kpi.period: kpi for kpi in appraise(folder, told=POOR).regional}
    assert months["2024-03"].failed == ("accuracy",)  # of the same quarter
    assert months["2024-04"].failed == ()


def test_what_s26_publishes_has_every_further_figure_by_city(tmp_path: Path) -> None:
    content = rows()
    sent_by_all(content)[0]["chrgitm_lv"] = "1"
    arriving(content, 6, 100)
    path = tmp_path / "results.parquet"
    told = (*POOR, Told("repair_hours", "2024-02", "990100", 130, 4))
    write_results(write(tmp_path, content), path, told)
    found = duckdb.sql(f"""SELECT further9, good, whole FROM '{path}'
      WHERE further9 IS NOT NULL AND period_m = '2024-02' AND geo_county = '990100'""").fetchall()
    held = {name: (good, whole) for name, good, whole in found}
    assert held["comparable_codes"] == (1, 2)
    assert held["days_on_time"] == (0, 1)
    assert held["audited_sample"] == (390, 400)
    assert held["repair_hours"] == (130, 4)
    assert {"valid_codes", "mapped_drugs", "mapped_diagnoses"} <= held.keys()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose warehouse is the tiny one."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    root = tmp_path / "warehouse"
    root.mkdir()
    with draft(root) as scratch:
        tables = scratch / "tables"
        tables.mkdir()
        write(tables, rows())
        publish(root, tables, {"kind": "test"}, datetime(2026, 1, 1, tzinfo=UTC))
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--actor", "liu"] if words[0] == "audit" else words)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def code_again(path: Path, **other: str) -> None:
    """Fill in the sheet as a second coder would who finds what was delivered, or something else."""
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    first = one(rows()["mdtrt_d"], mdtrt_id=lines[0]["mdtrt_id"])
    fee = sum(s["medfee_sumamt"] for s in rows()["setl_d"] if s["mdtrt_id"] == first["mdtrt_id"])
    names = ("dscg_maindiag_code", "oprn_oprt_code", "dscg_way")
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, lines[0].keys())
        writer.writeheader()
        for line in lines:
            codes = {name: first.get(name) or "" for name in names}
            writer.writerow({**line, **codes, "medfee_sumamt": fee, "coder": "王", **other})


def test_a_sample_is_drawn_coded_and_compared_and_no_stay_is_kept(home: Path) -> None:
    path = home / "sheet.csv"
    run("audit", "draw", "2024Q1", "--sheet", str(path))
    assert path.stat().st_mode & 0o077 == 0
    code_again(path)
    told = json.loads(run("audit", "read", "2024Q1", "--sheet", str(path), "--json"))
    assert (told["drawn"], told["coded"], told["wrong"], told["error"]) == (1, 1, 0, 0)
    assert (told["low"], told["high"]) == (0, pytest.approx(0.975))
    kept = (home / "quality" / "audits" / "2024Q1.sealed").read_text(encoding="utf-8")
    payload = kept.split(".")[1]
    assert b"MS2" not in base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    report = json.loads(run("report", "--json"))
    assert report["audits"][0]["quarter"] == "2024Q1"
    assert {one["name"] for one in report["further"]} >= {"audited_sample"}


def test_an_error_found_by_audit_fails_the_accuracy_of_the_quarter(home: Path) -> None:
    path = home / "sheet.csv"
    run("audit", "draw", "2024Q1", "--sheet", str(path))
    code_again(path, dscg_maindiag_code="Z99.900")
    told = json.loads(run("audit", "read", "2024Q1", "--sheet", str(path), "--json"))
    assert told["by_field"]["dscg_maindiag_code"] == told["wrong"] == 1
    region = json.loads(run("report", "--json"))["region"]
    assert {one["period"] for one in region if "accuracy" in one["failed"]} == {
        "2024-02",
        "2024-03",
    }
    with pytest.raises(OperatorError, match="was coded already"):
        run("audit", "draw", "2024Q1", "--sheet", str(home / "again.csv"))
    code_again(path)  # a sheet that is better than the first
    with pytest.raises(OperatorError, match="was coded already"):
        run("audit", "read", "2024Q1", "--sheet", str(path))


def test_an_edited_audit_is_refused_and_so_is_one_of_another_quarter(home: Path) -> None:
    path = home / "sheet.csv"
    run("audit", "draw", "2024Q1", "--sheet", str(path))
    with pytest.raises(OperatorError, match="No sample"):
        run("audit", "read", "2024Q2", "--sheet", str(path))
    sealed = home / "quality" / "audits" / "2024Q1.sealed"
    sealed.rename(sealed.with_name("2024Q3.sealed"))
    with pytest.raises(OperatorError) as refused:
        run("report", "--json")
    assert refused.value.code == "audit.tampered"
