"""Who is shown as a feeder in public: groups of five institutions or more, never one of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from synthetic.integrity.merging import LEAST, OTHERS, by_city, each, groups

REGIONS = st.dictionaries(
    st.integers(0, 200).map(lambda n: f"H{n:04d}"),
    st.sampled_from(["", "990101", "990102", "990103", "990201", "980100"]),
    max_size=60,
)


def test_regions_with_few_institutions_are_merged_into_others() -> None:
    regions = {f"H{n}": "990101" for n in range(7)} | {f"S{n}": "990102" for n in range(4)}
    regions |= {"T1": "990103"}
    shown = groups(regions)
    assert {shown[f"H{n}"] for n in range(7)} == {"990101"}
    assert {shown[name] for name in ("S0", "S3", "T1")} == {OTHERS}


def test_when_the_others_are_too_few_the_smallest_region_joins_them() -> None:
    regions = {f"H{n}": "990101" for n in range(9)} | {f"S{n}": "990102" for n in range(6)}
    shown = groups(regions | {"T1": "990103"})
    assert shown["T1"] == shown["S0"] == OTHERS
    assert shown["H0"] == "990101"


@given(REGIONS)
def test_no_group_has_fewer_than_five_unless_all_are_fewer(regions: dict[str, str]) -> None:
    shown = groups(regions)
    assert shown.keys() == regions.keys()
    sizes = Counter(shown.values())
    assert all(size >= LEAST for size in sizes.values()) or len(sizes) == 1
    assert not set(shown.values()) & {"", *regions}


@given(REGIONS)
def test_in_a_city_no_institution_is_named(regions: dict[str, str]) -> None:
    assert set(by_city(regions).values()) <= {"990100", "990200", "980100"}
    assert each(regions) == {name: name for name in regions}
