"""Whatever is sent as a proof, the answer is a refusal with a code, never an error of ours."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.dpop import PROOF_CODES, ProofChecker, ProofRefused
from gateway.identity.jose import encode_segment
from tests.factories_identity import NOON, new_key
from tests.proofs import TOKEN, URL, forge, shown, signed

KEY = new_key()
CHECKER = ProofChecker()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
HEADER_NAMES = st.sampled_from(["typ", "alg", "jwk", "crit", "kid"])
CLAIM_NAMES = st.sampled_from(["jti", "htm", "htu", "iat", "nonce", "ath"])
JWK_NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "use", "alg"])


def outcome(proof: str, url: str = URL) -> str:
    try:
        return CHECKER.check(shown(proof, url=url), NOON, access_token=TOKEN)
    except ProofRefused as refused:
        return refused.code


@given(st.text(max_size=200) | st.binary(max_size=200).map(encode_segment))
def test_no_text_is_a_proof(text: str) -> None:
    for proof in (text, f"{text}.{text}.{text}"):
        assert outcome(proof) in PROOF_CODES


@given(st.dictionaries(HEADER_NAMES, JSON), st.dictionaries(CLAIM_NAMES, JSON))
def test_no_content_of_header_and_claims_is_an_error(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    made = forge(CHECKER, KEY, NOON)
    head, body = made.header() | header, made.claims() | claims
    parts = [encode_segment(json.dumps(each).encode()) for each in (head, body)]

    assert outcome(".".join([*parts, made.proof().rpartition(".")[2]])) in PROOF_CODES


@given(st.dictionaries(JWK_NAMES, JSON, min_size=1))
def test_no_change_of_the_key_is_believed(changes: dict[str, Any]) -> None:
    made = forge(CHECKER, KEY, NOON)
    jwk = made.header()["jwk"] | changes
    if jwk == made.header()["jwk"]:
        return
    head = encode_segment(json.dumps(made.header() | {"jwk": jwk}).encode())

    assert outcome(f"{head}.{made.proof().partition('.')[2]}") in PROOF_CODES


@given(st.dictionaries(CLAIM_NAMES, JSON, min_size=1))
def test_claims_signed_by_a_good_key_are_judged_and_never_an_error(claims: dict[str, Any]) -> None:
    made = forge(CHECKER, KEY, NOON)
    code = outcome(signed(made.header(), made.claims() | claims, KEY))

    harmless = {"jti"} >= claims.keys() and isinstance(claims.get("jti"), str)
    assert code in PROOF_CODES or harmless


@settings(max_examples=300)
@given(st.data())
def test_one_changed_character_is_never_believed(data: st.DataObject) -> None:
    proof = forge(CHECKER, KEY, NOON).proof()
    place = data.draw(st.integers(0, len(proof) - 1))
    letter = data.draw(st.sampled_from("ABCabc019-_.=+/ "))
    changed = proof[:place] + letter + proof[place + 1 :]

    if changed != proof:
        assert outcome(changed) in PROOF_CODES


@given(st.text(max_size=30), st.text(max_size=30))
def test_addresses_are_the_same_only_when_their_paths_are(one: str, other: str) -> None:
    """Against paths as they arrive: raw, whatever octets they hold."""
    url = "https://sluice.example/v1/" + one.encode().decode("latin-1")
    htu = "https://sluice.example/v1/" + other
    believed = outcome(forge(CHECKER, KEY, NOON).proof(htu=htu), url) not in PROOF_CODES

    if one == other and htu.isascii() and htu.isprintable():
        assert believed or {"?", "#"} & set(one)
    if not {"%", "?", "#"} & set(one + other) and one != other:
        assert not believed
