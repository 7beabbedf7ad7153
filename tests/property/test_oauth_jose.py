"""A part of a JWT is read as a naive, strict reader reads it: quick reading changes no meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.jose import MalformedToken, encode_json, encode_segment, parse_compact

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


def strictly(octets: bytes) -> dict[str, Any] | None:
    """The object as the standard library reads it; None for what is to be refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("named twice")
        return dict(pairs)

    try:
        content = json.loads(octets.decode("utf-8"), object_pairs_hook=once)
        json.dumps(content, ensure_ascii=False).encode()  # no half characters
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def read(octets: bytes) -> dict[str, Any] | None:
    try:
        return parse_compact(f"e30.{encode_segment(octets)}.AAAA").claims
    except MalformedToken:
        return None


def agree(octets: bytes) -> bool:
    """Also in type: 1, 1.0 and true are equal in Python and three things in a token."""
    return repr(read(octets)) == repr(strictly(octets))


def spelled(content: dict[str, Any]) -> list[bytes]:
    """One object as different libraries write it."""
    plain = json.dumps(content, separators=(",", ":")).encode()
    spaced = json.dumps(content, ensure_ascii=False, indent=1).encode()
    return [plain, spaced, plain.replace(b"/", b"\\/"), b"\xef\xbb\xbf" + plain, plain + b" "]


@given(content=OBJECTS)
def test_every_spelling_of_an_object_means_the_same(content: dict[str, Any]) -> None:
    assert all(agree(octets) for octets in spelled(content))


@given(pairs=st.lists(st.tuples(st.sampled_from("ab"), VALUES), max_size=4))
def test_a_member_named_twice_is_refused_wherever_it_stands(
    pairs: list[tuple[str, Any]],
) -> None:
    inner = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    for text in (f"{{{inner}}}", f'{{"x":[{{{inner}}}]}}'):
        assert agree(text.encode())


@given(content=OBJECTS, place=st.integers(0, 200), octets=st.binary(min_size=1, max_size=3))
def test_damaged_json_is_read_as_strictly(
    content: dict[str, Any], place: int, octets: bytes
) -> None:
    plain = json.dumps(content, separators=(",", ":")).encode()
    place %= len(plain)

    assert agree(plain[:place] + octets + plain[place:])


@pytest.mark.parametrize(
    "text",
    [
        '{"a":18446744073709551616}',
        '{"a":-9223372036854775809}',
        '{"a":1e400}',
        '{"a":-0}',
        '{"a":-0.0}',
        '{"a":1E2}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":"\\u0000"}',
        '{"a":"\\ud83d\\ude00"}',
        '{"\\u0061":1,"a":2}',
        '{"a":' + "[" * 500 + "]" * 500 + "}",
        '{"a":0.1000000000000000055511151231257827}',
    ],
)
def test_edges_of_json_are_read_as_strictly(text: str) -> None:
    assert agree(text.encode())


@given(content=OBJECTS)
def test_what_is_written_is_read_back(content: dict[str, Any]) -> None:
    part = encode_json(content)

    assert repr(parse_compact(f"{part}.e30.AAAA").header) == repr(content)
