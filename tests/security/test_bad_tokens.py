"""Bad tokens and bad assertions against `sluice serve` in a process of its own, by plain HTTP.

What each module checks alone (test_oauth_token_endpoint, test_identity_verifier, test_dpop_*) is
asked here of the whole program: 401, a reason, and no word on whether a client exists.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from gateway.identity.desk import Identity, open_identity
from gateway.identity.jose import encode_json
from gateway.settings import Settings
from sluice_client.proof import make_proof, token_form
from tests.factories_identity import Machine, new_key, sign
from tests.gateway_factory import copy_home, enter_parties, free_port, utc_now

PATH = "/v1/services"
FOREIGN = new_key("foreign")
RSA = RSAKey.generate_key(2048)
HIDDEN = (
    "date", "server", "sluice-request-id", "x-fapi-interaction-id", "dpop-nonce", "traceresponse",
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """The running program, its keys (this process opened the same home), and a client of it."""

    identity: Identity
    machine: Machine
    http: httpx.Client

    @property
    def issuer(self) -> str:
        return self.identity.issuer

    def claims(self, **changes: object) -> dict[str, Any]:
        """What a good access token of the client says, with changes; None leaves a claim out."""
        now = int(utc_now().timestamp())
        good = {
            "iss": self.issuer,
            "sub": self.machine.client_id,
            "aud": f"{self.issuer}/v1",
            "client_id": self.machine.client_id,
            "tenant": "T-INS",
            "env": "prod",
            "jti": f"T{time.monotonic_ns()}",
            "iat": now,
            "exp": now + 300,
            "cnf": {"jkt": self.machine.key.thumbprint()},
            **changes,
        }
        return {name: value for name, value in good.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, **changes: object) -> str:
        """A token signed by the program's own key."""
        ring = self.identity.ring()
        return signed(
            ECKey.import_key(ring.signing),
            {"kid": ring.kid, **(header or {})},
            self.claims(**changes),
        )

    def get(
        self, authorization: str | None, prover: Key | None = None, nonce: str | None = None
    ) -> httpx.Response:
        """A request with a proof of its own, made again with the nonce that is asked for."""
        token = (authorization or "").partition(" ")[2]
        key = prover or self.machine.key
        proof = make_proof(
            key, "GET", f"{self.issuer}{PATH}", utc_now(), nonce=nonce, access_token=token
        )
        headers = {"DPoP": proof} | ({"Authorization": authorization} if authorization else {})
        reply = self.http.get(PATH, headers=headers)
        if nonce is None and reply.status_code == 401 and reply.json()["code"] == "dpop_nonce":
            return self.get(authorization, prover, reply.headers["dpop-nonce"])
        return reply

    def ask_token(self, form: dict[str, str], nonce: str | None = None) -> httpx.Response:
        """A token request with a proof by the client's key."""
        url = f"{self.issuer}/oauth/token"
        proof = make_proof(self.machine.key, "POST", url, utc_now(), nonce=nonce)
        reply = self.http.post("/oauth/token", data=form, headers={"DPoP": proof})
        if nonce is None and reply.json().get("error") == "use_dpop_nonce":
            return self.ask_token(form, reply.headers["dpop-nonce"])
        return reply


def signed(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """An access token by a library that is not the program's."""
    return jws.serialize_compact(
        {"alg": "ES256", "typ": "at+jwt", **header},
        json.dumps(claims).encode(),
        key,
        algorithms=["ES256", "RS256", "HS256"],
        registry=jws.JWSRegistry(strict_check_header=False, algorithms=["ES256", "RS256", "HS256"]),
    )


def unsigned(claims: dict[str, Any], typ: str) -> str:
    """A JWT whose algorithm is `none`."""
    return f"{encode_json({'alg': 'none', 'typ': typ})}.{encode_json(claims)}."


@contextmanager
def serving(home: Path, port: int) -> Iterator[None]:
    """`sluice serve` on the home, until it answers; ended politely."""
    given = {"SLUICE_HOME": str(home), "SLUICE_PORT": str(port)}
    program = Path(sys.executable).with_name("sluice")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", "--no-access-log"], env={**os.environ, **given}, stderr=log
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (home / "log").read_text()
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="module")
def program(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home, port = copy_home(released_home, tmp_path_factory.mktemp("bad") / "home"), free_port()
    settings = Settings(home=home, port=port)
    machine = enter_parties(settings, utc_now, always=True)["ins-app"]
    identity = open_identity(settings)
    with serving(home, port), httpx.Client(base_url=settings.base_url, timeout=20) as http:
        yield Program(identity, machine, http)
    identity.close()


def said(reply: httpx.Response) -> tuple[int, str]:
    """Status and reason code of a refusal, which must be a problem document with a challenge."""
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"].startswith("DPoP ")
    return reply.status_code, str(reply.json()["code"])


def test_a_good_token_is_let_in(program: Program) -> None:
    assert program.get(f"DPoP {program.token()}").status_code == 200
    got = program.ask_token(program.machine.form(utc_now()))
    assert program.get(f"DPoP {got.json()['access_token']}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1, "iat": 0}, "token_expired"),
        ({"aud": "https://elsewhere.example/v1"}, "token_audience"),
        ({"iss": "https://elsewhere.example"}, "token_issuer"),
        ({"cnf": None}, "token_claims"),
        ({"cnf": {"jkt": FOREIGN.thumbprint()}}, "dpop_other_key"),
    ],
    ids=["expired", "wrong audience", "wrong issuer", "unbound", "bound to another"],
)
def test_a_bad_token_by_the_right_key_is_refused(
    program: Program, changes: dict[str, Any], code: str
) -> None:
    assert said(program.get(f"DPoP {program.token(**changes)}")) == (401, code)


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (lambda p: unsigned(p.claims(), "at+jwt"), "token_algorithm"),
        (lambda p: signed(RSA, {"alg": "RS256", "kid": "r"}, p.claims()), "token_algorithm"),
        (lambda p: signed(FOREIGN, {"kid": p.identity.ring().kid}, p.claims()), "token_signature"),
        (lambda p: signed(FOREIGN, {"kid": "foreign"}, p.claims()), "token_key"),
        (lambda p: p.machine.assertion(utc_now()), "token_type"),
        (lambda p: p.token({"typ": "JWT"}), "token_type"),
    ],
    ids=["none", "RS256", "foreign key", "unknown key", "an assertion", "another type"],
)
def test_a_forged_token_is_refused(
    program: Program, forged: Callable[[Program], str], code: str
) -> None:
    assert said(program.get(f"DPoP {forged(program)}")) == (401, code)


