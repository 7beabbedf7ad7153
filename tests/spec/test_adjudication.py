"""What a rule package pays, by examples a claims examiner can correct."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.adjudication.deciding import NotAdjudicable, adjudicate
from tests.adjudication_factory import claim, line, package

MOST = 4
NO_SHARE = {"fund_pay_sumamt": 6_000_000, "preselfpay_amt": 0}
"""Funds paid all there is in scope."""


def test_above_the_deductible_the_first_band_pays_seven_tenths():
    """20 000 in scope and 4 000 first-part self-payment, less 15 000, at 70 %."""
    told = adjudicate(package(), claim(), {}, MOST)
    assert (told.decision, told.payable, told.deductible_used) == ("pay", 630_000, 2_000_000)
    assert (told.layer_used, told.reasons) == ("in-scope", ())


def test_the_deductible_of_the_year_is_used_up_once():
    used = {"in-scope": 2_400_000, "outside": 2_000_000}
    told = adjudicate(package(), claim(), used, MOST)
    assert told.payable == 1_680_000 + 300_000
    assert told.deductible_used == 0
    assert told.layer_used == "outside"


def test_above_fifty_thousand_of_the_year_the_second_band_pays():
    told = adjudicate(package(), claim(), {"in-scope": 6_500_000}, MOST)
    assert told.payable == 2_400_000 * 8 // 10


def test_an_excluded_line_is_paid_for_by_nobody():
    """A consumable of 5 000 in scope bears a third of what the person paid of its share."""
    lines = (line("C1401010010", inscp_amt=600_000, fulamt_ownpay_amt=500_000),)
    told = adjudicate(package(), claim(lines=lines), {"in-scope": 1_500_000}, MOST)
    assert told.payable == (2_400_000 - 200_000) * 7 // 10
    assert (told.decision, told.reasons) == ("partial", ("R14",))


@pytest.mark.parametrize(
    ("changes", "decision", "reasons"),
    [
        ({"begndate": date(2026, 1, 30)}, "deny", ("R05",)),
        ({"begndate": date(2026, 1, 31)}, "pay", ()),
        ({"begndate": date(2025, 12, 31)}, "deny", ("R01",)),
        ({"policy_to": date(2026, 5, 1)}, "deny", ("R01",)),
        ({"main_diagnosis": "L81.4"}, "deny", ("R06",)),
        ({"medfee_sumamt": 50_000_001}, "manual", ("R21",)),
        ({"medfee_sumamt": 50_000_000}, "pay", ()),
        (NO_SHARE, "partial", ("R02",)),
        ({**NO_SHARE, "fulamt_ownpay_amt": 0}, "deny", ("R04",)),
    ],
)  # fmt: skip
def test_what_decides(changes, decision, reasons):
    told = adjudicate(package(), claim(**changes), {}, MOST)
    assert (told.decision, told.reasons) == (decision, reasons)


def test_all_that_is_not_paid_looks_alike():
    denied = adjudicate(package(), claim(main_diagnosis="L81.4"), {}, MOST)
    manual = adjudicate(package(), claim(medfee_sumamt=90_000_000), {}, MOST)
    for told in (denied, manual):
        assert (told.payable, told.deductible_used, told.layer_used) == (0, 0, None)


def test_never_more_than_the_person_paid():
    told = adjudicate(package(), claim(psn_pay=100_000), {"in-scope": 1_500_000}, MOST)
    assert (told.payable, told.decision, told.reasons) == (100_000, "partial", ("R03",))


def test_the_limit_of_the_year_ends_the_payment():
    full = {"in-scope": 200_000_000, "outside": 200_000_000}
    told = adjudicate(package(), claim(), full, MOST)
    assert (told.decision, told.payable, told.reasons) == ("deny", 0, ("R03",))


def test_a_settlement_outside_the_term_of_the_version_is_not_decided():
    with pytest.raises(NotAdjudicable) as told:
        adjudicate(package(), claim(setl_date=date(2027, 1, 1)), {}, MOST)
    assert told.value.code == "rules_not_in_force"


def test_a_claim_shows_nothing_of_itself():
    assert repr(claim(main_diagnosis="B20")) == "Claim(…)"
    assert "I21" not in repr(adjudicate(package(), claim(), {}, MOST))
