"""A foreign export with rubbish of every kind: each row accounted for, each good row arrives."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from gateway.warehouse import store
from gateway.warehouse.importing import import_warehouse
from gateway.warehouse.report import ImportReport
from tests.foreign_source import many, write_foreign
from tests.tiny_warehouse import Rows, rows

MAPPING = Path(__file__).parents[2] / "examples" / "import" / "mapping.yaml"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIMES = 30

# file → [(rubbish record, why it is rejected)]; every row here is one that was never in the data.
# Settlements and charges refer to good keys of clone 3 where they should get far.
RUBBISH: dict[str, list[tuple[str, str]]] = {
    "参保人.csv": [
        ("PX1,测试,男,1970/02/30", "bad_date:brdy"),
        ("PX2,测试,不详,1970/2/3", "unknown_code:gend"),
        (",测试,女,1970/2/3", "missing_value:psn_no"),
        ("PX3,测试,女", "wrong_column_count"),
        ("PX4,\udcff\udcff,女,1970/2/3", "bad_encoding"),
        ("PAn3,测试PA,男,1970/5/1", "duplicate_key:psn_no"),
    ],
    "参保信息.csv": [
        ("EX1,nobody,职工,在职,正常,01.01.2020,,990101", "orphan:psn_no"),
        ("EX2,PX1,职工,在职,正常,01.01.2020,,990101", "parent_rejected:psn_no"),
        ("EX3,PAn3,职工,在职,正常,2020-01-01,,990101", "bad_date:crt_insu_date"),
        ("EX4,PAn3,职工,在职,正常,01.01.2020,,9901", "R19"),
    ],
    "visits/2024.csv": [
        ("MX1,PAn3,EPAn3,H99010200002,yesterday,,11,,,,", "bad_date:begntime"),
        ("MX2,PAn3,EPAn3,H99010200002,2024-02-05 09:00:00,,88,,,,", "unknown_code:med_type"),
        ("MX3,PAn3,EPAn3,H00000000000,2024-02-05 09:00:00,,11,,,,", "orphan:hosp_lv"),
        ('MX4,PAn3,EPAn3,H99010200002,2024-02-05 09:00:00,,11,,,,"lost', "bad_quote"),
        ("MX5,PAn3,EPAn3,H99010200002,2024-02-05 09:00:00,,11,,,I1,", "R19"),
        (f"{'M' * 31},PAn3,EPAn3,H99010200002,2024-02-05 09:00:00,,11,,,,", "too_long:mdtrt_id"),
    ],
    "settlements.csv": [
        (
            "SX1,MS1n3,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,N,,N,"
            "35,0,0,0,35,24.5,-,70,10.5,0,10,5",
            "wrong_column_count",
        ),
        (
            "SX2,MS1n3,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,N,,N,"
            '"12,34",0,0,0,35,24.5,-,70,10.5,0,10',
            "bad_number:medfee_sumamt",
        ),
        (
            "SX3,MS1n3,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,N,,N,"
            "-35,0,0,0,-35,-24.5,-,70,-10.5,0,-10.5",
            "negative_amount",
        ),
        (
            "SX4,MS1n3,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,N,,N,"
            "35,0,0,0,34,24.5,-,70,10.5,0,10.5",
            "R05",
        ),
        (
            "SX5,nowhere,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,N,,N,"
            "35,0,0,0,35,24.5,-,70,10.5,0,10.5",
            "orphan:psn_no",
        ),
        (
            "SX6,MS1n3,1970/5/1,20240205,2024/2/5,2024-02-05 15:00:00,Y,nothing,N,"
            "35,0,0,0,35,24.5,-,70,10.5,0,10.5",
            "R12",
        ),
    ],
    "charges.csv": [
        (
            "LX1,S1n3,MS1n3,2024/02/05 14:50:00,1,10,11,,0,0,0,11,1,201,110200001,2,D01",
            "R01",
        ),
        (
            "LX2,S1n3,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,9,1,201,110200001,2,D01",
            "R02",
        ),
        (
            "LX3,S1n3,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,10,2,201,110200001,2,D01",
            "R03",
        ),
        (
            "LX4,S9,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,10,1,201,110200001,2,D01",
            "orphan:setl_id",
        ),
        (
            "LX5,SX4,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,10,1,201,110200001,2,D01",
            "parent_rejected:setl_id",
        ),
        (
            "LX6,S1n3,MS1n3,2024/02/05 14:50:00,-1,10,-10,,0,0,0,-10,1,201,110200001,2,D01",
            "negative_amount",
        ),
        (
            "LX7,S1n3,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,10,1,201,110200001,99,D01",
            "unknown_code:med_chrgitm_type",
        ),
        (
            "LX8,S1n3,MS1n3,2024/02/05 14:50:00,1,10,ten,,0,0,0,10,1,201,110200001,2,D01",
            "bad_number:det_item_fee_sumamt",
        ),
        (
            "LX9,S1n3,MS1n3,2024/02/05 14:50:00,1,10,10,,0,0,0,10,1,101,XUNKNOWN,9,D01",
            "R19",
        ),
        ("LX10;S1n3;MS1n3", "wrong_column_count"),
    ],
    "diagnoses.csv": [
        ("MS1n3,2,not-a-code", "R19"),
        ("MS1n3,two,i10.x00", "bad_number:diag_srt_no"),
    ],
    "drg.csv": [("S77,BR23,1.15,3000,正常", "orphan:setl_id")],
}


@dataclass(frozen=True)
class Export:
    """A foreign export on disk and the lines at which its rubbish stands."""

    folder: Path
    places: dict[str, list[int]]


@dataclass(frozen=True)
class Imported:
    """The outcome of importing it."""

    root: Path
    report: ImportReport

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Query the published tables; {table} is a Parquet file."""
        folder = store.current(self.root)
        names = {file.stem: f"'{file}'" for file in folder.glob("*.parquet")}
        return duckdb.sql(sql.format(**names)).fetchall()


