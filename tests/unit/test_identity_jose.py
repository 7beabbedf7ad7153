"""Compact JWS: agreement with an independent implementation, and no text that surprises us."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.identity.jose import (
    MalformedToken,
    encode_segment,
    parse_compact,
    sign_es256,
    signature_is_valid,
)

EC: Any = ECKey.generate_key("P-256")
KEYS: dict[str, Any] = {
    "ES256": EC,
    "PS256": RSAKey.generate_key(2048),
    "Ed25519": OKPKey.generate_key("Ed25519"),
}


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_what_joserfc_signs_we_verify_and_nothing_else(algorithm: str) -> None:
    key = KEYS[algorithm]
    text = jws.serialize_compact({"alg": algorithm}, b'{"a":1}', key, algorithms=[algorithm])
    token = parse_compact(text)
    changed = token.signature[:-1] + bytes([token.signature[-1] ^ 1])

    def holds(name: str, public: Any, signed: bytes, signature: bytes) -> bool:
        return signature_is_valid(name, public, signed, signature)

    assert holds(algorithm, key.public_key, token.signing_input, token.signature)
    assert not holds(algorithm, key.public_key, token.signing_input + b"x", token.signature)
    assert not holds(algorithm, key.public_key, token.signing_input, changed)
    assert not holds(algorithm, key.public_key, token.signing_input, b"")
    for other, other_key in KEYS.items():
        if other != algorithm:
            assert not holds(other, key.public_key, token.signing_input, token.signature)
            assert not holds(algorithm, other_key.public_key, token.signing_input, token.signature)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_what_we_sign_joserfc_verifies(claims: dict[str, Any]) -> None:
    text = sign_es256(EC.private_key, {"alg": "ES256"}, claims)

    assert jws.deserialize_compact(text, EC, algorithms=["ES256"])
    assert parse_compact(text).claims == claims


def test_all_zero_es256_signatures_are_no_signatures() -> None:
    for zeros in (b"\0" * 64, b"\0" * 63 + b"\1", b"\xff" * 64):
        assert not signature_is_valid("ES256", EC.public_key, b"text", zeros)


@given(
    st.text(max_size=60)
    | st.lists(st.binary(max_size=12).map(encode_segment), max_size=4).map(".".join)
)
def test_any_text_is_parsed_or_malformed(text: str) -> None:
    try:
        parse_compact(text)
    except MalformedToken:
        return


@pytest.mark.parametrize(
    "part",
    ["e30=", "e31", "e3 0", "e30\n", "+/8", "e", "", "éé", encode_segment(b"[]")],
)
def test_only_canonical_base64url_of_a_json_object_is_a_part(part: str) -> None:
    for text in (f"{part}.e30.AA", f"e30.{part}.AA"):
        with pytest.raises(MalformedToken):
            parse_compact(text)


def test_numbers_too_long_to_be_meant_are_malformed() -> None:
    claims = encode_segment(b'{"exp":' + b"9" * 6000 + b"}")

    with pytest.raises(MalformedToken):
        parse_compact(f"e30.{claims}.AA")


@pytest.mark.parametrize("text", [r"\ud800", r"\uDC00\uD800", r"a\uDFFF"])
def test_half_a_character_is_no_text(text: str) -> None:
    for content in ('{"a":"TEXT"}', '{"a":{"b":["TEXT"]}}', '{"TEXT":1}'):
        part = encode_segment(content.replace("TEXT", text).encode())
        with pytest.raises(MalformedToken):
            parse_compact(f"e30.{part}.AAAA")


def test_a_whole_character_may_be_escaped() -> None:
    part = encode_segment(rb'{"a":"\ud83d\ude00"}')

    assert parse_compact(f"e30.{part}.AAAA").claims == {"a": "\N{GRINNING FACE}"}
