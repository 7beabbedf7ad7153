"""FAPI 2.0 checklist, what remains: no open redirectors, and headers that we do not believe.

Each test is named after its clause of the checklist in the research notes (§2).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from sluice_client.proof import ProvenBy
from tests.oauth_factory import RelyingParty, relying

ELSEWHERE = "https://elsewhere.example/catch"
NAMES = ("redirect_uri", "redirect", "next", "url", "return_to", "post_logout_redirect_uri", "to")
SIGNED = {
    "Signature-Input": 'sig1=("@method" "@target-uri");created=1;keyid="k";tag="fapi-2-request"',
    "Signature": "sig1=:AAAA:",
    "Content-Digest": "sha-256=:AAAA:",
}


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/token", "/oauth/par", "/oauth/jwks"])
@pytest.mark.parametrize("name", NAMES)
def test_clause_05_no_address_from_a_request_is_ever_gone_to(
    party: RelyingParty, path: str, name: str
) -> None:
    asked = {"client_id": party.machine.client_id, name: ELSEWHERE}
    reply = party.server.http.get(path, params=asked)

    assert not reply.is_redirect
    assert ELSEWHERE not in reply.text


def test_clause_05_a_pushed_request_leads_to_registered_addresses_only(
    party: RelyingParty,
) -> None:
    refused = party.push(redirect_uri=ELSEWHERE).reply
    assert refused.status_code == 400

    sent = party.push()
    asked = {
        "client_id": party.machine.client_id,
        "request_uri": sent.request_uri,
        "redirect_uri": ELSEWHERE,
    }
    reply = party.server.http.get("/oauth/authorize", params=asked)
    assert ELSEWHERE not in reply.headers.get("location", "")
    visit = party.visit(party.push().request_uri)
    assert party.decide(visit, approve=False).startswith(party.redirect_uri)


def test_clause_22_message_signatures_are_not_on_offer_and_prove_nothing(
    party: RelyingParty,
) -> None:
    """They left the profile for a draft of their own; whoever sends them is judged without."""
    told = party.server.http.get("/.well-known/oauth-authorization-server").json()
    assert not [name for name in told if "signature" in name]
    form = {"grant_type": "client_credentials", "client_id": party.machine.client_id}
    unproved = party.server.http.post("/oauth/token", data=form, headers=SIGNED)
    assert unproved.status_code in (400, 401)
    assert "access_token" not in unproved.text


@pytest.mark.parametrize("present", ["true", "false", "", "1", "x" * 200])
def test_clause_24_a_claim_that_the_user_is_present_changes_no_answer(
    party: RelyingParty, present: str
) -> None:
    """No rate class hangs on it, so it is neither believed nor required."""
    form = {"grant_type": "client_credentials"}
    auth = ProvenBy(party.machine.key, party.server.clock)
    headers = {"x-fapi-end-user-present": present, "x-fapi-interaction-id": secrets.token_hex(8)}
    reply = party.post("/oauth/token", form, auth=auth, headers=headers)

    assert reply.status_code == 200, reply.text
    assert "x-fapi-end-user-present" not in reply.headers
