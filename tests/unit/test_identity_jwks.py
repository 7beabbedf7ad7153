"""Which public keys may be registered, and which one an assertion must have used."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.errors import OperatorError
from gateway.identity.jose import encode_segment
from gateway.identity.jwks import (
    RSA_BITS,
    RSA_EXPONENT,
    accept_jwks,
    algorithms_of,
    choose_key,
    read_keys,
)
from tests.factories_identity import new_key, public

EC = public(new_key("ec"))
RSA = {**public(RSAKey.generate_key(2048)), "kid": "rsa"}
ED = {**public(OKPKey.generate_key("Ed25519")), "kid": "ed"}


def rsa_of(bits: int, exponent: int) -> dict[str, str]:
    """A public RSA key of this form; nobody will ever sign with it."""
    modulus, size = (1 << (bits - 1)) + 12345, (exponent.bit_length() + 7) // 8
    n = encode_segment(modulus.to_bytes((bits + 7) // 8))
    return {"kty": "RSA", "kid": "made", "n": n, "e": encode_segment(exponent.to_bytes(size))}


def test_keys_are_stored_public_named_and_for_signatures() -> None:
    key = ECKey.generate_key("P-256")

    stored: Any = accept_jwks({"keys": [{**public(key), "comment": "left out"}]})

    expected = {"kty", "crv", "x", "y", "kid", "use"}
    assert stored["keys"] == [{**public(key), "kid": key.thumbprint(), "use": "sig"}]
    assert set(stored["keys"][0]) == expected


def test_a_single_jwk_is_a_set_of_one() -> None:
    assert accept_jwks(EC) == accept_jwks({"keys": [EC]})


def test_a_stored_set_can_be_registered_again() -> None:
    stored = accept_jwks({"keys": [EC, RSA, ED]})

    assert accept_jwks(stored) == stored
    assert algorithms_of(stored) == ("ES256", "Ed25519", "EdDSA", "PS256")


@pytest.mark.parametrize(
    "jwks",
    [
        None,
        [],
        "text",
        {},
        {"keys": []},
        {"keys": [EC] * 11},
        {"keys": [EC, {**ED, "kid": "ec"}]},  # one kid twice
        {"keys": ["text"]},
        {"keys": [new_key().as_dict(private=True)]},  # a private key
        {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
        {"keys": [{"kty": "oct"}]},
        {"keys": [{"kty": "EC"}]},
        {"keys": [{**EC, "x": "AAAA"}]},
        {"keys": [{**EC, "x": 5}]},
        {"keys": [{**EC, "use": "both"}]},
        {"keys": [{**EC, "use": "enc", "alg": "ES256"}]},
        {"keys": [{**ED, "use": "enc"}]},
        {"keys": [EC, {**EC, "use": "enc", "kid": "other"}]},  # one key for both
        {"keys": [{**EC, "kid": 5}]},
        {"keys": [{**EC, "kid": "x" * 200}]},
        {"keys": [{**EC, "x5u": "https://attacker.example"}]},
        {"keys": [{**EC, "alg": "HS256"}]},
        {"keys": [{**EC, "alg": "PS256"}]},
        {"keys": [{**RSA, "alg": "RS256"}]},
        {"keys": [{**ED, "alg": ["EdDSA"]}]},
        {"keys": [public(ECKey.generate_key("P-384"))]},
        {"keys": [public(OKPKey.generate_key("X25519"))]},
        {"keys": [public(OKPKey.generate_key("Ed448"))]},
    ],
)
def test_what_fapi_does_not_allow_is_refused(jwks: object) -> None:
    with pytest.raises(OperatorError, match="refused"):
        accept_jwks(jwks)


def test_a_short_rsa_key_is_refused() -> None:
    short = {"kty": "RSA", "e": "AQAB", "n": "w" * 171}  # 1024 bits

    with pytest.raises(OperatorError):
        accept_jwks(short)


@pytest.mark.parametrize("bits", [2056, 2560, 4104, 8192])
def test_rsa_keys_come_in_the_sizes_there_are_decoys_of(bits: int) -> None:
    with pytest.raises(OperatorError, match="2048, 3072, 4096 bits"):
        accept_jwks(rsa_of(bits, RSA_EXPONENT))


@pytest.mark.parametrize("bits", RSA_BITS)
def test_rsa_keys_of_a_usual_size_are_accepted(bits: int) -> None:
    assert algorithms_of(accept_jwks(rsa_of(bits, RSA_EXPONENT))) == ("PS256",)


@pytest.mark.parametrize("exponent", [3, 17, 65539, (1 << 2047) + 1])
def test_an_exponent_that_makes_signatures_weak_or_costly_is_refused(exponent: int) -> None:
    with pytest.raises(OperatorError, match="exponent 65537"):
        accept_jwks(rsa_of(2048, exponent))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["keys", "kty", "crv", "x", "y", "n", "e", "alg", "kid"]),
                inner | st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "ES256"]),
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_gets_more_than_a_refusal(document: Any) -> None:
    try:
        stored = accept_jwks(document)
    except OperatorError:
        return
    assert read_keys(stored)


def test_the_header_chooses_the_one_key_it_can_mean() -> None:
    second = public(new_key("ec2"))
    keys = read_keys(accept_jwks({"keys": [EC, RSA, ED, second]}))

    def chosen(algorithm: str, kid: str | None) -> str | None:
        key = choose_key(keys, algorithm, kid)
        return key.kid if key else None

    assert chosen("PS256", None) == "rsa"
    assert chosen("EdDSA", None) == chosen("Ed25519", "ed") == "ed"
    assert (chosen("ES256", "ec"), chosen("ES256", "ec2")) == ("ec", "ec2")
    assert chosen("ES256", None) is None  # two would fit
    assert chosen("ES256", "rsa") is None  # another type
    assert chosen("RS256", "rsa") is None
    assert chosen("none", None) is None


def test_both_names_of_ed25519_mean_a_key_registered_under_either() -> None:
    for stated in ("EdDSA", "Ed25519"):
        keys = read_keys(accept_jwks({**ED, "alg": stated}))
        assert choose_key(keys, "Ed25519", None) == choose_key(keys, "EdDSA", "ed") == keys[0]
