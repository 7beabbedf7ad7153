"""What each institution delivered counts under its own name, month by month, in whole numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gateway.releases.quality import FILE, by_period, read_quality, write_quality
from metering.sharing import QUALITY_ONE
from synthetic.integrity.counting import Counts
from synthetic.integrity.quality import measure
from tests.tiny_warehouse import one, rows, write

LABELS = ["2024-02", "2024-03", "2024-04", "2024Q1", "2024"]
Delivered = dict[tuple[str, str], Counts]


@pytest.fixture
def content() -> dict[str, list[dict[str, Any]]]:
    found = rows()
    for setl in found["setl_d"]:
        setl["crte_time"] = setl["setl_time"] + timedelta(minutes=3)
    return found


def who(content: dict[str, list[dict[str, Any]]], setl: str) -> str:
    return str(one(content["setl_d"], setl_id=setl)["fixmedins_code"])


def counted(folder: Path, content: dict[str, list[dict[str, Any]]]) -> Delivered:
    return dict(measure(write(folder, content), LABELS).institutions)


def test_every_record_counts_for_the_institution_and_month_of_its_settlement(
    content: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    found = counted(tmp_path, content)
    clinic, hospital, pharmacy = (who(content, setl) for setl in ("S1", "S2", "S3"))
    records = {key: counts.records for key, counts in found.items() if counts.records}
    assert records == {
        ("2024-02", clinic): 3 + 2 + 4 + 2,  # settlements with the refund, encounters, lines, …
        ("2024-03", hospital): 1 + 1 + 3 + 2 + 1,
        ("2024-04", pharmacy): 1 + 1 + 1,
    }
    stay = found["2024-03", hospital]
    assert (stay.violating, stay.missing, stay.overdue) == (0, 0, 0)
    assert (stay.urgent, stay.in_time) == (1, 1)
    assert stay.booked == stay.split > 0


def test_each_fault_is_held_against_the_one_who_made_it(
    content: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    clinic, hospital, pharmacy = (who(content, setl) for setl in ("S1", "S2", "S3"))
    before = counted(tmp_path / "before", content)
    one(content["fee_list_d"], bkkp_sn="S1-2").update(pric=Decimal("10.5"))
    one(content["mdtrt_d"], mdtrt_id="MS2").update(dscg_way=None)
    bought = one(content["setl_d"], setl_id="S3")
    bought["crte_time"] = bought["setl_time"] + timedelta(minutes=10, seconds=1)
    after = counted(tmp_path / "after", content)
    assert after["2024-02", clinic].violating == before["2024-02", clinic].violating + 1
    assert after["2024-03", hospital].missing == 1
    assert (after["2024-04", pharmacy].urgent, after["2024-04", pharmacy].in_time) == (1, 0)
    untouched = Counts(violating=0, missing=0, in_time=before["2024-03", hospital].in_time)
    assert after["2024-03", hospital].violating == untouched.violating
    assert after["2024-03", hospital].in_time == untouched.in_time


@pytest.mark.parametrize(("arrived", "overdue"), [((2024, 5, 6, 0, 0), 0), ((2024, 5, 6, 0, 1), 1)])
def test_the_cut_off_is_five_days_after_the_month(
    content: dict[str, list[dict[str, Any]]], tmp_path: Path, arrived: tuple[int, ...], overdue: int
) -> None:
    one(content["setl_d"], setl_id="S3")["crte_time"] = datetime(*arrived)  # type: ignore[arg-type, misc]  # noqa: DTZ001  # local time, as the warehouse holds it
    assert counted(tmp_path, content)["2024-04", who(content, "S3")].overdue == overdue


def test_months_add_up_to_quarters_and_standings_survive_their_file(
    content: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    one(content["mdtrt_d"], mdtrt_id="MS2").update(dscg_way=None)
    known = by_period(LABELS, counted(tmp_path / "w", content))
    clinic, hospital, pharmacy = (who(content, setl) for setl in ("S1", "S2", "S3"))
    assert known["2024Q1"].keys() == {clinic, hospital}
    assert known["2024"].keys() == {clinic, hospital, pharmacy}
    assert known["2024Q1"][hospital].q < QUALITY_ONE < known["2024Q1"][clinic].q
    assert known["2024-03"][hospital].q == QUALITY_ONE  # alone, it is the mean

    write_quality(tmp_path / FILE, LABELS, known, [pharmacy, hospital, clinic])
    read = read_quality(tmp_path)
    assert read == {
        (LABELS.index(label), name): standing
        for label, standings in known.items()
        for name, standing in standings.items()
    }
    first = (tmp_path / FILE).read_bytes()
    write_quality(tmp_path / FILE, LABELS, known, [pharmacy, hospital, clinic])
    assert (tmp_path / FILE).read_bytes() == first


def test_a_file_holds_only_providers_of_its_service_and_an_empty_one_can_be_read(
    content: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    known = by_period(LABELS, counted(tmp_path / "w", content))
    hospital = who(content, "S2")
    write_quality(tmp_path / FILE, LABELS, known, [hospital])
    assert set(pq.read_table(tmp_path / FILE)["provider"].to_pylist()) == {hospital}
    write_quality(tmp_path / FILE, [], {}, [])
    assert read_quality(tmp_path) == {}
    assert read_quality(tmp_path / "nowhere") == {}
