"""Signed requests and answers (RFC 9421, RFC 9530): what was changed, left out, late or sent twice
is refused, and only an organisation that registered for it has to sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from joserfc.jwk import ECKey

from gateway.db.engine import writing
from gateway.errors import Unauthenticated
from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.identity.desk import Identity
from gateway.identity.entries import TenantUpdate
from gateway.identity.organisations import update_tenant
from gateway.identity.signatures import SIGNATURE_CODES
from gateway.identity.tokens import issue_token
from tests.factories_identity import NOON, act, first_machine, new_key, open_at, proven
from tests.gateway_factory import COST, Gateway
from tests.message_signer import COVERED, answer_is_signed, digest, signature

KEY = new_key()
BODY = b'{"x": 1}'
URL = "/v1/services/S02/queries"
QUERY = "?x=1"


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    """Of an organisation that has to sign."""
    opened, _ = open_at(tmp_path_factory.mktemp("signing") / "home")
    first_machine(opened, KEY)
    require(opened, signed=True)
    yield opened
    opened.close()


def require(identity: Identity, *, signed: bool) -> None:
    with writing(identity.engine) as session:
        update_tenant(session, act(), "T-INS", TenantUpdate(signed_requests=signed))
    identity.directory.refresh()


def request(
    identity: Identity, *, key: ECKey = KEY, body: bytes = BODY, **changed: Any
) -> Presented:
    """A good signed request; `changed` are parameters and what is covered."""
    cnf = {"jkt": KEY.thumbprint()}
    token = issue_token(
        identity.rule, identity.ring(), client_id="ins-app", tenant_id="T-INS", now=NOON, cnf=cnf
    )
    shown = proven(identity, KEY, NOON, token, method="POST", path=URL)
    fields = {"authorization": f"DPoP {token}", "dpop": shown.dpop[0]}
    if body:
        fields |= {"content-length": str(len(body)), "content-digest": digest(body)}
    nonce = identity.proofs.nonce(NOON)
    said = signature("POST", shown.url + QUERY, fields, key, served=nonce, now=NOON, **changed)
    return replace(shown, query=QUERY, fields=octets(fields | said))


def octets(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields.items()]


def text(shown: Presented) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in shown.fields}


def verify(identity: Identity, shown: Presented) -> Caller:
    return identity.verifier.verify(text(shown)["authorization"], shown, NOON)


def refused(identity: Identity, shown: Presented) -> str:
    with pytest.raises(Unauthenticated) as caught:
        verify(identity, shown)
    assert caught.value.code in SIGNATURE_CODES
    assert 'error="invalid_request"' in str(caught.value.extra["www_authenticate"])
    return caught.value.code


def without(shown: Presented, *names: str) -> Presented:
    return replace(shown, fields=octets({n: v for n, v in text(shown).items() if n not in names}))


def test_a_signed_request_is_heard_with_and_without_a_body(identity: Identity) -> None:
    assert verify(identity, request(identity)).tenant_id == "T-INS"
    assert verify(identity, request(identity, body=b"")).client_id == "ins-app"
    expiring = request(identity, expires=int(NOON.timestamp()) + 1)
    assert verify(identity, expiring).tenant_id == "T-INS"


def test_who_has_to_sign_and_does_not_is_refused(identity: Identity) -> None:
    bare = without(request(identity), "signature-input", "signature")
    assert refused(identity, bare) == "signature_missing"
    for_others = request(identity, tag="for-somebody-else")
    assert refused(identity, for_others) == "signature_missing"


def test_only_an_organisation_that_registered_for_it_has_to_sign(tmp_path: Path) -> None:
    opened, _ = open_at(tmp_path / "home")
    first_machine(opened, KEY)
    try:
        unsigned = without(request(opened), "signature-input", "signature")
        assert verify(opened, unsigned).tenant_id == "T-INS"
        wrong = request(opened, key=new_key(), keyid=KEY.kid)
        assert refused(opened, wrong) == "signature_invalid"  # what is signed has to be right
        require(opened, signed=True)
        unsigned = without(request(opened), "signature-input", "signature")
        assert refused(opened, unsigned) == "signature_missing"
        require(opened, signed=False)
        unsigned = without(request(opened), "signature-input", "signature")
        assert verify(opened, unsigned).tenant_id == "T-INS"
    finally:
        opened.close()


@pytest.mark.parametrize("name", COVERED)
def test_everything_that_matters_has_to_be_covered(identity: Identity, name: str) -> None:
    less = request(identity, cover=[one for one in COVERED if one != name])
    assert refused(identity, less) == "signature_components"


@pytest.mark.parametrize("name", ["content-digest", "signature", "signature-input"])
def test_a_part_that_was_changed_is_noticed(identity: Identity, name: str) -> None:
    shown = request(identity)
    fields = text(shown)
    other = text(request(identity, body=b"{}"))
    changed = replace(shown, fields=octets({**fields, name: other[name]}))
    assert refused(identity, changed) == "signature_invalid"


def test_another_query_or_chunked_body_is_noticed(identity: Identity) -> None:
    assert refused(identity, replace(request(identity), query="?x=2")) == "signature_invalid"
    assert refused(identity, replace(request(identity), query="")) == "signature_invalid"
    empty = request(identity, body=b"")
    fields = {**text(empty), "transfer-encoding": "chunked"}
    assert refused(identity, replace(empty, fields=octets(fields))) == "signature_components"


@pytest.mark.parametrize("seconds", [-61, 61])
def test_an_old_or_early_signature_is_refused(identity: Identity, seconds: int) -> None:
    at = int((NOON + timedelta(seconds=seconds)).timestamp())
    assert refused(identity, request(identity, created=at)) == "signature_time"
    over = request(identity, expires=int(NOON.timestamp()) - 1)
    assert refused(identity, over) == "signature_time"


def test_a_signature_is_good_once_and_with_our_nonce_alone(identity: Identity) -> None:
    shown = request(identity)
    verify(identity, shown)
    fields = text(shown)
    fresh = proven(identity, KEY, NOON, fields["authorization"][5:], method="POST", path=URL)
    repeated = replace(shown, dpop=fresh.dpop)  # the ring of proofs let it pass: ours does not
    assert refused(identity, repeated) == "signature_replayed"
    for nonce in ("", "of-another-process.1", "x" * 200):
        assert refused(identity, request(identity, nonce=nonce)) == "signature_nonce"


@pytest.mark.parametrize(
    "changed",
    [
        {"created": None},
        {"keyid": None},
        {"nonce": None},
        {"created": "1"},
        {"expires": "1"},
        {"extra": "1"},
    ],
)
def test_parameters_are_what_they_have_to_be(identity: Identity, changed: dict[str, Any]) -> None:
    assert refused(identity, request(identity, **changed)) == "signature_malformed"


def test_a_key_of_nobody_and_another_algorithm_are_refused(identity: Identity) -> None:
    assert refused(identity, request(identity, key=new_key())) == "signature_key"
    wrong = request(identity, key=new_key(), keyid=KEY.kid)
    assert refused(identity, wrong) == "signature_invalid"
    assert refused(identity, request(identity, alg="hmac-sha256")) == "signature_invalid"


@pytest.mark.parametrize(
    "described", ["", "x", 'sig="fapi-2-request"', "sig=(;tag=fapi-2-request", "é fapi-2-request"]
)
def test_what_is_no_signature_is_refused_as_such(identity: Identity, described: str) -> None:
    shown = request(identity)
    fields = octets({**text(shown), "signature-input": described})
    code = refused(identity, replace(shown, fields=fields))
    assert code in {"signature_malformed", "signature_missing"}


def test_a_description_longer_than_any_is_not_even_read(identity: Identity) -> None:
    shown = request(identity)
    long = {**text(shown), "signature-input": text(shown)["signature-input"] + " " * 9000}
    assert refused(identity, replace(shown, fields=octets(long))) == "signature_malformed"


class _Signing(httpx.Auth):
    """The client's own proof, and a signature of the whole."""

    def __init__(self, gateway: Gateway, **changed: Any) -> None:
        self.gateway, self.changed = gateway, changed

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # httpx's is a generator of both
        gateway = self.gateway
        flow = gateway.auth().auth_flow(request)
        request = next(flow)
        request.headers["content-digest"] = digest(request.content)
        fields = {name: request.headers[name] for name in COVERED[2:]}
        nonce = gateway.app.state.identity.proofs.nonce(gateway.clock())
        key = gateway.machines["ins-app"].key
        said = signature(
            request.method,
            str(request.url),
            fields,
            key,
            served=nonce,
            now=gateway.clock(),
            **self.changed,
        )
        request.headers.update(said)
        yield request


