"""Put a pinned question to the policy: exactly the attributes it knows, every one present."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from gateway.journal.counters import UsageCounters
from gateway.policy.port import AskedPeriod, AskingTenant, AskingUser, PolicyInput
from gateway.policy.port import Usage as AskedUsage
from gateway.serving.accept import NAMES
from gateway.serving.model import Case, Pinned

SMALL = 4000


@dataclass(frozen=True)
class Size:
    """The most an answer can hold: `rows` in all, `cells` on this page (reserved beforehand)."""

    rows: int
    cells: int

    @property
    def is_small(self) -> bool:
        """Whether the event loop can fetch it faster than it could hand it to a thread."""
        return self.rows <= SMALL and self.cells <= SMALL


def size_of(pinned: Pinned) -> Size:
    """How large the answer can be, from the closed lists alone."""
    question, domains = pinned.question, pinned.manifest.domains
    lists = (len(domains.get(dim, ())) for dim in question.dims if dim not in question.where)
    rows = len(question.periods) * len(question.geo) * prod(max(1, length) for length in lists)
    return Size(rows, min(question.page_size, rows) * max(1, len(pinned.measures)))


def asking(
    case: Case,
    pinned: Pinned,
    *,
    usage: UsageCounters,
    cells: int,
    media: str,
    env: Literal["prod", "sandbox"],
) -> PolicyInput:
    """The question as the policy reads it."""
    caller, question = case.caller, pinned.question
    return PolicyInput(
        request_id=case.call.request_id,
        time=case.stamp.time,
        tenant=AskingTenant.model_validate(
            {"id": caller.tenant_id, "cert_thumbprint": caller.cert_thumbprint, "ip": caller.ip}
        ),
        user=AskingUser(id=caller.client_id),
        grant_id=pinned.grant_id,
        service=question.service.id,
        version=question.service.version,
        period=AskedPeriod(
            start=question.periods[0], to=question.periods[-1], grain=question.grain
        ),
        geo=question.geo,
        dims=question.dims,
        measures=pinned.measures,
        levels=dict(question.levels),
        where=dict(question.where),
        purpose_code=question.purpose,
        env=env,
        format=NAMES[media],
        release=pinned.manifest.release_id,
        qty_estimate=cells,
        usage=AskedUsage(
            rps=usage.rps,
            calls_day=usage.calls_day,
            cells_day=usage.cells_day,
            cells_month=usage.cells_month,
            distinct_queries_day=usage.distinct_queries_day,
        ),
    )
