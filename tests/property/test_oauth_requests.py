"""Whatever a client pushes: it is kept as it may be, or refused in OAuth's words; nothing else."""

from __future__ import annotations

from typing import Any

from authlib.oauth2 import OAuth2Error
from hypothesis import given
from hypothesis import strategies as st

from gateway.authserver.clients import OAuthClient
from gateway.authserver.details import read_details
from gateway.authserver.pushed import check_pushed
from gateway.authserver.seal import Seal
from gateway.identity.model import Client, Tenant

REDIRECT = "https://claims.insurer.example/callback"
RESOURCE = "https://gateway.example/v1"
CLIENT = OAuthClient(
    Client(
        "claims-app",
        "T-INS",
        "测试程序",
        {"keys": []},
        (),
        "active",
        redirect_uris=(REDIRECT,),
        grant_types=("authorization_code",),
    ),
    Tenant("T-INS", "insurer", "测试机构", "", "active", "prod", "intl", "", (), (), ()),
)
GOOD = {
    "client_id": "claims-app",
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "scope": "openid",
    "state": "s",
    "nonce": "n",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
    "response_mode": "query",
    "dpop_jkt": "t" * 43,
    "resource": RESOURCE,
    "authorization_details": None,
    "prompt": "login",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
KEPT = GOOD.keys() - {"resource", "prompt", "authorization_details"}


def kept(given: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return check_pushed(given, CLIENT, RESOURCE)
    except OAuth2Error as refusal:
        return None if dict(refusal.get_body())["code"] else {}


def test_a_good_request_is_kept_as_it_is() -> None:
    assert kept(GOOD) == {name: GOOD[name] for name in KEPT}


@given(changes=st.dictionaries(st.sampled_from(sorted(GOOD)), JSON, min_size=1))
def test_what_is_kept_is_what_was_sent_and_never_weaker(changes: dict[str, Any]) -> None:
    given = {**GOOD, **changes}
    found = kept(given)
    if found is None:
        return
    assert found["redirect_uri"] == REDIRECT
    assert found["response_type"] == "code"
    assert found["code_challenge_method"] == "S256"
    assert found["client_id"] == "claims-app"
    assert all(found[name] == given[name] for name in found if name != "authorization_details")
    assert all(isinstance(found[name], str) for name in found if name != "authorization_details")


@given(content=JSON | st.text())
def test_authorization_details_of_any_content_are_read_or_refused(content: Any) -> None:
    outcome: Any
    try:
        outcome = read_details(content)
    except OAuth2Error as refusal:
        outcome = refusal
    if isinstance(outcome, OAuth2Error):
        assert outcome.error == "invalid_authorization_details"
    else:
        assert outcome == () or isinstance(outcome[0]["consent_id"], str)


@given(
    first=st.tuples(st.text(), st.text()),
    second=st.tuples(st.text(), st.text()),
)
def test_two_people_or_two_clients_never_share_a_name(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    seal = Seal(b"k" * 32)

    assert (seal.subject(*first) == seal.subject(*second)) is (first == second)
