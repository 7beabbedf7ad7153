"""`sluice quality`: the report as JSON and page, and how far damaged data are from sound data."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.quality import app
from gateway.errors import OperatorError
from gateway.warehouse.store import draft, publish
from synthetic.bureau import simulate
from synthetic.bureau.settings import Defects

DRIFTING = "H99011100001"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound warehouse, and after it a damaged one, which is the current one."""
    folder = tmp_path_factory.mktemp("quality")
    _simulated(folder / "warehouse", "none", datetime(2026, 1, 1, tzinfo=UTC))
    _simulated(folder / "warehouse", "heavy", datetime(2026, 1, 2, tzinfo=UTC))
    return folder


def _simulated(root: Path, defects: Defects, now: datetime) -> None:
    root.mkdir(exist_ok=True)
    with draft(root) as scratch:
        tables = scratch / "tables"
        tables.mkdir()
        simulate(tables, "mini", 5, defects=defects)
        publish(root, tables, {"kind": "simulate", "defects": defects}, now)


def run(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), env={"SLUICE_HOME": str(home)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def reported(home: Path, *words: str) -> tuple[str, str]:
    """The report as JSON and as a page."""
    page = home / "report.html"
    code, out = run(home, "report", "--json", "--html", str(page), *words)
    assert code == 0
    return out, page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def office(home: Path) -> tuple[str, str]:
    return reported(home)


class _Outside(HTMLParser):
    """Collects what a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe", "img", "object"}:
            self.found.append(tag)
        self.found += [f"{tag}.{name}" for name, _ in attrs if name in {"src", "href", "onclick"}]


def test_the_report_names_feeder_rule_money_owner_and_due_date(office: tuple[str, str]) -> None:
    told: dict[str, Any] = json.loads(office[0])
    assert told["view"] == "office"
    assert {"completeness", "consistency"} <= set(told["region"][-1]["failed"])
    worst = next(one for one in told["faults"] if one["feeder"] == DRIFTING)
    assert (worst["name"], worst["table"], worst["severity"]) == ("R19", "fee_list_d", "block")
    assert float(worst["amount_affected"]) > 1_000_000
    assert worst["owner"]["zh"] == "定点机构信息科"
    # Due three days after the warehouse was made, whenever one asks.
    assert (worst["due"], worst["overdue"]) == ("2026-01-05", True)
    kpi = next(one for one in told["faults"] if one["name"] == "completeness")
    assert kpi["failed"] <= kpi["checked"] <= 48


def test_a_feeder_that_spells_classes_otherwise_makes_its_codes_incomparable(
    office: tuple[str, str],
) -> None:
    """The drifting feeder sends "1" for "01" with every code."""
    told: dict[str, Any] = json.loads(office[0])
    found = [one for one in told["further"] if one["name"] == "comparable_codes"]
    assert len(found) == 36
    assert all(one["failed"] and one["value"] < 0.7 for one in found)


def test_repairs_are_told_over_all_versions_of_the_warehouse(home: Path) -> None:
    """The damaged version comes a day later: what it lost of the sound one's few faults took a
    day, and its own wait."""
    code, out = run(home, "repairs", "--json")
    told = json.loads(out)
    assert code == 0
    assert 0 < told["mended"] < 10
    assert told["mean_hours"] == 24
    assert told["waiting"] > 500
    assert told["oldest"] == "2026-01-01T00:00:00+00:00"  # the wrong mapping of PT10 is in both


def test_the_page_is_whole_in_itself(office: tuple[str, str]) -> None:
    _, text = office
    for wanted in (
        "数据质量报告",
        "完整性",
        "来源 × 月份",
        DRIFTING,
        "定点机构信息科",
        "合成数据",
        "已逾期",
        "按日时效性",
        "跨机构编码同义率",
        "修复用时",
    ):
        assert wanted in text
    parser = _Outside()
    parser.feed(text)
    assert parser.found == []


def test_the_public_view_names_no_institution_and_nobody_who_has_to_mend(home: Path) -> None:
    out, text = reported(home, "--public")
    for said in (out, text):
        assert re.search(r"[HP]99\d{9}", said) is None
    assert "定点机构信息科" not in text
    assert "不足5家机构的来源已合并" in text


def test_no_record_is_named_anywhere(office: tuple[str, str]) -> None:
    for said in office:
        assert re.search(r"990100[A-Z]\d{6}", said) is None  # keys of persons and their records


def test_a_damaged_warehouse_is_too_far_from_the_sound_one(home: Path) -> None:
    sound, damaged = sorted(p.name for p in (home / "warehouse" / "versions").iterdir())
    code, out = run(home, "drift", sound, damaged, "--json")
    told = json.loads(out)
    assert (code, told["grade"]) == (1, "stop")
    grades = {one["variable"]: one["grades"] for one in told["variables"]}
    assert grades["fee_list_d.chrgitm_lv"] == {"psi": "stop", "missing": "ok", "coverage": "warn"}
    assert grades["fee_list_d.med_chrgitm_type"]["missing"] == "stop"
    assert grades["setl_d.age"] == {"psi": "ok", "missing": "ok"}
    assert told["fingerprints"]["old"] == told["fingerprints"]["new"]


def test_a_year_of_a_sound_city_is_near_the_year_before(home: Path) -> None:
    sound = min(p.name for p in (home / "warehouse" / "versions").iterdir())
    code, out = run(home, "drift", sound, str(home / "warehouse" / "versions" / sound))
    assert code == 0
    assert "result: OK" in out
    code, out = run(home, "drift", "2024", "2025", "--json")
    moved = {one["variable"]: one["psi"] for one in json.loads(out)["variables"]}
    assert max(moved[name] for name in ("setl_d.insutype", "setl_d.age", "setl_d.gend")) < 0.1
    # a span is of its own months: 2022 has no fee lines at all
    _, out = run(home, "drift", "2022", "2024", "--json")
    assert {one["variable"] for one in json.loads(out)["variables"]} >= {"fee_list_d.pric"}


def test_a_place_that_does_not_exist_is_a_sentence(home: Path) -> None:
    with pytest.raises(OperatorError, match="is no warehouse version"):
        run(home, "drift", "2024", "nowhere")
