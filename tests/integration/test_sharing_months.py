"""Each strategy of the terms divides a real month, from the terms to the fen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gateway.billing.closing import close
from gateway.billing.months import truth_of
from gateway.billing.office import Office
from gateway.billing.replay import replay
from gateway.releases.quality import FILE as QUALITY
from metering.sharing import WEIGHERS, Strategy
from tests.billing_factory import AFTER, MONTH
from tests.gateway_factory import POLICIES

COMMAND = "from gateway.cli import main; main()"


def on_terms(office: Office, strategy: Strategy) -> Office:
    """The same books, S02 shared another way."""
    terms = office.terms.model_copy(update={"services": {"S02": strategy}})
    return replace(office, terms=terms)


@pytest.mark.parametrize("strategy", WEIGHERS)
def test_a_month_is_shared_as_its_terms_say_and_found_again(
    office: Office, strategy: Strategy
) -> None:
    shared = on_terms(office, strategy)
    truth = truth_of(shared, MONTH)
    parts = truth.splits["S02"]
    assert sum(parts.providers.values()) == parts.pool_fen > 0
    close(shared, MONTH, AFTER, "billing")
    assert list(replay(shared, MONTH)) == []
    assert truth.quality["S02"]
    if strategy != "contribution":
        assert not any(own.hints for own in truth.quality["S02"].values())


def test_the_strategies_pay_differently_and_leave_other_services_alone(office: Office) -> None:
    found = {one: truth_of(on_terms(office, one), MONTH).splits for one in WEIGHERS}
    paid = Counter(tuple(sorted(splits["S02"].providers.items())) for splits in found.values())
    assert len(paid) == len(WEIGHERS)
    others = {tuple(sorted(splits["S09"].providers.items())) for splits in found.values()}
    assert len(others) == 1
    equal = found["equal"]["S02"].providers
    own = [fen for name, fen in equal.items() if name != office.terms.bureau]
    assert max(own) - min(own) <= 1


def test_a_month_closes_on_releases_from_before_quality_was_measured(office: Office) -> None:
    for file in list(office.releases.glob(f"*/*/{QUALITY}")):
        file.unlink()
    truth = truth_of(office, MONTH)
    assert truth.quality == {"S02": {}, "S09": {}}
    close(office, MONTH, AFTER, "billing")
    assert list(replay(office, MONTH)) == []


def test_meter_share_divides_a_service_by_the_strategy_of_the_terms(
    office: Office, tmp_path: Path
) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    terms = policies / "billing" / "terms.yaml"

    def share(strategy: Strategy) -> dict[str, int]:
        document = yaml.safe_load(terms.read_text("utf-8"))
        terms.write_text(yaml.safe_dump({**document, "services": {"S02": strategy}}), "utf-8")
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "meter", "share", MONTH, "--json"],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "SLUICE_HOME": str(office.archive.parent),
                "SLUICE_POLICIES": str(policies),
            },
        )
        rows = json.loads(done.stdout)
        return {row["party"]: row["amount_fen"] for row in rows if row["service"] == "S02"}

    joint, plain = share("shapley_joint"), share("rows_only")
    assert joint != plain
    assert joint.keys() == plain.keys()
    assert sum(joint.values()) == sum(plain.values()) > 0
