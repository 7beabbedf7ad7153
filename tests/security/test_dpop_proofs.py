"""RFC 9449 §4.3, item by item: which proofs are believed, and every one that must not be."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.identity import dpop
from gateway.identity.dpop import PROOF_CODES, ProofChecker, ProofRefused
from gateway.identity.jose import encode_json, encode_segment
from tests.factories_identity import NOON, new_key, public
from tests.proofs import TOKEN, Forge, forge, shown, signed

KEY = new_key()
RSA = RSAKey.generate_key(2048)
EDWARDS: Any = OKPKey.generate_key("Ed25519")


@pytest.fixture
def checker() -> ProofChecker:
    return ProofChecker()


def refusal(
    checker: ProofChecker, *proofs: str, jkt: str | None = None, **request: str
) -> tuple[str, str]:
    """The protocol's word and our code."""
    with pytest.raises(ProofRefused) as caught:
        checker.check(shown(*proofs, **request), NOON, access_token=TOKEN, jkt=jkt)
    assert caught.value.code in PROOF_CODES
    assert caught.value.description.isascii()
    return caught.value.error, caught.value.code


def accepted(checker: ProofChecker, proof: str, **request: str) -> str:
    return checker.check(shown(proof, **request), NOON, access_token=TOKEN)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(KEY, "ES256"), (RSA, "PS256"), (EDWARDS, "Ed25519"), (EDWARDS, "EdDSA")],
    ids=["ES256", "PS256", "Ed25519", "EdDSA"],
)
def test_a_good_proof_gives_the_thumbprint_of_its_key(
    checker: ProofChecker, key: Any, algorithm: str
) -> None:
    made = Forge(key, NOON, checker.nonce(NOON), "Ed25519" if key is EDWARDS else algorithm)
    proof = made.proof()
    if algorithm == "EdDSA":  # the older name, which joserfc does not sign by any more
        text = f"{encode_json(made.header(alg='EdDSA'))}.{encode_json(made.claims())}"
        proof = f"{text}.{encode_segment(key.private_key.sign(text.encode()))}"

    assert accepted(checker, proof) == key.thumbprint()


def test_a_proof_without_an_access_token_needs_no_ath(checker: ProofChecker) -> None:
    proof = forge(checker, KEY, NOON).proof(ath=None)

    assert checker.check(shown(proof), NOON) == KEY.thumbprint()


def test_rfc9449_4_3_1_exactly_one_header(checker: ProofChecker) -> None:
    made = forge(checker, KEY, NOON)

    assert refusal(checker) == ("invalid_dpop_proof", "dpop_missing")
    assert refusal(checker, made.proof(), made.proof()) == ("invalid_dpop_proof", "dpop_several")
    assert refusal(checker, f"{made.proof()}, {made.proof()}")[1] == "dpop_malformed"


@pytest.mark.parametrize(
    "text", ["", "a", "a.b.c", "e30.e30.", "W10.W10.AA", "x" * 5000, "中.文.x"]
)
def test_rfc9449_4_3_2_a_well_formed_jwt(checker: ProofChecker, text: str) -> None:
    assert refusal(checker, text)[1] in {"dpop_malformed", "dpop_algorithm"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jti": None}, "dpop_jti"),
        ({"jti": ""}, "dpop_jti"),
        ({"jti": 7}, "dpop_jti"),
        ({"jti": "x" * 257}, "dpop_jti"),
        ({"htm": None}, "dpop_method"),
        ({"htu": None}, "dpop_url"),
        ({"iat": None}, "dpop_time"),
        ({"iat": "now"}, "dpop_time"),
        ({"iat": True}, "dpop_time"),
        ({"iat": 10**400}, "dpop_time"),
        ({"iat": -1}, "dpop_time"),
        ({"ath": None}, "dpop_token"),
    ],
)
def test_rfc9449_4_3_3_every_required_claim(
    checker: ProofChecker, changes: dict[str, Any], code: str
) -> None:
    assert refusal(checker, forge(checker, KEY, NOON).proof(**changes))[1] == code


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "DPOP+JWT", "dpop", "", None])
def test_rfc9449_4_3_4_typ_is_dpop_jwt(checker: ProofChecker, typ: Any) -> None:
    assert refusal(checker, forge(checker, KEY, NOON).proof({"typ": typ}))[1] == "dpop_header"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS256", "ES384", "", None])
