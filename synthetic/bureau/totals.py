"""What all blocks add up to, and the tables that are made of it when the last block is done."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from synthetic.bureau.agreements import used, vbp_agree
from synthetic.bureau.arrays import Array
from synthetic.bureau.block import Block, City
from synthetic.bureau.contributions import Paid, income, retired_credit
from synthetic.bureau.ledger import benefits, fund_flow
from synthetic.bureau.reconciliation import received, recon_3201, reported


@dataclass(frozen=True)
class Totals:
    """Whole numbers only: they add up to the same, in whatever order blocks finish."""

    benefit: Array
    income: Array
    credited: Array
    packs: Array
    said: Array
    arrived: Array

    def plus(self, other: Totals) -> Totals:
        """Both together."""
        names = Totals.__dataclass_fields__
        return Totals(**{name: getattr(self, name) + getattr(other, name) for name in names})


def totals(city: City, block: Block, paid: Paid, settlements: pa.Table) -> Totals:
    """What one block adds; `settlements` is its setl_d as it will be written."""
    return Totals(
        benefit=benefits(block),
        income=income(paid),
        credited=retired_credit(city, block),
        packs=used(city, block),
        said=reported(city, block),
        arrived=received(city, settlements),
    )


def summed_tables(city: City, whole: Totals) -> dict[str, pa.Table]:
    """The tables of totals."""
    return {
        "fund_flow_m": fund_flow(whole.benefit, whole.income, whole.credited),
        "recon_3201_d": recon_3201(city, whole.said, whole.arrived),
        "vbp_agree_d": vbp_agree(city, whole.packs),
    }
