"""Clients that prove themselves, or bind their tokens, by certificate (RFC 8705), in process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.authserver.model import Reply
from gateway.authserver.office import Office
from gateway.db.engine import writing
from gateway.identity.binding import ClientCert, Presented
from gateway.identity.changes import register_client
from gateway.identity.desk import Identity
from gateway.identity.entries import ClientTerms
from gateway.identity.jose import parse_compact
from tests.factories_identity import (
    Machine,
    act,
    first_machine,
    new_key,
    office_of,
    open_at,
    public,
)

CERT = ClientCert("t" * 43, "CN=claims,O=Invented Insurer", ("claims.insurer.example",), True)
MACHINE = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Identity, Office]]:
    identity, settings = open_at(tmp_path_factory.mktemp("home"))
    first_machine(identity)
    certificates = {
        "by-dn": {"tls_subject_dn": CERT.subject_dn},
        "by-dns": {"tls_san_dns": "claims.insurer.example"},
    }
    for name, terms in certificates.items():
        add(identity, name, auth_method="tls_client_auth", binding="mtls", **terms)
    yield identity, office_of(identity, settings)
    identity.close()


def add(identity: Identity, client_id: str, **terms: object) -> Machine:
    key = new_key()
    with writing(identity.engine) as session:
        register_client(
            session,
            act(),
            client_id=client_id,
            tenant_id="T-INS",
            name="测试程序",
            jwks=None if "auth_method" in terms else public(key),
            terms=ClientTerms.model_validate(terms),
        )
    identity.directory.refresh()
    return Machine(client_id, key, identity.issuer)


def ask(at: tuple[Identity, Office], form: dict[str, str], cert: ClientCert | None = CERT) -> Reply:
    identity, office = at
    shown = Presented("POST", f"{identity.issuer}/oauth/token", cert=cert, ip="127.0.0.1")
    return office.token({**MACHINE, **form}, shown, datetime.now(UTC)).reply


@pytest.mark.parametrize("client_id", ["by-dn", "by-dns"])
def test_the_registered_name_in_a_verified_certificate_is_proof(
    at: tuple[Identity, Office], client_id: str
) -> None:
    reply = ask(at, {"client_id": client_id})

    assert reply.status == 200
    assert reply.body["token_type"] == "Bearer"
    claims = parse_compact(str(reply.body["access_token"])).claims
    assert claims["cnf"] == {"x5t#S256": CERT.thumbprint}


@pytest.mark.parametrize(
    ("client_id", "cert"),
    [
        ("by-dn", replace(CERT, verified=False)),
        ("by-dn", replace(CERT, subject_dn="CN=claims,O=Another")),
        ("by-dn", replace(CERT, subject_dn="")),
        ("by-dns", replace(CERT, san_dns=())),
        ("by-dns", replace(CERT, san_dns=("evil.claims.insurer.example",))),
        ("by-dns", replace(CERT, san_dns=("*.insurer.example",))),
        ("by-dns", replace(CERT, subject_dn="CN=claims.insurer.example", san_dns=())),
        ("ins-app", CERT),
        ("no-such-client", CERT),
        ("no-such-client", replace(CERT, subject_dn="no-such-client", san_dns=("",))),
    ],
)
def test_any_other_certificate_or_client_gets_one_and_the_same_refusal(
    at: tuple[Identity, Office], client_id: str, cert: ClientCert
) -> None:
    reply = ask(at, {"client_id": client_id}, cert)

    assert (reply.status, reply.body["code"]) == (401, "client_refused")


def test_without_a_certificate_the_name_alone_is_nothing(at: tuple[Identity, Office]) -> None:
    assert ask(at, {"client_id": "by-dn"}, None).body["code"] == "assertion_missing"


def test_a_client_registered_for_certificates_cannot_use_an_assertion(
    at: tuple[Identity, Office],
) -> None:
    machine = Machine("by-dn", new_key(), at[0].issuer)
    reply = ask(at, machine.form(datetime.now(UTC)))

    assert (reply.status, reply.body["code"]) == (401, "client_refused")


def test_an_assertion_client_may_bind_its_tokens_to_its_certificate(
    at: tuple[Identity, Office],
) -> None:
    machine = add(at[0], "both-app", binding="mtls")
    bound = ask(at, machine.form(datetime.now(UTC)))
    without = ask(at, machine.form(datetime.now(UTC)), None)
    unverified = ask(at, machine.form(datetime.now(UTC)), replace(CERT, verified=False))

    assert bound.status == 200
    assert (without.status, without.body["code"]) == (400, "certificate_missing")
    assert unverified.body["code"] == "certificate_missing"
