"""Codes of packs and what became of them, as pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.traces.forms import checks, read_code
from gateway.traces.standing import Pack, status_of

TODAY = date(2025, 6, 2)
NONE = Pack(0, 0, 0, 0, None, None, None)


def pack(**facts: Any) -> Pack:
    return replace(NONE, **facts)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (None, "unknown"),
        (NONE, "unknown"),
        (pack(bought=1), "in_stock"),
        (pack(bought=1, expires=TODAY), "in_stock"),
        (pack(bought=1, expires=date(2025, 6, 1)), "expired"),
        (pack(bought=1, sent_back=1), "returned"),
        (pack(bought=2, sent_back=1), "in_stock"),
        (pack(sold=1, expires=date(2025, 6, 1)), "sold_once"),
        (pack(sold=2), "sold_more_than_once"),
        (pack(sold=2, returned=1), "sold_once"),
        (pack(sold=1, returned=1), "returned"),
        (pack(sold=2, recalled=TODAY), "recalled"),
        (pack(sold=1, recalled=date(2025, 6, 3)), "sold_once"),
    ],
)
def test_a_pack_has_one_status(found: Pack | None, status: str) -> None:
    assert status_of(found, TODAY) == status


def test_the_check_digit_is_gs1s() -> None:
    # The examples of GS1's check digit calculator.
    assert checks("00614141007349")
    assert checks("09521101530001")
    assert not any(checks(f"0952110153000{digit}") for digit in "023456789")


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("89900010000000000001", "8990001"),
        (" 8990001 0000000000001", "8990001"),
        ("８９９０００１００００００００００００１", "8990001"),
        ("(01)09521101530001", "09521101530001"),
        ("(01)09521101530001(17)270401(10)A-1(21)7", "09521101530001"),
    ],
)
def test_codes_are_read_as_they_are_printed(text: str, product: str) -> None:
    assert read_code(text).product == product


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "trace_code_form"),
        ("8990001000000000000", "trace_code_form"),
        ("899000100000000000012", "trace_code_form"),
        ("8990001000000000000A", "trace_code_form"),
        ("(02)09521101530001", "trace_code_form"),
        ("(01)09521101530001(99)x", "trace_code_form"),
        ("(01)09521101530002(21)7", "udi_check_digit"),
    ],
)
def test_what_can_be_on_no_pack_is_refused_and_not_repeated(text: str, code: str) -> None:
    with pytest.raises(BadRequest) as told:
        read_code(text)
    assert told.value.code == code
    assert str(told.value) == ""
