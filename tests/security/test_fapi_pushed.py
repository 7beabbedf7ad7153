"""FAPI 2.0 Security Profile, the way in: pushed requests, PKCE, redirect addresses, the visit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.authserver.errors import InteractionGone
from gateway.authserver.interaction import Approved, cookie_name
from gateway.db.engine import writing
from gateway.identity.entries import ClientTerms
from sluice_client.proof import ProvenBy
from tests.factories_identity import new_key
from tests.oauth_factory import REDIRECT, SUBJECT, RelyingParty, query_of, register, relying


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


def browse(party: RelyingParty, **parameters: Any) -> httpx.Response:
    return party.server.http.get("/oauth/authorize", params=parameters)


def refused(party: RelyingParty, **changed: str | None) -> str:
    reply = party.push(**changed).reply
    assert reply.status_code == 400, reply.text
    assert "request_uri" not in reply.json()
    return str(reply.json()["error"])


def test_clause_10_a_request_is_pushed_by_an_authenticated_client(party: RelyingParty) -> None:
    reply = party.push().reply

    assert reply.status_code == 201
    assert reply.headers["cache-control"] == "no-store"


def test_clause_10_a_request_that_was_not_pushed_is_sent_nowhere(party: RelyingParty) -> None:
    reply = browse(party, **party.parameters("v" * 43))

    assert reply.status_code == 400
    assert "location" not in reply.headers
    assert REDIRECT not in reply.text


@pytest.mark.parametrize("response_type", ["token", "id_token", "code id_token", "none", None])
def test_clause_10_codes_are_the_only_answer(
    party: RelyingParty, response_type: str | None
) -> None:
    assert refused(party, response_type=response_type) == "unsupported_response_type"


def test_clause_10_the_pushed_request_names_the_redirect_address(party: RelyingParty) -> None:
    assert refused(party, redirect_uri=None) == "invalid_request"


@pytest.mark.parametrize("client_id", ["somebody-else", "ins-app"])
def test_clause_10_nobody_pushes_for_another_client(party: RelyingParty, client_id: str) -> None:
    reply = party.push(client_id=client_id).reply

    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_clause_10_a_pushed_request_names_no_request_uri(party: RelyingParty) -> None:
    assert refused(party, request_uri="urn:ietf:params:oauth:request_uri:x") == "invalid_request"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": ""},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 44},
        {"code_challenge": "!" * 43},
    ],
)
def test_clause_11_pkce_is_s256_and_cannot_be_left_out(
    party: RelyingParty, changed: dict[str, str | None]
) -> None:
    assert refused(party, **changed) == "invalid_request"


def test_clause_12_the_answer_names_the_issuer(party: RelyingParty) -> None:
    url = party.decide(party.visit(party.push().request_uri))

    assert url.startswith(f"{REDIRECT}?")
    assert query_of(url).keys() == {"code", "state", "iss"}
    assert query_of(url)["iss"] == party.server.identity.issuer


def test_clause_12_a_refusal_names_the_issuer_too_and_holds_no_code(party: RelyingParty) -> None:
    answered = query_of(party.decide(party.visit(party.push().request_uri), approve=False))

    assert answered["error"] == "access_denied"
    assert answered["iss"] == party.server.identity.issuer
    assert answered["state"] == "state-of-the-client"
    assert "code" not in answered


def test_clause_13_a_request_uri_lives_less_than_ten_minutes(party: RelyingParty) -> None:
    sent = party.push()
    life = sent.reply.json()["expires_in"]
    assert 60 <= life < 600

    party.server.clock.shift = timedelta(seconds=life + 1)
    try:
        reply = browse(party, client_id=party.machine.client_id, request_uri=sent.request_uri)
    finally:
        party.server.clock.shift = timedelta()
    assert (reply.status_code, reply.json()["code"]) == (400, "request_used")


def test_clause_13_looking_at_the_page_does_not_use_the_request_up(party: RelyingParty) -> None:
    request_uri = party.push().request_uri
    first, again = party.visit(request_uri), party.visit(request_uri)

    party.decide(again)

    with pytest.raises(InteractionGone):
        party.decide(first)
    reply = browse(party, client_id=party.machine.client_id, request_uri=request_uri)
    assert (reply.status_code, reply.json()["code"]) == (400, "request_used")


def test_clause_13_a_denied_request_is_used_up_as_well(party: RelyingParty) -> None:
    visit = party.visit(party.push().request_uri)
    party.decide(visit, approve=False)

    with pytest.raises(InteractionGone):
        party.decide(visit)


def test_a_request_uri_of_another_client_is_unknown(party: RelyingParty) -> None:
    other = register(party.server, "other-app")
    reply = browse(party, client_id="other-app", request_uri=party.push().request_uri)

    assert (reply.status_code, reply.json()["code"]) == (400, "request_unknown")
    assert other.push().reply.status_code == 201


@pytest.mark.parametrize(
    "uri",
    [
        f"{REDIRECT}/",
        f"{REDIRECT}/../evil",
        f"{REDIRECT}?next=https://evil.example",
        f"{REDIRECT}#fragment",
        REDIRECT.upper(),
        REDIRECT.replace("https", "http"),
        REDIRECT.replace("claims.", "claims.insurer.example@evil."),
        REDIRECT.replace("https://", "https://user:password@"),
        REDIRECT.replace("insurer.example", "insurer.example.evil.example"),
        REDIRECT.replace("insurer.example", "insurer.example:8443"),
        REDIRECT.replace("insurer", "insurеr"),  # a Cyrillic letter
        REDIRECT.replace("/callback", "/%63allback"),
        REDIRECT.replace("/callback", "\\callback"),
        f"{REDIRECT}%00",
        f"{REDIRECT}\n",
        f" {REDIRECT}",
        "https://evil.example/callback",
        "//claims.insurer.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "",
    ],
)
def test_clause_14_a_redirect_address_is_compared_letter_by_letter(
    party: RelyingParty, uri: str
) -> None:
    assert refused(party, redirect_uri=uri) == "invalid_request"


@pytest.mark.parametrize(
    "uri",
    [
        "http://claims.insurer.example/callback",
        "http://localhost.evil.example/",
        "http://127.0.0.2/",
        "https://user@insurer.example/",
        "https://insurer.example/a#b",
        "https://insurer.example/../b",
        "https://*.insurer.example/",
        "app://callback",
        "urn:ietf:wg:oauth:2.0:oob",
    ],
)
def test_clause_14_only_https_can_be_registered_but_for_the_loopback(uri: str) -> None:
    terms = {"grant_types": ("authorization_code",), "redirect_uris": (uri,)}
    with pytest.raises(ValueError, match="redirect_uris"):
        ClientTerms.model_validate(terms)
    for loopback in ("http://127.0.0.1:9/cb", "http://[::1]:9/cb"):
        ClientTerms.model_validate({**terms, "redirect_uris": (loopback,)})


def test_clause_14_browsers_are_sent_on_by_303_and_only_to_our_own_pages(
    party: RelyingParty,
) -> None:
    sent = {"client_id": party.machine.client_id, "request_uri": party.push().request_uri}
    extra = {"redirect_uri": "https://evil.example/", "next": "//evil.example"}
    reply = browse(party, **sent, **extra)

    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/person/interactions/")
    assert "evil" not in reply.headers["location"]


@pytest.mark.parametrize("name", ["client_id", "request_uri"])
def test_a_parameter_given_twice_in_the_address_is_refused(party: RelyingParty, name: str) -> None:
    sent: dict[str, Any] = {
        "client_id": party.machine.client_id,
        "request_uri": party.push().request_uri,
    }
    sent[name] = [sent[name], "another"]

    assert browse(party, **sent).status_code == 400


def test_clause_15_a_nonce_of_more_than_64_characters_is_refused(party: RelyingParty) -> None:
    assert refused(party, nonce="n" * 65) == "invalid_request"


def test_clause_08_a_code_may_be_bound_to_a_key_by_name_or_by_proof(party: RelyingParty) -> None:
    another = ProvenBy(new_key(), party.server.clock)
    thumbprint = party.key.thumbprint()
    wrong = party.post("/oauth/par", party.parameters("v" * 43, dpop_jkt=thumbprint), auth=another)

    assert party.push(dpop_jkt=thumbprint).reply.status_code == 201
    assert (wrong.status_code, wrong.json()["code"]) == (400, "dpop_jkt")
    assert refused(party, dpop_jkt="no thumbprint") == "invalid_request"


@pytest.mark.parametrize(
    "changed", [{"scope": "openid profile"}, {"scope": "everything"}, {"scope": None}]
)
def test_what_is_not_on_offer_cannot_be_asked_for(
    party: RelyingParty, changed: dict[str, str | None]
) -> None:
    assert refused(party, **changed) in ("invalid_scope", "invalid_request")


def test_a_client_without_the_code_grant_pushes_nothing(party: RelyingParty) -> None:
    machine = RelyingParty(party.server, party.server.machine)

    assert refused(machine) == "unauthorized_client"


def test_the_visit_belongs_to_the_browser_that_began_it(party: RelyingParty) -> None:
    visit, browser = party.visit(party.push().request_uri)
    other, other_browser = party.visit(party.push().request_uri)
    desk, now = party.server.office.interactions, party.server.clock()

    assert desk.read(visit, browser, now).redirect_uri == REDIRECT
    for wrong in ((visit, other_browser), (other, browser), (visit, ""), ("guess", browser)):
        with pytest.raises(InteractionGone):
            desk.read(*wrong, now)
        with writing(party.server.identity.engine) as session, pytest.raises(InteractionGone):
            desk.finish(session, *wrong, Approved(SUBJECT, now), now)


def test_a_visit_ends_after_a_quarter_of_an_hour(party: RelyingParty) -> None:
    visit = party.visit(party.push().request_uri)
    party.server.clock.shift = timedelta(minutes=15, seconds=1)
    try:
        with pytest.raises(InteractionGone):
            party.decide(visit)
    finally:
        party.server.clock.shift = timedelta()


def test_the_cookie_of_a_visit_is_out_of_reach_of_scripts_and_other_hosts(
    party: RelyingParty,
) -> None:
    sent = {"client_id": party.machine.client_id, "request_uri": party.push().request_uri}
    cookie = browse(party, **sent).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert cookie_name("https://gateway.example", "x") == "__Host-sluice-ia-x"
