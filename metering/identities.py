"""What must be true of the ledger whatever happened: every fen that was allocated is somewhere.

charged   = shared + suspense            nothing of a client's fees is lost between the two
allocated = payable + held + paid + reversed      for everybody the fees were divided among
held      = what disputes took − what was released − what was credited, case by case
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from metering.movements import SHARED

_OUT: Final = ("hold", "release")


@dataclass(frozen=True, order=True)
class Moved:
    """What all entries of a kind about one cause moved on an account."""

    kind: str
    cause: str
    account: str
    fen: int


@dataclass(frozen=True)
class Standing:
    """Where what was allocated is, in fen above nothing; of one party or of all."""

    allocated: int = 0
    payable: int = 0
    held: int = 0
    paid: int = 0
    reversed: int = 0

    @property
    def missing(self) -> int:
        """What was allocated and is nowhere; nothing, or the ledger is wrong."""
        return self.allocated - self.payable - self.held - self.paid - self.reversed


def is_shared(account: str) -> bool:
    """Whether fees are divided among such accounts."""
    return account.partition(":")[0] in SHARED


def standings(moved: Iterable[Moved]) -> dict[str, Standing]:
    """Where every account's part is. What disputes took out of it is held while its case still
    holds anything, and reversed when the case is over."""
    rows = list(moved)
    open_cases = {case for case, fen in _held(rows).items() if fen}
    sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        if not is_shared(row.account):
            continue
        own = sums[row.account]
        own["payable"] -= row.fen
        if row.kind == "share":
            own["allocated"] -= row.fen
        elif row.kind == "payout":
            own["paid"] += row.fen
        elif row.kind in _OUT:
            own["held" if row.cause in open_cases else "reversed"] += row.fen
    return {account: Standing(**own) for account, own in sorted(sums.items())}


def differences(moved: Iterable[Moved]) -> Iterator[str]:
    """Every identity that does not hold, one sentence each; nothing, where all do."""
    rows = list(moved)
    found = standings(rows)
    for account, standing in found.items():
        if standing.missing:
            yield f"{account}: {standing.missing} fen that were allocated to it are nowhere"
    held = _held(rows)
    for case, fen in held.items():
        if fen < 0:
            yield f"{case}: {-fen} fen more were given back than the dispute held"
    total = sum(standing.held for standing in found.values())
    if total != sum(held.values()):
        yield f"disputes took {total} fen and hold {sum(held.values())}"
    credited = _sum(rows, "credit_note", "receivable:")
    back = sum(standing.reversed for standing in found.values())
    if back != -credited:
        yield f"{back} fen were taken back for good and {-credited} credited to clients"
    charged, shared = _sum(rows, "charge", "receivable:"), _shared(rows)
    suspense = sum(row.fen for row in rows if row.account == "suspense")
    if charged != shared - suspense:
        yield f"{charged} fen were charged, {shared} shared and {-suspense} wait to be"


def _held(rows: Iterable[Moved]) -> dict[str, int]:
    """What each case holds."""
    sums: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        kind, _, case = row.account.partition(":")
        if kind == "held":
            sums[case] -= row.fen
    return dict(sums)


def _sum(rows: Iterable[Moved], kind: str, prefix: str) -> int:
    return sum(row.fen for row in rows if row.kind == kind and row.account.startswith(prefix))


def _shared(rows: Iterable[Moved]) -> int:
    return -sum(row.fen for row in rows if row.kind == "share" and is_shared(row.account))
