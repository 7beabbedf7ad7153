"""requests-oauth2client (Python) against a running Sluice; same dialogue as openid_client.mjs.

argv[1]: JSON {issuer, client_id, jwk, redirect_uri, details? (text), resource}. The person's part
is played outside: this prints {"authorize": url} and reads the callback address from stdin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import requests
from requests_oauth2client import (
    DPoPToken,
    InvalidGrant,
    OAuth2Client,
    PrivateKeyJwt,
)

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
FAILED: list[str] = []


def say(line: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def step(name: str, run: Callable[[], object]) -> None:
    """Run one step and say how it went."""
    try:
        say({"step": name, "ok": True, "detail": run()})
    except Exception as error:  # noqa: BLE001 — a failed step is reported, the next ones still run
        FAILED.append(name)
        say({"step": name, "ok": False, "detail": f"{type(error).__name__}: {error}"})


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


class Peer:
    """The steps share a client and the tokens of its authorisation."""

    def __init__(self) -> None:
        issuer = SETTINGS["issuer"]
        self.client = OAuth2Client.from_discovery_endpoint(
            issuer=issuer,
            url=f"{issuer}/.well-known/oauth-authorization-server",
            auth=PrivateKeyJwt(SETTINGS["client_id"], SETTINGS["jwk"], alg="ES256", aud=issuer),
            redirect_uri=SETTINGS["redirect_uri"],
            testing=True,
            dpop_bound_access_tokens=True,
            id_token_signed_response_alg="ES256",
        )
        self.code: Any = None
        self.token: Any = None

    def machine(self) -> object:
        token = self.client.client_credentials()
        expect(isinstance(token, DPoPToken), f"token_type {token.token_type}")
        answer = requests.get(SETTINGS["resource"], auth=token, timeout=30)
        expect(answer.status_code == 200, f"the resource said {answer.status_code}")
        seen = self.client.introspect_token(token)
        expect(seen["active"], "inactive")
        self.client.revoke_access_token(token)
        expect(not self.client.introspect_token(token)["active"], "a revoked token is active")
        return None

    def authorise(self) -> object:
        details = {"authorization_details": SETTINGS["details"]} if SETTINGS.get("details") else {}
        scope = "openid" if SETTINGS.get("openid") else None
        asked = self.client.authorization_request(scope=scope, **details)
        pushed = self.client.pushed_authorization_request(asked)
        say({"authorize": str(pushed.uri)})
        self.code = asked.validate_callback(sys.stdin.readline().strip())
        self.token = self.client.authorization_code(self.code)
        expect(isinstance(self.token, DPoPToken), f"token_type {self.token.token_type}")
        return None

    def refresh(self) -> object:
        again = self.client.refresh_token(self.token)
        expect(again.refresh_token in (None, self.token.refresh_token), "it was rotated")
        return None

    def replay(self) -> object:
        for attempt in (
            lambda: self.client.authorization_code(self.code),
            lambda: self.client.refresh_token(self.token),
        ):
            try:
                attempt()
            except InvalidGrant:
                continue
            raise AssertionError("was not refused")
        expect(not self.client.introspect_token(self.token)["active"], "the tokens live on")
        return None


def main() -> None:
    holder: list[Peer] = []
    step("discovery by RFC 8414", lambda: holder.append(Peer()))
    peer = holder[0]
    step("client credentials, bound by DPoP", peer.machine)
    step("pushed request, consent, code with PKCE and iss", peer.authorise)
    step("refresh keeps the refresh token", peer.refresh)
    step("code replay is refused and revokes what the code gave", peer.replay)
    say({"done": True, "failed": len(FAILED)})
    sys.exit(1 if FAILED else 0)


main()
