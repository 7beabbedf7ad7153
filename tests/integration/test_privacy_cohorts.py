"""Cohort counts with noise: a question is spent for once, told alike to all, refused when spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from gateway.api.feasibility_document import cohort_answer_schema, cohort_meta
from gateway.api.schemas import META
from gateway.privacy.ledger import Ledger
from tests.feasibility_factory import admit, ask
from tests.gateway_factory import LARGE, Gateway, copy_home, copy_policies, serving
from tests.integration.test_feasibility_served import FORTY, WOMEN, denied, told

DP = {"optional": True, "on": True, "epsilon_per_release": 0.5, "epsilon_year": 1}


@pytest.fixture(scope="module")
def noising(cohort_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("noising")
    policies = copy_policies(folder / "policies", LARGE)
    path = policies / "data" / "sdc_profiles.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["sdc_profiles"]["DC4"]["dp"] = DP
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with serving(copy_home(cohort_home, folder / "home"), policies) as running:
        yield running


def test_a_question_is_spent_for_once_and_everybody_is_told_the_same(noising: Gateway) -> None:
    ledger = Ledger(noising.app.state.identity.engine)
    one = admit(noising, "rwe-one", "T-one", ("G-one",))
    other = admit(noising, "rwe-other", "T-other", ("G-other",))
    third = admit(noising, "rwe-third", "T-third", ("G-third",))
    first = told(ask(noising, one))
    jsonschema.validate(first, cohort_answer_schema(cohort_meta(META)))
    assert first["meta"]["privacy"] == {
        "mechanism": "two_sided_geometric",
        "epsilon": 0.5,
        "epsilon_year": 1.0,
        "unit": "person",
    }
    assert {one["flag"] for one in first["data"]["follow_up_months"].values()} == {"s"}
    for client in (one, other, one):
        assert told(ask(noising, client))["data"] == first["data"]
    (balance,) = ledger.balances()
    assert (balance.geo, balance.draws, float(balance.spent)) == ("990100", 1, 0.5)

    told(ask(noising, one, FORTY))
    refused = denied(ask(noising, third, WOMEN))
    assert refused == (403, ["D805"])
    assert told(ask(noising, other))["data"] == first["data"]  # still, for nothing
    assert float(ledger.balances()[0].spent) == 1.0
    assert ledger.faults() == []
