"""Simulate a fictional bureau's warehouse: one Parquet file per table and a manifest."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from synthetic.bureau import tables_base, tables_events, tables_money
from synthetic.bureau.block import City, live
from synthetic.bureau.catalogue import items, products
from synthetic.bureau.defects import damage
from synthetic.bureau.enrolment import enrolments, units
from synthetic.bureau.grouping import group
from synthetic.bureau.institutions import found
from synthetic.bureau.negotiated import users
from synthetic.bureau.people import populate
from synthetic.bureau.policy import caps
from synthetic.bureau.prescribing import switch_days
from synthetic.bureau.programme import without_avoided
from synthetic.bureau.rates import expected
from synthetic.bureau.settings import Defects, Run, Size, document
from synthetic.bureau.spread import planted_spread
from synthetic.bureau.stays import admit, drawn
from synthetic.bureau.therapy import refills
from synthetic.bureau.writer import Writer, Written, manifest
from synthetic.warehouse.codes import VERSIONS

Progress = Callable[[str, float], None]
_EVENT_TABLES = ("mdtrt_d", "setl_d", "setl_fund_d", "fee_list_d", "setl_diag_list_d", "drg_rslt_d")


@dataclass(frozen=True)
class SimulationReport:
    """What was written."""

    size: Size
    seed: int
    defects: Defects
    files: dict[str, Written]

    @property
    def rows(self) -> dict[str, int]:
        """Rows per table."""
        return {name: file.rows for name, file in self.files.items()}


def _quiet(_stage: str, _share: float) -> None:
    """Progress nobody watches."""


def simulate(
    out: Path,
    size: Size,
    seed: int,
    threads: int | None = None,
    progress: Callable[[str, float], None] = _quiet,
    *,
    defects: Defects = "none",
) -> SimulationReport:
    """Write the warehouse into `out`; the same seed gives the same bytes on any number of threads.

    `progress` is told a stage and the share done, 0 to 1.
    """
    run = Run(size, seed, defects)
    progress("people", 0.0)
    city = build_city(run)
    writer = Writer(out)
    for name, table in _base_tables(city).items():
        writer.add(name, damage(run, name, table))
    blocks = len(run.blocks)
    for done, tables in enumerate(_all_blocks(city, threads or _default_threads()), start=1):
        for name in _EVENT_TABLES:
            writer.add(name, tables[name])
        progress("claims", 0.04 + 0.94 * done / blocks)
    files = writer.close()
    writer.document("manifest.json", manifest(_head(run), files))
    writer.document(
        "policy.json", {"version": document("benefit")["version"], "annual_caps": caps()}
    )
    progress("done", 1.0)
    return SimulationReport(size, seed, defects, files)


def _default_threads() -> int:
    """One per core, at most four: each block being computed takes some 400 MB."""
    return min(4, os.cpu_count() or 1)


def build_city(run: Run) -> City:
    """Everything the blocks share."""
    people = populate(run)
    person_years = units(people)
    planned = refills(run, people, person_years)
    rates = expected(run, people, person_years, planned)
    places = found(run)
    enrolment = enrolments(people, person_years)
    made = products(run.seed)
    wanted = drawn(run, people, person_years, rates.stay, places)
    wanted = without_avoided(people, person_years, wanted)
    stays = admit(run, people, person_years, wanted, places)
    stays = planted_spread(run, person_years, stays)
    return City(
        run=run, people=people, units=person_years, rates=rates, enrolment=enrolment,
        places=places, products=made, items=items(made), stays=stays,
        grouping=group(run, stays), refills=planned,
        switch=switch_days(run), nego=users(run, people),
        names=tables_base.names(people, enrolment),
    )  # fmt: skip


def _base_tables(city: City) -> dict[str, pa.Table]:
    return {
        "psn_info_b": tables_base.psn_info(city.run, city.people, city.names),
        "psn_insu_d": tables_base.psn_insu(city.people, city.enrolment, city.names),
        "fixmedins_b": tables_base.fixmedins(city.places),
        "drug_cat_b": tables_base.drug_cat(city.products, city.items),
        "admdvs_b": tables_base.admdvs(),
    }


def block_tables(city: City, number: int) -> dict[str, pa.Table]:
    """The event tables of one block."""
    block = live(city, number)
    tables = {
        "mdtrt_d": tables_events.mdtrt(city, block),
        "setl_d": tables_money.setl(city, block),
        "setl_fund_d": tables_money.setl_fund(block),
        "fee_list_d": tables_money.fee_list(city, block),
        "setl_diag_list_d": tables_events.diagnoses(city, block),
        "drg_rslt_d": tables_events.drg_results(city, block),
    }
    return {name: damage(city.run, name, table, number) for name, table in tables.items()}


def _all_blocks(city: City, threads: int) -> Iterator[dict[str, pa.Table]]:
    """Blocks in order, computed ahead by at most `threads` to bound memory."""
    waiting: deque[Future[dict[str, pa.Table]]] = deque()
    numbers = iter(range(len(city.run.blocks)))
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for number in numbers:
            waiting.append(pool.submit(block_tables, city, number))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _head(run: Run) -> dict[str, object]:
    return {
        "tool": document("parameters")["version"],
        "benefit": document("benefit")["version"],
        "size": run.size,
        "seed": run.seed,
        "defects": run.defects,
        "persons": run.persons,
        "window": ["2022-01-01", "2025-12-31"],
        "codes": dict(VERSIONS),
        "fictional": True,
    }
