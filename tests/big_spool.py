"""Fills a journal with very many answered calls in seconds: a long outage of the central store.

Each event is as the front door would seal it (`verify` and `reconcile` find nothing), but the text
of one sealed entry is the mould for all: only what differs from call to call is put in.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gateway.db.event_ids import uuid7
from gateway.journal import spool
from gateway.journal.entry import Entry, Row, canonical
from gateway.journal.seal import Sealed, seal
from gateway.journal.sqlite import SqliteJournal
from metering.usage import time_text
from tests.journal_factory import answered, opened

BATCH = 5_000
GRANTS, LASTING = 20, timedelta(days=2)
CELLS = (1 << 500) - 1
_MOULD = answered(1, charged={7: CELLS})
_PACKED = CELLS.to_bytes(63, "big")


@dataclass(frozen=True, slots=True)
class _Call:
    """The part of an entry that the spool looks at once it is sealed."""

    number: int
    request_id: str
    event_id: str
    time: datetime
    query: str
    usage: None = None
    charged: tuple[()] = ()
    rests_on: tuple[tuple[int, str], ...] = ()


class _Texts:
    """What differs from call to call, as it stands in the mould."""

    def __init__(self, mould: Entry) -> None:
        assert mould.usage is not None
        assert mould.decision is not None
        used = replace(mould.usage, query_hash="the-query", grant="the-grant")
        sealed = seal(
            replace(mould, usage=used, audit={**mould.audit, "grant": "the-grant"}), 0, b""
        )
        self.body = str(sealed.audit[2])
        self.usage = canonical(used.record()).decode()
        self.decision = canonical(mould.decision).decode()
        assert sealed.usage is not None
        self.row = sealed.usage[1:]
        self.old = [mould.event_id, mould.request_id, used.decision_id, time_text(mould.time)]
        self.hashes = [_sha(self.decision), _sha(self.usage), _sha(f'[[7,"{CELLS:x}"]]')]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_TEXTS = _Texts(_MOULD)


def _sealed(call: _Call, seq: int, prev: bytes) -> Sealed:
    time, number = time_text(call.time), call.number
    new = [call.event_id, call.request_id, f"d-{call.event_id}", time]
    grant, query = f"g-{number % GRANTS:02}", call.query

    def put(text: str) -> str:
        for old, value in zip(_TEXTS.old, new, strict=True):
            text = text.replace(f'"{old}"', f'"{value}"')
        return text.replace('"the-grant"', f'"{grant}"').replace('"the-query"', f'"{query}"')

    usage, decision = put(_TEXTS.usage), put(_TEXTS.decision)
    hashes = [_sha(decision), _sha(usage), _sha(f'[[{number},"{CELLS:x}"]]')]
    body = put(_TEXTS.body)
    for old, value in zip(_TEXTS.hashes, hashes, strict=True):
        body = body.replace(old, value)
    body = body.replace('"seq":0', f'"seq":{seq}')
    digest = hashlib.sha256(prev + body.encode()).digest()
    swap: dict[Any, Any] = dict(zip(_TEXTS.old, new, strict=True))
    swap |= {"the-grant": grant, "the-query": query}
    row: Row = (seq, *(swap.get(value, value) for value in _TEXTS.row))
    cells: Row = ("t-life", "S02-r1", number, seq, call.event_id, time, _PACKED)
    return Sealed(
        seq,
        digest,
        (seq, call.request_id, body, prev, digest),
        (seq, call.request_id, decision),
        row,
        (cells,),
        None,
        (hashes[1], hashes[2]),
    )


def calls(count: int, queries: int, until: datetime) -> Iterator[_Call]:
    """So many calls evenly over the time before `until`, which ask so many different queries."""
    begin, step = until - LASTING, LASTING / count
    for number in range(1, count + 1):
        time = begin + step * number
        tick = int(time.timestamp() * 1000) * 4096 + number % 4096
        yield _Call(number, f"r-{number:07d}", uuid7(tick, number), time, f"q-{number % queries}")


def fill(journal: SqliteJournal, count: int, queries: int, until: datetime) -> None:
    """Append through the journal's own stores, with what they do after each batch. A crash of the
    machine that fills is of no interest: nothing is synced meanwhile."""
    db = journal._spool._db
    for pragma in ("synchronous=OFF", "cache_size=-400000"):
        db.execute(f"PRAGMA {pragma}")
    coming = calls(count, queries, until)
    with patch.object(spool, "seal_all", _seal_all):
        while batch := list(islice(coming, BATCH)):
            outcomes = journal._stores.append(batch)  # type: ignore[arg-type]  # has what is looked at
            assert not any(outcomes), outcomes[0]
            journal._stores.settled()
    db.execute("PRAGMA synchronous=FULL")


def _seal_all(entries: Iterable[_Call], seq: int, prev: bytes) -> list[Sealed]:
    sealed = []
    for number, call in enumerate(entries, start=seq + 1):
        one = _sealed(call, number, prev)
        prev = one.hash
        sealed.append(one)
    return sealed


def main() -> None:
    """Fill the journal of a home up to now and die without closing it."""
    home, count, queries = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    now = datetime.now(UTC)
    fill(opened(home, now - LASTING), count, queries, now)
    os._exit(0)


if __name__ == "__main__":
    main()
