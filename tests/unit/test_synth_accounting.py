"""The synthesiser's accounting: exact, never over the budget, and as dp-accounting sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic.synthesiser.accounting import (
    Entry,
    Ledger,
    delta_at,
    epsilon_at,
    mu_at,
    numeric_epsilon,
    sigma_for,
)
from synthetic.tables.errors import SynthesisError


@given(st.floats(0.05, 20), st.floats(1e-12, 1e-4))
def test_a_budget_is_used_to_the_last_thousandth_and_never_passed(epsilon: float, delta: float):
    mu = mu_at(epsilon, delta)
    assert delta_at(mu, epsilon) <= delta
    assert epsilon * 0.999 <= epsilon_at(mu, delta) <= epsilon * (1 + 1e-9)


def test_many_gaussians_cost_what_their_privacy_loss_distributions_compose_to():
    pytest.importorskip("dp_accounting")
    entries = [Entry("single", 12, 3, 300.0), Entry("tables", 1, 1, 9.0), Entry("pairs", 60, 2, 90)]
    mu = sum(entry.mu2 for entry in entries) ** 0.5
    assert numeric_epsilon(entries, 1e-6) == pytest.approx(epsilon_at(mu, 1e-6), rel=3e-3)


def test_a_ledger_refuses_what_it_does_not_hold_and_keeps_what_it_had():
    ledger = Ledger(1.0, 1e-6)
    ledger.spend(Entry("half", 4, 2, sigma_for(4, 2, ledger.budget / 2)))
    with pytest.raises(SynthesisError) as refusal:
        ledger.spend(Entry("more", 1, 1, sigma_for(1, 1, ledger.budget * 0.51)))
    assert refusal.value.code == "synth_overspent"
    assert [entry.what for entry in ledger.entries] == ["half"]
    ledger.spend(Entry("rest", 7, 5, sigma_for(7, 5, ledger.budget / 2)))
    assert ledger.spent == pytest.approx(ledger.budget)


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0, 1e-6), (-1, 1e-6), (1, 0), (1, 0.5), (1e9, 1e-6)]
)
def test_a_budget_that_promises_nothing_is_refused(epsilon: float, delta: float):
    with pytest.raises(SynthesisError) as refusal:
        mu_at(epsilon, delta)
    assert refusal.value.code == "synth_budget"
