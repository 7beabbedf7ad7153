"""RFC 9421 appendix B.2 and RFC 9530 appendix D: the standards' own examples, by our own parts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import InvalidSignature, MappingKeyResolver

from gateway.identity.signatures import (
    Answered,
    Asked,
    DigestRefused,
    Headers,
    SignatureRefused,
    _algorithm,
    _Verifier,
    check_digest,
    check_request,
)

CREATED = 1618884473
NOW = datetime.fromtimestamp(CREATED, UTC)
KEYS = {
    "test-key-rsa-pss": """
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
""",
    "test-key-ecc-p256": """
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
""",
    "test-key-ed25519": """
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
""",
}
WORLD = b'{"hello": "world"}'
DOG = b'{"message": "good dog"}'
REQUEST = {
    "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+"
    "AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    "Content-Length": "18",
}
RESPONSE = {
    "Date": "Tue, 20 Apr 2021 02:07:56 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWd"
    "XymyU0rjJuahq4l5aGgfLQ==:",
    "Content-Length": "23",
}
SIGNED = {
    "b21": (
        REQUEST,
        "test-key-rsa-pss",
        '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtR"
        "xf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhz"
        "x2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP"
        "5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
    ),
    "b22": (
        REQUEST,
        "test-key-rsa-pss",
        '("@authority" "content-digest" "@query-param";name="Pet")'
        ';created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
        "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE"
        "5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17S"
        "ARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY"
        "3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
    ),
    "b23": (
        REQUEST,
        "test-key-rsa-pss",
        '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" '
        '"content-length");created=1618884473;keyid="test-key-rsa-pss"',
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRp"
        "RRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH"
        "1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui"
        "9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
    ),
    "b24": (
        RESPONSE,
        "test-key-ecc-p256",
        '("@status" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-ecc-p256"',
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
    ),
    "b26": (
        REQUEST,
        "test-key-ed25519",
        '("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ),
}


def message(name: str, changed: dict[str, str]) -> Asked | Answered:
    fields, _, described, signature = SIGNED[name]
    sent = {**fields, "Signature-Input": f"s={described}", "Signature": f"s=:{signature}:"}
    headers = Headers((k.lower().encode(), v.encode()) for k, v in {**sent, **changed}.items())
    asked = Asked("POST", "https://example.com/foo?param=Value&Pet=dog", headers)
    return Answered(200, headers, asked) if fields is RESPONSE else asked


def verify(name: str, **changed: str) -> None:
    kid = SIGNED[name][1]
    text = f"-----BEGIN PUBLIC KEY-----{KEYS[kid]}-----END PUBLIC KEY-----"
    key = load_pem_public_key(text.encode())
    resolver = MappingKeyResolver(public_keys={kid: key}, private_keys={})
    verifier = _Verifier(signature_algorithm=_algorithm(key), key_resolver=resolver)
    verifier.verify(message(name, changed), max_age=None)


@pytest.mark.parametrize("name", SIGNED)
def test_rfc9421_b2_every_example_is_good_and_no_other(name: str) -> None:
    verify(name)
    described = SIGNED[name][2].replace("1618884473", "1618884474")
    with pytest.raises(InvalidSignature):
        verify(name, **{"Signature-Input": f"s={described}"})


@pytest.mark.parametrize(
    ("name", "field"),
    [(n, f) for n, (fields, *_, d, _s) in SIGNED.items() for f in fields if f'"{f.lower()}"' in d],
)
def test_rfc9421_b2_no_covered_field_can_be_changed(name: str, field: str) -> None:
    with pytest.raises(InvalidSignature):
        verify(name, **{field: SIGNED[name][0][field] + "0"})


def test_rfc9421_an_example_for_others_is_no_signature_of_ours() -> None:
    with pytest.raises(SignatureRefused) as caught:
        check_request(message("b22", {}), {}, NOW)
    assert caught.value.code == "signature_missing"


@pytest.mark.parametrize(("fields", "body"), [(REQUEST, WORLD), (RESPONSE, DOG)])
def test_rfc9530_the_examples_digests_are_of_their_content_alone(
    fields: dict[str, str], body: bytes
) -> None:
    check_digest(fields["Content-Digest"], body)
    with pytest.raises(DigestRefused):
        check_digest(fields["Content-Digest"], body + b" ")


@pytest.mark.parametrize(
    "stated", ["", "sha-256", "sha-256=::", "md5=:AAAA:", "sha-256=abc", "é", "sha-512=:AA==:"]
)
def test_rfc9530_what_is_no_digest_is_none(stated: str) -> None:
    with pytest.raises(DigestRefused):
        check_digest(stated, b"")
