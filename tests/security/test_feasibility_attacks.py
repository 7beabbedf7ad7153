"""Attacks on cohort counts: differences of near-identical questions, in loops and at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.cohorts.bands import Bands
from gateway.cohorts.counting import Counting
from gateway.cohorts.guard import Told
from gateway.cohorts.journal import Entry, QueryJournal
from gateway.cohorts.question import CohortQuestion
from gateway.policy.profiles import merged_profiles
from gateway.releases.store import current
from tests.feasibility_factory import QUESTION, admit, ask, counting_gateway
from tests.gateway_factory import POLICIES, TODAY, Gateway
from tests.spec.test_feasibility_example import CATALOGUE

MONTHS = range(12)


@pytest.fixture(scope="module")
def counting(cohort_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with counting_gateway(cohort_home, tmp_path_factory.mktemp("counting")) as running:
        yield running


def near_identical() -> list[tuple[dict[str, Any], ...]]:
    """Questions that cut the same people a little differently."""
    return [
        (*([{"kind": "enrolled", "before": before, "after": after}]),)
        for before in MONTHS
        for after in (0, 6, 7, 8, 21)
    ]


def answered(reply: httpx.Response) -> bool:
    assert reply.status_code == 200 or reply.json()["deny"] == ["D804"], reply.text
    return reply.status_code == 200


def apart(counting: Gateway, told: list[tuple[dict[str, Any], ...]]) -> list[int]:
    """The symmetric differences of the results of answered questions, exactly."""
    counter = Counting(counting.settings.releases)
    release = current(counting.settings.releases)["S16"]
    plain = {name: QUESTION[name] for name in ("period", "geo", "index")}
    people = []
    for criteria in told:
        question = CohortQuestion.model_validate(
            {**_tuples(plain), "criteria": criteria}, strict=False
        )
        people.append({*counter.count(release, question).final.members.tolist()})
    return [len(a ^ b) for i, a in enumerate(people) for b in people[:i]]


def on_record(grant: str, *criteria: dict[str, Any], told: Told, **more: Any) -> Entry:
    """A question as it was answered from a release of earlier."""
    plain = {name: QUESTION[name] for name in ("period", "geo", "index")}
    body = {**plain, **more, "criteria": criteria}
    question = CohortQuestion.model_validate_json(orjson.dumps(body))
    return Entry(grant, question, told, "S16-0", "r", TODAY)


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "geo": tuple(plain["geo"])}


def test_a_loop_of_near_identical_questions_gets_only_cohorts_that_lie_apart(
    counting: Gateway,
) -> None:
    client = admit(counting, "loop", "T-LOOP", ("G-LOOP",))
    told = []
    for number, criteria in enumerate(near_identical()[:55]):
        if answered(ask(counting, client, *criteria)):
            told.append(criteria)
        assert number < 60
    assert 2 <= len(told) < 8
    assert min(apart(counting, told)) >= 20


def test_two_grants_of_one_organisation_are_one_consumer(counting: Gateway) -> None:
    client = admit(counting, "twice", "T-TWICE", ("G-TWICE1", "G-TWICE2"))
    told = []
    for number, criteria in enumerate(near_identical()[:30]):
        grant = f"G-TWICE{number % 2 + 1}"
        if answered(ask(counting, client, *criteria, grant_id=grant)):
            told.append(criteria)
    assert min(apart(counting, told)) >= 20


def test_another_organisation_is_not_told_what_others_asked(counting: Gateway) -> None:
    first = admit(counting, "one", "T-ONE", ("G-ONE",))
    second = admit(counting, "two", "T-TWO", ("G-TWO",))
    cut = {"kind": "enrolled", "before": 1}
    assert ask(counting, first).status_code == 200
    assert ask(counting, second, cut).status_code == 200
    assert not answered(ask(counting, first, {"kind": "enrolled", "before": 0}))


def test_what_was_refused_for_coming_near_counts_as_a_question(counting: Gateway) -> None:
    client = admit(counting, "probe", "T-PROBE", ("G-PROBE",))
    left = ask(counting, client).json()["meta"]["study"]["queries_per_study"]["remaining"]
    for months in (0, 0, 1):
        assert not answered(ask(counting, client, {"kind": "enrolled", "after": months}))
    again = ask(counting, client).json()["meta"]["study"]["queries_per_study"]["remaining"]
    assert left - again == 2


def test_a_study_has_sixty_questions_and_no_more(cohort_home: Path, tmp_path: Path) -> None:
    with counting_gateway(cohort_home, tmp_path, queries_per_study=3) as gateway:
        client = admit(gateway, "many", "T-MANY", ("G-MANY1", "G-MANY2"))
        for months in (0, 1, 2):
            ask(gateway, client, {"kind": "enrolled", "after": months}, grant_id="G-MANY1")
        refused = ask(gateway, client, {"kind": "enrolled", "after": 3}, grant_id="G-MANY1")
        assert (refused.status_code, refused.json()["deny"]) == (429, ["D802"])
        repeated = ask(gateway, client, {"kind": "enrolled", "after": 0}, grant_id="G-MANY1")
        assert repeated.status_code == 200
        forty = {"kind": "age10", "values": ["40-49"]}
        assert ask(gateway, client, forty, grant_id="G-MANY2").status_code == 200


def test_questions_asked_at_once_are_judged_one_after_the_other(counting: Gateway) -> None:
    """Pairs of questions that may not both be answered, sent at the same moment."""
    client = admit(counting, "race", "T-RACE", ("G-RACE",))
    asked = [({"kind": "enrolled", "after": months},) for months in range(6)]
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda criteria: ask(counting, client, *criteria), asked))
    told = [criteria for criteria, reply in zip(asked, replies, strict=True) if answered(reply)]
    assert len(told) == 1


def test_two_replicas_cannot_add_the_same_number(counting: Gateway) -> None:
    engine = counting.app.state.identity.engine
    one, other = QueryJournal(engine), QueryJournal(engine)
    seen = one.study("T-REPLICA", "S16"), other.study("T-REPLICA", "S16")
    entries = [on_record("G", {"kind": "enrolled", "after": n}, told=Told((), ())) for n in (0, 1)]
    assert one.add(seen[0], entries[0])
    assert not other.add(seen[1], entries[1])
    assert other.add(other.study("T-REPLICA", "S16"), entries[1])


def test_a_repeat_is_told_as_it_was_whatever_was_asked_since(counting: Gateway) -> None:
    client = admit(counting, "later", "T-LATER", ("G-LATER",))
    steps = ({"kind": "age10", "values": ["40-49"]}, {"kind": "gend", "values": ["2"]})
    first = ask(counting, client, *steps).json()["data"]
    for other in ({"kind": "gend", "values": ["1"]}, {"kind": "age10", "values": ["70-79"]}):
        ask(counting, client, other)
    assert ask(counting, client, *steps).json()["data"] == first


def remember(counting: Gateway, tenant: str, entry: Entry) -> None:
    journal = QueryJournal(counting.app.state.identity.engine)
    assert journal.add(journal.study(tenant, "S16"), entry)


def test_a_repeat_from_a_later_release_tells_no_more_than_is_on_record(counting: Gateway) -> None:
    """Questions in between were held against what the first answer told, and only against that."""
    client = admit(counting, "again", "T-AGAIN", ("G-AGAIN",))
    forty = {"kind": "age10", "values": ["40-49"]}
    remember(counting, "T-AGAIN", on_record("G-AGAIN", forty, told=Told((), (0,))))
    data = ask(counting, client, forty).json()["data"]
    assert [step["persons"]["flag"] for step in data["steps"]] == ["c", "r"]
    assert [year["persons"]["flag"] for year in data["index_years"]] == ["r", "c"]
    assert data["persons"]["flag"] == "r"


def test_a_code_that_the_release_lacks_hides_no_earlier_question(counting: Gateway) -> None:
    """Told with a rare code by one release, asked without it of another that does not list it."""
    client = admit(counting, "rare", "T-RARE", ("G-RARE",))
    index = {"kind": "atc", "codes": ["A10BA", "A10BX"]}
    remember(counting, "T-RARE", on_record("G-RARE", told=Told((), ()), index=index))
    assert not answered(ask(counting, client))


def test_no_band_of_the_profile_tells_a_count_below_twenty() -> None:
    profile = merged_profiles(POLICIES, CATALOGUE.as_policy_data())["S16", "SC12"]
    bands = Bands.of(profile["bands"])
    assert {bands.tell(number) for number in range(20)} == {"<20"}
