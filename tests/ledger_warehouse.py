"""A small warehouse with a fund's ledger: three invented cities, one of each kind of trouble.

990100 has enough insured of both schemes, but a county with too few. In 990300 few are residents.
In 990200 residents become few in May 2024.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.warehouse import store
from synthetic.warehouse.schema import TABLES, arrow_schema

Row = dict[str, Any]
INSURED = {
    "990101": (600, 600),
    "990102": (450, 350),
    "990103": (0, 60),
    "990201": (150, 150),
    "990301": (200, 40),
}
"""Employees and residents by county."""

LEAVING = ("990201", 60, date(2024, 5, 1))
"""How many residents of a county leave, and when."""

MISSING = ("202412", "990102", "390")
"""Month, county and scheme of which there is no settlement, though the ledger has paid."""

MONTHS = tuple(f"{year}{month:02d}" for year in range(2022, 2025) for month in range(1, 13))
FLOWS = ("contribution", "benefit_ip")
SCHEMES = ("310", "390")


def build_ledger_warehouse(home: Path) -> None:
    """Write the warehouse of a home."""
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    people, enrolled = _insured()
    rows = {
        "psn_info_b": people,
        "psn_insu_d": enrolled,
        "setl_d": _settled(),
        "fund_flow_m": ledger(),
    }
    for name, table in TABLES.items():
        schema = arrow_schema(table)
        blank = {f.name: None if f.nullable else _blank(f.type) for f in schema}
        blank |= {f.name: Decimal(0) for f in schema if pa.types.is_decimal(f.type)}
        own = [{**blank, "vali_flag": "1", **row} for row in rows.get(name, [])]
        pq.write_table(pa.Table.from_pylist(own, schema=schema), folder / f"{name}.parquet")
    store.publish(home / "warehouse", folder, {"kind": "test"}, datetime(2025, 1, 1, tzinfo=UTC))


def _blank(kind: pa.DataType) -> Any:  # of the column's own type
    if pa.types.is_timestamp(kind):
        return datetime(2000, 1, 1)  # noqa: DTZ001  (the warehouse has local times)
    if pa.types.is_date(kind):
        return date(2000, 1, 1)
    return 0 if pa.types.is_integer(kind) else "0"


def _insured() -> tuple[list[Row], list[Row]]:
    people, enrolled = [], []
    for county, numbers in INSURED.items():
        for scheme, number in zip(SCHEMES, numbers, strict=True):
            for n in range(number):
                name = f"P{county}{scheme}{n:04d}"
                leaves = (county, scheme) == (LEAVING[0], "390") and n < LEAVING[1]
                people.append({"psn_no": name, "gend": "1", "brdy": date(1980, 5, 1)})
                enrolled.append(
                    {
                        "psn_insu_rlts_id": f"E{name}",
                        "psn_no": name,
                        "insutype": scheme,
                        "psn_type": "11" if scheme == "310" else "15",
                        "psn_insu_stas": "1",
                        "psn_insu_date": date(2015, 1, 1),
                        "crt_insu_date": date(2015, 1, 1),
                        "paus_insu_date": LEAVING[2] if leaves else None,
                        "insu_admdvs": county,
                    }
                )
    return people, enrolled


def _settled() -> list[Row]:
    """What the ledger says was paid, each month a settlement; one of them never came."""
    return [
        {
            "setl_id": f"S{entry['ym']}{entry['insu_admdvs']}{entry['insutype']}",
            "psn_no": f"P{entry['insu_admdvs']}{entry['insutype']}0000",
            "insutype": entry["insutype"],
            "insu_admdvs": entry["insu_admdvs"],
            "setl_time": datetime(int(entry["ym"][:4]), int(entry["ym"][4:]), 15),  # noqa: DTZ001
            "refd_setl_flag": "0",
            "mid_setl_flag": "0",
            "fund_pay_sumamt": entry["amt"],
        }
        for entry in ledger()
        if entry["flow"] == "benefit_ip"
        and (entry["ym"], entry["insu_admdvs"], entry["insutype"]) != MISSING
    ]


@lru_cache
def ledger() -> list[Row]:
    """The entries: a trend, a season and chance; closings follow from them."""
    rng = np.random.default_rng(20_250)
    rows: list[Row] = []
    for county, numbers in INSURED.items():
        for scheme, number in zip(SCHEMES, numbers, strict=True):
            held = 50_000 * number
            for at, ym in enumerate(MONTHS if number else ()):
                season = 1 + 0.4 * np.cos(2 * np.pi * at / 12)
                income = int(number * 10_000 * season)
                paid = int(number * (6_000 + 20 * at) * (1 + 0.05 * rng.standard_normal()))
                held += income - paid
                amounts = {"contribution": income, "benefit_ip": paid, "closing": held}
                rows += [
                    {
                        "ym": ym,
                        "insu_admdvs": county,
                        "insutype": scheme,
                        "fund_type": "pooled",
                        "flow": flow,
                        "amt": Decimal(fen).scaleb(-2),
                    }
                    for flow, fen in amounts.items()
                ]
    return rows
