"""The agreed terms of sharing: whole or refused, and what they take off."""

import math

import pytest

from gateway.billing.terms import Terms, read_terms
from gateway.errors import OperatorError
from tests.gateway_factory import POLICIES


@pytest.mark.parametrize(
    "text", ["tax_bp: 1", "[]", "tax_bp: [", "strategy: fair", "tax_bp: 20000"]
)
def test_terms_that_are_not_whole_are_refused(tmp_path, text):
    whole = (POLICIES / "billing" / "terms.yaml").read_text("utf-8")
    (tmp_path / "billing").mkdir()
    changed = text if ":" not in text or "[" in text or text == "tax_bp: 1" else f"{whole}\n{text}"
    (tmp_path / "billing" / "terms.yaml").write_text(changed, "utf-8")
    with pytest.raises(OperatorError) as refused:
        read_terms(tmp_path)
    assert refused.value.code == "billing_terms"


def test_tax_is_contained_in_the_fees_and_the_operator_has_a_ceiling():
    terms = read_terms(POLICIES)
    assert terms.deductions(10_600).tax_fen == 600
    assert terms.deductions(10_600).operator_fen == 3000
    rich = Terms.model_validate({**terms.model_dump(), "operator_cost_ceiling_fen": 7})
    assert rich.deductions(10_600).operator_fen == 7
    assert math.isclose(terms.deductions(10**9).tax_fen, 10**9 * 6 / 106, abs_tol=1)
