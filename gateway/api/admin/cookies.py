"""Cookies of the office: their names, and how they are set."""

from __future__ import annotations

from typing import TypeVar

from starlette.responses import Response

from gateway.api.admin.office import Office
from gateway.staff.signing_in import DEVICE_LIFE, SignedIn

ResponseType = TypeVar("ResponseType", bound=Response)


def session_cookie(office: Office) -> str:
    """Name of the session's cookie; with TLS one that no neighbour can set."""
    return _name(office, "staff")


def device_cookie(office: Office) -> str:
    """Name of the cookie by which a browser is known again."""
    return _name(office, "device")


def arrival_cookie(office: Office) -> str:
    """Name of the cookie of a begun single sign-on."""
    return _name(office, "arrival")


def with_cookies(office: Office, body: bytes, signed_in: SignedIn) -> Response:
    """The answer to a sign-in: new cookies, whatever the browser had before."""
    return set_cookies(office, Response(body, media_type="application/json"), signed_in)


def set_cookies(office: Office, response: ResponseType, signed_in: SignedIn) -> ResponseType:
    """Put the cookies of a new session on an answer."""
    _set(response, office, session_cookie(office), signed_in.session)
    if signed_in.device:
        life = int(DEVICE_LIFE.total_seconds())
        _set(response, office, device_cookie(office), signed_in.device, life)
    return response


def _name(office: Office, part: str) -> str:
    return f"__Host-sluice-{part}" if office.secure else f"sluice-{part}"


def _set(
    response: Response, office: Office, name: str, value: str, life: int | None = None
) -> None:
    response.set_cookie(
        name, value, max_age=life, httponly=True, samesite="strict", secure=office.secure
    )
