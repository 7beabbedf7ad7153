"""Counting charged bits by whole columns agrees with counting them one by one."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.releases.places import SPAN, addresses, counted, place_of

ROWS = st.lists(
    st.tuples(st.sampled_from([3, 900]), st.integers(0, 40), st.integers(-2, 3)), max_size=12
)


@given(rows=ROWS, width=st.integers(1, 5), data=st.data())
def test_measures_charged_of_each_cell_are_counted_as_often_as_they_were(rows, width, data):
    bits = [data.draw(st.integers(0, 2 ** (SPAN * width) - 1)) >> (n * 7) for _, n, _ in rows]
    expected = Counter()
    for (place, _, times), held in zip(rows, bits, strict=True):
        for at in range(SPAN * width):
            expected[place, at // width] += times * (held >> at & 1)
    raw = [held.to_bytes((held.bit_length() + 7) // 8, "big") for held in bits]
    columns = (np.array([row[n] for row in rows], np.int64) for n in (0, 2))
    places, times = columns
    found = {
        (place, cell): int(count)
        for place, sums in counted(places, raw, times, width)
        for cell, count in enumerate(sums)
        if count
    }
    assert found == {key: count for key, count in expected.items() if count}


@given(block=st.integers(0, 2**20), cell=st.integers(0, 2**30))
def test_a_cell_is_found_again_at_the_address_of_its_place(block, cell):
    place, at = place_of(block, cell)
    found, first = addresses(place)
    assert (found, first + at) == (block, cell)
