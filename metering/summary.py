"""What a tenant is shown of its own use: one row per month, grant, service and price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from metering.rating import Accruals, ChargeLine, Pricing, charge, stamped_price
from metering.tariff import MICRO_PER_FEN


@dataclass(frozen=True, order=True)
class CallKey:
    """Where refusals are counted: they have no price."""

    month: str
    tenant: str
    grant: str
    service: str


@dataclass(frozen=True)
class UsageRow:
    """Calls, cells and money of one month, grant, service and price."""

    month: str
    tenant: str
    grant: str
    service: str
    calls: int
    answers: int
    refusals: int
    cells_delivered: int
    cells_billable: int
    cells_repeated: int
    unit: str
    units: int
    price_ref: str
    unit_price: str
    amount_fen: int
    currency: str = "CNY"

    def as_dict(self) -> dict[str, str | int]:
        """Plain values for JSON."""
        return asdict(self)


def yuan(micro: int) -> str:
    """Micro-yuan as exact decimal text in yuan, at least two decimals."""
    whole, rest = divmod(micro, 100 * MICRO_PER_FEN)
    decimals = f"{rest:06d}"
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def summarise(
    accruals: Accruals, refusals: Mapping[CallKey, int], price: Pricing = stamped_price
) -> tuple[UsageRow, ...]:
    """All rows in a fixed order. Refusals stand on the first row of their grant and service."""
    left = dict(refusals)
    rows = [_row(line, left.pop(_calls(line), 0)) for line in charge(accruals, price)]
    rows += [_refused_only(key, count) for key, count in left.items()]
    return tuple(sorted(rows, key=lambda r: (r.month, r.tenant, r.grant, r.service, r.price_ref)))


def _calls(line: ChargeLine) -> CallKey:
    return CallKey(line.key.month, line.key.tenant, line.key.grant, line.key.service)


def _row(line: ChargeLine, refused: int) -> UsageRow:
    key, used = line.key, line.used
    return UsageRow(
        month=key.month,
        tenant=key.tenant,
        grant=key.grant,
        service=key.service,
        calls=used.answers + refused,
        answers=used.answers,
        refusals=refused,
        cells_delivered=used.qty,
        cells_billable=used.billable,
        cells_repeated=used.repeated,
        unit=key.unit,
        units=line.units,
        price_ref=key.price_ref,
        unit_price=yuan(key.price_micro),
        amount_fen=line.amount_fen,
    )


def _refused_only(key: CallKey, count: int) -> UsageRow:
    return UsageRow(
        month=key.month,
        tenant=key.tenant,
        grant=key.grant,
        service=key.service,
        calls=count,
        answers=0,
        refusals=count,
        cells_delivered=0,
        cells_billable=0,
        cells_repeated=0,
        unit="",
        units=0,
        price_ref="",
        unit_price="0.00",
        amount_fen=0,
    )
