"""Cohorts counted on the index and person by person on the records: the same people, always."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.cohorts.bands import quartiles
from gateway.cohorts.evaluate import count
from gateway.cohorts.index import CohortIndex, open_index
from gateway.cohorts.question import CohortQuestion
from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.second.s16 import Records
from tests.waivers import INVENTED

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CODED = ("dx_group", "dx_chapter", "generic", "atc", "disease12", "procedure")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[CohortIndex, Records]:
    """A city of two thousand, indexed and as records."""
    home = tmp_path_factory.mktemp("mini")
    draft = home / "warehouse" / "versions" / "draft"
    draft.parent.mkdir(parents=True)
    simulate(draft, size="mini", seed=1)
    store.publish(home / "warehouse", draft, {"kind": "test"}, NOW)
    (made,) = build(Settings(home=home), Order(("S16",), waivers=INVENTED), NOW)
    index = open_index(home / "releases" / "S16" / made.release_id)
    return index, Records(store.current(home / "warehouse"))


def questions(index: CohortIndex, number: int) -> Iterator[dict[str, Any]]:
    """Random questions of the language, of codes that the city has."""
    dice = random.Random(16)  # noqa: S311 - a test's dice
    domains = index.domains()

    def codes(kind: str) -> list[str]:
        return dice.sample(domains[kind], min(len(domains[kind]), dice.randint(1, 6)))

    def criterion(related: list[bool]) -> dict[str, Any]:
        match dice.randint(0, 6):
            case 0:
                return {"kind": "age10", "values": dice.sample(index.ages, 5)}
            case 1:
                return {"kind": "gend", "values": [dice.choice("12")]}
            case 2:
                return {"kind": "index_year", "values": [dice.choice(index.years)]}
            case 3:
                months = dice.randint(0, 8), dice.randint(0, 8)
                return {"kind": "enrolled", "before": months[0], "after": months[1]}
        kind = dice.choice([k for k in CODED if domains[k]])
        found: dict[str, Any] = {"kind": kind, "codes": codes(kind), "exclude": dice.random() < 0.5}
        if not related and dice.random() < 0.5:
            related.append(True)
            relation = dice.choice(("before", "after"))
            found["within"] = {"relation": relation, "days": dice.randint(1, 300)}
        return found

    for _ in range(number):
        first, last = sorted((dice.choice(index.years), dice.choice(index.years)))
        kind = dice.choice([k for k in CODED if domains[k]])
        related: list[bool] = []
        asked = [criterion(related) for _ in range(dice.randint(0, 4))]
        yield {
            "period": {"from": first, "to": last},
            "geo": sorted(dice.sample(index.geo, dice.randint(1, len(index.geo)))),
            "index": {"kind": kind, "codes": codes(kind)},
            "criteria": [one for n, one in enumerate(asked) if one not in asked[:n]],
        }


@pytest.mark.slow
def test_both_count_the_same_people(counted: tuple[CohortIndex, Records]) -> None:
    index, records = counted
    number = 400 if os.environ.get("SLUICE_EXAMPLES") == "search" else 30
    sizes = []
    for asked in questions(index, number):
        question = CohortQuestion.model_validate_json(orjson.dumps(asked))
        mine = count(index, question)
        steps, follow = records.cohorts(asked)
        told = [len(one.members) for one in mine.steps]
        assert told == [len(one) for one in steps], asked
        years = [
            sum(records.entered[name].day.year == int(year) for name in steps[-1])
            for year in question.period.years
        ]
        assert [len(one.members) for one in mine.years] == years, asked
        assert sorted(mine.follow_up.tolist()) == sorted(follow.values()), asked
        sizes.append(told[-1])
    assert sum(size > 0 for size in sizes) > number // 3


@pytest.mark.slow
def test_the_index_names_nobody(counted: tuple[CohortIndex, Records], tmp_path: Path) -> None:
    index, records = counted
    assert index.persons == len(records.people)
    held = orjson.dumps(index.domains()).decode()
    assert not any(name in held for name in records.people)


@pytest.mark.slow
def test_sensitive_codes_are_not_in_the_index(counted: tuple[CohortIndex, Records]) -> None:
    index, _ = counted
    domains = index.domains()
    assert "05" not in domains["dx_chapter"]
    assert not {"mental", "hepatitis_b"} & {*domains["disease12"]}
    assert not any(code.startswith(("N05A", "J05AR")) for code in domains["generic"])
    assert domains["atc"]
    assert not any(code.startswith("N05A") for code in domains["atc"])


@pytest.mark.slow
def test_quartiles_are_smoothed_over_five_neighbours(
    counted: tuple[CohortIndex, Records],
) -> None:
    index, _ = counted
    months = count(index, _everybody(index)).follow_up
    found = quartiles(months)
    assert found["p25"] <= found["p50"] <= found["p75"]
    assert set(found.values()) <= set(range(int(months.max()) + 1))


def _everybody(index: CohortIndex) -> CohortQuestion:
    asked = {
        "period": {"from": index.years[0], "to": index.years[-1]},
        "geo": index.geo,
        "index": {"kind": "dx_chapter", "codes": index.domains()["dx_chapter"]},
    }
    return CohortQuestion.model_validate_json(orjson.dumps(asked))
