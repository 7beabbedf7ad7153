"""Answers encrypted for their receiver: opened by a second implementation, the proof inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.changes import register_client, update_client
from gateway.identity.entries import ClientTerms
from gateway.identity.fetched_keys import keep_fetched
from gateway.identity.jwks import accept_jwks
from gateway.identity.sealing import seal_for
from tests.claim_world import PEOPLE, ClaimWorld, claim_world
from tests.factories_identity import act, public
from tests.second.jwe import opened

CURVE, RSA = "ECDH-ES+A256KW", "RSA-OAEP-256"
FHIR = "application/fhir+json"


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaimWorld]:
    with claim_world(released_home, tmp_path_factory.mktemp("sealed")) as found:
        yield found


def jwk(key: Key, kid: str, use: str = "enc") -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, "use": use}


def register(world: ClaimWorld, algorithm: str | None, *keys: dict[str, Any]) -> None:
    """The data office writes down how answers to `claims-app` are encrypted, and its keys."""
    identity = world.gateway.app.state.identity
    own = public(world.gateway.machines["claims-app"].key)
    terms = ClientTerms.model_validate({"answer_encryption": algorithm})
    given = {"name": "claims-app", "jwks": {"keys": [own, *keys]}, "terms": terms}
    with writing(identity.engine) as session:
        update_client(session, act(at=world.gateway.clock()), "claims-app", **given)
    identity.directory.refresh()


def private(key: Key) -> Any:
    return key.private_key


def proven(world: ClaimWorld, proof: str) -> Any:
    """The claims of a proof that one of the published keys signed."""
    keys = KeySet.import_key_set(world.gateway.http.get("/oauth/jwks").json())
    token = jwt.decode(proof, keys, algorithms=["ES256"])
    assert token.header["typ"] == "sluice-claim+jwt"
    return token.claims


@pytest.mark.parametrize("algorithm", [CURVE, RSA])
def test_the_receiver_opens_the_answer_and_finds_the_proof_of_origin(
    world: ClaimWorld, algorithm: str
) -> None:
    key: Key = ECKey.generate_key("P-256") if algorithm == CURVE else RSAKey.generate_key(2048)
    register(world, algorithm, jwk(key, "seal-1"))
    consent = world.consent()
    reply = world.verify(world.body(consent))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/jose")
    header, content = opened(reply.text, private(key))
    assert (header["alg"], header["enc"]) == (algorithm, "A256GCM")
    assert (header["kid"], header["cty"]) == ("seal-1", "JWT")
    claims = proven(world, content.decode())
    assert (claims["aud"], claims["consent_id"]) == ("claims-app", consent)
    assert claims["data"]["settlements"][0]["medfee_sumamt"] == "8000.00"
    assert "8000.00" not in reply.text + str(reply.headers)


def test_every_form_of_every_service_is_sealed(world: ClaimWorld) -> None:
    key = ECKey.generate_key("P-256")
    register(world, CURVE, jwk(key, "seal-1"))
    eligible = {"name": PEOPLE["adult"][1], "date": "2025-04-10", "window": None}
    told = world.verify(world.body(world.consent(), **eligible), "S18")
    claims = proven(world, opened(told.text, private(key))[1].decode())
    assert (claims["service"], claims["data"]["match"]) == ("S18", True)
    reply = world.verify(world.body(world.consent()), accept=FHIR)
    header, content = opened(reply.text, private(key))
    bundle = json.loads(content)
    assert (header["cty"], bundle["resourceType"]) == ("fhir+json", "Bundle")
    assert proven(world, base64.b64decode(bundle["signature"]["data"]).decode())["data"]["found"]


def test_nobody_elses_key_and_no_changed_text_opens_it(world: ClaimWorld) -> None:
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    register(world, CURVE, jwk(key, "seal-1"))
    text = world.verify(world.body(world.consent())).text
    with pytest.raises(InvalidUnwrap):
        opened(text, private(other))
    protected, *rest, tag = text.split(".")
    flipped = f"{'B' if tag[0] == 'A' else 'A'}{tag[1:]}"
    with pytest.raises(InvalidTag):
        opened(".".join([protected, *rest, flipped]), private(key))


def test_a_repeat_is_sealed_anew_and_is_the_same_answer(world: ClaimWorld) -> None:
    key = ECKey.generate_key("P-256")
    register(world, CURVE, jwk(key, "seal-1"))
    asked = world.body(world.consent(uses_max=1))
    replies = [world.verify(asked, key="sealed-twice-1") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].text != replies[1].text
    proofs = [opened(reply.text, private(key))[1].decode() for reply in replies]
    assert len({json.dumps(proven(world, proof)["data"]) for proof in proofs}) == 1


def test_keys_turn_and_the_newest_is_used(world: ClaimWorld) -> None:
    old, new = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    register(world, CURVE, jwk(old, "old"))
    assert opened(world.verify(world.body(world.consent())).text, private(old))
    register(world, CURVE, jwk(new, "new"), jwk(old, "old"))
    header, _ = opened(world.verify(world.body(world.consent())).text, private(new))
    assert header["kid"] == "new"


def test_refusals_stay_in_the_clear_and_alike(world: ClaimWorld) -> None:
    register(world, CURVE, jwk(ECKey.generate_key("P-256"), "seal-1"))
    reply = world.verify(world.body("c-unknown"))
    assert reply.status_code == 403
    assert reply.headers["content-type"] == "application/problem+json"


def test_without_a_key_nothing_is_told_and_no_use_is_taken(world: ClaimWorld) -> None:
    """The key set at the client's own address has none for encryption any more."""
    key = ECKey.generate_key("P-256")
    register(world, CURVE, jwk(key, "seal-1"))
    consent, identity = world.consent(uses_max=1), world.gateway.app.state.identity
    signing, now = public(world.gateway.machines["claims-app"].key), act(at=world.gateway.clock())
    terms = ClientTerms(jwks_uri="https://app.example/keys", answer_encryption=CURVE)
    with writing(identity.engine) as session:
        client = update_client(session, now, "claims-app", name="a", jwks=None, terms=terms)
        assert keep_fetched(session, now, client, accept_jwks(signing))
    identity.directory.refresh()
    for body in (world.body(consent), world.body("c-unknown")):
        refused = world.verify(body)
        assert (refused.status_code, refused.json()["code"]) == (503, "encryption_key_missing")
    register(world, CURVE, jwk(key, "seal-1"))
    assert opened(world.verify(world.body(consent)).text, private(key))


