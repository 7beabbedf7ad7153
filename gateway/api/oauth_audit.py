"""What the authorisation server did, in the audit journal, before its answer leaves.

Tokens, pushed requests and revocations are recorded one by one; failures, many alike as one. All
share the journal's group commit with the data calls beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.authserver.model import Answered
from gateway.identity.binding import Presented
from gateway.journal.entry import Entry, login_failed
from gateway.journal.failures import FailureBudget
from gateway.serving.ports import Books


@dataclass(frozen=True)
class OAuthAudit:
    """Writes the events of the OAuth endpoints."""

    journal: Books
    failures: FailureBudget = field(default_factory=FailureBudget)

    async def record(self, answered: Answered, presented: Presented, now: datetime) -> None:
        """Return once what there is to say is durable; raises when it cannot be."""
        event = answered.event
        if event is None:
            return
        stamp = self.journal.stamp(now)
        if event.result == "failed":
            if count := self.failures.take(event.reason, presented.ip, stamp.time):
                entry = login_failed(stamp.event_id, stamp.time, event.reason, presented.ip, count)
                await self.journal.record(entry)
            return
        actor = {"client": answered.client_id, "ip": presented.ip}
        if presented.cert is not None:
            actor["cert"] = presented.cert.thumbprint
        audit = {
            "kind": "login",
            "result": "done",
            "reason": event.reason,
            "tenant": answered.tenant_id,
            "actor": actor,
            **event.facts,
        }
        await self.journal.record(
            Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None)
        )
