"""Arrow columns built from buffers say exactly what the numbers say."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from synthetic.bureau.columns import assemble, coded, dates, decimal, moments, money, padded
from synthetic.warehouse.schema import TABLES


def test_money_is_exact_also_when_negative() -> None:
    values = money(np.array([0, 1, -1, 123456789, -99]))
    assert values.to_pylist() == [
        Decimal("0.00"), Decimal("0.01"), Decimal("-0.01"), Decimal("1234567.89"), Decimal("-0.99"),
    ]  # fmt: skip
    values.validate(full=True)


def test_decimals_are_null_where_not_valid() -> None:
    values = decimal(np.array([15, 25, 35]), 4, 1, np.array([True, False, True]))
    assert values.to_pylist() == [Decimal("1.5"), None, Decimal("3.5")]


def test_padded_ids_sort_like_their_numbers() -> None:
    numbers = np.array([0, 9, 10, 9_999, 10_000, 12_345_678])
    ids = padded("A", numbers, 8, "z").to_pylist()
    assert ids == [f"A{n:08d}z" for n in numbers]
    assert ids == sorted(ids)


def test_a_negative_index_is_null() -> None:
    assert coded(np.array([1, -1, 0]), ["a", "b"]).to_pylist() == ["b", None, "a"]


def test_repeated_labels_share_one_dictionary_entry() -> None:
    values = coded(np.array([0, 1, 2, -1]), ["a", "b", "a"])
    assert values.to_pylist() == ["a", "b", "a", None]
    assert values.dictionary.to_pylist() == ["a", "b"]


def test_day_zero_is_the_first_of_january_2022() -> None:
    assert str(dates(np.array([0])).to_pylist()[0]) == "2022-01-01"
    assert str(moments(np.array([86_399])).to_pylist()[0]) == "2022-01-01 23:59:59"


def test_a_column_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError, match="has no column"):
        assemble(TABLES["admdvs_b"], {"colour": pa.array(["red"])}, 1)


def test_columns_not_given_are_null_and_typed() -> None:
    table = assemble(TABLES["setl_fund_d"], {"setl_id": pa.array(["1"])}, 1)
    assert table.column("fund_payamt").type == pa.decimal128(16, 2)
    assert table.column("fund_payamt").null_count == 1
    assert table.column("vali_flag").to_pylist() == ["1"]
