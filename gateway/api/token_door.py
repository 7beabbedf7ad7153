"""Pages for the operator's own programs: open to whoever shows the token that a file holds."""

from __future__ import annotations

import hmac

from fastapi import Request

from gateway.errors import Unauthenticated


def require_token(request: Request, token: str, refusal: Unauthenticated) -> None:
    """Raise `refusal` unless the request shows `token` as a bearer token."""
    shown = request.headers.get("authorization", "").encode("latin-1", "replace")
    if not hmac.compare_digest(shown, f"Bearer {token}".encode()):
        raise refusal
