"""Waits after failed sign-ins: they grow, end by themselves, and cannot keep the right person out.

An attempt is counted before it is judged, so many at once gain nothing; an attempt during a wait is
refused without being judged or counted, so nobody can prolong another's wait by trying.

Three kinds of origin are counted apart. A browser that has signed in before has a count of its own
and is held by no other. Others share one per account and network, and a far more patient one per
account; that last one does not hold a recovery code, which cannot be guessed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffThrottleRow

LONGEST = timedelta(minutes=15)
_FIRST = timedelta(seconds=15)
FORGOTTEN = timedelta(hours=24)
_NETWORKS_OF_A_SITE = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """One count: its keyed name, and how many failures it forgives."""

    digest: str
    free: int
    forgiving: bool = False  # a success takes one failure back, not all


def wait_after(failures: int, free: int) -> timedelta:
    """How long the next attempt has to wait after so many failures: 15 s, 30 s … 15 min."""
    over = failures - free
    if over < 0:
        return timedelta(0)
    return min(_FIRST * (1 << min(over, 10)), LONGEST)


def network_of(ip: str) -> str:
    """The network an address belongs to, as one party may have all of it."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((address, 32 if address.version == 4 else 64), strict=False))


def holders_of(ip: str) -> tuple[tuple[str, int], ...]:
    """Every network one party may hold around an address, and for how many it counts.

    Whoever has an IPv6 site (/48) has 65 536 networks, each of which would be forgiven anew.
    """
    network = network_of(ip)
    if ":" not in network:
        return ((network, 1),)
    site = ipaddress.ip_network(network).supernet(new_prefix=48)
    return ((network, 1), (str(site), _NETWORKS_OF_A_SITE))


def wait_of(session: Session, origins: Iterable[Origin], now: datetime) -> timedelta | None:
    """How long these origins have to wait, if one of them has to; only reads."""
    rows = [session.get(StaffThrottleRow, each.digest) for each in origins]
    waits = [row.blocked_until - now for row in rows if row and row.blocked_until > now]
    return max(waits, default=None)


def count_attempt(session: Session, origins: Iterable[Origin], now: datetime) -> timedelta | None:
    """Count an attempt of these origins; how long to wait instead, when one of them has to."""
    origins = tuple(origins)
    wait = wait_of(session, origins, now)
    if wait is not None:
        return wait
    rows = {each.digest: session.get(StaffThrottleRow, each.digest) for each in origins}
    for origin in origins:
        row = rows[origin.digest]
        failures = 1 if row is None or row.last_at + FORGOTTEN <= now else row.failures + 1
        pause = wait_after(failures, origin.free)
        # Without a wait the mark lies in the past: a sign-in whose clock was read a moment earlier
        # must not find it ahead of itself.
        until = now + pause if pause else now - FORGOTTEN
        session.merge(
            StaffThrottleRow(
                digest=origin.digest, failures=failures, blocked_until=until, last_at=now
            )
        )
    session.execute(sa.delete(StaffThrottleRow).where(StaffThrottleRow.last_at < now - FORGOTTEN))
    return None


def forgive(session: Session, origins: Iterable[Origin], now: datetime) -> None:
    """The attempt was a success: the origin's own failures are forgotten, shared ones less one."""
    for origin in origins:
        row = session.get(StaffThrottleRow, origin.digest)
        if row is not None and origin.forgiving:
            row.failures, row.blocked_until = max(0, row.failures - 1), now - FORGOTTEN
        elif row is not None:
            session.delete(row)