def test_rfc9449_4_3_5_an_asymmetric_algorithm_of_fapi(
    checker: ProofChecker, algorithm: str | None
) -> None:
    made = forge(checker, KEY, NOON)
    good = made.proof()
    forged = f"{encode_json(made.header(alg=algorithm))}.{good.partition('.')[2]}"

    assert refusal(checker, forged)[1] == "dpop_algorithm"


@pytest.mark.parametrize("claimed", ["PS256", "EdDSA", "Ed25519"])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(
    checker: ProofChecker, claimed: str
) -> None:
    made = forge(checker, KEY, NOON)
    forged = f"{encode_json(made.header(alg=claimed))}.{made.proof().partition('.')[2]}"

    assert refusal(checker, forged)[1] == "dpop_key"


def test_rfc9449_4_3_6_the_signature_is_by_the_key_in_the_header(checker: ProofChecker) -> None:
    made, stranger = forge(checker, KEY, NOON), new_key()
    forged = signed(made.header(), made.claims(), stranger)
    head, body, signature = made.proof().split(".")

    assert refusal(checker, forged)[1] == "dpop_signature"
    assert refusal(checker, f"{head}.{body}.{'A' * len(signature)}")[1] == "dpop_signature"
    assert refusal(checker, f"{head}.{body}.AAAA")[1] == "dpop_signature"
    assert accepted(checker, f"{head}.{body}.{signature}")  # the refused ones used nothing up


def test_a_key_remembered_from_a_good_proof_does_not_vouch_for_a_bad_one(
    checker: ProofChecker,
) -> None:
    made = forge(checker, KEY, NOON)
    accepted(checker, made.proof(jti="first"))

    assert refusal(checker, signed(made.header(), made.claims(), new_key()))[1] == "dpop_signature"


def test_rfc9449_4_3_7_no_private_key_in_the_header(checker: ProofChecker) -> None:
    for key in (KEY, RSA, EDWARDS):
        algorithm = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}[key.key_type]
        made = Forge(key, NOON, checker.nonce(NOON), algorithm)
        jwk = key.as_dict(private=True)
        assert refusal(checker, made.proof({"jwk": jwk}))[1] == "dpop_key"


def test_a_symmetric_key_is_no_proof(checker: ProofChecker) -> None:
    made, secret = forge(checker, KEY, NOON), OctKey.generate_key(256)
    jwk = secret.as_dict(private=True)
    for algorithm in ("HS256", "ES256"):
        text = f"{encode_json(made.header(alg=algorithm, jwk=jwk))}.{encode_json(made.claims())}"
        tag = encode_segment(hmac.digest(secret.raw_value, text.encode(), "sha256"))
        assert refusal(checker, f"{text}.{tag}")[1] in {"dpop_algorithm", "dpop_key"}


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "text",
        [],
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": None},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "A" * 400, "e": "AQAB"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ["EC"]},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43, "x5u": "https://a.example"},
    ],
)
def test_what_is_no_acceptable_key_is_said_so(checker: ProofChecker, jwk: Any) -> None:
    made = forge(checker, KEY, NOON)
    header = json.loads(json.dumps(made.header(), default=str)) | {"jwk": jwk}
    forged = f"{encode_json(header)}.{made.proof().partition('.')[2]}"

    assert refusal(checker, forged)[1] == "dpop_key"


def test_keys_of_other_curves_and_short_keys_are_refused(checker: ProofChecker) -> None:
    for key in (ECKey.generate_key("P-384"), ECKey.generate_key("secp256k1")):
        header = encode_json(forge(checker, KEY, NOON).header(jwk=public(key)))
        forged = f"{header}.{forge(checker, KEY, NOON).proof().partition('.')[2]}"
        assert refusal(checker, forged)[1] == "dpop_key"


@pytest.mark.parametrize("member", ["jku", "x5u", "x5c", "crit", "b64"])
def test_headers_that_bring_their_own_rules_are_refused(checker: ProofChecker, member: str) -> None:
    made = forge(checker, KEY, NOON)
    forged = f"{encode_json(made.header(**{member: ['a']}))}.{made.proof().partition('.')[2]}"

    assert refusal(checker, forged)[1] == "dpop_header"


@pytest.mark.parametrize("htm", ["POST", "get", "GET ", ["GET"]])
def test_rfc9449_4_3_8_htm_is_the_method(checker: ProofChecker, htm: Any) -> None:
    assert refusal(checker, forge(checker, KEY, NOON).proof(htm=htm))[1] == "dpop_method"


