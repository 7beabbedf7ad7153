"""The events a receiver is tried with: one of ours, the same again, and one that was forged."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.conformance.book import Book, Run
from gateway.conformance.seen import Kind, Seen, Trial
from gateway.consent.outbox import KIND
from gateway.db.consent_tables import EventStreamRow
from gateway.db.engine import reading
from gateway.errors import Unprocessable

_OF: Final = f"{KIND}refunded"


@dataclass(frozen=True)
class Sending:
    """How events leave: signed by us or by a stranger's key, pushed to an address.

    `push` gives the status of the answer, 0 where there was none.
    """

    sign: Callable[[dict[str, Any]], str]
    forge: Callable[[dict[str, Any]], str]
    push: Callable[[str, str], int]


def try_receiver(book: Book, run: Run, sending: Sending, now: datetime) -> list[dict[str, object]]:
    """Push three events to the client's registered address, and note how each was answered."""
    endpoint = _endpoint(book, run)
    told = []
    for trial, claims in _events(run, now):
        make = sending.forge if trial is Trial.FORGED else sending.sign
        token, begun = make(claims), book.seconds()
        status = sending.push(endpoint, token)
        ended, jti = book.seconds(), str(claims["jti"])
        seen = Seen(Kind.PUSH, begun, item=jti, trial=trial, status=status, answered=ended)
        book.note(run, seen)
        told.append({"jti": jti, "status": status})
    return told


def _endpoint(book: Book, run: Run) -> str:
    with reading(book.engine) as session:
        row = session.get(EventStreamRow, run.client_id)
        if row is None:
            raise Unprocessable(
                "no_event_stream",
                "Register your receiver first: PUT /v1/events/stream.",
                "请先登记接收地址：PUT /v1/events/stream。",
            )
        return row.endpoint


def _events(run: Run, now: datetime) -> Iterator[tuple[Trial, dict[str, Any]]]:
    """A refund, the very same once more, and one of another settlement nobody signed."""
    first, forged = _refund(run, now), _refund(run, now)
    yield Trial.GOOD, first
    yield Trial.REPLAYED, first
    yield Trial.FORGED, forged


def _refund(run: Run, now: datetime) -> dict[str, Any]:
    consent = run.terms.consents["waiting"]
    told = {
        "consent_id": consent,
        "state": "AUTHORISED",
        "reason": None,
        "valid_to": None,
        "at": now.isoformat(),
        "settlement_ref": f"cs-{secrets.token_hex(8)}",
    }
    return {
        "jti": secrets.token_urlsafe(18),
        "iat": int(now.timestamp()),
        "aud": run.client_id,
        "txn": consent,
        "sub_id": {"format": "opaque", "id": consent},
        "events": {_OF: told},
    }
