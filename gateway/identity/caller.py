"""Who asks: the proven identity every later step of a request works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A client of a tenant, as its access token proved it; `ip` and certificate are this call's.

    The last four are set when the client acts with a person's authorisation, and None when it acts
    for itself.
    """

    tenant_id: str
    tenant_type: str
    client_id: str
    env: str
    ip: str
    token_id: str
    cert_thumbprint: str | None = None
    subject: str | None = None
    gid: str | None = None
    consent_id: str | None = None
    authorization_details: tuple[Mapping[str, object], ...] | None = None

    def may_ask(self, service_id: str) -> bool:
        """A person's authorisation opens the services it names; a client's own token any.

        What the tenant's grants allow is the policy's question.
        """
        if self.authorization_details is None:
            return True
        named = [each.get("services") for each in self.authorization_details]
        return any(isinstance(services, list) and service_id in services for services in named)
