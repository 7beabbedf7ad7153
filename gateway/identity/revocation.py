"""Revocation: written in the transaction that revokes, known to every replica within 5 seconds.

A row says what is no longer accepted: one token, everything of an authorisation (`grant`), of a
consent, or what a client got before now. Each serving process reads new rows four times a second
and keeps them in memory; when the database has been silent for `STALE_AFTER` seconds it refuses
to go on (`check_fresh`), because a revocation that cannot be heard must not be missed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import reading
from gateway.db.revocation_tables import RevocationNumberRow, RevocationRow
from gateway.db.rounds import Rounds
from gateway.errors import Unavailable

RevocationKind: TypeAlias = Literal["token", "grant", "consent", "client"]

KEEP = timedelta(hours=1)
"""How long to keep a revocation that concerns access tokens only (they live at most 900 s)."""
POLL_SECONDS = 0.25
STALE_AFTER = 5.0


def revoke(
    session: Session, kind: RevocationKind, value: str, until: datetime, now: datetime
) -> None:
    """From this session's commit on, nothing of this is accepted; replicas follow within 5 s."""
    number = _next_number(session)
    session.execute(sa.delete(RevocationRow).where(RevocationRow.until < now))
    row = session.get(RevocationRow, (kind, value))
    if row is None:
        session.add(
            RevocationRow(
                kind=kind, value=value, revoked_at=now, until=until, lifted=False, number=number
            )
        )
    else:
        row.revoked_at, row.until, row.lifted = now, max(row.until, until), False
        row.number = number
    session.flush()


def lift(session: Session, kind: RevocationKind, value: str) -> None:
    """End a revocation that was only a suspension; what it held back works again."""
    number = _next_number(session)
    row = session.get(RevocationRow, (kind, value))
    if row is not None:
        row.lifted, row.number = True, number
        session.flush()


def revoked_in(
    session: Session,
    *,
    token_id: str,
    client_id: str,
    gid: str | None = None,
    consent_id: str | None = None,
    issued: float = 0.0,
) -> bool:
    """The same question put to the database itself, for who must not be up to 5 s behind."""
    names = [("token", token_id), ("client", client_id), ("grant", gid), ("consent", consent_id)]
    for kind, value in names:
        row = session.get(RevocationRow, (kind, value)) if value is not None else None
        if row is None or row.lifted:
            continue
        if kind != "client" or issued <= row.revoked_at.timestamp():
            return True
    return False


def _next_number(session: Session) -> int:
    """Also the lock under which revocations queue, so numbers are committed in their order."""
    session.execute(sa.update(RevocationNumberRow).values(number=RevocationNumberRow.number + 1))
    return session.scalars(sa.select(RevocationNumberRow.number)).one()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A revocation in memory."""

    since: float
    until: datetime


class Revocations:
    """What is revoked, in memory, and the thread that keeps it current."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._number = 0
        self._revoked: dict[tuple[str, str | None], _Entry] = {}
        self._rounds = Rounds("revocations", POLL_SECONDS, self.refresh)
        self._refreshing = threading.Lock()
        self._heard = time.monotonic()
        self.refresh()

    def is_revoked(
        self,
        token_id: str,
        client_id: str,
        gid: str | None = None,
        consent_id: str | None = None,
        *,
        issued: float = 0.0,
    ) -> bool:
        """Whether a token is no longer accepted, for itself or for what it hangs on.

        A client's revocation ends what it holds, not what it will get: it concerns tokens `issued`
        up to then.
        """
        revoked = self._revoked
        if not revoked:
            return False
        if ("token", token_id) in revoked or ("grant", gid) in revoked:
            return True
        if ("consent", consent_id) in revoked:
            return True
        ended = revoked.get(("client", client_id))
        return ended is not None and issued <= ended.since

    def refresh(self) -> bool:
        """Read what was revoked since the last time; True when there was something."""
        with self._refreshing:
            began = time.monotonic()
            number, rows = self._read_news()
            if rows:
                self._take(rows)
            self._number = number
            # When the reading began: what was committed while it ran may be missing from it.
            self._heard = began
            return bool(rows)

    def check_fresh(self) -> None:
        """Refuse to go on when the database has been silent too long."""
        if self._rounds.running and time.monotonic() - self._heard > STALE_AFTER:
            raise Unavailable(
                "revocation_unavailable",
                "Revocations cannot be read at the moment; try again in a few seconds.",
                "令牌撤销信息暂时不可用，请稍后重试。",
            )

    def start(self) -> None:
        """Begin to follow revocations."""
        if not self._rounds.running:
            self.refresh()
            self._rounds.start()

    def stop(self) -> None:
        """End following; returns when the thread has ended."""
        self._rounds.stop()

    def _read_news(self) -> tuple[int, list[RevocationRow]]:
        with reading(self._engine) as session:
            number = session.scalars(sa.select(RevocationNumberRow.number)).one()
            if number == self._number:
                return number, []
            newer = sa.select(RevocationRow).where(RevocationRow.number > self._number)
            return number, list(session.scalars(newer))

    def _take(self, rows: list[RevocationRow]) -> None:
        """Replace the memory, without what no live token can name any more."""
        now = self._clock()
        revoked = {name: entry for name, entry in self._revoked.items() if entry.until > now}
        for row in rows:
            revoked.pop((row.kind, row.value), None)
            if not row.lifted:
                revoked[row.kind, row.value] = _Entry(row.revoked_at.timestamp(), row.until)
        self._revoked = revoked
