"""Complementary suppression on tables small enough to follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.releases.sdc import (
    Job,
    Lattice,
    LatticeError,
    Link,
    Profile,
    ProfileError,
    audit,
    protect,
    protect_linked,
)
from tests.sdc_factory import DC2, axis, facts, profile


def lattice(*rows: tuple[int, ...], axes: tuple) -> Lattice:
    return Lattice(axes, np.array(rows, np.int32))


FLAT = axis("level", [0, 0, 0])


def test_where_persons_do_not_add_up_one_hidden_child_must_reach_k_by_itself() -> None:
    cells, counts = [(0,), (1,), (2,), (3,), (4,)], [70, 9, 9, 9, 50]
    loose = axis("level", [0] * 4, additive=False)
    assert protect(lattice(*cells, axes=(loose,)), facts(counts), profile())[4] == 2
    counts[0] = 77
    added = axis("level", [0] * 4)
    assert protect(lattice(*cells, axes=(added,)), facts(counts), profile())[4] == 0


def test_twenty_and_three_hidden_persons_do_where_persons_add_up() -> None:
    cells = [(0,), (1,), (2,), (3,)]
    flags = protect(lattice(*cells, axes=(FLAT,)), facts([63, 10, 13, 40]), profile())
    assert flags.tolist() == [0, 1, 2, 0]


def test_a_child_of_a_hidden_parent_is_not_left_alone_to_give_it_away() -> None:
    # The parent is dominated by one institution: hidden though large. If all its children were
    # shown they would add up to it.
    top = [0.9, 0.2, 0.2, 0.2]
    cells = [(0,), (1,), (2,), (3,)]
    found = protect(
        lattice(*cells, axes=(FLAT,)), facts([90, 20, 30, 40], top1_share=top), profile()
    )
    assert found.tolist() == [1, 2, 0, 0]


def test_months_protect_their_quarter_and_quarters_have_no_total() -> None:
    period = axis("period", [-1, 1, 1, 1, -1])
    cells = [(1,), (2,), (3,), (4,), (5,)]
    flags = protect(lattice(*cells, axes=(period,)), facts([95, 5, 30, 60, 8]), profile())
    assert flags.tolist() == [0, 1, 2, 0, 1]


def test_a_grandchild_cannot_be_subtracted_around_its_hidden_parent() -> None:
    # 100 in all; (1,*) 96 and (2,*) 4; inside (1,*) 93 and 3. With (1,*) hidden, 100 − 93 would
    # still be the seven small ones.
    axes = (axis("area", [0, 0]), axis("sex", [0, 0]))
    cells = [(0, 0), (1, 0), (2, 0), (1, 1), (1, 2)]
    table = lattice(*cells, axes=axes)
    flags = protect(table, facts([100, 96, 4, 93, 3]), profile())
    assert flags[2] == flags[4] == 1
    assert flags[0] or flags[3]


def test_a_missing_level_of_a_hierarchy_is_bridged() -> None:
    area = axis("area", [0, 1, 1])  # 1 is the city of 2 and 3, but the city itself is not here
    flags = protect(lattice((0,), (2,), (3,), axes=(area,)), facts([60, 5, 55]), profile())
    assert flags.tolist() == [0, 1, 2]


def test_cells_hidden_before_stay_hidden_and_get_company() -> None:
    hidden = np.array([False, False, True, False])
    cells = [(0,), (1,), (2,), (3,)]
    flags = protect(
        lattice(*cells, axes=(FLAT,)), facts([100, 20, 30, 50]), profile(), hidden=hidden
    )
    assert flags.tolist() == [0, 2, 2, 0]


def test_linked_cells_share_their_flag_and_pass_their_need_on() -> None:
    left = lattice((0,), (1,), (2,), (3,), axes=(FLAT,))
    right = lattice((0,), (1,), (2,), axes=(axis("kind", [0, 0]),))
    jobs = [
        Job(left, facts([200, 5, 80, 115]), profile()),
        Job(right, facts([80, 30, 50]), profile()),
    ]
    link = Link(0, 1, np.array([[2, 0]]))  # the 80 on the left are the total on the right
    one, other = protect_linked(jobs, [link])
    assert one.tolist() == [0, 1, 2, 0]
    assert other.tolist() == [2, 2, 0]


def test_bounds_reach_through_a_link() -> None:
    # As above with smaller counts: 16 shown on the right make the linked 30 at least 16, so the 5
    # on the left would be at most 19, which is less than 2k uncertain.
    left = lattice((0,), (1,), (2,), (3,), axes=(FLAT,))
    right = lattice((0,), (1,), (2,), axes=(axis("kind", [0, 0]),))
    jobs = [
        Job(left, facts([100, 5, 30, 65]), profile()),
        Job(right, facts([30, 14, 16]), profile()),
    ]
    one, _ = protect_linked(jobs, [Link(0, 1, np.array([[2, 0]]))])
    assert one.tolist() == [0, 1, 2, 2]


def test_three_sums_of_three_hidden_cells_in_pairs_are_not_published_together() -> None:
    # a + b, b + c and c + a each look safe and give all three away.
    cells = lattice((0,), (1,), (2,), (3,), axes=(FLAT,))
    counts, dominated = [300, 60, 60, 180], [0.2, 0.9, 0.9, 0.2]
    job = Job(cells, facts(counts, top1_share=dominated), profile())
    second_is_first = np.array([[2, 1]])
    links = [Link(0, 1, second_is_first), Link(1, 2, second_is_first), Link(2, 0, second_is_first)]
    flags = protect_linked([job] * 3, links)
    assert all(f[1] == f[2] == 1 for f in flags)
    assert any((f == 2).any() for f in flags)


BENEFIT_LEVEL = (
    axis("benefit", [0, 0], additive=False),
    axis("level", [0, 0], additive=False),
)
NESTED = [(0, 0), (1, 0), (2, 0), (1, 1), (1, 2)]


def test_a_small_rest_is_noticed_where_persons_do_not_add_up() -> None:
    # 48 of 50 persons are in the hidden (1,*), 47 in (1,1): all the rest is at most 11 persons,
    # seen by 50 − 47 although no single group is unsafe.
    table = lattice(*NESTED, axes=BENEFIT_LEVEL)
    before = np.array([False, True, False, False, False])
    flags = protect(table, facts([50, 48, 6, 47, 5]), profile(), hidden=before)
    assert flags.tolist() == [0, 2, 1, 2, 1]


def test_a_hidden_cell_between_two_published_ones_close_together_is_noticed() -> None:
    # The dominated (1,*) has 60 persons: at most the 70 above it, at least the 55 inside it.
    table = lattice(*NESTED, axes=BENEFIT_LEVEL)
    top = [0.2, 0.9, 0.2, 0.2, 0.9]
    flags = protect(table, facts([70, 60, 50, 55, 20], top1_share=top), profile())
    assert flags.tolist() == [0, 1, 2, 2, 1]


def test_a_link_to_a_primary_cell_makes_both_primary() -> None:
    single = lattice((1,), axes=(axis("period", [-1]),))
    jobs = [
        Job(single, facts([40]), profile()),
        Job(single, facts([40], institutions=[1]), profile()),
    ]
    assert [f.tolist() for f in protect_linked(jobs, [Link(0, 1, np.array([[0, 0]]))])] == [
        [1],
        [1],
    ]


def test_an_empty_table_is_protected() -> None:
    table = Lattice((FLAT,), np.zeros((0, 1), np.int32))
    assert protect(table, facts([]), profile()).size == 0


@pytest.mark.parametrize(
    ("codes", "message"),
    [([[0], [0]], "twice"), ([[4]], "outside its list"), ([[-1]], "outside its list")],
)
def test_cells_that_are_no_lattice_are_refused(codes: list[list[int]], message: str) -> None:
    with pytest.raises(LatticeError, match=message):
        protect(Lattice((FLAT,), np.array(codes, np.int32)), facts([50] * len(codes)), profile())


def test_a_roll_up_that_never_ends_is_refused() -> None:
    with pytest.raises(LatticeError, match="never ends"):
        Lattice((axis("loop", [2, 1]),), np.array([[1]], np.int32))


def test_counts_that_do_not_fit_the_cells_are_refused() -> None:
    with pytest.raises(LatticeError, match="person count"):
        protect(lattice((0,), (1,), axes=(FLAT,)), facts([50]), profile())


@pytest.mark.parametrize(
    "field",
    ["k_person", "min_institutions", "min_exposure", "top1_share_max", "top2_share_max"],
)
def test_a_threshold_the_policy_does_not_give_stops_the_build(field: str) -> None:
    rules = Profile.of({name: value for name, value in DC2.items() if name != field})
    with pytest.raises(ProfileError, match=field):
        protect(lattice((0,), axes=(FLAT,)), facts([50]), rules)


def test_a_maker_rule_is_needed_only_where_a_cell_names_a_product() -> None:
    rules = Profile.of({k: v for k, v in DC2.items() if k != "min_manufacturers"})
    table = lattice((0,), axes=(FLAT,))
    assert protect(table, facts([50]), rules).tolist() == [0]
    with pytest.raises(ProfileError, match="min_manufacturers"):
        protect(table, facts([50], needs_makers=[True]), rules)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"complementary": False}, "complementary"),
        ({"k_person": 0}, "positive"),
        ({"k_person": "11"}, "positive"),
        ({"k_person": True}, "positive"),
        ({"top1_share_max": float("nan")}, "positive"),
        ({"percentile_min_n": [1]}, "percentile_min_n"),
    ],
)
def test_a_misstated_profile_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        profile(**change)


def test_a_share_above_one_and_a_broken_count_are_refused_when_used() -> None:
    with pytest.raises(ProfileError, match="between 0 and 1"):
        profile(top1_share_max=80).share("top1_share_max")
    with pytest.raises(ProfileError, match="whole"):
        profile(k_person=10.5).count("k_person")


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        ([0, 0, 2, 0], "few_persons"),
        ([0, 1, 0, 0], "single_hidden"),
        ([1, 0, 0, 0], "single_hidden"),
        ([0, 1, 1, 0], "hidden_too_small"),
    ],
)
def test_the_audit_names_the_rule_a_pattern_breaks(flags: list[int], rule: str) -> None:
    table = lattice((0,), (1,), (2,), (3,), axes=(FLAT,))
    counts = np.array([100, 8, 12, 80])
    found = audit(table, counts, np.array(flags, np.uint8), profile())
    assert rule in {finding.rule for finding in found}


def test_the_audit_sees_children_that_do_not_cover_their_parent() -> None:
    table = lattice((0,), (1,), (2,), axes=(FLAT,))
    found = audit(table, np.array([100, 20, 30]), np.zeros(3, np.uint8), profile())
    assert [(f.rule, f.cells) for f in found] == [("incoherent", (0, 1, 2))]
