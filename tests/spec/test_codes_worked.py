"""The worked examples of S27: what the reference page says is what the shipped lists answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.codes.sources import SHIPPED
from tests.codes_world import World
from tests.gateway_factory import POLICIES

REFERENCE = load_catalogue(POLICIES).references["S27"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("shelf"), SHIPPED)


def shows(whole: Any, part: Any) -> bool:
    """Whether the part is in the whole: of objects some names, of lists the first elements."""
    match whole, part:
        case dict(), dict():
            return all(name in whole and shows(whole[name], each) for name, each in part.items())
        case list(), list() if part:
            return len(whole) >= len(part) and all(map(shows, whole, part))
        case _:
            return bool(whole == part)


@pytest.mark.parametrize("one", REFERENCE.worked, ids=lambda one: str(one.about.en))
def test_the_answer_is_the_one_printed(shipped: World, one: Any) -> None:
    told = shipped.ask(one.operation, **one.asked)
    assert shows(told, one.told), told


def test_the_reference_page_prints_every_example() -> None:
    page = "\n".join(REFERENCE.described(()))
    assert page.count("**Worked example") == len(REFERENCE.worked) >= 5
    for one in REFERENCE.worked:
        assert one.about.zh in page
