"""What refusals of S18, S19 and S20 tell by their words and by their time: 2,000 calls a kind.

Stated test: calls of the kinds (unknown person, no consent, wrong consent) in random order, the
time that their caller waits for each, and for each two kinds the two-sample Kolmogorov-Smirnov
statistic. Nine pairs over three services are compared at one per mille each: where there is no
difference, the whole fails in fewer than one run of a hundred. At 2,000 calls the statistic must
stay below 0.062. The same test finds a planted difference, five milliseconds of work that only
calls about an unknown person cause, where refusals leave as soon as they are made; and not where
they leave at the end of their slot.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from uuid_utils import uuid7

from gateway.claims import levelling, refunds
from gateway.persons.embedded import EmbeddedSource
from gateway.persons.port import Known
from tests.adjudication_world import RuledWorld, ruled_world
from tests.claim_world import PEOPLE, STRANGER, ClaimWorld, claim_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

CALLS, RISK, PLANTED_CALLS = 2_000, 0.001, 700
PLANTED_SECONDS = 0.005
Ask = Callable[..., Any]


@contextmanager
def asking(service: str, home: Path, folder: Path) -> Iterator[tuple[ClaimWorld, Ask]]:
    """A gateway that answers this service, and who writes a good question of it."""
    if service == "S20":
        with ruled_world(home, folder) as ruled:
            yield ruled, partial(ruled.claim, setl_id="S-adult")
        return
    with claim_world(home, folder) as world:
        if service == "S19":
            yield world, world.body
            return

        def eligible(consent: str, person: str | tuple[str, str] = "adult") -> Any:
            name = PEOPLE[person][1] if isinstance(person, str) else person[1]
            return world.body(consent, person, name=name, date="2025-04-10", window=None)

        yield world, eligible


def consent_of(world: ClaimWorld, person: str) -> str:
    return world.ruled(person) if isinstance(world, RuledWorld) else world.consent(person)


def kinds_of(world: ClaimWorld, ask: Ask) -> Mapping[str, Any]:
    return {
        "unknown person": ask(consent_of(world, "adult"), STRANGER),
        "no consent": ask(f"c-{uuid7()}", "adult"),  # as long as one that there is
        "wrong consent": ask(consent_of(world, "patient"), "adult"),
    }


def timed(
    world: ClaimWorld, service: str, kinds: Mapping[str, Any], calls: int
) -> Mapping[str, list[float]]:
    """Seconds each call took, by kind, in random order; every body is the same but for its id."""
    order = [kind for kind in kinds for _ in range(calls)]
    random.Random(7).shuffle(order)  # noqa: S311 - an order, no secret
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    shown = set()
    for kind in order[:50]:
        world.verify(kinds[kind], service)
    for kind in order:
        with world.consents.engine.begin() as db:
            db.exec_driver_sql("DELETE FROM claim_miss")  # no pair is locked: the harder case
        began = time.perf_counter()
        reply = world.verify(kinds[kind], service)
        taken[kind].append(time.perf_counter() - began)
        told = reply.json()
        assert told.pop("request_id")
        shown.add((reply.status_code, len(reply.content), json.dumps(told)))
    assert len(shown) == 1, shown
    assert next(iter(shown))[0] == 403
    return taken


def told_apart(
    taken: Mapping[str, list[float]], record: Callable[[str, object], None]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Pairs of kinds that time tells apart, with statistic and probability."""
    found = {}
    for one, other in combinations(taken, 2):
        test = stats.ks_2samp(taken[one], taken[other])
        record(f"{one} | {other}", f"D {test.statistic:.4f}, p {test.pvalue:.4f}")
        if test.pvalue < RISK:
            found[one, other] = (float(test.statistic), float(test.pvalue))
    return found


@pytest.mark.parametrize("service", ["S18", "S19", "S20"])
def test_neither_words_nor_time_tell_why_a_person_is_refused(
    released_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    service: str,
) -> None:
    monkeypatch.setattr(refunds, "LOOK_SECONDS", 1e6)
    with asking(service, released_home, tmp_path) as (world, ask):
        assert told_apart(timed(world, service, kinds_of(world, ask), CALLS), record_property) == {}


@pytest.mark.parametrize("slots", [True, False])
def test_a_planted_difference_is_found_only_where_refusals_leave_at_once(
    released_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    slots: bool,
) -> None:
    monkeypatch.setattr(refunds, "LOOK_SECONDS", 1e6)
    if not slots:
        monkeypatch.setattr(levelling, "SLOT", 1e-6)
    known = EmbeddedSource.known

    async def slower(self: EmbeddedSource, subject: str) -> Known | None:
        found = await known(self, subject)
        ends = time.thread_time() + PLANTED_SECONDS
        while found is None and time.thread_time() < ends:
            pass
        return found

    monkeypatch.setattr(EmbeddedSource, "known", slower)
    with asking("S19", released_home, tmp_path) as (world, ask):
        found = told_apart(
            timed(world, "S19", kinds_of(world, ask), PLANTED_CALLS), record_property
        )
    unknown = {("unknown person", "no consent"), ("unknown person", "wrong consent")}
    assert set(found) == (set() if slots else unknown)
