"""The pooled city's fund ledger (fund_flow_m): benefits as settled, contributions as received.

The small funds are financed so that they cover what they paid over the window: critical illness and
large amounts by transfers from the pooled fund, assistance and civil servants by subsidy.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Ints, sums
from synthetic.bureau.block import Block
from synthetic.bureau.columns import assemble, coded, constant, money
from synthetic.bureau.contributions import MONTHS
from synthetic.bureau.days import MONTH_OF
from synthetic.bureau.events import MED_TYPES
from synthetic.bureau.settings import RESIDENT, document
from synthetic.bureau.settlements import REFUND_DELAY, with_refunds
from synthetic.warehouse.schema import TABLES

FUNDS = ("pooled", "account", "critical_illness", "large_amount", "assistance", "civil_servant")
_PAYMENT = ("hifp", "acct", "hifmi", "hifob", "maf", "cvlserv")
BENEFITS = ("OP", "OPSP", "IP", "RX", "MAT")
FLOWS = (
    "opening", "contribution", "subsidy", "interest", "transfer_in", "transfer_out",
    *(f"benefit_{kind.lower()}" for kind in BENEFITS), "closing",
)  # fmt: skip
_POOLED, _ACCOUNT, _CRITICAL, _LARGE, _ASSISTANCE, _CIVIL = range(len(FUNDS))


def benefit_of(med_type: str) -> str:
    """The analytic benefit of a medical category (SPEC 2.4)."""
    if med_type in ("51", "52", "2106", "2107"):
        return "MAT"
    if med_type == "1403" or med_type.startswith(("14", "15")):
        return "OPSP"
    if med_type.startswith("2"):
        return "IP"
    return "RX" if med_type.startswith("41") else "OP"


def benefits(block: Block) -> Array:
    """Fen by [month, scheme, fund, benefit] that the block's settlements and refunds pay."""
    made, events = block.settlements, block.events
    row, refund = with_refunds(made)
    event = made.event[row]
    moment = made.day[row] * 86_400 + made.second[row] + refund * REFUND_DELAY
    month = np.minimum(MONTH_OF[moment // 86_400], MONTHS)
    resident = block.units.group[events.unit[event]] == RESIDENT
    kind = np.array([BENEFITS.index(benefit_of(code)) for code in MED_TYPES])[events.med[event]]
    cell = (month * 2 + resident) * len(BENEFITS) + kind
    sign = np.where(refund, -1, 1)
    size = (MONTHS + 1) * 2 * len(BENEFITS)
    found = [sums(cell, sign * getattr(block.payments, name)[row], size) for name in _PAYMENT]
    shaped = np.stack(found, axis=1).reshape(MONTHS + 1, 2, len(BENEFITS), len(FUNDS))
    return shaped.transpose(0, 1, 3, 2)


def fund_flow(benefit: Array, income: Array, credited: Ints) -> pa.Table:
    """fund_flow_m from the city's benefits, contributions and the retired's account credits."""
    flows = _flows(benefit[:MONTHS], income, credited)
    month, scheme, fund, flow = np.nonzero(flows)
    labels = [f"{2022 + m // 12}{m % 12 + 1:02d}" for m in range(MONTHS)]
    columns = {
        "ym": coded(month, labels),
        "insu_admdvs": constant("990100", len(month)),
        "insutype": coded(scheme, ["310", "390"]),
        "fund_type": coded(fund, FUNDS),
        "flow": coded(flow, FLOWS),
        "amt": money(flows[month, scheme, fund, flow]),
    }
    return assemble(TABLES["fund_flow_m"], columns, len(month))


def _flows(benefit: Array, income: Array, credited: Ints) -> Array:
    """Fen by [month, scheme, fund, flow]."""
    flows = np.zeros((MONTHS, 2, len(FUNDS), len(FLOWS)), dtype=np.int64)
    paid = slice(FLOWS.index("benefit_op"), FLOWS.index("closing"))
    flows[..., paid] = benefit
    at = {name: i for i, name in enumerate(FLOWS)}
    flows[:, :, _POOLED, at["contribution"]] = income[:MONTHS, :, 0]
    flows[:, :, _ACCOUNT, at["contribution"]] = income[:MONTHS, :, 1]
    flows[:, :, _POOLED, at["subsidy"]] = income[:MONTHS, :, 2]
    flows[:, 0, _ACCOUNT, at["transfer_in"]] = credited
    spent = benefit.sum(axis=(0, 3))
    for fund in (_CRITICAL, _LARGE):
        flows[:, :, fund, at["transfer_in"]] = spent[:, fund] // MONTHS + 1
    for fund in (_ASSISTANCE, _CIVIL):
        flows[:, :, fund, at["subsidy"]] = spent[:, fund] // MONTHS + 1
    idle = spent == 0
    idle[:, :2] = False
    flows[:, idle] = 0
    flows[:, :, _POOLED, at["transfer_out"]] = flows[..., at["transfer_in"]].sum(axis=2)
    _balance(flows, _openings(benefit, income[MONTHS]))
    return flows


def _openings(benefit: Array, before: Array) -> Array:
    """What each fund held when the window began: months of mean spending, and what was prepaid."""
    rules = document("parameters")["reserve_months"]
    months = np.array(
        [[rules[scheme][fund] for fund in FUNDS] for scheme in ("employee", "resident")]
    )
    mean = benefit.sum(axis=(0, 3)) // MONTHS
    opening: Array = mean * months
    opening[:, _POOLED] += before[:, 0] + before[:, 2]
    return opening


def _balance(flows: Array, opening: Array) -> None:
    """Fill openings, interest on them, and closings, month after month."""
    at = {name: i for i, name in enumerate(FLOWS)}
    yearly = document("parameters")["interest"]  # in 1/10 000
    out = [at["transfer_out"], *(i for name, i in at.items() if name.startswith("benefit_"))]
    come = [at[name] for name in ("contribution", "subsidy", "transfer_in")]
    for month in range(MONTHS):
        now = flows[month]
        now[..., at["opening"]] = opening
        now[..., at["interest"]] = np.maximum(opening, 0) * yearly // 120_000
        opening = opening + now[..., at["interest"]] + now[..., come].sum(axis=-1)
        opening = opening - now[..., out].sum(axis=-1)
        now[..., at["closing"]] = opening
