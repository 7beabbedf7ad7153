"""What was kept before revision 0012: one journal without a name, papers in one form.

Nothing of it is rewritten: it is what was signed. It is read as what it was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature

from gateway.billing.papers import body_of
from gateway.billing.seal import Sealer
from gateway.db.billing_tables import PaperRow
from gateway.journal.events import EventSource

JOURNAL: Final = "main"
"""How the migration named the one journal there was, which months told by a number and a hash."""

_HEAD: Final = (
    *("kind", "month", "party", "currency", "issued_at"),
    *("opening_balance_fen", "closing_balance_fen"),
)
_USED: Final = (
    *("line_id", "grant", "service", "unit", "price_ref", "unit_price_cny", "answers"),
    *("cells_delivered", "cells_charged", "cells_repeated", "units", "amount_fen"),
)
_SHARED: Final = ("service", "pool_fen_about", "own_weight")
_MOVED: Final = ("kind", "cause", "service_period", "fen")


def named_heads(events: EventSource, heads: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """The heads of a closed month by their journals' ids. The journal without a name is the one
    that has this hash at this number; where none has, it stays without."""
    if JOURNAL not in heads:
        return dict(heads)
    seq, link = heads[JOURNAL]
    number = int(str(seq))
    rest = {journal: head for journal, head in heads.items() if journal != JOURNAL}
    if not number:  # nothing was counted
        return rest
    for journal in events.heads():
        if (events.link_at(journal, number) or b"").hex() == link:
            return {**rest, journal: [seq, link]}
    return {**rest, JOURNAL: [seq, link]}


def is_former(paper: PaperRow) -> bool:
    """Whether a paper was issued in JSON alone: then nothing seals other forms."""
    return not paper.seal


def lines_fen(told: Mapping[str, Any]) -> int:
    """What a paper's lines come to; a provider's did not say so."""
    if "lines_fen" in told:
        return int(told["lines_fen"])
    return sum(int(line["part_fen"]) for line in told["lines"])


def differs(paper: PaperRow, again: bytes | None, sealer: Sealer) -> Iterator[str]:
    """How a paper of one form is not what was issued. `again`: today's paper of the same."""
    if again is not None and _formerly(orjson.loads(again)) != paper.body:
        yield "comes out differently"
    if hashlib.sha256(paper.body).hexdigest() != paper.sha256:
        yield "is not what was issued"
    if not _signed(paper, sealer):
        yield "its signature does not hold"


def _formerly(paper: Mapping[str, Any]) -> bytes:
    """Today's statement as it was written then."""
    client = paper["kind"] == "client"
    told = {name: paper[name] for name in _HEAD}
    told["statement"] = f"{paper['month']}/{paper['kind']}/{paper['party']}"
    told["movements"] = [{name: one[name] for name in _MOVED} for one in paper["movements"]]
    if client:
        told["lines"] = [{name: line[name] for name in _USED} for line in paper["lines"]]
        told["lines_fen"] = paper["lines_fen"]
    else:
        told["lines"] = [
            {**{name: line[name] for name in _SHARED}, "part_fen": line["amount_fen"]}
            for line in paper["lines"]
        ]
    return body_of(told)


def _signed(paper: PaperRow, sealer: Sealer) -> bool:
    """The signature was the bare one of Ed25519 over the body, in base64."""
    try:
        bare = base64.b64decode(paper.signature, validate=True)
        sealer.key.public_key().verify(bare, paper.body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
