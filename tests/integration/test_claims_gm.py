"""Answers to a tenant of the GM profile: SM2 with SM3, checked by a second implementation."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash

from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.changes import register_tenant
from gateway.identity.entries import TenantEntry, TenantUpdate
from gateway.identity.jose import parse_compact
from gateway.identity.keyring import load_gm_ring, rotate
from gateway.identity.organisations import update_tenant
from gateway.identity.sm2 import Sm2Unavailable
from tests.claim_world import PEOPLE, ClaimWorld, claim_world
from tests.factories_identity import act
from tests.second import sm2 as second


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaimWorld]:
    with claim_world(released_home, tmp_path_factory.mktemp("gm")) as found:
        adopt(found, "gm")
        yield found


def adopt(world: ClaimWorld, profile: str) -> None:
    """The data office gives T-CLM this profile."""
    identity = world.gateway.app.state.identity
    with writing(identity.engine) as session:
        entry = TenantUpdate.model_validate({"crypto": profile})
        update_tenant(session, act(at=world.gateway.clock()), "T-CLM", entry)
    identity.directory.refresh()


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def published(world: ClaimWorld) -> Mapping[str, tuple[int, int]]:
    keys = world.gateway.http.get("/oauth/jwks/gm").json()["keys"]
    assert {(k["kty"], k["crv"], k["alg"]) for k in keys} == {("EC", "SM2-P-256", "SGD_SM3_SM2")}
    assert all("d" not in key for key in keys)
    return {
        key["kid"]: (int.from_bytes(octets(key["x"])), int.from_bytes(octets(key["y"])))
        for key in keys
    }


def holds(world: ClaimWorld, proof: str) -> bool:
    parsed = parse_compact(proof)
    assert parsed.header["alg"] == "SGD_SM3_SM2"
    key = published(world)[parsed.header["kid"]]
    return second.holds(key, parsed.signature, parsed.signing_input)


def answer(world: ClaimWorld, service: str = "S19", **more: Any) -> Any:
    reply = world.verify(world.body(world.consent(), **more), service)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_s18_and_s19_are_signed_by_sm2_with_sm3(world: ClaimWorld) -> None:
    eligible = {"name": PEOPLE["adult"][1], "date": "2025-04-10", "window": None}
    for reply in (answer(world), answer(world, "S18", **eligible)):
        assert holds(world, reply["proof"])
        parsed = parse_compact(reply["proof"])
        assert parsed.claims["data"] == reply["data"]
        assert (parsed.claims["aud"], parsed.header["typ"]) == ("claims-app", "sluice-claim+jwt")


def test_a_changed_answer_is_not_the_bureaus(world: ClaimWorld) -> None:
    header, claims, signature = answer(world)["proof"].split(".")
    text = octets(claims).replace(b"8000.00", b"9000.00")
    assert text != octets(claims)
    forged = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    assert not holds(world, f"{header}.{forged}.{signature}")
    assert not holds(world, f"{header}.{claims}.{signature[:-8]}AAAAAAAA")


def test_the_invoice_is_hashed_by_sm3(world: ClaimWorld) -> None:
    (settled,) = answer(world)["data"]["settlements"]
    digest = Hash(SM3())
    digest.update(f"{settled['setl_ref']}.INVS-adult".encode())
    assert settled["invono_hash"] == digest.finalize().hex()


def test_the_fhir_answer_carries_the_same_kind_of_proof(world: ClaimWorld) -> None:
    asked = world.body(world.consent())
    reply = world.verify(asked, accept="application/fhir+json").json()
    assert holds(world, base64.b64decode(reply["signature"]["data"]).decode())


def test_others_get_what_they_got(world: ClaimWorld) -> None:
    consent = world.consent(client="rival-app")
    reply = world.verify(world.body(consent), client="rival-app").json()
    assert parse_compact(reply["proof"]).header["alg"] == "ES256"
    plain = world.gateway.http.get("/oauth/jwks").json()["keys"]
    assert {key["crv"] for key in plain} == {"P-256"}


def test_a_key_that_was_replaced_still_proves_what_it_signed(world: ClaimWorld) -> None:
    before = answer(world)["proof"]
    identity, keys = world.gateway.app.state.identity, world.gateway.settings.keys
    rotate(identity.engine, keys, act(at=world.gateway.clock()))
    identity.directory.refresh()
    after = answer(world)["proof"]
    assert parse_compact(before).header["kid"] != parse_compact(after).header["kid"]
    assert holds(world, before)
    assert holds(world, after)


def test_without_its_key_a_gm_tenant_is_told_nothing_and_keeps_its_use(world: ClaimWorld) -> None:
    identity, keys = world.gateway.app.state.identity, world.gateway.settings.keys
    ring = load_gm_ring(identity.engine, keys, world.gateway.clock())
    assert ring is not None
    consent = world.consent(uses_max=1)
    file, away = keys / f"{ring.kid}.json", keys / "away"
    file.rename(away)
    try:
        adopt(world, "gm")  # the directory is read anew
        refused = world.verify(world.body(consent))
        assert (refused.status_code, refused.json()["code"]) == (503, "gm_key_missing")
        other = world.consent(client="rival-app")
        assert world.verify(world.body(other), client="rival-app").status_code == 200
    finally:
        away.rename(file)
        adopt(world, "gm")
    assert holds(world, world.verify(world.body(consent)).json()["proof"])


def test_nobody_is_registered_for_what_no_library_computes(
    world: ClaimWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> None:
        raise Sm2Unavailable

    monkeypatch.setattr("gateway.identity.organisations.library", unavailable)
    with pytest.raises(OperatorError) as refused:
        adopt(world, "gm")
    assert refused.value.code == "gm.unavailable"
    entry = TenantEntry(id="T-NEW", type="insurer", name="新", crypto="gm")
    with (
        pytest.raises(Sm2Unavailable),
        writing(world.gateway.app.state.identity.engine) as session,
    ):
        register_tenant(session, act(at=world.gateway.clock()), entry)
