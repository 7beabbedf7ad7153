"""The resource server's check: every bad access token has its code, and no cache outlives a ban."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.db.engine import writing
from gateway.errors import Unauthenticated, Unavailable
from gateway.identity import directory as directory_module
from gateway.identity import keyring
from gateway.identity.caller import Caller
from gateway.identity.challenge import TOKEN_CODES
from gateway.identity.changes import disable_client
from gateway.identity.desk import Identity
from gateway.identity.jose import encode_json
from gateway.identity.organisations import set_tenant_status
from gateway.identity.tokens import TokenRule, issue_token
from gateway.identity.verifier import Verifier
from tests.factories_identity import (
    IP,
    NOON,
    Machine,
    act,
    first_machine,
    new_key,
    open_at,
    proven,
    suspend,
)

KEY = new_key()
ALGS = 'algs="ES256 PS256 EdDSA Ed25519"'


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    """For tests that change nothing."""
    yield from opened(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Identity]:
    """For tests that change the directory."""
    yield from opened(tmp_path)


def opened(folder: Path) -> Iterator[Identity]:
    identity, _ = open_at(folder / "home")
    first_machine(identity, KEY)
    yield identity
    identity.close()


def rule(identity: Identity, **changes: Any) -> TokenRule:
    base = {
        "issuer": identity.issuer,
        "audience": f"{identity.issuer}/v1",
        "env": "prod",
        "ttl_seconds": 300,
    }
    return TokenRule(**{**base, **changes})


def token(identity: Identity, now: datetime = NOON, **changes: Any) -> str:
    """A token really signed by the server's key, for another rule where a test says so."""
    return issue_token(
        rule(identity, **changes),
        identity.ring(),
        client_id="ins-app",
        tenant_id="T-INS",
        now=now,
        cnf={"jkt": KEY.thumbprint()},
    )


