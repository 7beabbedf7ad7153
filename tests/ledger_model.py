"""The ledger as a value: the oracle that laws of money are tried on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from metering.ledger import NOTHING, Entry, LedgerError


@dataclass(frozen=True)
class Book:
    """Entries in the order they were posted, with the hash of the last and every balance."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    head: str = NOTHING
    balances: Mapping[str, int] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()

    def post(self, entry: Entry) -> Book:
        """The book with one more entry; the same entry again changes nothing."""
        known = self.entries.get(entry.entry_id)
        if known is not None:
            if known != entry:
                raise LedgerError(f"entry {entry.entry_id} exists with another content")
            return self
        if entry.period in self.closed:
            raise LedgerError(f"{entry.period} is closed; book in an open month")
        balances = dict(self.balances)
        for posting in entry.postings:
            balances[posting.account] = balances.get(posting.account, 0) + posting.fen
        entries = {**self.entries, entry.entry_id: entry}
        return replace(self, entries=entries, head=entry.chained(self.head), balances=balances)

    def close(self, period: str) -> Book:
        """No entry is booked in `period` any more."""
        return replace(self, closed=self.closed | {period})

    def balance(self, account: str) -> int:
        """What stands on an account; nothing where nothing ever moved."""
        return self.balances.get(account, 0)

    def total(self, kind: str) -> int:
        """What stands on all accounts of one kind together."""
        return sum(
            fen for account, fen in self.balances.items() if account.partition(":")[0] == kind
        )


def chain(entries: Iterable[Entry], before: str = NOTHING) -> str:
    """The hash at the end of these entries; it changes with any of them and with their order."""
    for entry in entries:
        before = entry.chained(before)
    return before