def test_who_did_not_register_for_it_gets_what_it_got(world: ClaimWorld) -> None:
    register(world, None, jwk(ECKey.generate_key("P-256"), "seal-1"))
    reply = world.verify(world.body(world.consent()))
    assert set(reply.json()) == {"data", "meta", "proof"}


def test_a_registration_without_the_key_it_wants_is_refused(world: ClaimWorld) -> None:
    signing = public(world.gateway.machines["claims-app"].key)
    sealing = jwk(ECKey.generate_key("P-256"), "seal-1")
    for algorithm, keys in (
        (CURVE, [signing]),
        (RSA, [signing, sealing]),
        (CURVE, [sealing]),
        (CURVE, [signing, {**signing, "use": "enc", "kid": "twice", "alg": CURVE}]),
        (CURVE, [signing, {**sealing, "alg": "ECDH-ES"}]),
        (CURVE, [signing, {**sealing, "use": "both"}]),
    ):
        terms = ClientTerms.model_validate({"answer_encryption": algorithm})
        with writing(world.consents.engine) as session, pytest.raises(OperatorError) as refused:
            register_client(
                session,
                act(at=world.gateway.clock()),
                client_id="sealed-app",
                tenant_id="T-CLM",
                name="sealed-app",
                jwks={"keys": keys},
                terms=terms,
            )
        assert refused.value.code == "client.jwks_refused"


def test_a_key_for_encryption_signs_nothing(world: ClaimWorld) -> None:
    """The client's token is refused when its assertion is signed by the other key."""
    key = ECKey.generate_key("P-256")
    register(world, CURVE, jwk(key, "seal-1"))
    keys = world.gateway.app.state.identity.directory.snapshot.keys["claims-app"]
    assert "seal-1" not in {each.kid for each in keys}
    assert seal_for({"keys": [jwk(key, "s", use="sig")]}, CURVE) is None
