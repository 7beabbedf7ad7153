"""`sluice warehouse` as people run it: the documented example, the rules, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from gateway.cli.warehouse import app
from gateway.errors import OperatorError
from gateway.warehouse import store
from tests.tiny_warehouse import one, rows, write

EXAMPLE = Path(__file__).parents[2] / "examples" / "import" / "mapping.yaml"


def _parquet_mapping(folder: Path, head: str = "") -> Path:
    """The canonical tables of the folder, taken over as they are."""
    names = [file.stem for file in sorted(folder.glob("*.parquet"))]
    lines = [head, "dialect: warehouse", "sources:"]
    lines += [f"  {name}: {{files: {name}.parquet}}" for name in names]
    lines += ["tables:"] + [f"  {name}: {{source: {name}}}" for name in names]
    mapping = folder / "m.yaml"
    mapping.write_text("\n".join(lines))
    return mapping


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_documented_example_is_imported_and_its_two_faulty_rows_are_named(
    tmp_path: Path,
) -> None:
    code, out = _run("import", EXAMPLE, "--home", tmp_path)
    assert code == 0
    assert "persons → psn_info_b: 17 read, 16 accepted, 1 rejected" in out
    assert "1  bad_date:brdy" in out
    assert "charges → fee_list_d: 65 read, 64 accepted, 1 rejected" in out
    code, out = _run("check", "--home", tmp_path)
    assert code == 0
    assert "R04 block passed" in out
    assert "26 rules: 21 passed, 0 failed (0 of them block), 5 not applicable" in out


def test_check_prints_every_rule_and_fails_on_a_block_rule(tmp_path: Path) -> None:
    content = rows()
    one(content["setl_d"], setl_id="S1")["maf_pay"] += 1  # R06
    mapping = _parquet_mapping(write(tmp_path / "in", content), "tolerate: [R06]")
    assert _run("import", mapping, "--home", tmp_path)[0] == 0
    code, out = _run("check", "--home", tmp_path, "--json")
    report = json.loads(out)
    assert code == 1
    assert report["blocked_rules"] == ["R06"]
    assert [rule["rule"] for rule in report["rules"]] == [
        *(f"R{n:02d}" for n in range(1, 20)),
        "R19b",
        *(f"R{n:02d}" for n in range(20, 26)),
    ]
    failed = next(rule for rule in report["rules"] if rule["rule"] == "R06")
    assert (failed["checked"], failed["failed"], failed["amount_affected"]) == (5, 1, "35.00")
    assert failed["sample_tokens"] == ["S1"]


def test_a_refused_import_exits_with_1_and_leaves_the_warehouse(tmp_path: Path) -> None:
    assert _run("import", EXAMPLE, "--home", tmp_path)[0] == 0
    before = store.current(tmp_path / "warehouse")
    content = rows()
    for line in content["fee_list_d"]:
        line["pric"] += 1  # R01 everywhere
    mapping = _parquet_mapping(write(tmp_path / "in", content))
    code, out = _run("import", mapping, "--home", tmp_path, "--json")
    assert code == 1
    report = json.loads(out)
    assert "fee_list_d" in report["failure"]
    assert report["version"] is None
    assert store.current(tmp_path / "warehouse") == before


def test_what_a_refused_line_makes_incomplete_goes_or_stays_as_the_mapping_says(
    tmp_path: Path,
) -> None:
    content = rows()
    one(content["fee_list_d"], bkkp_sn="S2-1")["pric"] += 1
    folder = write(tmp_path / "in", content)
    lost = json.loads(_run("import", _parquet_mapping(folder), "--home", tmp_path, "--json")[1])
    reasons = {feed["table"]: feed["reasons"] for feed in lost["feeds"]}
    assert reasons["setl_d"] == {"incomplete_settlement:R04": 1}
    assert reasons["setl_fund_d"] == {"parent_rejected:setl_id": 1}
    assert reasons["fee_list_d"] == {"parent_rejected:setl_id": 2, "R01": 1}
    assert reasons["drg_rslt_d"] == {"parent_rejected:setl_id": 1}
    keep = _parquet_mapping(folder, "incomplete_settlements: keep")
    code, out = _run("import", keep, "--home", tmp_path, "--json")
    assert code == 0
    kept = json.loads(out)
    assert {f["table"]: f["rejected"] for f in kept["feeds"] if f["rejected"]} == {"fee_list_d": 1}
    assert kept["integrity"]["blocked_rules"] == ["R04"]


def test_unsettled_lines_are_kept_and_excluded_rows_do_not_count_against_the_limit(
    tmp_path: Path,
) -> None:
    content = rows()
    line = content["fee_list_d"][0]
    content["fee_list_d"].append({**line, "bkkp_sn": "U1", "setl_id": None})
    content["fee_list_d"] += [{**line, "bkkp_sn": f"V{n}", "vali_flag": "0"} for n in range(9)]
    mapping = _parquet_mapping(write(tmp_path / "in", content))
    code, out = _run("import", mapping, "--home", tmp_path, "--json")
    feed = next(f for f in json.loads(out)["feeds"] if f["table"] == "fee_list_d")
    assert code == 0
    assert (feed["read"], feed["accepted"], feed["rejected"]) == (18, 9, 9)
    assert feed["of_these"]["excluded_by_mapping"] == 9
    assert feed["reasons"] == {"not_valid:vali_flag": 9}


def test_a_refund_in_positive_amounts_is_refused_unless_the_mapping_says_so(
    tmp_path: Path,
) -> None:
    content = rows()
    for table, key in (
        ("setl_d", "setl_id"),
        ("setl_fund_d", "setl_id"),
        ("fee_list_d", "setl_id"),
    ):
        for row in content[table]:
            if row[key] == "S4R":
                row.update({k: abs(v) for k, v in row.items() if hasattr(v, "quantize")})
    mapping = _parquet_mapping(write(tmp_path / "in", content))
    refused = json.loads(_run("import", mapping, "--home", tmp_path, "--json")[1])
    assert {f["table"]: f["reasons"] for f in refused["feeds"] if f["reasons"]}["setl_d"] == {
        "R12": 1
    }
    text = mapping.read_text()
    for table in ("setl_d", "setl_fund_d", "fee_list_d"):
        text = text.replace(
            f"{{source: {table}}}", f"{{source: {table}, refund_amounts: positive}}"
        )
    mapping.write_text(text)
    taken = json.loads(_run("import", mapping, "--home", tmp_path, "--json")[1])
    assert [f["reasons"] for f in taken["feeds"] if f["reasons"]] == []


def test_interface_names_are_taken_without_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "setl_id,mdtrt_id,psn_no,gend,brdy,insutype,psn_type,insuplc_admdvs,fixmedins_code,begndate,"
        "enddate,setl_time,med_type,medfee_sumamt,fulamt_ownpay_amt,overlmt_amt,preselfpay_amt,"
        "INSCP_SCP_AMT,hifp_pay,fund_pay_sumamt,psn_part_amt,acct_pay,psn_cash_pay,refd_setl_flag\n"
        "S1,M1,PA,1,1970-05-01,310,11,990101,H99010200002,2024-02-05,2024-02-05,"
        "2024-02-05 15:00:00,11,35,0,0,0,35,24.5,24.5,10.5,0,10.5,0\n"
    )
    derived = "  {0}: {{derive_table: {1}}}\n"
    (tmp_path / "m.yaml").write_text(
        "dialect: interface\nsources: {s: {files: s.csv}}\ntables:\n  setl_d: {source: s}\n"
        + derived.format("mdtrt_d", "from_settlements")
        + derived.format("psn_info_b", "from_settlements")
        + derived.format("fixmedins_b", "from_settlements")
        + derived.format("setl_fund_d", "from_settlements")
        + derived.format("admdvs_b", "from_codes_seen")
    )
    code, out = _run("import", tmp_path / "m.yaml", "--home", tmp_path, "--json")
    report = json.loads(out)
    assert code == 0, report["failure"]
    assert report["feeds"][0]["accepted"] == 1
    assert report["feeds"][0]["unused_columns"] == []
    assert {name: entry["rows"] for name, entry in report["derived_tables"].items()} == {
        "admdvs_b": 3,
        "fixmedins_b": 1,
        "mdtrt_d": 1,
        "psn_info_b": 1,
        "setl_fund_d": 1,
    }
    assert "psn_insu_d" in report["empty_tables"]


def test_check_without_a_warehouse_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="sluice warehouse simulate"):
        _run("check", "--home", tmp_path)


def test_a_simulated_warehouse_passes_every_rule_and_is_published(tmp_path: Path) -> None:
    code, out = _run("simulate", "--size", "mini", "--seed", 7, "--home", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["tables"]["psn_info_b"]["rows"] == 2000
    code, out = _run("check", "--home", tmp_path, "--json")
    failed = {r["rule"]: r["failed"] for r in json.loads(out)["rules"] if r["failed"]}
    assert failed.pop("R19b") > 0  # planted: a hospital that maps a drug wrongly
    assert failed == {"R24": 60}  # planted: trace codes sold twice
    assert code == 0


def test_a_column_nobody_mapped_is_proposed_and_its_values_are_not_shown(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", rows())
    persons = pq.read_table(folder / "psn_info_b.parquet")
    phones = [f"139{number:08d}" for number in range(persons.num_rows)]
    pq.write_table(persons.append_column("kontakt", [phones]), folder / "psn_info_b.parquet")
    mapping = _parquet_mapping(folder)
    code, out = _run("import", mapping, "--home", tmp_path)
    assert code == 0
    assert "not imported: psn_info_b.kontakt: C01-07 L4 电话, values are mobile numbers" in out
    assert phones[0] not in out
