"""Published prices of a service: one for each day, whole in themselves, never free by accident."""

from datetime import date

import pytest
from pydantic import ValidationError

from gateway.catalogue.tariff import Published, Tariff, changed_prices, charged_by, rule_of
from metering.rating import LineKey
from metering.tariff import Bounded, Free, Graduated, Package, PerUnit, Tier, Volume

FIRST = {"ref": "a/1", "valid_from": date(2026, 1, 1)}
TIERS = ({"up_to": 10, "price_fen": 100}, {"price_fen": 50})


def key(ref: str, unit: str = "per_1000_cells", service: str = "S02") -> LineKey:
    return LineKey("2026-01", "t", "g", service, unit, ref, 77)


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"price_fen": 4000}, PerUnit(40_000_000)),
        ({"kind": "package", "size": 10, "price_fen": 3}, Package(10, 30_000)),
        (
            {"kind": "graduated", "tiers": TIERS},
            Graduated((Tier(10, 1_000_000), Tier(None, 500_000))),
        ),
        ({"kind": "volume", "tiers": TIERS}, Volume((Tier(10, 1_000_000), Tier(None, 500_000)))),
        (
            {"price_fen": 1, "minimum_fen": 5, "cap_fen": 9},
            Bounded(PerUnit(10_000), 50_000, 90_000),
        ),
    ],
)
def test_every_kind_of_price_is_the_rule_it_says(told, rule):
    assert Published(**FIRST, **told).price().tariff == rule


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"price_fen": -1},
        {"price_fen": 1, "size": 2},
        {"price_fen": 1, "tiers": TIERS},
        {"kind": "package", "price_fen": 1},
        {"kind": "package", "price_fen": 1, "size": 0},
        {"kind": "volume", "price_fen": 1},
        {"kind": "graduated", "tiers": TIERS[:1]},
        {"kind": "graduated", "tiers": TIERS[::-1]},
        {"price_fen": 1, "minimum_fen": 5, "cap_fen": 4},
        {"price_fen": 1, "valid_to": date(2025, 12, 31)},
        {"price_fen": 1, "valid_to": date(2200, 1, 1)},
        {"price_fen": 1, "surprise": 1},
        {"price_fen": 1, "minimum_fen": 1, "valid_from": date(2026, 1, 2)},
        {"kind": "graduated", "tiers": TIERS, "valid_to": date(2026, 1, 30)},
    ],
)
def test_a_price_that_is_not_whole_is_refused(told):
    with pytest.raises((ValidationError, ValueError)):
        Published(**{**FIRST, **told})


def test_no_day_has_two_prices_and_what_is_free_has_none():
    second = {"ref": "a/2", "valid_from": date(2026, 6, 1), "price_fen": 2}
    with pytest.raises(ValidationError, match="both hold"):
        Tariff(unit="per_1000_cells", prices=({**FIRST, "price_fen": 1}, second))
    with pytest.raises(ValidationError, match="free"):
        Tariff(unit="free", prices=(second,))
    ended = {**FIRST, "price_fen": 1, "valid_to": date(2026, 5, 31)}
    tariff = Tariff(unit="per_1000_cells", prices=(second, ended))
    assert [price["ref"] for price in tariff.view()["prices"]] == ["a/1", "a/2"]


def test_a_line_is_charged_by_the_price_it_names_or_by_its_stamp():
    tariffs = {"S02": Tariff(unit="per_1000_cells", prices=({**FIRST, "price_fen": 4000},))}
    assert rule_of(tariffs, key("a/1")) == PerUnit(40_000_000)
    assert rule_of(tariffs, key("free", "free")) == Free()
    for unknown in (key("a/9"), key("a/1", service="S99")):
        assert rule_of(tariffs, unknown) is None
        assert charged_by(tariffs, unknown) == PerUnit(77)
    assert tariffs["S02"].first_unit_micro("a/1") == 40_000_000
    assert tariffs["S02"].first_unit_micro("a/9") == 0


def test_a_published_price_may_end_and_never_change_or_go():
    first = {**FIRST, "price_fen": 4000}
    second = {"ref": "a/2", "valid_from": date(2026, 7, 1), "price_fen": 5000}
    ended = {**first, "valid_to": date(2026, 6, 30)}

    def priced(*prices):
        return {"S02": Tariff(unit="per_1000_cells", prices=prices)}

    assert list(changed_prices(priced(first), priced(ended, second))) == []
    (changed,) = changed_prices(priced(first), priced({**first, "price_fen": 1}))
    (gone,) = changed_prices(priced(first), priced(second))
    (dropped,) = changed_prices(priced(first), {})
    assert "was changed" in changed
    assert "is gone" in gone
    assert "is gone" in dropped
