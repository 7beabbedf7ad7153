"""Prices over editions: what was sold by one is charged by it, also after going back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.billing.office import Prices
from gateway.catalogue.load import load_catalogue
from gateway.db.engine import reading, writing
from gateway.db.office_journal import Sought, read_events
from gateway.editions.office import PolicyOffice
from gateway.editions.published import former_prices
from gateway.errors import OperatorError
from metering.rating import LineKey
from metering.tariff import PerUnit
from tests.directory_factory import add_tenant, empty_directory
from tests.edition_factory import POLICIES, S02_PRICE, Press, priced

ENDED = S02_PRICE.replace("price_fen", "valid_to: 2026-06-30, price_fen")
NEXT = "- {ref: act.cost-structure/next, valid_from: 2026-07-01, price_fen: 5000}"
OTHER = NEXT.replace("5000", "7000")


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    with empty_directory(tmp_path) as engine:
        add_tenant(engine)
        yield Press(engine, PolicyOffice(tmp_path / "keys", POLICIES))


def sold_by(ref: str) -> LineKey:
    return LineKey("2026-07", "T-INS", "G-1", "S02", "per_1000_cells", ref, 50_000_000)


def test_what_was_sold_before_a_roll_back_is_still_charged_by_its_price(press, tmp_path):
    press.bring_live(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    press.roll_back()
    listed = load_catalogue(POLICIES).tariffs
    with reading(press.engine) as session:
        former = former_prices(session, press.office.key, listed)
    assert [price.ref for price in former["S02"]] == ["act.cost-structure/next"]
    assert Prices(listed).rule(sold_by("act.cost-structure/next")) is None
    prices = Prices.read(Prices(listed, former).document())
    assert prices.rule(sold_by("act.cost-structure/next")) == PerUnit(50_000_000)


def test_the_files_of_an_edition_are_unpacked_once(press, tmp_path, monkeypatch):
    press.bring_live(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    press.roll_back()
    listed = load_catalogue(POLICIES).tariffs
    with reading(press.engine) as session:
        first = former_prices(session, press.office.key, listed)
    monkeypatch.setattr("gateway.editions.published.read_files", None)  # nobody asks for them
    with reading(press.engine) as session:
        assert former_prices(session, press.office.key, listed) == first


def test_what_a_canary_was_sold_by_is_known_when_the_canary_is_withdrawn(press, tmp_path):
    name = press.bring_canary(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    press.withdraw(name)
    with reading(press.engine) as session:
        former = former_prices(session, press.office.key, load_catalogue(POLICIES).tariffs)
    assert [price.ref for price in former["S02"]] == ["act.cost-structure/next"]


def test_a_reference_by_which_something_was_sold_is_never_given_to_another_price(press, tmp_path):
    press.bring_live(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    press.roll_back()
    name = press.push(priced(tmp_path / "b", ENDED, OTHER))
    press.approve(name)
    press.shadow(name)
    with pytest.raises(OperatorError, match="another price once") as refused:
        press.canary(name, "T-INS")
    assert refused.value.code == "edition.prices"


def test_going_back_to_an_edition_with_another_meaning_of_a_price_is_refused(press, tmp_path):
    """Nothing we do leads there; a database that was brought together from two could."""
    press.bring_live(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    seen = press.office.back(press.engine)
    other = press.office.fit(
        press.engine, press.push(priced(tmp_path / "b", ENDED, OTHER)), "shadow"
    )
    forged = type(seen)(other, seen.now, None, seen.former)
    with pytest.raises(OperatorError) as refused, writing(press.engine) as session:
        press.office.roll_back(session, press.act(), forged)
    assert refused.value.code == "edition.prices"


def test_an_edition_that_changes_prices_is_a_change_of_prices_in_the_audit(press, tmp_path):
    press.bring_live(priced(tmp_path / "a", ENDED, NEXT), "T-INS")
    press.roll_back()
    with reading(press.engine) as session:
        found = read_events(session, Sought(kind="price-change"), 10)
    told = [json.loads(one.body) for one in found]
    # newest first: back again, live, canary
    assert [one["actor"]["user"] != "" for one in told] == [True, True, True]
    back, live, canary = told
    assert live["target"]["entity"] == "prices"
    assert (live["input_hash"], live["output_hash"]) == (
        canary["input_hash"],
        canary["output_hash"],
    )
    assert (back["input_hash"], back["output_hash"]) == (live["output_hash"], live["input_hash"])