def signed(identity: Identity, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Any header and claims, signed by the server's own key."""
    key = ECKey.import_key(identity.ring().signing)
    return jws.serialize_compact(
        {"alg": "ES256", "typ": "at+jwt", "kid": identity.ring().kid, **header},
        json.dumps(claims).encode(),
        key,
        algorithms=["ES256"],
        registry=jws.JWSRegistry(strict_check_header=False, algorithms=["ES256"]),
    )


def claims(identity: Identity, **changes: Any) -> dict[str, Any]:
    issued = int(NOON.timestamp())
    base = {
        "iss": identity.issuer,
        "aud": f"{identity.issuer}/v1",
        "sub": "ins-app",
        "client_id": "ins-app",
        "tenant": "T-INS",
        "env": "prod",
        "jti": "j",
        "iat": issued,
        "exp": issued + 300,
        "cnf": {"jkt": KEY.thumbprint()},
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def use(
    identity: Identity, authorization: str | None, now: datetime = NOON, ip: str = IP
) -> Caller:
    """A request that is proved by the machine's key, whatever its Authorization says."""
    sent = (authorization or "").partition(" ")[2]
    shown = proven(identity, KEY, now, sent if sent.isascii() else None, ip=ip)
    return identity.verifier.verify(authorization, shown, now)


def refusal(identity: Identity, authorization: str | None, now: datetime = NOON) -> str:
    with pytest.raises(Unauthenticated) as caught:
        use(identity, authorization, now)
    assert caught.value.code in TOKEN_CODES
    assert str(caught.value.extra["www_authenticate"]).startswith("DPoP ")
    return caught.value.code


def test_a_good_token_names_its_caller(identity: Identity) -> None:
    caller = use(identity, f"DPoP {token(identity)}")

    assert caller == Caller("T-INS", "insurer", "ins-app", "prod", IP, caller.token_id)
    assert len(caller.token_id) >= 22  # 128 bits


def test_a_remembered_token_gives_the_same_caller_from_the_address_of_each_use(
    identity: Identity,
) -> None:
    header = f"DPoP {token(identity)}"

    first = use(identity, header)
    again = use(identity, header, ip="127.0.0.9")

    assert (first.token_id, first.ip, again.ip) == (again.token_id, IP, "127.0.0.9")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        ("DPoP", "token_malformed"),
        ("DPoP ", "token_malformed"),
        ("DPoP a b", "token_malformed"),
        ("DPoP 中文", "token_malformed"),
        ("DPoP x.y", "token_malformed"),
        ("DPoP " + "x" * 5000, "token_malformed"),
        ("Basic aW5zOnNlY3JldA==", "token_malformed"),
        ("DPoP abc", "token_malformed"),
        ("DPoP a.b.c, DPoP a.b.c", "token_malformed"),
    ],
)
def test_what_is_no_token_is_said_so(
    identity: Identity, authorization: str | None, code: str
) -> None:
    assert refusal(identity, authorization) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://elsewhere.example"}, "token_issuer"),
        ({"aud": "https://elsewhere.example"}, "token_audience"),
        ({"aud": ["ISSUER/v1"]}, "token_audience"),
        ({"aud": "ISSUER"}, "token_audience"),
        ({"env": "sandbox"}, "token_environment"),
        ({"sub": "another"}, "token_claims"),
        ({"client_id": None}, "token_claims"),
        ({"tenant": ""}, "token_claims"),
        ({"jti": None}, "token_claims"),
        ({"exp": None}, "token_claims"),
        ({"exp": "2099"}, "token_claims"),
        ({"iat": None}, "token_claims"),
        ({"exp": int(NOON.timestamp()) + 315_360_000}, "token_lifetime"),
        ({"exp": int(NOON.timestamp()) - 1}, "token_expired"),
        ({"iat": int(NOON.timestamp()) + 60}, "token_not_yet_valid"),
        ({"cnf": None}, "token_claims"),
        ({"cnf": {}}, "token_claims"),
        ({"cnf": {"jkt": 5}}, "token_claims"),
        ({"cnf": {"jkt": "a", "x5t#S256": "b"}}, "token_claims"),
        ({"cnf": {"kid": "a"}}, "token_claims"),
        ({"consent_id": "c"}, "token_claims"),
        ({"authorization_details": []}, "token_claims"),
        ({"gid": "g", "consent_id": ""}, "token_claims"),
        ({"gid": "g", "authorization_details": ["a"]}, "token_claims"),
        ({"client_id": "nobody", "sub": "nobody"}, "token_revoked"),
        ({"tenant": "T-OTHER"}, "token_revoked"),
    ],
)
def test_claims_that_do_not_fit_are_refused_though_the_signature_is_right(
    identity: Identity, changes: dict[str, Any], code: str
) -> None:
    placed = json.loads(json.dumps(changes).replace("ISSUER", identity.issuer))

    assert refusal(identity, f"DPoP {signed(identity, {}, claims(identity, **placed))}") == code


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": "JWT"}, "token_type"),
        ({"typ": None}, "token_type"),
        ({"kid": "../../etc/passwd"}, "token_key"),
        ({"kid": None}, "token_malformed"),
        ({"jku": "https://attacker.example/jwks"}, "token_malformed"),
    ],
)
def test_headers_that_do_not_fit_are_refused(
    identity: Identity, header: dict[str, Any], code: str
) -> None:
    good = signed(identity, {}, claims(identity))
    base = {"alg": "ES256", "typ": "at+jwt", "kid": identity.ring().kid}
    changed = {name: value for name, value in {**base, **header}.items() if value is not None}
    forged = f"{encode_json(changed)}.{good.partition('.')[2]}"

    assert refusal(identity, f"DPoP {forged}") == code


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "PS256", "ES384", "EdDSA", None])
def test_only_the_servers_own_algorithm_counts(identity: Identity, algorithm: str | None) -> None:
    header = encode_json({"alg": algorithm, "typ": "at+jwt", "kid": identity.ring().kid})
    forged = f"{header}.{token(identity).partition('.')[2]}"

    assert refusal(identity, f"DPoP {forged}") == "token_algorithm"


def test_a_foreign_key_under_a_known_kid_is_refused(identity: Identity) -> None:
    foreign = new_key(identity.ring().kid)
    forged = jws.serialize_compact(
        {"alg": "ES256", "typ": "at+jwt", "kid": foreign.kid},
        json.dumps(claims(identity)).encode(),
        foreign,
        algorithms=["ES256"],
    )

    assert refusal(identity, f"DPoP {forged}") == "token_signature"


