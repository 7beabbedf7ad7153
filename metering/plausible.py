"""Results that cannot be: a month in which one is found stops, and a person looks at it.

Nothing here should ever be found. What is checked follows from the rules already; it is checked
again because a statement that is wrong by orders of magnitude is worse than one that is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from metering.rating import ChargeLine
from metering.sharing import Split


@dataclass(frozen=True)
class Bounds:
    """More than this in fen nobody expects of one line, or of one client's month."""

    line_fen: int
    client_fen: int


def impossible(
    lines: Iterable[ChargeLine], splits: Mapping[str, Split], bounds: Bounds
) -> Iterator[str]:
    """What is wrong with a month's result, one sentence each that begins with a fixed name."""
    charged, owed = dict[str, int](), dict[str, int]()
    for line in lines:
        yield from _line(line, bounds)
        service, tenant = line.key.service, line.key.tenant
        charged[service] = charged.get(service, 0) + line.amount_fen
        owed[tenant] = owed.get(tenant, 0) + line.amount_fen
    for tenant, fen in owed.items():
        if fen > bounds.client_fen:
            yield f"amount_over_bound: {tenant} would owe {fen} fen, above {bounds.client_fen}"
    for service in sorted({*charged, *splits}):
        yield from _split(service, charged.get(service, 0), splits.get(service))


def _line(line: ChargeLine, bounds: Bounds) -> Iterator[str]:
    used = line.used
    if line.amount_fen < 0 or min(used.answers, used.qty, used.billable, line.units) < 0:
        yield f"negative: line {line.line_id} has an amount or a count below nothing"
    if used.billable > used.qty or used.billable + used.repeated != used.qty:
        yield f"counts: line {line.line_id} charges other cells than were delivered"
    if line.amount_fen > bounds.line_fen:
        fen, most = line.amount_fen, bounds.line_fen
        yield f"amount_over_bound: line {line.line_id} is {fen} fen, above {most}"


def _split(service: str, charged: int, parts: Split | None) -> Iterator[str]:
    if parts is None:
        yield f"not_shared: {service} charged {charged} fen that nobody shares"
        return
    named = {
        "tax": parts.tax_fen,
        "operator": parts.operator_fen,
        "public interest": parts.public_interest_fen,
        **parts.providers,
    }
    for party, fen in named.items():
        if fen < 0:
            yield f"negative: the share of {party} in {service} is {fen} fen"
    if not charged == parts.fees_fen == sum(named.values()):
        yield f"not_exact: {service} charged {charged} fen and shares {sum(named.values())}"