@pytest.mark.parametrize(
    "htu",
    [
        "https://sluice.example/v1/usage",
        "https://sluice.example/v1/services/",
        "https://sluice.example/V1/services",
        "https://sluice.example/v1%2Fservices",
        "https://sluice.example/v1/./services",
        "https://sluice.example/v1/x/../services",
        "https://sluice.example:8443/v1/services",
        "http://sluice.example/v1/services",
        "https://sluice.example.attacker.example/v1/services",
        "https://sluice.example@attacker.example/v1/services",
        "https://user@sluice.example/v1/services",
        "https://sluice.example:x/v1/services",
        "//sluice.example/v1/services",
        "/v1/services",
        "https://sluice.example\n/v1/services",
        "https://sluice.example/v1/ｓervices",
        "https://[::1/v1/services",
        "",
        5,
        ["https://sluice.example/v1/services"],
    ],
)
def test_rfc9449_4_3_9_htu_is_the_address(checker: ProofChecker, htu: Any) -> None:
    assert refusal(checker, forge(checker, KEY, NOON).proof(htu=htu))[1] == "dpop_url"


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://SLUICE.example/v1/services",
        "https://sluice.example:443/v1/services",
        "https://sluice.example/v1/services?page=2",
        "https://sluice.example/v1/services#top",
        "https://sluice.example/v1/%73ervices",
    ],
)
def test_htu_is_compared_after_normalisation_without_query_and_fragment(
    checker: ProofChecker, htu: str
) -> None:
    assert accepted(checker, forge(checker, KEY, NOON).proof(htu=htu))


def test_percent_encodings_are_compared_as_what_they_mean(checker: ProofChecker) -> None:
    made, url = forge(checker, KEY, NOON), "https://sluice.example/v1/%e4%b8"

    assert accepted(checker, made.proof(htu="https://sluice.example/v1/%E4%B8"), url=url)
    assert refusal(checker, made.proof(htu="https://sluice.example/v1/%E4"), url=url)[1] == (
        "dpop_url"
    )


def test_rfc9449_4_3_10_the_nonce_is_one_of_this_process(checker: ProofChecker) -> None:
    other = ProofChecker()
    nonces: list[Any] = [None, "", "AAAA", "不", 5, other.nonce(NOON), checker.nonce(NOON)[:-1]]
    for nonce in nonces:
        made = Forge(KEY, NOON, nonce)
        assert refusal(checker, made.proof()) == ("use_dpop_nonce", "dpop_nonce"), nonce


def test_a_nonce_lives_for_minutes_and_then_a_new_one_is_asked_for(checker: ProofChecker) -> None:
    old = checker.nonce(NOON)
    for minutes, good in ((4, True), (5, False)):
        now = NOON + timedelta(minutes=minutes)
        request = shown(Forge(KEY, now, old).proof())
        if good:
            assert checker.check(request, now, access_token=TOKEN)
        else:
            with pytest.raises(ProofRefused, match="nonce"):
                checker.check(request, now, access_token=TOKEN)


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(-61, False), (-60, True), (-10, True), (10, True), (60, True), (61, False)],
)
def test_rfc9449_4_3_11_iat_is_near_now(checker: ProofChecker, seconds: int, good: bool) -> None:
    proof = forge(checker, KEY, NOON).proof(iat=int(NOON.timestamp()) + seconds)
    if good:
        assert accepted(checker, proof)
    else:
        assert refusal(checker, proof)[1] == "dpop_time"


def test_rfc9449_4_3_12_ath_is_the_hash_of_the_token(checker: ProofChecker) -> None:
    for ath in ("", TOKEN, dpop.token_hash("another.access.token"), dpop.token_hash(TOKEN) + "="):
        assert refusal(checker, forge(checker, KEY, NOON).proof(ath=ath))[1] == "dpop_token"


def test_rfc9449_4_3_12_the_key_is_the_one_the_token_is_bound_to(checker: ProofChecker) -> None:
    proof = forge(checker, KEY, NOON).proof()

    assert refusal(checker, proof, jkt=new_key().thumbprint())[1] == "dpop_other_key"
    assert checker.check(shown(proof), NOON, access_token=TOKEN, jkt=KEY.thumbprint())


def test_the_thumbprint_is_of_the_key_however_its_jwk_was_written(checker: ProofChecker) -> None:
    """Otherwise a second spelling would be a second key, or could pass for the bound one."""
    padded = {**public(RSA), "e": encode_segment(b"\x00\x01\x00\x01"), "kid": "x", "use": "sig"}
    proof = Forge(RSA, NOON, checker.nonce(NOON), "PS256").proof({"jwk": padded})

    assert accepted(checker, proof) == RSA.thumbprint()
