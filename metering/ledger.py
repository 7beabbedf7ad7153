"""Double entry: every fen that moves leaves one account and reaches another.

An entry is a set of postings that add up to zero; it is never changed, a correction is an entry of
its own that names the one it corrects. Debits are positive, credits negative.
`gateway.billing.books` keeps entries in a database that refuses to change them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from metering.usage import time_text

NOTHING: Final = "0" * 64
"""Hash before the first entry."""

KINDS: Final = (
    "receivable",  # what a client owes, by tenant
    "payable",  # what a provider is owed, by provider
    "held",  # in dispute, by case
    "operator_cost",
    "public_interest",
    "tax",
    "cash",
    "suspense",  # charged and not yet shared
)
_NAMED: Final = frozenset({"receivable", "payable", "held"})
_ACCOUNT = re.compile(r"[a-z_]+(:[^\s:][^\s]{0,127})?")


class LedgerError(ValueError):
    """An entry that cannot be: it does not balance, or names an account that does not exist."""


@dataclass(frozen=True, order=True)
class Posting:
    """So much to one account: `receivable:INS-01`, `suspense`. A debit is positive."""

    account: str
    fen: int

    def __post_init__(self) -> None:
        kind, _, name = self.account.partition(":")
        if kind not in KINDS or bool(name) != (kind in _NAMED):
            raise LedgerError(f"there is no account {self.account!r}")
        if not _ACCOUNT.fullmatch(self.account):
            raise LedgerError(f"{self.account!r} is not an account name")
        if type(self.fen) is not int or not self.fen:
            raise LedgerError("a posting is a whole number of fen, not nothing")


@dataclass(frozen=True)
class Entry:
    """One movement of money. `entry_id` is its idempotency key: posted twice, it counts once.

    `period` is the month it is booked in, `service_period` the month it is about; `corrects` names
    an earlier entry; `cause` what it rests on (a charge line, a dispute, a payment).
    """

    entry_id: str
    kind: str
    period: str
    service_period: str
    booked_at: datetime
    cause: str
    postings: tuple[Posting, ...]
    corrects: str | None = None

    def __post_init__(self) -> None:
        if not self.postings or sum(posting.fen for posting in self.postings) != 0:
            raise LedgerError(f"entry {self.entry_id} does not add up to zero")
        accounts = [posting.account for posting in self.postings]
        if len(set(accounts)) != len(accounts):
            raise LedgerError(f"entry {self.entry_id} names an account twice")

    def record(self) -> dict[str, object]:
        """Plain values, as stored, hashed and exported."""
        return {
            "entry_id": self.entry_id,
            "kind": self.kind,
            "period": self.period,
            "service_period": self.service_period,
            "booked_at": time_text(self.booked_at),
            "cause": self.cause,
            "corrects": self.corrects,
            "postings": [[posting.account, posting.fen] for posting in sorted(self.postings)],
        }

    def chained(self, before: str) -> str:
        """Hash of this entry behind the one whose hash is `before`."""
        text = json.dumps(self.record(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def postings(moved: Mapping[str, int]) -> tuple[Posting, ...]:
    """Postings of the accounts where anything moves, in a fixed order."""
    return tuple(Posting(account, fen) for account, fen in sorted(moved.items()) if fen)
