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
from synthetic.bureau.block import Block, City, live
from synthetic.bureau.catalogue import items, products
from synthetic.bureau.contributions import paid, psn_clct
from synthetic.bureau.defects import Lost, damage, lost_events
from synthetic.bureau.devices import devices, mcs_cat
from synthetic.bureau.dip import dip
from synthetic.bureau.enrolment import enrolments, units
from synthetic.bureau.grouping import Standards, group
from synthetic.bureau.institutions import found
from synthetic.bureau.negotiated import users
from synthetic.bureau.operations import operate
from synthetic.bureau.people import populate
from synthetic.bureau.policy import caps
from synthetic.bureau.prescribing import switch_days
from synthetic.bureau.programme import without_avoided
from synthetic.bureau.rates import expected
from synthetic.bureau.registrations import opsp_reg
from synthetic.bureau.settings import Defects, Run, Size, document
from synthetic.bureau.settlements import with_refunds
from synthetic.bureau.spread import planted_spread
from synthetic.bureau.stays import admit, drawn
from synthetic.bureau.stocking import drug_recl, trac_flow
from synthetic.bureau.therapy import refills
from synthetic.bureau.totals import Totals, summed_tables, totals
from synthetic.bureau.tracing import sel_trac, sold_packs
from synthetic.bureau.writer import Writer, Written, manifest
from synthetic.warehouse.codes import VERSIONS

Progress = Callable[[str, float], None]
_EVENT_TABLES = (
    "mdtrt_d", "setl_d", "setl_fund_d", "fee_list_d", "setl_diag_list_d", "drg_rslt_d",
    "dip_rslt_d", "opsp_reg_d", "psn_clct_detl_d", "sel_trac_d",
    "trac_flow_d",
)  # fmt: skip


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
    writer = Writer(out)
    _write(run, writer, threads or _default_threads(), progress)
    files = writer.close()
    writer.document("manifest.json", manifest(_head(run), files))
    writer.document(
        "policy.json", {"version": document("benefit")["version"], "annual_caps": caps()}
    )
    progress("done", 1.0)
    return SimulationReport(size, seed, defects, files)


def _write(run: Run, writer: Writer, threads: int, progress: Progress) -> None:
    """All tables, cohort by cohort: one is forgotten before the next is drawn."""
    whole: Totals | None = None
    city: City | None = None
    known: Standards | None = None
    blocks = sum(len(cohort.blocks) for cohort in run.cohorts)
    done = 0
    for cohort in run.cohorts:
        progress("people", done / blocks)
        city = None
        city = build_city(cohort, known)
        known = city.standards
        for name, table in _base_tables(city).items():
            writer.add(name, damage(cohort, name, table, cohort.cohort))
        for tables, part in _all_blocks(city, threads):
            for name in _EVENT_TABLES:
                writer.add(name, tables[name])
            whole = part if whole is None else whole.plus(part)
            done += 1
            progress("claims", 0.04 + 0.94 * done / blocks)
    if whole is not None and city is not None:
        for name, table in summed_tables(city, whole).items():
            writer.add(name, table)


def _default_threads() -> int:
    """One per core, at most four: each block being computed takes some 400 MB."""
    return min(4, os.cpu_count() or 1)


def build_city(run: Run, known: Standards | None = None) -> City:
    """Everything the blocks share; `known` are the standards that an earlier cohort set."""
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
    operations = operate(run, stays)
    grouping, drg = group(run, stays, known)
    by_score, scores, standards = dip(run, stays, operations, known)
    return City(
        run=run, people=people, units=person_years, rates=rates, enrolment=enrolment,
        places=places, products=made, items=items(made), stays=stays,
        grouping=grouping, operations=operations, dip=by_score,
        standards=Standards(drg, scores, standards),
        devices=devices(run.seed), refills=planned,
        switch=switch_days(run), nego=users(run, people),
        names=tables_base.names(run, people, enrolment),
    )  # fmt: skip


def _base_tables(city: City) -> dict[str, pa.Table]:
    """Tables of the persons, and with the first cohort those that all cohorts share."""
    persons = {
        "psn_info_b": tables_base.psn_info(city.run, city.people, city.names),
        "psn_insu_d": tables_base.psn_insu(city.people, city.enrolment, city.names),
        "chr_prog_d": tables_base.chr_prog(city.people, city.names),
    }
    if city.run.cohort:
        return persons
    return persons | {
        "fixmedins_b": tables_base.fixmedins(city.places),
        "drug_cat_b": tables_base.drug_cat(city.products, city.items),
        "mcs_cat_b": mcs_cat(city.devices, city.items),
        "drug_recl_b": drug_recl(city),
        "admdvs_b": tables_base.admdvs(),
    }


def block_tables(city: City, number: int) -> tuple[dict[str, pa.Table], Totals]:
    """The event tables of one block, and what it adds to the totals."""
    block = live(city, number)
    contributed, packs = paid(city, block), sold_packs(city, block)
    tables = {
        "mdtrt_d": tables_events.mdtrt(city, block),
        "setl_d": tables_money.setl(city, block),
        "setl_fund_d": tables_money.setl_fund(block),
        "fee_list_d": tables_money.fee_list(city, block),
        "setl_diag_list_d": tables_events.diagnoses(city, block),
        "drg_rslt_d": tables_events.drg_results(city, block),
        "dip_rslt_d": tables_events.dip_results(city, block),
        "opsp_reg_d": opsp_reg(city, block),
        "psn_clct_detl_d": psn_clct(city, block, contributed),
        "sel_trac_d": sel_trac(city, block, packs),
        "trac_flow_d": trac_flow(city, block, packs),
    }
    lost = _lost(city.run, block)
    tables = {name: damage(city.run, name, table, number, lost) for name, table in tables.items()}
    return tables, totals(city, block, contributed, tables["setl_d"])


def _lost(run: Run, block: Block) -> Lost | None:
    if run.defects == "none":
        return None
    gone = lost_events(run, block.number, len(block.events))
    row, refund = with_refunds(block.settlements)
    mine = gone[block.settlements.event[row]]
    return Lost(
        tables_events.encounter_ids(block).filter(pa.array(gone)),
        tables_events.settlement_ids(block, row[mine], refund[mine]),
    )


def _all_blocks(city: City, threads: int) -> Iterator[tuple[dict[str, pa.Table], Totals]]:
    """Blocks in order, computed ahead by at most `threads` to bound memory."""
    waiting: deque[Future[tuple[dict[str, pa.Table], Totals]]] = deque()
    numbers = iter(city.run.blocks)
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
