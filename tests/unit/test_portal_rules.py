"""What the portal withholds, finds, draws and reads: rules without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.journal.reader import Called
from gateway.portal.answers import of_answer, written
from gateway.portal.changelog import read_changelog
from gateway.portal.finding import known, rank
from gateway.portal.frame import words
from gateway.portal.offers import every, find
from gateway.portal.transparency import Figures, Limits, published

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "policies")
LIMITS = Limits(persons=30, organisations=5)
MOVED = {"income": 500, "tax": 30, "operator_cost": 70, "public_interest": 40, "payable": 360}


def month(tenants: int, calls: int, *, refused: int = 0, ended: int = 0, charged: int = 9):
    called = tuple(Called(f"T-{n}", calls, refused) for n in range(tenants))
    return published("2025-05", Figures(called, ended, 2, charged, MOVED), LIMITS)


def test_small_counts_are_withheld_and_nothing_is_told_as_nothing():
    told = month(tenants=4, calls=7, refused=1, ended=29)
    assert (told.calls, told.organisations, told.denials, told.revocations) == (None,) * 4
    told = month(tenants=5, calls=6, refused=6, ended=30)
    assert (told.calls, told.organisations, told.denials, told.revocations) == (30, 5, 30, 30)
    told = month(tenants=0, calls=0)
    assert (told.calls, told.organisations, told.denials, told.revocations) == (0, 0, 0, 0)
    assert told.stops == 2  # how often the office pulled the brake is always told


@pytest.mark.parametrize(("charged", "shown"), [(0, True), (1, False), (4, False), (5, True)])
def test_amounts_of_a_month_are_told_where_no_bill_can_be_read_from_them(charged, shown):
    told = month(tenants=9, calls=9, charged=charged)
    amounts = (told.income_fen, told.tax_fen, told.operator_fen, told.public_interest_fen)
    assert amounts == ((500, 30, 70, 40) if shown else (None,) * 4)
    assert told.providers_fen == (360 if shown else None)


def test_a_node_that_has_the_same_tenant_counts_it_once():
    called = (Called("T-1", 20, 0), Called("T-1", 20, 0))
    told = published("2025-05", Figures(called, 0, 0, 0, MOVED), Limits(30, 2))
    assert (told.calls, told.organisations) == (40, None)


def test_hidden_cells_show_no_number_and_make_no_bar():
    service = CATALOGUE.services["S02"]
    data = [
        {"period": period, "geo": "990100", "medfee": {"value": value, "flag": flag}}
        for period, value, flag in (
            ("2024Q1", "100.00", "r"), ("2024Q2", None, "s"), ("2024Q3", "50.00", "ok"),
        )
    ]  # fmt: skip
    table = of_answer(service, data, "en")
    assert [row[2] for row in table.rows] == ["100.00 r", "▒▒ s", "50.00"]
    assert table.chart is not None
    assert [(m.label, m.text) for m in table.chart.marks] == [
        ("2024Q1", "100.00 r"), ("2024Q3", "50.00"),
    ]  # fmt: skip
    assert of_answer(service, data[:2], "en").chart is None  # one bar compares nothing
    assert of_answer(service, [], "en").rows == []


def test_every_word_of_a_question_must_fit_and_titles_come_first():
    ranked = {one.id: rank("fee", known(one)) for _, one in every(CATALOGUE)}
    assert ranked["S02"] is not None
    found = find(CATALOGUE, "act.los")
    assert found is not None
    los = known(found[1])
    assert rank("zhuyuan", los) == rank("zyr", los) == 1
    assert rank("z", los) is None  # one letter is no sound
    assert rank("住院日 nonsense", los) is None


def test_the_changelog_is_read_by_version_and_kind(tmp_path):
    file = tmp_path / "C.md"
    file.write_text(
        "# Changelog\n\n## [Unreleased]\n\n### Added\n- One\n  goes on.\n- Two\n\n"
        "### Fixed\n- A\n\n"
        "## 0.1.0 - 2025-01-01\n### Added\n- First\n"
    )
    page = read_changelog(file)
    assert [version.name for version in page.versions] == ["Unreleased", "0.1.0 - 2025-01-01"]
    told = [(change.kind, list(change.lines)) for change in page.versions[0].changes]
    assert told == [("Added", ["One goes on.", "Two"]), ("Fixed", ["A"])]
    assert read_changelog(tmp_path / "none").versions == []
    assert read_changelog().versions  # the file that is shipped


def test_a_question_is_written_with_a_line_for_each_field():
    assert written({"a": [1, 2], "b": {"c": "中"}}) == '{\n  "a": [1, 2],\n  "b": {"c": "中"}\n}'


def test_every_sentence_is_said_in_both_languages():
    assert [key for key, said in words().items() if set(said) != {"zh", "en"}] == []
    assert [key for key, said in words().items() if not all(said.values())] == []
