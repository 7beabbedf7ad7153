"""A client that knows only the issuer: discovery, a foreign OAuth library, rotation under way."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.authserver.model import Reply
from gateway.errors import OperatorError
from gateway.identity import keyring
from gateway.identity.assertion import read_assertion
from gateway.identity.caller import Caller
from gateway.identity.desk import open_identity, utc_now
from gateway.identity.jose import parse_compact
from gateway.identity.requester import fetch_token, generate_key, read_key
from gateway.settings import Settings
from sluice_client.proof import make_proof
from tests.factories_identity import (
    Machine,
    Served,
    act,
    add_client,
    new_key,
    office_of,
    open_at,
    project_bounds,
    proven,
    served,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_the_servers_metadata_is_valid_rfc_8414(server: Served) -> None:
    document = server.http.get("/.well-known/oauth-authorization-server").json()
    # The standard wants https; on the loopback the demonstration has none.
    AuthorizationServerMetadata(
        {
            name: value.replace("http://", "https://") if isinstance(value, str) else value
            for name, value in document.items()
        }
    ).validate()

    assert document["issuer"] == server.identity.issuer
    assert document["token_endpoint_auth_methods_supported"] == [
        "private_key_jwt",
        "tls_client_auth",
    ]
    assert not {"RS256", "none", "HS256"} & set(
        document["token_endpoint_auth_signing_alg_values_supported"]
    )


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_the_resources_metadata_is_valid_rfc_9728(server: Served, suffix: str) -> None:
    document = server.http.get(f"/.well-known/oauth-protected-resource{suffix}").json()

    issuer = server.identity.issuer
    assert document["resource"] == f"{issuer}/v1"
    assert document["authorization_servers"] == [issuer]


def test_published_keys_are_public(server: Served) -> None:
    keys = server.http.get("/oauth/jwks").json()["keys"]

    assert [(key["alg"], key["use"]) for key in keys] == [("ES256", "sig")] * 2
    assert not any("d" in key for key in keys)


def test_authlibs_own_client_gets_a_token(server: Served) -> None:
    sessions = pytest.importorskip("authlib.integrations.requests_client")
    found = server.http.get("/.well-known/oauth-authorization-server").json()
    machine = server.machine
    issued = int(datetime.now(UTC).timestamp())
    # This library's defaults are the token URL as audience and one hour of life; FAPI wants less.
    method = PrivateKeyJWT(
        found["token_endpoint"],
        claims={"aud": found["issuer"], "exp": issued + 60},
        headers={"kid": machine.key.kid},
        alg="ES256",
    )
    with sessions.OAuth2Session(
        machine.client_id, machine.key, token_endpoint_auth_method="private_key_jwt"
    ) as session:
        session.register_client_auth_method(method)
        # Nor does it know DPoP: its request is proved by hand.
        url, nonce = found["token_endpoint"], server.identity.proofs.nonce(utc_now())
        session.headers["DPoP"] = make_proof(machine.key, "POST", url, utc_now(), nonce=nonce)
        token = session.fetch_token(found["token_endpoint"], grant_type="client_credentials")

    assert use(server, token["access_token"]).client_id == "ins-app"


def use(server: Served, token: str) -> Caller:
    """The token as the resource server takes it, proved by the first machine's key."""
    now = utc_now()
    shown = proven(server.identity, server.machine.key, now, token)
    return server.identity.verifier.verify(f"DPoP {token}", shown, now)


def test_a_generated_key_file_is_private_and_fetches_a_token(
    server: Served, tmp_path: Path
) -> None:
    path = tmp_path / "app.jwk.json"
    add_client(server.identity, "gen-app", "T-INS", generate_key(path))
    server.identity.directory.refresh()

    answer = fetch_token(server.identity.issuer, "gen-app", read_key(path), utc_now())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert answer["token_type"] == "DPoP"
    with pytest.raises(OperatorError, match="not overwritten"):
        generate_key(path)
    with pytest.raises(OperatorError, match="authentication failed"):
        fetch_token(server.identity.issuer, "nobody", read_key(path), utc_now())


