"""S15 as it is released: small arms are refused, and who leaves does not show.

The warehouse is that of the worked example, with other numbers of persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.catalogue.worked import Example, Records
from gateway.releases.shapes import offered
from tests.spec.test_worked_examples import CATALOGUE, EXAMPLES, answer, told

EXAMPLE = EXAMPLES["S15"]
MEASURES = tuple(EXAMPLE.ask.measures)
Rows = dict[str, Mapping[str, str]]


def with_members(fewer: int) -> Example:
    """The example with fewer members of the first thirty."""
    records = [_fewer(of, fewer) if "A{n}" in str(of.tables) else of for of in EXAMPLE.records]
    return EXAMPLE.model_copy(update={"records": tuple(records)})


def _fewer(records: Records, fewer: int) -> Records:
    return records.model_copy(update={"times": records.times - fewer})


def by_outcome(home: Path, example: Example) -> Rows:
    return {row["outcome"]: row for row in told(answer(home, "S15", example))}


FIVE = Records.model_validate(
    {
        "about": {"zh": "5名参加者各一次急诊", "en": "five members with an emergency visit"},
        "times": 5,
        "tables": {
            "mdtrt_d": "mdtrt_id | psn_no | med_type | begntime\nZ{n} | A{n} | 13 | 2024-06-01",
            "setl_d": "setl_id | mdtrt_id | psn_no | fixmedins_code | insu_admdvs | medfee_sumamt"
            " | setl_time | begndate | enddate\n"
            "Z{n} | Z{n} | A{n} | H1 | 990102 | 1.00 | 2024-06-01 | 2024-06-01 | 2024-06-01",
        },
    }
)


@pytest.fixture(scope="module")
def one_left(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What is told of the example when one member has left, and five had an emergency."""
    example = with_members(1)
    with_five = example.model_copy(update={"records": (*example.records, FIVE)})
    return by_outcome(tmp_path_factory.mktemp("left"), with_five)


def test_an_arm_of_forty_nine_is_refused_every_figure_and_its_number(tmp_path: Path) -> None:
    rows = by_outcome(tmp_path, with_members(11))
    assert len(rows) == 8
    for row in rows.values():
        assert [row[measure] for measure in MEASURES] == ["s"] * len(MEASURES)


def test_a_member_who_leaves_moves_no_figure_by_more_than_a_step(one_left: Rows) -> None:
    before = {row["outcome"]: row for row in EXAMPLE.expected()}
    for outcome, step in (("op_visits", 0.07), ("cost", 8), ("fund", 4)):
        for measure in ("estimate", "ci_low", "ci_high"):
            was, now = (float(rows[outcome][measure].split()[0]) for rows in (before, one_left))
            assert abs(was - now) <= step + 1e-9, (outcome, measure)


def test_what_changed_for_five_persons_alone_is_not_told(one_left: Rows) -> None:
    """An average over sixty of which fifty-five are nothing would count the five."""
    row = one_left["ed"]
    assert [row[m] for m in ("estimate", "ci_low", "ci_high", "relative")] == ["s"] * 4
    assert row["n_programme"].endswith("r")


def test_a_member_who_leaves_does_not_show_in_the_number_of_members(one_left: Rows) -> None:
    """Counts are multiples of five, whichever way they are rounded."""
    for row in one_left.values():
        assert row["n_programme"].split()[0] in {"55", "60"}


@pytest.mark.parametrize("dims", [(), ("programme",), ("outcome", "time_window")])
def test_figures_are_offered_for_one_outcome_and_one_window_of_one_programme(
    dims: tuple[str, ...],
) -> None:
    """What rolls one of them up is the mean of different things, and is never told."""
    service = CATALOGUE.services["S15"]
    assert offered(service, dims) == ()
    every = offered(service, ("programme", "outcome", "time_window"))
    assert set(every) == {measure.name for measure in service.measures}
