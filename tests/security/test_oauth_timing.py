"""Nobody learns by the clock whether a client exists: two kinds of refusal, one distribution.

Requests of both kinds are interleaved in random order and timed by the CPU time of their own
thread, so other work on the machine hardly shows. The statistic is the probability that one kind
takes longer than the other: one half when nothing can be told.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from gateway.authserver import clients
from gateway.authserver.office import Office
from gateway.db.engine import writing
from gateway.identity.binding import ClientCert, Presented
from gateway.identity.changes import register_client
from gateway.identity.desk import Identity, utc_now
from gateway.identity.entries import ClientTerms
from gateway.identity.jose import encode_json, encode_segment, signature_is_valid
from gateway.identity.jwks import RSA_BITS
from sluice_client.proof import token_form
from tests.factories_identity import (
    Machine,
    act,
    add_client,
    first_machine,
    new_key,
    office_of,
    open_at,
    public,
)

ROUNDS = 1500
TELLING = 0.06
"""Four standard errors of the statistic with this many rounds."""
NAMES = ("rsa-app", "rsx-app")
RSA_KEY = RSAKey.generate_key(4096, {"kid": "large"})
CERT = ClientCert("t" * 43, "CN=wrong,O=Invented", ("wrong.insurer.example",), True)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Identity, Office]]:
    identity, settings = open_at(tmp_path_factory.mktemp("home"))
    first_machine(identity)
    terms = {"auth_method": "tls_client_auth", "tls_san_dns": "claims.insurer.example"}
    with writing(identity.engine) as session:
        register_client(
            session,
            act(),
            client_id="cert-app",
            tenant_id="T-INS",
            name="测试程序",
            terms=ClientTerms.model_validate(terms),
        )
    add_client(identity, NAMES[0], "T-INS", {**public(RSA_KEY), "kid": RSA_KEY.kid})
    identity.directory.refresh()
    office = office_of(identity, settings)
    office.parts.limiter.per_address = office.parts.limiter.per_client = 10**9
    yield identity, office
    identity.close()


def rsa_form(identity: Identity, name: str, bits: int) -> dict[str, str]:
    """A form with a signature as long as a key of that size makes it, and no key's."""
    claims = Machine(name, new_key(), identity.issuer).claims(utc_now())
    signed = f"{encode_json({'alg': 'PS256', 'kid': RSA_KEY.kid})}.{encode_json(claims)}"
    signature = encode_segment(b"\x01" * (bits // 8))
    return token_form(f"{signed}.{signature}")


def longer(one: list[int], other: list[int]) -> float:
    """How often a time of `one` is longer than one of `other`; ties count half."""
    ranked = sorted(other)
    above = sum(bisect_left(ranked, each) + bisect_right(ranked, each) for each in one)
    return above / (2 * len(one) * len(other))


def spent(work: Callable[[], object]) -> int:
    began = time.thread_time_ns()
    work()
    return time.thread_time_ns() - began


def compare(at: tuple[Identity, Office], forms: dict[str, Callable[[], dict[str, str]]]) -> float:
    identity, office = at
    shown = Presented("POST", f"{identity.issuer}/oauth/token", cert=CERT, ip="127.0.0.1")
    order = [kind for kind in forms for _ in range(ROUNDS)]
    random.Random(7).shuffle(order)  # noqa: S311 - an order, no secret
    times: dict[str, list[int]] = {kind: [] for kind in forms}
    for kind in order:
        form, now = forms[kind](), datetime.now(UTC)
        times[kind].append(spent(lambda form=form, now=now: office.token(form, shown, now)))
    first, second = times.values()
    return longer(first, second)


@pytest.mark.slow
def test_an_unknown_client_and_a_wrong_key_cannot_be_told_apart(
    at: tuple[Identity, Office],
) -> None:
    stranger = new_key()
    known = Machine("ins-app", stranger, at[0].issuer)
    unknown = Machine("inx-app", stranger, at[0].issuer)
    told = compare(
        at,
        {
            "known": lambda: known.form(datetime.now(UTC)),
            "unknown": lambda: unknown.form(datetime.now(UTC)),
        },
    )

    assert abs(told - 0.5) < TELLING


@pytest.mark.slow
@pytest.mark.parametrize("bits", RSA_BITS)
def test_the_size_of_a_registered_rsa_key_cannot_be_told(
    at: tuple[Identity, Office], bits: int
) -> None:
    """Whatever length of signature is tried, a client with a 4096-bit key looks like none."""
    told = compare(at, {name: lambda name=name: rsa_form(at[0], name, bits) for name in NAMES})

    assert abs(told - 0.5) < TELLING


@pytest.mark.parametrize("bits", RSA_BITS)
def test_what_is_checked_depends_on_what_was_sent_alone(
    at: tuple[Identity, Office], bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, office = at
    sizes: list[int] = []

    def note(algorithm: str, key: Any, signed: bytes, signature: bytes) -> bool:
        sizes.append(key.key_size)
        return signature_is_valid(algorithm, key, signed, signature)

    monkeypatch.setattr(clients, "signature_is_valid", note)
    shown, now = Presented("POST", f"{identity.issuer}/oauth/token", ip="127.0.0.1"), utc_now()
    for name in (*NAMES, "ins-app"):
        answered = office.token(rsa_form(identity, name, bits), shown, now)
        assert (answered.reply.status, answered.reply.body["code"]) == (401, "client_refused")

    assert sizes == [bits] * 3


def test_no_signature_by_a_decoy_lets_anybody_in(
    at: tuple[Identity, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, office = at
    monkeypatch.setattr(clients, "signature_is_valid", lambda *_sent: True)
    shown = Presented("POST", f"{identity.issuer}/oauth/token", ip="127.0.0.1")
    for name in NAMES:  # the known one has a key of 4096 bits: this is none of its signatures
        answered = office.token(rsa_form(identity, name, 2048), shown, utc_now())
        assert answered.reply.status == 401


@pytest.mark.slow
def test_an_unknown_client_and_a_wrong_certificate_cannot_be_told_apart(
    at: tuple[Identity, Office],
) -> None:
    told = compare(
        at,
        {
            "known": lambda: {"grant_type": "client_credentials", "client_id": "cert-app"},
            "unknown": lambda: {"grant_type": "client_credentials", "client_id": "cerx-app"},
        },
    )

    assert abs(told - 0.5) < TELLING


@pytest.mark.slow
def test_the_statistic_tells_what_differs() -> None:
    noise = random.Random(1)  # noqa: S311 - noise, no secret
    short = [int(noise.gauss(100, 5)) for _ in range(ROUNDS)]
    long = [int(noise.gauss(102, 5)) for _ in range(ROUNDS)]

    assert longer(long, short) - 0.5 > TELLING