@pytest.fixture(scope="module")
def clean() -> Rows:
    return many(rows(), TIMES)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, clean: Rows) -> Export:
    folder = tmp_path_factory.mktemp("foreign")
    shutil.copy(MAPPING, folder / "mapping.yaml")
    bad = {name: [record for record, _ in records] for name, records in RUBBISH.items()}
    return Export(folder, write_foreign(folder, clean, bad))


@pytest.fixture(scope="module")
def imported(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    root = tmp_path_factory.mktemp("home") / "warehouse"
    return Imported(root, import_warehouse(export.folder / "mapping.yaml", root, NOW))


def test_every_row_read_is_accepted_or_rejected(imported: Imported, clean: Rows) -> None:
    assert imported.report.failure == ""
    for feed in imported.report.feeds:
        assert feed.accepted + feed.rejected == feed.read, feed.table
        assert feed.accepted == len(clean[feed.table]), (feed.table, feed.reasons)


def test_each_piece_of_rubbish_is_rejected_at_its_line_for_its_reason(
    imported: Imported, export: Export
) -> None:
    assert imported.report.folder is not None
    with (imported.report.folder / "rejects.csv").open(encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    found = {
        (row["file"], int(row["line"])): ":".join(filter(None, (row["reason"], row["column"])))
        for row in told
    }
    expected = {
        (name, line): reason
        for name, records in RUBBISH.items()
        for line, (_, reason) in zip(export.places[name], records, strict=True)
    }
    assert found == expected
    assert set(told[0]) == {"source", "table_name", "file", "line", "reason", "column"}


def test_accepted_rows_say_what_the_source_meant(imported: Imported, clean: Rows) -> None:
    found = imported.rows(
        "SELECT setl_id, psn_no, insutype, med_type, hosp_lv, age, begndate, setl_time, "
        "medfee_sumamt, inscp_amt, hifp_pay, fund_pay_sumamt, psn_pay, cash_payamt, "
        "pool_prop_selfpay, refd_setl_flag, init_setl_id FROM {setl_d} ORDER BY 1"
    )
    names = [
        "setl_id", "psn_no", "insutype", "med_type", "hosp_lv", "age", "begndate", "setl_time",
        "medfee_sumamt", "inscp_amt", "hifp_pay", "fund_pay_sumamt", "psn_pay", "cash_payamt",
        "pool_prop_selfpay", "refd_setl_flag",
    ]  # fmt: skip
    wanted = sorted(
        (*(row[name] for name in names), row.get("init_setl_id")) for row in clean["setl_d"]
    )
    assert found == wanted
    lines = imported.rows(
        "SELECT bkkp_sn, setl_id, psn_no, cnt, det_item_fee_sumamt, chrgitm_lv, "
        "med_chrgitm_type, fee_ocur_time FROM {fee_list_d} ORDER BY 1"
    )
    names = ["bkkp_sn", "setl_id", "psn_no", "cnt", "det_item_fee_sumamt", "chrgitm_lv"]
    names += ["med_chrgitm_type", "fee_ocur_time"]
    assert lines == sorted(tuple(row[name] for name in names) for row in clean["fee_list_d"])


def test_amounts_are_not_multiplied_by_joins_with_repeated_parents(
    imported: Imported, clean: Rows
) -> None:
    # 参保人 holds a person twice, visits are joined to every settlement and line: sums must stay.
    total = sum((row["medfee_sumamt"] for row in clean["setl_d"]), Decimal(0))
    assert imported.rows("SELECT sum(medfee_sumamt), count(*) FROM {setl_d}") == [
        (total, len(clean["setl_d"]))
    ]


def test_derived_tables_and_files_without_a_use_are_named(imported: Imported) -> None:
    report = imported.report
    assert report.derived["setl_fund_d"] == ("from_settlements", 5 * TIMES)
    assert report.derived["admdvs_b"][0] == "from_codes_seen"
    visits = next(feed for feed in report.feeds if feed.table == "mdtrt_d")
    assert visits.unused_columns == ("remark",)
    manifest = json.loads((store.current(imported.root) / "manifest.json").read_text())
    assert manifest["source"]["report"]["feeds"][0]["table"] == "psn_info_b"


def test_no_value_of_a_row_is_in_the_report(imported: Imported) -> None:
    text = json.dumps({**imported.report.as_dict(), "integrity": None})
    for value in ("PAn3", "1970", "SX2", "12,34"):
        assert value not in text


def test_an_import_with_too_much_rubbish_leaves_the_warehouse_as_it_was(
    imported: Imported, tmp_path: Path
) -> None:
    before = store.current(imported.root)
    shutil.copy(MAPPING, tmp_path / "mapping.yaml")
    bad = {"charges.csv": [f"LZ{n},S1n0,MS1n0,never,,,,,,,,,,,,," for n in range(9)]}
    write_foreign(tmp_path, many(rows(), 3), bad)
    report = import_warehouse(tmp_path / "mapping.yaml", imported.root, NOW)
    assert "charges → fee_list_d: 9 of 33 rows refused" in report.failure
    assert report.version == ""
    assert report.folder is not None
    assert (report.folder / "rejects.parquet").exists()
    assert store.current(imported.root) == before
    assert store.altered(before) == []
    assert list((imported.root / "versions").glob(".draft*")) == []


@pytest.mark.parametrize("step", ["read charges", "load fee_list_d", "screen", "publish"])
def test_an_import_killed_in_the_middle_leaves_the_warehouse_as_it_was(
    imported: Imported, export: Export, step: str
) -> None:
    before = store.current(imported.root)
    program = (
        "import os, signal, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from gateway.warehouse.importing import import_warehouse\n"
        "def show(step, done):\n"
        "    if step == sys.argv[3]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import_warehouse(Path(sys.argv[1]), Path(sys.argv[2]), datetime.now(UTC), show)\n"
    )
    arguments = [str(export.folder / "mapping.yaml"), str(imported.root), step]
    ended = subprocess.run([sys.executable, "-c", program, *arguments], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert store.current(imported.root) == before
    assert store.altered(before) == []
    assert len(list((imported.root / "versions").glob(".draft*"))) == 1
    assert store.sweep(imported.root) == 1
