"""The token endpoint over real HTTP: what it gives, and every assertion it must refuse."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from gateway.identity.jose import encode_json, encode_segment
from sluice_client.proof import token_form
from tests.factories_identity import (
    Machine,
    Served,
    add_client,
    new_key,
    public,
    served,
    sign,
    suspend,
)

RSA = RSAKey.generate_key(2048)
EDWARDS: Any = OKPKey.generate_key("Ed25519")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        add_client(running.identity, "rsa-app", "T-INS", {**public(RSA), "kid": "r1"})
        add_client(running.identity, "ed-app", "T-INS", {**public(EDWARDS), "kid": "e1"})
        running.identity.directory.refresh()
        yield running


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json().get("code"))


def test_a_good_assertion_gets_a_token_that_nobody_may_cache(server: Served) -> None:
    reply = server.post(server.machine.form(server.clock()))

    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert (body["token_type"], body["expires_in"]) == ("DPoP", 300)


def test_the_token_is_an_rfc_9068_jwt_that_a_foreign_library_verifies(server: Served) -> None:
    keys = KeySet.import_key_set(server.http.get("/oauth/jwks").json())

    token = jwt.decode(server.token(), keys, algorithms=["ES256"])

    assert token.header["typ"] == "at+jwt"
    issuer = server.identity.issuer
    expected = {
        "iss": issuer,
        "aud": f"{issuer}/v1",
        "sub": "ins-app",
        "client_id": "ins-app",
        "tenant": "T-INS",
        "env": "prod",
    }
    assert {name: token.claims[name] for name in expected} == expected
    assert token.claims["exp"] - token.claims["iat"] == 300


@pytest.mark.parametrize(
    ("client_id", "key", "algorithm", "kid"),
    [
        ("rsa-app", RSA, "PS256", "r1"),
        ("rsa-app", RSA, "PS256", None),
        ("ed-app", EDWARDS, "Ed25519", "e1"),
    ],
)
def test_ps256_and_ed25519_are_accepted(
    server: Served, client_id: str, key: Any, algorithm: str, kid: str | None
) -> None:
    machine = Machine(client_id, key, server.identity.issuer)
    header = {"alg": algorithm, **({"kid": kid} if kid else {})}

    reply = server.post(token_form(sign(header, machine.claims(server.clock()), key)))

    assert reply.status_code == 200, reply.text


def test_eddsa_is_the_older_name_of_ed25519(server: Served) -> None:
    claims = Machine("ed-app", EDWARDS, server.identity.issuer).claims(server.clock())
    signing_input = f"{encode_json({'alg': 'EdDSA', 'kid': 'e1'})}.{encode_json(claims)}"
    signature = EDWARDS.private_key.sign(signing_input.encode())

    reply = server.post(token_form(f"{signing_input}.{encode_segment(signature)}"))

    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": -20}, "assertion_expired"),
        ({"exp": 315_360_000}, "assertion_lifetime"),
        ({"exp": 301}, "assertion_lifetime"),
        ({"iat": 61, "exp": 120}, "assertion_not_yet_valid"),
        ({"nbf": 61}, "assertion_not_yet_valid"),
    ],
)
def test_times_outside_fapi_are_refused(server: Served, changes: dict[str, int], code: str) -> None:
    now = server.clock()
    moved = {name: int(now.timestamp()) + seconds for name, seconds in changes.items()}
    if changes == {"exp": -20}:
        moved["iat"] = moved["exp"] - 60

    assert code_of(server.post(server.machine.form(now, **moved))) == (401, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://elsewhere.example"}, "assertion_audience"),
        ({"aud": ["ISSUER"]}, "assertion_audience"),
        ({"aud": "ISSUER/oauth/token"}, "assertion_audience"),
        ({"aud": "ISSUER/"}, "assertion_audience"),
        ({"aud": None}, "assertion_audience"),
        ({"iss": "somebody-else"}, "assertion_subject"),
        ({"iss": None}, "assertion_subject"),
        ({"sub": 7, "iss": 7}, "assertion_subject"),
        ({"jti": None}, "assertion_jti"),
        ({"jti": ""}, "assertion_jti"),
        ({"jti": 5}, "assertion_jti"),
        ({"exp": None}, "assertion_times"),
        ({"iat": "now"}, "assertion_times"),
        ({"exp": "soon"}, "assertion_times"),
        ({"exp": True}, "assertion_times"),
        ({"exp": 1e400}, "assertion_times"),
        ({"iat": -1}, "assertion_times"),
    ],
)
def test_claims_outside_fapi_are_refused(
    server: Served, changes: dict[str, object], code: str
) -> None:
    issuer = server.identity.issuer
    text = json.dumps(changes).replace("ISSUER", issuer)
    claims = {**server.machine.claims(server.clock()), **json.loads(text)}
    claims = {name: value for name, value in claims.items() if value is not None}
    key = server.machine.key
    forged = raw_es256({"alg": "ES256", "kid": key.kid}, json.dumps(claims).encode(), key)

    assert code_of(server.post(token_form(forged))) == (401, code)


def test_an_assertion_without_iat_lives_five_minutes_from_now(server: Served) -> None:
    for seconds, status in ((60, 200), (301, 401)):
        now = server.clock()
        claims = {**server.machine.claims(now), "exp": int(now.timestamp()) + seconds}
        del claims["iat"]
        key = server.machine.key
        signed = raw_es256({"alg": "ES256", "kid": key.kid}, json.dumps(claims).encode(), key)
        assert server.post(token_form(signed)).status_code == status


def raw_es256(header: dict[str, Any], payload: bytes, key: Any) -> str:
    """Signed octets that no library would agree to sign."""
    from joserfc import jws  # noqa: PLC0415 — only this test signs arbitrary octets

    return jws.serialize_compact(header, payload, key, algorithms=["ES256"])


def test_ten_seconds_of_clock_error_are_forgiven(server: Served) -> None:
    now = server.clock() + timedelta(seconds=8)

    assert server.post(server.machine.form(now)).status_code == 200


def unsigned(machine: Machine, server: Served, **header: object) -> str:
    return (
        f"{encode_json({'alg': 'none', **header})}.{encode_json(machine.claims(server.clock()))}."
    )


def test_none_is_no_algorithm(server: Served) -> None:
    for name in ("none", "None", "NONE", ""):
        reply = server.post(token_form(unsigned(server.machine, server, alg=name)))
        assert code_of(reply) == (401, "assertion_algorithm")


def test_a_registered_rsa_key_cannot_sign_rs256(server: Served) -> None:
    claims = Machine("rsa-app", RSA, server.identity.issuer).claims(server.clock())

    reply = server.post(token_form(sign({"alg": "RS256", "kid": "r1"}, claims, RSA)))

    assert code_of(reply) == (401, "assertion_algorithm")


@pytest.mark.parametrize("form", ["pem", "json", "x"])
def test_the_public_key_is_no_hmac_secret(server: Served, form: str) -> None:
    key: Any = server.machine.key
    secret = {
        "pem": key.as_pem(private=False),
        "json": json.dumps(public(key)).encode(),
        "x": str(public(key)["x"]).encode(),
    }[form]
    claims = server.machine.claims(server.clock())
    signing_input = f"{encode_json({'alg': 'HS256', 'kid': key.kid})}.{encode_json(claims)}"
    tag = hmac.digest(secret, signing_input.encode(), "sha256")
    attack = f"{signing_input}.{encode_segment(tag)}"

    assert code_of(server.post(token_form(attack))) == (401, "assertion_algorithm")


@pytest.mark.parametrize("claimed", ["PS256", "EdDSA", "Ed25519"])
def test_an_algorithm_that_does_not_fit_the_registered_key_is_refused(
    server: Served, claimed: str
) -> None:
    key = server.machine.key
    good = server.machine.assertion(server.clock())
    header = encode_json({"alg": claimed, "kid": str(key.kid)})

    reply = server.post(token_form(f"{header}.{good.partition('.')[2]}"))

    assert code_of(reply) == (401, "client_refused")


@pytest.mark.parametrize(
    "kid", ["../../../../dev/null", "' OR '1'='1", "r1", "", "x" * 5000, "中文"]
)
def test_a_kid_names_a_registered_key_or_nothing(server: Served, kid: str) -> None:
    claims = server.machine.claims(server.clock())

    reply = server.post(token_form(sign({"alg": "ES256", "kid": kid}, claims, server.machine.key)))

    assert code_of(reply)[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/cert"},
        {"crit": ["exp"]},
        {"typ": "at+jwt"},
        {"kid": 5},
    ],
)
def test_headers_that_bring_their_own_rules_are_refused(
    server: Served, header: dict[str, object]
) -> None:
    claims = server.machine.claims(server.clock())
    good = sign({"alg": "ES256"}, claims, server.machine.key)
    forged = f"{encode_json({'alg': 'ES256', **header})}.{good.partition('.')[2]}"

    assert code_of(server.post(token_form(forged))) == (401, "assertion_header")


def test_a_key_inside_the_header_is_refused(server: Served) -> None:
    own = ECKey.generate_key("P-256")
    claims = server.machine.claims(server.clock())
    header = {"alg": "ES256", "jwk": public(own)}

    assert code_of(server.post(token_form(sign(header, claims, own)))) == (401, "assertion_header")


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "a.b.c.d", "....", "e30.e30.", "W10.W10.W10", "x" * 9000]
)
def test_rubbish_is_malformed_and_never_an_error_of_ours(server: Served, text: str) -> None:
    reply = server.post(token_form(text))

    assert reply.status_code == 401
    assert reply.json()["code"] in {"assertion_malformed", "assertion_algorithm"}


def test_deeply_nested_json_is_malformed(server: Served) -> None:
    deep = encode_segment(b"[" * 5000)

    assert code_of(server.post(token_form(f"{deep}.{deep}.AA"))) == (401, "assertion_malformed")


def test_a_member_named_twice_is_malformed(server: Served) -> None:
    header = encode_segment(b'{"alg":"none","alg":"ES256"}')

    assert code_of(server.post(token_form(f"{header}.e30.AA"))) == (401, "assertion_malformed")


def test_an_assertion_is_good_once(server: Served) -> None:
    form = server.machine.form(server.clock())

    assert server.post(form).status_code == 200
    assert code_of(server.post(form)) == (401, "assertion_replayed")


def test_twenty_parallel_uses_of_one_assertion_give_one_token(server: Served) -> None:
    form = server.machine.form(server.clock())

    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: server.post(form), range(20)))

    assert sorted(reply.status_code for reply in replies) == [200] + [401] * 19


def test_the_same_jti_of_two_clients_is_two_assertions(server: Served) -> None:
    now = server.clock()
    rsa = Machine("rsa-app", RSA, server.identity.issuer)
    other = sign({"alg": "PS256", "kid": "r1"}, rsa.claims(now, jti="shared"), RSA)

    assert server.post(server.machine.form(now, jti="shared")).status_code == 200
    assert server.post(token_form(other)).status_code == 200


def refusals_by(server: Served, machine: Machine) -> list[tuple[int, str, dict[str, str]]]:
    """Status, body and headers of refusals whose cause lies with the client, not with the text."""
    now = server.clock()
    stranger = new_key(str(machine.key.kid))
    wrong_kid = sign({"alg": "ES256", "kid": "nobody"}, machine.claims(now), machine.key)
    forms = [
        token_form(sign({"alg": "ES256", "kid": stranger.kid}, machine.claims(now), stranger)),
        token_form(wrong_kid),
        token_form(sign({"alg": "PS256"}, machine.claims(now), RSA)),
    ]
    replies = [server.post(form) for form in forms]
    volatile = {"date", "server", "sluice-request-id", "x-fapi-interaction-id", "traceresponse"}
    return [
        (
            reply.status_code,
            reply.text,
            {name: text for name, text in reply.headers.items() if name not in volatile},
        )
        for reply in replies
    ]


def test_no_answer_tells_whether_a_client_exists(server: Served) -> None:
    unknown = Machine("no-such-app", server.machine.key, server.identity.issuer)

    known_refusals = refusals_by(server, server.machine)

    assert known_refusals == refusals_by(server, unknown)
    assert {status for status, _, _ in known_refusals} == {401}
    assert len({body for _, body, _ in known_refusals}) == 1


def test_a_suspended_tenants_good_assertion_is_answered_like_an_unknown_client(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "home") as own:
        suspend(own.identity, "T-INS")
        own.identity.directory.refresh()
        form = own.machine.form(own.clock())
        reply, again = own.post(form), own.post(form)
        unknown = Machine("no-such-app", new_key(), own.identity.issuer)
        as_unknown = own.post(unknown.form(own.clock()))
    assert {each.status_code for each in (reply, again, as_unknown)} == {401}
    assert reply.text == again.text == as_unknown.text


def test_who_fails_too_often_waits_and_others_do_not(tmp_path: Path) -> None:
    with served(tmp_path / "home") as own:
        own.office.parts.limiter.per_client = 3
        stranger = Machine("ins-app-2", new_key(), own.identity.issuer)
        failures = [own.post(stranger.form(own.clock())) for _ in range(4)]

        assert [reply.status_code for reply in failures] == [401, 401, 401, 429]
        assert int(failures[-1].headers["retry-after"]) >= 1
        assert own.post(own.machine.form(own.clock())).status_code == 200
