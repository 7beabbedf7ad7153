"""Laws of adjudication: one answer for every claim, a year's total that no order changes, refunds
that take back what was paid, and never more answers than the bound says."""

from __future__ import annotations

import string
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adjudication.capacity import outcomes
from gateway.adjudication.deciding import adjudicate
from gateway.adjudication.model import Layer, RulePackage
from gateway.adjudication.paying import paid_of, pay
from tests.adjudication_factory import TERMS, claim, document, line
from tests.law_cases import cases

MOST = TERMS.bounds.reasons_max
yuan = st.integers(0, 3_000_000).map(lambda fen: f"{fen // 100}.{fen % 100:02}")
fen = st.integers(0, 9_000_000)


@st.composite
def bands(draw):
    edges = sorted(draw(st.sets(st.integers(1, 200_000), max_size=3)))
    ratios = [draw(st.integers(0, 10_000)) / 10_000 for _ in range(len(edges) + 1)]
    return [{"to": e, "pay": r} for e, r in zip(edges, ratios, strict=False)] + [
        {"pay": ratios[-1]}
    ]


layers = st.builds(
    lambda told, deductible, cap: Layer.model_validate(
        {"name": "one", "basis": ["in_scope"], "deductible": deductible, "bands": told, "cap": cap}
    ),
    bands(), yuan, yuan,
)  # fmt: skip

letters = st.sampled_from(string.ascii_uppercase)
codes = st.builds(lambda letter, number: f"{letter}{number:02}", letters, st.integers(0, 99))
decisions = st.one_of(
    st.builds(lambda r: {"decision": "deny", "reasons": [r]}, st.sampled_from(["R06", "R17"])),
    st.builds(lambda r: {"decision": "manual", "reasons": r}, st.sampled_from([[], ["R22"]])),
    st.builds(
        lambda names: {"decision": "pay", "layers": names},
        st.sampled_from([["in-scope"], ["outside"], ["in-scope", "outside"]]),
    ),
)
conditions = st.one_of(
    st.builds(lambda c: {"dx": c}, st.lists(codes, min_size=1, max_size=5)),
    st.builds(lambda c: {"dx_any": c}, st.lists(codes, min_size=1, max_size=5)),
    st.builds(lambda low: {"age": {"from": low, "to": 150}}, st.integers(0, 150)),
    st.builds(lambda w: {"waiting": w}, st.booleans()),
    st.builds(lambda a: {"amount": {"of": "medfee_sumamt", "over": a}}, yuan),
)
packages = st.builds(
    lambda rows, last: RulePackage.model_validate(
        document(rows=[*({"when": w, "then": t} for w, t in rows), {"then": last}])
    ),
    st.lists(st.tuples(conditions, decisions), max_size=4),
    decisions,
)


@st.composite
def bills(draw):
    """Claims whose parts add up to what the person paid."""
    parts = {name: draw(fen) for name in ("preselfpay_amt", "fulamt_ownpay_amt", "overlmt_selfpay")}
    scope = draw(fen)
    fund = draw(st.integers(0, scope))
    return claim(
        **parts,
        inscp_amt=scope,
        fund_pay_sumamt=fund,
        psn_pay=sum(parts.values()) + scope - fund,
        medfee_sumamt=sum(parts.values()) + scope,
        age=draw(st.integers(0, 100)),
        main_diagnosis=draw(codes),
        diagnoses=tuple(draw(st.lists(codes, max_size=2))),
        lines=tuple(draw(st.lists(st.builds(line, st.sampled_from(["C14", "X01"])), max_size=2))),
    )


@given(layers, st.lists(fen, max_size=6), st.randoms())
@settings(max_examples=cases(150))
def test_a_year_pays_the_same_in_whatever_order(layer, amounts, random):
    def total(order):
        counted = paid = 0
        for amount in order:
            paid += pay(layer, amount, counted).payable
            counted += amount
        return paid

    shuffled = random.sample(amounts, len(amounts))
    assert total(amounts) == total(shuffled) == total([sum(amounts)])


@given(layers, st.lists(fen, min_size=2, max_size=6))
@settings(max_examples=cases(150))
def test_who_has_more_expense_is_never_paid_less_nor_more_than_all(layer, amounts):
    for less, more in pairwise(sorted(amounts)):
        grown = paid_of(layer, more) - paid_of(layer, less)
        assert 0 <= grown <= more - less + 1  # a rounding of at most a fen
        assert paid_of(layer, more) <= layer.cap


@given(layers, fen, fen)
@settings(max_examples=cases(150))
def test_a_refund_takes_back_exactly_its_part(layer, before, amount):
    payment = pay(layer, amount, before)
    assert paid_of(layer, before + amount) - payment.payable == paid_of(layer, before)


@given(packages, st.lists(bills(), min_size=1, max_size=6))
@settings(max_examples=cases(100))
def test_every_claim_has_one_answer_of_one_shape(package, claims):
    used, labels = Counter(), set()
    for one in claims:
        told = adjudicate(package, one, used, MOST)
        assert told == adjudicate(package, one, used, MOST)
        assert 0 <= told.payable <= one.psn_pay
        assert len(told.reasons) <= MOST
        assert {*told.reasons} <= {*TERMS.reasons}
        if told.decision in ("deny", "manual"):
            assert (told.payable, told.deductible_used, told.layer_used) == (0, 0, None)
        used.update(told.eligible)
        labels.add(told.label)
    assert len(labels) <= outcomes(package, MOST)
