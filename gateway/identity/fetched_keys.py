"""Keys of clients that publish them at a `jwks_uri`: when to fetch again, what to keep.

The last good keys stay in use while fetching fails, up to `OLDEST`; then the client has none.
Every change of keys is a change of the directory, so all replicas follow it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from gateway.db.directory_tables import FetchedKeysRow
from gateway.db.tables import ClientRow
from gateway.identity.jwks import algorithms_of
from gateway.identity.model import Client, Document
from gateway.identity.record import Act, record_change
from gateway.identity.store import client_of

EVERY = timedelta(minutes=10)
SOONEST = timedelta(minutes=1)
"""Between two fetches at least: after a failure, or when an unknown key was used."""

OLDEST = timedelta(hours=24)
_NO_KEYS: Document = {"keys": []}


def is_due(row: FetchedKeysRow | None, now: datetime, *, wanted: bool) -> bool:
    """Whether a client's keys should be fetched now; a wanted fetch comes sooner, never at once."""
    if row is None:
        return True
    return row.tried_at + (SOONEST if wanted or row.failure else EVERY) <= now


def claim(session: Session, client_id: str, now: datetime, *, wanted: bool) -> bool:
    """Take the fetch upon oneself; False when another replica has, or it is not due."""
    row = session.get(FetchedKeysRow, client_id)
    if not is_due(row, now, wanted=wanted):
        return False
    if row is None:
        session.add(
            FetchedKeysRow(client_id=client_id, good_at=now, tried_at=now, failure="not yet")
        )
        return True
    done = session.execute(
        sa.update(FetchedKeysRow)
        .where(FetchedKeysRow.client_id == client_id, FetchedKeysRow.tried_at == row.tried_at)
        .values(tried_at=now)
    )
    return isinstance(done, CursorResult) and done.rowcount == 1


def keep_fetched(session: Session, act: Act, client: Client, jwks: Document) -> bool:
    """Keep newly fetched keys; True when they differ from the ones in use."""
    row = _current(session, client)
    if row is None:
        return False
    session.merge(FetchedKeysRow(client_id=client.id, good_at=act.at, tried_at=act.at, failure=""))
    return _replace_keys(session, act, row, "fetch_keys", jwks)


def keep_failure(session: Session, act: Act, client: Client, why: str) -> bool:
    """Note a failed fetch; True when the keys in use became too old and were dropped."""
    row, fetched = _current(session, client), session.get(FetchedKeysRow, client.id)
    if row is None or fetched is None:
        return False
    fetched.tried_at, fetched.failure = act.at, why[:200]
    if act.at - fetched.good_at <= OLDEST:
        return False
    return _replace_keys(session, act, row, "drop_old_keys", _NO_KEYS)


def _current(session: Session, client: Client) -> ClientRow | None:
    """The client's row, unless it was ended or moved to another address meanwhile."""
    row = session.get(ClientRow, client.id)
    live = row is not None and (row.status, row.jwks_uri) == ("active", client.jwks_uri)
    return row if live else None


def _replace_keys(session: Session, act: Act, row: ClientRow, action: str, jwks: Document) -> bool:
    before = client_of(row)
    if before.jwks == jwks:
        return False
    after = replace(before, jwks=jwks, algs=algorithms_of(jwks))
    row.jwks, row.algs = after.jwks, list(after.algs)
    record_change(
        session,
        act,
        action,
        ("client", row.id),
        before=before.document(),
        after=after.document(),
    )
    return True
