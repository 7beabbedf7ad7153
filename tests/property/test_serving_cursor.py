"""Laws of cursors: they open for whom and what they were sealed, for nobody and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.serving.cursor import LONGEST, CursorSeal, Place

SEAL = CursorSeal(b"k" * 32)
releases = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,100}", fullmatch=True)
places = st.builds(Place, releases, st.integers(0, 10**12))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(place=places, tenant=names, query=names)
def test_a_cursor_opens_for_its_tenant_and_query(place: Place, tenant: str, query: str) -> None:
    cursor = SEAL.seal(place, tenant, query)
    assert SEAL.open(cursor, tenant, query) == place
    assert len(cursor) <= LONGEST


@given(place=places, tenant=names, other=names, query=names)
def test_a_cursor_of_another_tenant_or_query_is_no_cursor(
    place: Place, tenant: str, other: str, query: str
) -> None:
    cursor = SEAL.seal(place, tenant, query)
    for whom, what in ((tenant + other, query), (tenant, query + other), (query, tenant + "\0")):
        with pytest.raises(BadRequest):
            SEAL.open(cursor, whom, what)


@given(place=places, bit=st.integers(0, 10**6))
def test_a_cursor_with_one_bit_changed_is_no_cursor(place: Place, bit: int) -> None:
    cursor = SEAL.seal(place, "t", "q")
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    with pytest.raises(BadRequest):
        SEAL.open(base64.urlsafe_b64encode(raw).decode().rstrip("="), "t", "q")


@given(text=st.text(max_size=200))
def test_any_other_text_is_refused_as_a_cursor_not_as_a_failure(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        SEAL.open(text, "t", "q")
    assert refused.value.code == "invalid_cursor"


def test_another_key_seals_other_cursors() -> None:
    cursor = CursorSeal(b"x" * 32).seal(Place("r", 1), "t", "q")
    with pytest.raises(BadRequest):
        SEAL.open(cursor, "t", "q")
