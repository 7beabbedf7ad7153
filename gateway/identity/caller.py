"""Who asks: the proven identity every later step of a request works with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A machine client of a tenant, as its access token proved it."""

    tenant_id: str
    tenant_type: str
    client_id: str
    env: str
    ip: str
    token_id: str
    cert_thumbprint: str | None = None
