"""A mark tells a tenant nothing of others, changes nothing but amounts, and depends on the cell."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest

from gateway.watermark.keys import keys_in, rotate
from gateway.watermark.marking import Marks, secrets_of
from tests.watermark_world import AMOUNTS, DIMS, MADE, MEASURES, World, write_world

CELLS = tuple[tuple[object, ...], ...]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("marked"))


def by_cell(world: World, tenant: str, **asked: object) -> dict[tuple[object, ...], object]:
    """Each figure by its period, place, dims and measure."""
    page = world.page(tenant, **asked)  # type: ignore[arg-type]  # as the test names them
    keys = list(zip(*(page.keys[name] for name in ("period", "geo", *DIMS)), strict=True))
    return {
        (*key, name): value
        for name, column in page.values.items()
        for key, value in zip(keys, column, strict=True)
    }


def test_counts_flags_and_totals_are_the_same_for_all(world: World) -> None:
    one, other, plain = world.page("T-1"), world.page("T-2"), world.page("T-1", word="none")
    assert one.flags == other.flags == plain.flags
    assert one.keys == other.keys == plain.keys
    assert one.addresses == other.addresses
    assert one.values["persons"] == other.values["persons"] == plain.values["persons"]
    totals = [world.page(t, dims=()).values for t in ("T-1", "T-2")]
    assert totals[0] == totals[1] == world.page("T-1", dims=(), word="none").values
    for name in AMOUNTS:
        differ = sum(a != b for a, b in zip(one.values[name], other.values[name], strict=True))
        assert differ > len(one.values[name]) / 5


def test_a_cell_is_the_same_by_any_page_measures_and_order(world: World) -> None:
    whole = by_cell(world, "T-1")
    chance = random.Random(2)  # noqa: S311 - an invented order
    for _ in range(6):
        first = chance.randrange(1400)
        part = by_cell(
            world,
            "T-1",
            dims=chance.sample(tuple(DIMS), len(DIMS)),
            measures=chance.sample(MEASURES, chance.randint(1, len(MEASURES))),
            rows=(first, chance.choice([1, 17, 400])),
        )
        assert part.items() <= whole.items()


def test_a_ratio_is_that_of_the_amounts_it_stands_beside(world: World) -> None:
    page = world.page("T-1")
    for fund, inscp, ratio in zip(
        *(page.values[name] for name in ("fund", "inscp", "ratio_inscp")), strict=True
    ):
        if ratio is None:
            continue
        assert abs(float(str(fund)) / float(str(inscp)) - float(str(ratio))) <= 0.000051
    alone = world.page("T-1", measures=("ratio_inscp",))
    assert alone.values == {"ratio_inscp": page.values["ratio_inscp"]}


def test_no_tenants_bits_follow_from_anothers(world: World) -> None:
    """Knowing one copy whole, another's amounts are guessed no better than by the bias alone."""
    plain, one, other = (
        world.page(t, word=w) for t, w in (("", "none"), ("A", "file"), ("B", "file"))
    )
    same = moved = 0
    for name in AMOUNTS:
        for base, a, b in zip(*(p.values[name] for p in (plain, one, other)), strict=True):
            if base is not None:
                moved += 1
                same += a == b
    assert 0.5 < same / moved < 0.72  # ½ where the bias is even, ⅔ where it is one of the two


def test_secrets_of_tenants_and_releases_are_all_different(tmp_path: Path) -> None:
    key = keys_in(tmp_path)[0]
    made = {
        secret
        for release in ("S02-a", "S02-b")
        for tenant in ("T-1", "T-2", "T-1\0", "")
        for secret in (secrets_of(key, release, tenant).tenant,)
    }
    assert len(made) == 8
    told = secrets_of(key, "S02-a", "T-1")
    assert told.tenant.hex() not in repr(told)
    assert repr(told.tenant) not in repr(told)


def test_a_rotation_changes_no_figure_that_was_given(world: World) -> None:
    before = world.page("T-1").values
    new = rotate(world.home / "keys", MADE.replace(year=2027))
    assert world.page("T-1").values == before
    assert new.id != keys_in(world.home / "keys")[0].id


def test_marks_travel_to_another_process_without_secrets(world: World) -> None:
    marks = Marks(world.home / "keys")
    sent = pickle.dumps(marks)
    assert pickle.loads(sent) == marks  # noqa: S301 - made in the line above
    assert keys_in(world.home / "keys")[0].secret not in sent