def test_a_token_of_another_key_a_bearer_and_a_replayed_proof_are_refused(program: Program) -> None:
    token = program.token()
    assert said(program.get(f"DPoP {token}", FOREIGN)) == (401, "dpop_other_key")
    assert said(program.get(f"Bearer {token}")) == (401, "token_binding")
    assert said(program.get(None)) == (401, "token_missing")

    nonce = program.get(f"DPoP {token}").headers["dpop-nonce"]
    url = f"{program.issuer}{PATH}"
    proof = make_proof(program.machine.key, "GET", url, utc_now(), nonce=nonce, access_token=token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    first, again = (program.http.get(PATH, headers=headers) for _ in range(2))
    assert first.status_code == 200
    assert said(again) == (401, "dpop_replayed")


def test_a_token_of_an_unknown_client_looks_like_one_of_an_ended_client(program: Program) -> None:
    unknown = program.get(f"DPoP {program.token(client_id='nobody', sub='nobody')}")
    stranger = program.get(f"DPoP {program.token(tenant='T-PHA')}")
    assert said(unknown) == said(stranger) == (401, "token_revoked")
    assert seen(unknown) == seen(stranger)


def bad_forms(program: Program, machine: Machine) -> dict[str, dict[str, str]]:
    """Assertions that are wrong in one way each, in the name of the machine."""
    now, kid = utc_now(), machine.key.kid
    past, claims = now - timedelta(hours=1), machine.claims(now)
    made = {
        "expired": machine.assertion(past),
        "wrong audience": machine.assertion(now, aud="https://elsewhere.example"),
        "none": unsigned(claims, "JWT"),
        "RS256": sign({"alg": "RS256", "kid": kid}, claims, RSA),
        "foreign key": sign({"alg": "ES256", "kid": kid}, claims, FOREIGN),
        "another's name": machine.assertion(now, sub="ins2-app"),
        "no jwt": "abc",
    }
    return {name: token_form(text) for name, text in made.items()}


CODES = {
    "expired": "assertion_expired",
    "wrong audience": "assertion_audience",
    "none": "assertion_algorithm",
    "RS256": "assertion_algorithm",
    "another's name": "assertion_subject",
    "no jwt": "assertion_malformed",
}


@pytest.mark.parametrize("fault", [*CODES, "foreign key"])
def test_a_bad_assertion_gets_401_and_the_same_words_whether_the_client_exists(
    program: Program, fault: str
) -> None:
    nobody = Machine("nobody-app", program.machine.key, program.issuer)

    known = program.ask_token(bad_forms(program, program.machine)[fault])
    unknown = program.ask_token(bad_forms(program, nobody)[fault])

    assert known.status_code == 401
    assert known.json()["error"] == "invalid_client"
    assert CODES.get(fault, "client_refused") in known.text
    assert seen(known) == seen(unknown)


def test_a_replayed_assertion_gets_no_second_token(program: Program) -> None:
    form = program.machine.form(utc_now())
    assert program.ask_token(form).status_code == 200
    again = program.ask_token(form)
    assert again.status_code == 401
    assert "assertion_replayed" in again.text


def seen(reply: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What a caller sees of a refusal, but for what differs from request to request."""
    body = {name: value for name, value in reply.json().items() if name != "request_id"}
    return (
        reply.status_code,
        body,
        {name: text for name, text in reply.headers.items() if name not in HIDDEN},
    )