def test_keys_rotate_while_tokens_are_issued_and_used(tmp_path: Path) -> None:
    """Another process rotates; the serving one follows; every token verifies at every moment."""
    with served(tmp_path / "home") as own:
        published = KeySet.import_key_set(own.http.get("/oauth/jwks").json())

        def fetch_and_use(_: int) -> str:
            token = own.token()
            use(own, token)
            return token

        with ThreadPoolExecutor(4) as pool:
            before = list(pool.map(fetch_and_use, range(12)))
            keyring.rotate(own.identity.engine, own.settings.keys, act(at=utc_now()))
            during = list(pool.map(fetch_and_use, range(12)))
        own.identity.directory.refresh()
        after = fetch_and_use(0)

        for token in (*before, *during, after):  # by a client that fetched the key set long ago
            jwt.decode(token, published, algorithms=["ES256"])
        assert len({kid(before[0]), kid(after)}) == 2


def kid(token: str) -> str:
    return str(parse_compact(token).header["kid"])


def test_retired_keys_leave_when_no_token_of_theirs_can_live(tmp_path: Path) -> None:
    identity, settings = open_at(tmp_path / "home")
    first = identity.ring().kid
    now = utc_now()
    keyring.rotate(identity.engine, settings.keys, act(at=now))
    kept = keyring.load_ring(identity.engine, settings.keys, now + timedelta(seconds=900))
    gone = keyring.load_ring(identity.engine, settings.keys, now + keyring.KEEP_RETIRED)
    keyring.rotate(identity.engine, settings.keys, act(at=now + keyring.KEEP_RETIRED))
    files = sorted(path.name for path in settings.keys.iterdir())
    identity.close()

    assert first in kept.verifying
    assert first not in gone.verifying
    assert f"{first}.json" not in files
    assert len(files) == 3


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    identity, settings = open_at(tmp_path / "home")
    identity.close()

    assert stat.S_IMODE(settings.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in settings.keys.iterdir()} == {0o600}


def test_a_restart_keeps_keys_clients_and_used_assertions(tmp_path: Path) -> None:
    with served(tmp_path / "home") as first:
        form = first.machine.form(first.clock())
        assert first.post(form).status_code == 200
        kid_before = first.identity.ring().kid
    # The issuer has the same name only on the same port, so the second look is in process.
    identity, settings = open_at(tmp_path / "home", first.settings.port)
    office = office_of(identity, settings)

    def ask(form: Mapping[str, str]) -> Reply:
        now, path = utc_now(), "/oauth/token"
        shown = proven(identity, first.machine.key, now, method="POST", path=path)
        answered = office.token(form, shown, now)
        assert answered.assertion is not None
        used = identity.replay.first_use(answered.assertion, now)
        return office.settle(answered, shown, now, first=used).reply

    replay, fresh = ask(form), ask(first.machine.form(utc_now()))
    identity.close()

    assert identity.ring().kid == kid_before
    assert (replay.status, dict(replay.body)["code"]) == (401, "assertion_replayed")
    assert fresh.status == 200


def test_used_assertions_are_forgotten_after_they_expired(tmp_path: Path) -> None:
    identity, _ = open_at(tmp_path / "home")
    guard = identity.replay
    machine = Machine("ins-app", new_key(), identity.issuer)
    now = utc_now()
    old = read_assertion(machine.assertion(now), identity.issuer, now)
    later = now + timedelta(minutes=5)
    new = read_assertion(machine.assertion(later), identity.issuer, later)
    assert guard.first_use(old, now)
    assert guard.first_use(new, later)
    with identity.engine.connect() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM assertion_jti").scalar()
    identity.close()

    assert left == 1


def test_an_issuer_in_clear_text_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, issuer="http://gateway.example")

    with pytest.raises(OperatorError, match="must be https"):
        open_identity(settings, bounds=project_bounds())
