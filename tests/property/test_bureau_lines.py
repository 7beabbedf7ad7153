"""Line splits obey R01–R05 to the fen, whatever price, limit, class and ratio."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic.bureau.arrays import ranks, sums
from synthetic.bureau.catalogue import items, products
from synthetic.bureau.charges import spread
from synthetic.bureau.lines import Lines, split

ITEMS = items(products(1))
line = st.tuples(
    st.integers(1, 500), st.integers(1, 400_000), st.integers(1, 3), st.integers(0, 9_999),
    st.integers(0, 300_000),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(line, min_size=1, max_size=20))
def test_a_line_splits_as_a_clerk_would_split_it(
    rows: list[tuple[int, int, int, int, int]],
) -> None:
    n = len(rows)
    count, price, lv, prop, limit = (np.array([r[k] for r in rows]) for k in range(5))
    prop = np.where(lv == 1, 0, np.where(lv == 3, 10_000, np.maximum(prop, 1)))
    zero = np.zeros(n, dtype=np.int64)
    made = split(
        Lines(zero, np.arange(n), count, price, zero, zero),
        replace(ITEMS, lv=lv, prop=prop, limit=limit),
    )
    for i in range(n):
        yuan = Decimal(int(price[i])) / 100
        amount = yuan * int(count[i])
        own = amount if lv[i] == 3 else Decimal(0)
        cap = Decimal(int(limit[i])) / 100 if limit[i] else yuan
        over = Decimal(0) if lv[i] == 3 else max(Decimal(0), yuan - cap) * int(count[i])
        ratio = Decimal(int(prop[i])) / 10_000
        pre = Decimal(0) if lv[i] == 3 else (amount - over) * ratio
        pre = pre.quantize(Decimal("0.01"), ROUND_HALF_UP)
        want = [amount, own, over, pre, amount - own - over - pre]
        got = [made.amount, made.own, made.over, made.pre, made.scope]
        assert [Decimal(int(x[i])) / 100 for x in got] == want


@given(st.lists(st.integers(0, 5), max_size=40))
def test_ranks_count_inside_each_run(groups: list[int]) -> None:
    ordered = np.sort(np.array(groups, dtype=np.int64))
    seen: dict[int, int] = {}
    want = []
    for g in ordered.tolist():
        want.append(seen.get(g, 0))
        seen[g] = want[-1] + 1
    assert ranks(ordered).tolist() == want


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 100)), min_size=1, max_size=30))
def test_a_spread_total_is_never_exceeded(rows: list[tuple[int, int]]) -> None:
    event = np.array([r[0] for r in rows])
    total = np.array([1_001, 20_002, 7, 123_456])
    shared = spread(event, np.array([float(r[1]) for r in rows]), total)
    back = sums(event, shared, 4)
    present = np.bincount(event, minlength=4) > 0
    assert (back[present] <= total[present]).all()
    assert (back[present] > total[present] - len(rows) - 1).all()