def test_over_http_a_signed_question_gets_a_signed_answer(gateway: Gateway) -> None:
    gateway.ask()  # so that the client knows a nonce
    body = orjson.dumps(COST)
    sent = {"content-type": "application/json", "accept-signature": "sluice=();tag=x"}
    reply = gateway.http.post(URL, content=body, headers=sent, auth=_Signing(gateway))
    assert reply.status_code == 200, reply.text
    jwks = gateway.http.get("/oauth/jwks").json()
    assert answer_is_signed(reply, jwks, digest(body))
    assert reply.headers["content-digest"] == digest(reply.content)
    reply._content = reply.content.replace(b"1", b"2")  # an answer that was changed on its way
    with pytest.raises(InvalidSignature):
        answer_is_signed(reply, jwks, digest(body))


def test_over_http_refusals_are_signed_too_for_who_asks_for_it(gateway: Gateway) -> None:
    sent = {"accept-signature": "sluice=();tag=x"}
    reply = gateway.ask(body={"no": "question"}, headers=sent)
    assert reply.status_code == 400
    assert answer_is_signed(reply, gateway.http.get("/oauth/jwks").json(), "")
    stranger = gateway.http.get("/v1/services", headers=sent)
    assert stranger.status_code == 401
    assert answer_is_signed(stranger, gateway.http.get("/oauth/jwks").json(), "")
    assert "signature" not in gateway.http.get("/v1/services").headers


def test_over_http_another_body_than_the_digests_is_refused(gateway: Gateway) -> None:
    body = orjson.dumps(COST)
    for stated in (digest(body + b" "), "sha-256=x", "md5=:AAAA:"):
        reply = gateway.ask(body=COST, headers={"content-digest": stated})
        assert (reply.status_code, reply.json()["code"]) == (400, "content_digest")
