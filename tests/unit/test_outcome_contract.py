"""What a contract may say of a matched comparison: dims that exist, and arms of fifty at least."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.catalogue.faults import faults
from gateway.catalogue.kinds import MatchedEffect
from gateway.catalogue.load import load_catalogue
from gateway.releases.studies.effect import Estimate
from gateway.releases.studies.steps import step_of, tellable
from tests.policy_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)
FIELDS = {"kind": "matched_effect", "fact": "cohort", "part": "estimate", "dims": ["programme"]}


def test_a_comparison_needs_dims_that_the_service_has() -> None:
    service = CATALOGUE.services["S15"]
    measure = service.measures[0]
    define = measure.define.model_copy(update={"dims": ("programme", "nowhere")})
    broken = service.model_copy(
        update={"measures": (measure.model_copy(update={"define": define}),)}
    )
    assert "measures.estimate: unknown dim nowhere" in list(faults(broken, CATALOGUE.folder("S15")))
    assert list(faults(service, CATALOGUE.folder("S15"))) == []


@pytest.mark.parametrize("field", [{"min_arm": 49}, {"dims": []}, {"resamples": 100}])
def test_a_contract_cannot_lower_what_every_comparison_keeps(field: dict[str, object]) -> None:
    assert MatchedEffect.model_validate(FIELDS).min_arm == 50
    with pytest.raises(ValidationError):
        MatchedEffect.model_validate(FIELDS | field)


def test_a_figure_that_one_set_makes_is_not_told() -> None:
    assert tellable(Estimate(1.0, 0.2, 0.5))
    assert not tellable(Estimate(1.0, 0.2, 0.51))
    assert not tellable(Estimate(1.0, 0.0, 1.0))


def test_a_step_is_half_the_error_or_all_of_it_where_a_set_is_a_quarter_of_the_variance() -> None:
    assert step_of(Estimate(1.0, 0.2, 0.2), 2) == 10
    assert step_of(Estimate(1.0, 0.2, 0.3), 2) == 20