def test_one_changed_octet_breaks_the_signature(identity: Identity) -> None:
    head, body, signature = token(identity).split(".")
    other = encode_json({**claims(identity), "tenant": "T-OTHER"})

    assert refusal(identity, f"DPoP {head}.{other}.{signature}") == "token_signature"
    assert refusal(identity, f"DPoP {head}.{body}.{'A' * len(signature)}") == "token_signature"
    assert refusal(identity, f"DPoP {head}.{body}.AAAA") == "token_signature"


def test_a_client_assertion_is_no_access_token(identity: Identity) -> None:
    machine = Machine("ins-app", new_key(), identity.issuer)

    assert refusal(identity, f"DPoP {machine.assertion(NOON)}") == "token_type"


def test_a_remembered_token_still_expires(identity: Identity) -> None:
    header = f"DPoP {token(identity)}"
    use(identity, header, NOON + timedelta(seconds=299))

    assert refusal(identity, header, NOON + timedelta(seconds=300)) == "token_expired"


def test_a_remembered_token_dies_with_its_tenants_suspension_and_lives_with_its_return(
    own: Identity,
) -> None:
    header = f"DPoP {token(own)}"
    use(own, header)

    suspend(own, "T-INS")
    own.directory.refresh()
    assert refusal(own, header) == "token_revoked"

    with writing(own.engine) as session:
        set_tenant_status(session, act(), "T-INS", "active")
    own.directory.refresh()
    assert use(own, header).tenant_id == "T-INS"


def test_a_remembered_token_dies_with_its_client(own: Identity) -> None:
    header = f"DPoP {token(own)}"
    use(own, header)

    with writing(own.engine) as session:
        disable_client(session, act(), "ins-app")
    own.directory.refresh()

    assert refusal(own, header) == "token_revoked"


def test_tokens_of_an_earlier_key_stay_good_after_a_rotation(own: Identity, tmp_path: Path) -> None:
    before = token(own)
    signing, published = own.ring().kid, own.ring().verifying

    kid = keyring.rotate(own.engine, tmp_path / "home" / "keys", act(at=own.clock()))
    own.directory.refresh()

    assert kid in published  # known to everybody before it signed anything
    assert (kid == signing, own.ring().kid == kid) == (False, True)
    use(own, f"DPoP {before}")
    use(own, f"DPoP {token(own)}")


def test_memory_is_bounded_and_forgetting_only_costs_a_second_check(
    own: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.identity.verifier._MOST_REMEMBERED", 3)
    headers = [f"DPoP {token(own)}" for _ in range(8)]

    for header in headers * 2:
        use(own, header)

    assert len(own.verifier._remembered) <= 3


def test_a_directory_that_cannot_be_read_any_more_refuses_everybody(
    own: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = f"DPoP {token(own)}"
    own.start()
    use(own, header)
    monkeypatch.setattr(directory_module, "STALE_AFTER", -1.0)

    with pytest.raises(Unavailable):
        use(own, header)


def test_where_to_get_a_token_is_in_the_challenge(identity: Identity) -> None:
    with pytest.raises(Unauthenticated) as missing:
        use(identity, None)
    with pytest.raises(Unauthenticated) as malformed:
        use(identity, "DPoP x")

    where = f'resource_metadata="{identity.issuer}/.well-known/oauth-protected-resource/v1"'
    assert missing.value.extra["www_authenticate"] == f"DPoP {ALGS}, {where}"
    assert malformed.value.extra["www_authenticate"] == (
        'DPoP error="invalid_token", error_description="The access token is not of the expected '
        f'form.", {ALGS}, {where}'
    )


def test_another_servers_verifier_does_not_accept_our_tokens(identity: Identity) -> None:
    elsewhere = Verifier(
        rule(identity, issuer="https://b.example", audience="https://b.example/v1"),
        identity.directory,
        revocations=identity.revocations,
        proofs=identity.proofs,
        ring=identity.ring,
        metadata_url="https://b.example/metadata",
    )

    with pytest.raises(Unauthenticated, match="another issuer"):
        elsewhere.verify(f"DPoP {token(identity)}", proven(identity, KEY, NOON), NOON)
