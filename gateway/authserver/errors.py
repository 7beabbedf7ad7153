"""Refusals of the authorisation server in OAuth's words, each with a stable `code` beside them.

Descriptions are ASCII sentences to act on, as RFC 6749 demands; none repeats what was sent.
"""

from __future__ import annotations

from typing import ClassVar

from authlib.oauth2 import OAuth2Error

from gateway.errors import SluiceError
from gateway.identity.dpop import ProofRefused


class Refused(OAuth2Error):  # type: ignore[misc] # Authlib has no types
    """A refusal: OAuth's `error`, our `code`, one sentence, and the HTTP status."""

    def __init__(self, error: str, code: str, description: str, status: int = 400) -> None:
        super().__init__(description=description, status_code=status, error=error)
        self.code = code

    def get_body(self) -> list[tuple[str, str]]:
        """The error's members; `code` last."""
        return [*super().get_body(), ("code", self.code)]


class ClientRefused(Refused):
    """401 for every failed client authentication; `code` never depends on the directory's content
    unless the sender has proved to hold a registered key."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__("invalid_client", code, description, 401)


class TryLater(Refused):
    """429: too much at once; `seconds` says when it is worth another try (RFC 9126 section 2.3)."""

    def __init__(self, code: str, description: str, seconds: int) -> None:
        super().__init__("temporarily_unavailable", code, description, 429)
        self.seconds = seconds


def invalid_request(code: str, description: str) -> Refused:
    """The request is not of the form this server takes."""
    return Refused("invalid_request", code, description)


def invalid_grant(code: str, description: str) -> Refused:
    """The code or refresh token is good for nothing, and `code` says why."""
    return Refused("invalid_grant", code, description)


def unknown_client() -> ClientRefused:
    """The one answer for a client that does not exist, is not live, or proved nothing."""
    return ClientRefused("client_refused", "Client authentication failed.")


def wrong_method() -> ClientRefused:
    """Secrets that are sent along are no way to authenticate here."""
    return ClientRefused(
        "client_method", "Authenticate with a client assertion or a certificate only."
    )


def proof_refused(refusal: ProofRefused) -> Refused:
    """A DPoP proof that is not accepted (RFC 9449 section 5)."""
    return Refused(refusal.error, refusal.code, refusal.description)


class InteractionGone(SluiceError):
    """The visit is unknown, another browser's, over or finished: one answer for all of them."""

    status: ClassVar[int] = 404
    title: ClassVar[str] = "This page is no longer open"

    def __init__(self) -> None:
        super().__init__(
            "interaction_gone",
            "This page is no longer open; begin again at the service that sent you here.",
            "此页面已失效，请返回原来的服务重新开始。",
        )


class RequestGone(SluiceError):
    """A browser came with a request that cannot be answered; it is sent nowhere."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "This request cannot be answered"

    def __init__(self, code: str, message: str, zh: str) -> None:
        super().__init__(code, message, zh)
