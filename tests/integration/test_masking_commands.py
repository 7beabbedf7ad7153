"""`sluice masking` and `sluice classify` on a simulated warehouse and on foreign columns."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.errors import OperatorError
from gateway.masking.keys import Context, KeyMaterial, MaskingKeys
from gateway.masking.operators import MaskError
from gateway.masking.plan import apply_arrow, plan
from gateway.masking.rows import check_row_masks, classified_items, faults, row_masks
from gateway.warehouse.store import current
from synthetic.warehouse.schema import TABLES
from tests.policy_factory import POLICIES


def run(*words: str) -> Result:
    return CliRunner().invoke(assemble((words[0],)), list(words))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))


def test_every_column_of_the_warehouse_is_classified_and_masked() -> None:
    done = run("masking", "check", "--json")
    told = json.loads(done.stdout)
    assert len(told) == sum(len(table.columns) for table in TABLES.values())
    assert {told[f"psn_info_b.{name}"]["mask"] for name in ("psn_name", "tel", "addr")} == {
        "suppress"
    }


def test_a_gap_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    for folder in ("data", "person"):
        (tmp_path / folder).mkdir()
    items = (POLICIES / "data" / "classification.yaml").read_text(encoding="utf-8")
    rows = (POLICIES / "person" / "row_masks.yaml").read_text(encoding="utf-8")

    def refused(classification: str, masks: str) -> str:
        (tmp_path / "data" / "classification.yaml").write_text(classification, encoding="utf-8")
        (tmp_path / "person" / "row_masks.yaml").write_text(masks, encoding="utf-8")
        with pytest.raises(OperatorError) as error:
            check_row_masks(tmp_path)
        return error.value.message

    assert "item C01-07 has no row mask" in refused(items, rows.replace("  C01-07: suppress\n", ""))
    assert "There is no mask 'blur'" in refused(
        items, rows.replace("C01-07: suppress", "C01-07: blur")
    )
    assert "no column of the warehouse" in refused(items, rows + "  psn_nme: suppress\n")
    document = yaml.safe_load(items)
    del document["classification"]["items"]["C01-07"]
    message = refused(yaml.safe_dump(document, allow_unicode=True), rows)
    assert "psn_info_b.tel is not mapped to an item" in message
    assert "YAML" in refused(items, "items: [")
    assert not list(faults(check_row_masks(POLICIES), classified_items(POLICIES)))
    done = CliRunner(env={"SLUICE_POLICIES": str(tmp_path)}).invoke(assemble(("serve",)), ["serve"])
    assert isinstance(done.exception, OperatorError)


def test_a_table_with_a_column_nobody_classified_is_not_shown() -> None:
    masks = check_row_masks(POLICIES)
    with pytest.raises(MaskError, match="weight_kg"):
        row_masks(masks, "psn_info_b", pa.schema([("psn_no", "string"), ("weight_kg", "int32")]))


def test_every_table_of_a_warehouse_can_be_masked(released_home: Path) -> None:
    tables = current(released_home / "warehouse")
    keys = MaskingKeys(KeyMaterial(bytes(range(32)), "masking/2026.1", "gm"), Context("T", "SC08"))
    masks = check_row_masks(POLICIES)
    there = [name for name in TABLES if (tables / f"{name}.parquet").is_file()]
    assert len(there) >= 9
    for name in there:
        table = pq.read_table(tables / f"{name}.parquet").slice(0, 500)
        texts = row_masks(masks, name, table.schema)
        masked = apply_arrow(plan(texts, keys), table)
        assert masked.num_rows == table.num_rows
        assert masked.column_names == table.column_names
        hidden = [column for column, text in texts.items() if text == "suppress"]
        assert all(masked.column(column).null_count == masked.num_rows for column in hidden)
        told = set() if "psn_no" not in texts else set(masked.column("psn_no").to_pylist())
        known = set() if "psn_no" not in texts else set(table.column("psn_no").to_pylist())
        assert not told & known


def resident(sequence: int) -> str:
    born = date(1960 + sequence % 50, 1 + sequence % 12, 1 + sequence % 28)
    body = f"330102{born:%Y%m%d}{sequence % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(w * int(digit) for w, digit in zip(weights, body, strict=True))
    return body + "10X98765432"[total % 11]


def test_columns_are_proposed_for_a_person_to_confirm(tmp_path: Path) -> None:
    rows = range(40)
    names = [f"{'王李张刘陈'[n % 5]}{'伟芳娜敏静强'[n % 6]}" for n in rows]
    foreign: dict[str, list[Any]] = {
        "PSN_NO": [f"P{n:08d}" for n in rows],
        "住院天数": [n % 9 for n in rows],
        "col_a": [resident(n) for n in rows],
        "memo": [f"1{3 + n % 7}{n:09d}" for n in rows],
        "who": names,
        "d1": ["I10.x00", "E11.900", "J18.9", "K35.800"] * 10,
        "when": [date(2025, 1, 1 + n % 28) for n in rows],
        "gend": [resident(n) for n in rows],
        "mystery": [f"x{n}" for n in rows],
        "nothing": [None for _ in rows],
    }
    file = tmp_path / "foreign.parquet"
    pq.write_table(pa.table(foreign), file)
    done = run("classify", str(file), "--json")
    told = {row["column"]: row for row in json.loads(done.stdout)}
    assert {name: row["item"] for name, row in told.items()} == {
        "PSN_NO": "C01-04",
        "住院天数": "C03-07",
        "col_a": "C01-03",
        "memo": "C01-07",
        "who": "C01-01",
        "d1": "C04-01",
        "when": "C03-03",
        "gend": "C01-03",  # the name says sex, the values say otherwise and are more secret
        "mystery": "",
        "nothing": "",
    }
    assert told["col_a"]["level"] == "L5"
    assert told["mystery"]["mask"] == "suppress"
    assert resident(3) not in done.stdout
    assert not any(name in done.stdout for name in names)
    broken = run("classify", str(Path(__file__)))
    assert broken.exit_code == 0 or isinstance(broken.exception, OperatorError)


def stays(tmp_path: Path, persons: int, counties: int) -> Path:
    draw = random.Random(7)  # noqa: S311 - a test's table
    table = {
        "psn_no": [f"P{n}" for n in range(persons)] * 2,
        "age": [str(draw.randrange(20, 80)) for _ in range(persons)] * 2,
        "gend": [str(1 + draw.randrange(2)) for _ in range(persons)] * 2,
        "county": [f"9901{1 + draw.randrange(counties):02d}" for _ in range(persons)] * 2,
        "month": [f"2025-{1 + draw.randrange(12):02d}" for _ in range(persons)] * 2,
        "dx": [draw.choice(["I10", "E11", "J18", "K35"]) for _ in range(2 * persons)],
    }
    file = tmp_path / "stays.csv"
    pa_csv.write_csv(pa.table(table), file)
    return file


QUASI = (
    "--quasi",
    "age=age",
    "--quasi",
    "gend",
    "--quasi",
    "geo=county",
    "--quasi",
    "period=month",
)


def test_a_view_is_generalised_until_nobody_stands_out(tmp_path: Path) -> None:
    file = str(stays(tmp_path, 1500, 9))
    done = run("masking", "risk", file, *QUASI, "--person", "psn_no", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["before"]["k"] == 1
    assert told["verdict"] == "generalise"
    assert told["masks"]["county"] == "gen_geo(city)"
    assert told["masks"]["age"] == "gen_age(10)"
    assert told["after"]["k"] >= 5
    assert told["after"]["attackers"]["prosecutor"] == 1 / told["after"]["k"]
    assert "P17" not in done.stdout


def test_a_view_that_stays_dangerous_is_refused_and_a_harmless_one_is_not(tmp_path: Path) -> None:
    file = str(stays(tmp_path, 30, 9))
    refused = run("masking", "risk", file, *QUASI, "--person", "psn_no")
    assert (refused.exit_code, refused.stdout.splitlines()[-1]) == (1, "verdict: refuse")
    calm = run(
        "masking", "risk", file, "--quasi", "gend", "--person", "psn_no", "--sensitive", "dx"
    )
    assert (calm.exit_code, calm.stdout.splitlines()[-1]) == (0, "verdict: release")
    for wrong in (("--quasi", "nothere"), ("--quasi", "shoe=age")):
        assert isinstance(run("masking", "risk", file, *wrong).exception, OperatorError)
