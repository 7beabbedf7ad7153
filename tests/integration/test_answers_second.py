"""Random slices of each service, asked over HTTP, agree with second implementations cell by cell.

What is asked and answered is what a participant sees; the second implementations of `tests/second`
read the warehouse alone. Services of which the small common home shows cells take part.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.releases.store import ReleaseStore
from gateway.warehouse import store
from tests.gateway_factory import Gateway
from tests.second import s03, s05, s07, s11, s14, s24, slices
from tests.served_recount import MEASURES, Recount
from tests.served_slices import figures, question

ASKED = {
    "S02": ("SC01", "actuarial_pricing_and_reserving"),
    "S03": ("SC01", "actuarial_pricing_and_reserving"),
    "S04": ("SC01", "actuarial_pricing_and_reserving"),
    "S05": ("SC01", "actuarial_pricing_and_reserving"),
    "S06": ("SC05", "regional_market_and_access_analysis"),
    "S07": ("SC01", "actuarial_pricing_and_reserving"),
    "S09": ("SC05", "regional_market_and_access_analysis"),
    "S11": ("SC05", "regional_market_and_access_analysis"),
    "S14": ("SC02", "public_supplementary_scheme_design"),
    "S24": ("SC02", "public_supplementary_scheme_design"),
}
KIND = {"SC01": "insurer", "SC02": "insurer", "SC05": "pharma"}
SECOND = (s05, s07, s11, s24)
LONG = {"S03": s03, "S14": s14}  # whose second implementation takes minutes
QUESTIONS = 24
LEAST = {"S07": 10}  # few groups have three institutions here
KNOWN = {**MEASURES, **{k: v for m in (*SECOND, *LONG.values()) for k, v in m.MEASURES.items()}}
"""What second implementations know; completion factors, exceedances and trends are made of
published figures and have tests of their own."""


@pytest.fixture(scope="module")
def licensed(released_home: Path) -> Recount:
    return slices.recount_of(store.current(released_home / "warehouse"), SECOND)


def asked_of(gateway: Gateway, service: str, seed: int) -> list[slices.Shown]:
    """The figures of the answers to random questions; a combination that is refused is none."""
    scenario, purpose = ASKED[service]
    services = gateway.app.state.desk.catalogue.services
    covered = [name for name, one in services.items() if scenario in one.scenarios]
    facts: dict[str, Any] = {"services": covered}
    client = gateway.admit(f"{scenario}-app", f"T-{scenario}", KIND[scenario], scenario, **facts)
    manifest = ReleaseStore(gateway.settings.releases).latest(service)
    assert manifest is not None
    rng = np.random.default_rng(seed)
    found: list[slices.Shown] = []
    for _ in range(QUESTIONS):
        asked = question(services[service], manifest, rng)
        body = {"purpose": purpose, "geo": ["990100"], "page_size": 5000, **asked}
        reply = gateway.ask(service, body, client=client)
        assert reply.status_code in {200, 400, 403, 422}, reply.text
        if reply.status_code == 200:
            found += figures(services[service], asked, reply.json()["data"])
    return found


EACH = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in ASKED]


@pytest.mark.parametrize("service", EACH)
def test_random_slices_over_http_agree_with_the_second_implementation(
    gateway: Gateway, released_home: Path, licensed: Recount, service: str
) -> None:
    of = licensed
    if service in LONG:
        of = slices.recount_of(store.current(released_home / "warehouse"), [LONG[service]])
    found = asked_of(gateway, service, seed=5)
    known = [one for one in found if one.measure in KNOWN[service]]
    rng = np.random.default_rng(6)
    some = rng.choice(len(known), min(len(known), 250), replace=False)
    assert len(some) > LEAST.get(service, 100), Counter(one.measure for one in found)
    assert list(slices.astray(of, [known[at] for at in some.tolist()])) == []


def test_a_figure_that_is_wrong_is_named(gateway: Gateway, licensed: Recount) -> None:
    amounts = [one for one in asked_of(gateway, "S09", seed=5) if one.measure == "amount"]
    wrong = [slices.Shown(o.service, o.measure, o.cell, float(o.value) * 1.01) for o in amounts]
    assert len(list(slices.astray(licensed, wrong))) == len(wrong) > 10
