"""Put a pinned question to the policy: exactly the attributes it knows, every one present.

What is answered from releases is about no person: those attributes say so (`persons.NOBODY`), and
counters of what such services do not do stand at their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from math import prod
from typing import Literal

from gateway.catalogue.tariff import Tariff
from gateway.journal.counters import Hold, UsageCounters
from gateway.journal.spending import Commitment, Spent
from gateway.policy.port import AskedPeriod, AskingTenant, AskingUser, PolicyInput
from gateway.policy.port import Usage as AskedUsage
from gateway.serving.accept import NAMES
from gateway.serving.model import Case, Pinned
from gateway.serving.own import most_own_rows
from gateway.serving.persons import NOBODY
from gateway.serving.questions import Grain
from metering.calendar import day_of
from metering.tariff import MICRO_PER_FEN, commitment_micro

SMALL = 4000


@dataclass(frozen=True)
class Size:
    """The most an answer can hold: `rows` in all, `cells` on this page, and what those can cost;
    the last two are reserved beforehand."""

    rows: int
    cells: int
    fen: int

    @property
    def is_small(self) -> bool:
        """Whether the event loop can fetch it faster than it could hand it to a thread."""
        return self.rows <= SMALL and self.cells <= SMALL


def size_of(pinned: Pinned) -> Size:
    """How large the answer can be, from the closed lists alone."""
    question, domains = pinned.question, pinned.manifest.domains
    if pinned.own:
        return _size(pinned, len(question.periods) * len(question.geo) * most_own_rows(pinned))
    lists = (len(domains.get(dim, ())) for dim in question.dims if dim not in question.where)
    return _size(
        pinned, len(question.periods) * len(question.geo) * prod(max(1, one) for one in lists)
    )


def _size(pinned: Pinned, rows: int) -> Size:
    question = pinned.question
    cells = min(question.page_size, rows) * max(1, len(pinned.measures))
    tariff = question.service.tariff
    return Size(rows, cells, most_fen(tariff, cells))


def most_fen(tariff: Tariff, cells: int) -> int:
    """The most so many cells can cost, by whichever price holds."""
    return -(-tariff.published.most_micro(tariff.units_charged(cells)) // MICRO_PER_FEN)


def commitment_of(service: str, tariff: Tariff, now: datetime) -> Commitment | None:
    """What the first answer of a month adds to its bill by the price in force, if by any."""
    price = tariff.published.on(date.fromisoformat(day_of(now)))
    least = 0 if price is None else commitment_micro(price.tariff)
    if price is None or not least:
        return None
    return Commitment(service, price.ref, -(-least // MICRO_PER_FEN))


def used(hold: Hold) -> AskedUsage:
    """What others have used or reserved of the grant, and what this question can cost."""
    usage, cost = hold.usage, hold.cost
    return _usage(usage, cost.spent, cost.estimate_fen)


# A question is put by the same figures as it is described by, a moment later.
@lru_cache(maxsize=256)
def _usage(usage: UsageCounters, spent: Spent, estimate_fen: int) -> AskedUsage:
    return AskedUsage(
        rps=usage.rps,
        calls_day=usage.calls_day,
        cells_day=usage.cells_day,
        cells_month=usage.cells_month,
        distinct_queries_day=usage.distinct_queries_day,
        spent_month_fen=spent.grant_fen,
        tenant_spent_month_fen=spent.tenant_fen,
        estimate_fen=estimate_fen,
    )


def _looked_at(pinned: Pinned) -> AskedPeriod:
    """The periods whose data the question looks at: a forecast looks at the last ones there are."""
    question, manifest = pinned.question, pinned.manifest
    grain, (first, last) = question.grain, (question.periods[0], question.periods[-1])
    ahead = {*manifest.estimated.get(grain, ())}
    known = [period for period in manifest.periods.get(grain, ()) if period not in ahead]
    if known:
        first, last = (known[-1] if period in ahead else period for period in (first, last))
    return _period(first, last, grain)


# Checked once and frozen: the same few ask again and again.
@lru_cache(maxsize=4096)
def _tenant(tenant: str, thumbprint: str | None, ip: str) -> AskingTenant:
    return AskingTenant(id=tenant, cert_thumbprint=thumbprint, ip=ip)


@lru_cache(maxsize=4096)
def _user(client: str) -> AskingUser:
    return AskingUser(id=client)


@lru_cache(maxsize=4096)
def _period(first: str, last: str, grain: Grain) -> AskedPeriod:
    return AskedPeriod(start=first, to=last, grain=grain)


def asking(
    case: Case,
    pinned: Pinned,
    *,
    cells: int,
    usage: AskedUsage,
    media: str,
    env: Literal["prod", "sandbox"],
) -> PolicyInput:
    """The question as the policy reads it."""
    caller, question = case.caller, pinned.question
    return PolicyInput(
        request_id=case.call.request_id,
        time=case.stamp.time,
        tenant=_tenant(caller.tenant_id, caller.cert_thumbprint, caller.ip),
        user=_user(caller.client_id),
        grant_id=pinned.grant_id,
        service=question.service.id,
        version=question.service.version,
        period=_looked_at(pinned),
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
        usage=usage,
        **NOBODY.asked(),
    )
