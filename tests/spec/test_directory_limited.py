"""How far a limited organisation may ask, worked through from the directory to the decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from gateway.identity.model import Tenant
from gateway.policy.embedded import EmbeddedPolicy
from tests.policy_factory import PRICING, Json, ask, directory, embedded

INSURER = Tenant(
    id="insurer-1",
    type="insurer",
    name="测试机构（虚构）",
    uscc="91990100MA0000001G",
    status="limited",
    env="prod",
    crypto="intl",
    data_security_officer="测试丁一",
    qualifications=(),
    source_ips=("192.0.2.0/24",),
    cert_thumbprints=(),
)
EXAMPLES = """
    strategy   | cut-off    | from   | to     | refused
    historical | 2025-09-30 | 2025Q1 | 2025Q3 |
    historical | 2025-09-29 | 2025Q1 | 2025Q3 | D102
    historical | 2025-09-29 | 2025Q1 | 2025Q2 |
    historical | 2025-07-01 | 2025Q1 | 2025Q3 | D102
    latest     | 2025-07-01 | 2025Q1 | 2025Q3 |
    latest     | 2025-06-30 | 2025Q1 | 2025Q3 | D102
    latest     | 2025-06-30 | 2025Q1 | 2025Q2 |
    historical | 2024-02-29 | 2024Q1 | 2024Q1 | D102
    historical | 2024-12-31 | 2024Q4 | 2024Q4 |
"""


def rows() -> list[list[str]]:
    lines = EXAMPLES.strip().splitlines()[1:]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    running = embedded()
    yield running
    running.close()


def load(policy: EmbeddedPolicy, tenant: Tenant) -> None:
    documents: Json = directory()
    before = documents["tenants"]["insurer-1"]
    document = {**tenant.document(), "qualifications": before["qualifications"]}
    policy.load({**documents, "tenants": {"insurer-1": document}})


@pytest.mark.parametrize("row", rows(), ids=" ".join)
def test_a_limited_organisation_asks_for_nothing_after_its_cut_off(
    policy: EmbeddedPolicy, row: list[str]
) -> None:
    strategy, cut_off, first, last, refused = row
    day = date.fromisoformat(cut_off)
    load(policy, replace(INSURER, cut_off_date=day, cut_off_strategy=strategy))
    question = ask(PRICING, period={"from": first, "to": last, "grain": "quarter"})
    assert policy.decide(question).deny == ((refused,) if refused else ())


@pytest.mark.parametrize(
    ("day", "refused"), [("2026-03-11", ()), ("2026-03-10", ("D102",)), ("2020-01-01", ("D102",))]
)
def test_from_its_termination_day_on_an_organisation_asks_for_nothing(
    policy: EmbeddedPolicy, day: str, refused: tuple[str, ...]
) -> None:
    load(policy, replace(INSURER, status="active", termination_date=date.fromisoformat(day)))
    assert policy.decide(ask(PRICING)).deny == refused


def test_a_limit_without_a_cut_off_refuses(policy: EmbeddedPolicy) -> None:
    load(policy, INSURER)
    assert policy.decide(ask(PRICING)).deny == ("D102",)
