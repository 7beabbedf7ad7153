"""A canonical warehouse as an invented city's foreign export: other names, spellings, 5 % rubbish.

Beside `tests.foreign_source` (few rows, every kind of fault) this is the export of a whole small
bureau. One list says how each column is called and spelled; the export and the mapping that reads
it are both written from it.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

Record = dict[str, str]
# What is wrong with a rubbish row: the reason the import must give, and how a good row is spoiled.
Fault = tuple[str, Callable[[Record], Record | None]]

_CODES = {
    "gend": {"1": "M", "2": "F"},
    "insutype": {"310": "WORKER", "390": "TOWN"},
    "refd_setl_flag": {"0": "no", "1": "yes"},
    "mid_setl_flag": {"0": "no", "1": "yes"},
    "route": {
        "oral": "po", "injection": "inj", "inhaled": "inh", "topical": "top", "other": "div",
    },
    "case_type": {"normal": "N", "high": "H", "low": "L", "ungrouped": "U"},
}  # fmt: skip


@dataclass(frozen=True)
class Feed:
    """One file: its table, `canonical=FOREIGN` names, and which columns are of which spelling."""

    table: str
    names: str
    faults: tuple[Fault, ...]
    encoding: str = "utf-8"
    dates: str = ""
    times: str = ""
    numbers: str = ""

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(canonical, foreign) in the order of the file; without `=` both are alike."""
        pairs = [name.partition("=") for name in self.names.split()]
        return [(canonical, foreign or f"C_{canonical}") for canonical, _, foreign in pairs]

    def exported(self, name: str) -> str:
        """How the value of a canonical column is spelled in the file, as SQL."""
        if name in self.dates.split():
            return f"strftime({name}, '%d/%m/%Y')"
        if name in self.times.split():
            return f"strftime({name}, '%d/%m/%Y %H:%M:%S')"
        if name in self.numbers.split():
            return f"replace(CAST({name} AS VARCHAR), '.', ',')"
        if name in _CODES:
            return f"CAST(MAP {_CODES[name]}[{name}] AS VARCHAR)"
        return f"ltrim({name}, '0')" if name == "hosp_lv" else f"CAST({name} AS VARCHAR)"

    def rule(self, name: str, foreign: str) -> str:
        """The line of the mapping that reads it."""
        if name in self.dates.split():
            return f'{{from: {foreign}, format: "%d/%m/%Y"}}'
        if name in self.times.split():
            return f'{{from: {foreign}, format: "%d/%m/%Y %H:%M:%S"}}'
        if name in self.numbers.split():
            return f'{{from: {foreign}, decimal: ","}}'
        if name in _CODES:
            pairs = ", ".join(f'"{there}": "{here}"' for here, there in _CODES[name].items())
            return f"{{from: {foreign}, codes: {{{pairs}}}}}"
        return foreign


def _set(**changed: str) -> Callable[[Record], Record]:
    return lambda row: {**row, **changed}


def _torn(row: Record) -> None:
    """A line that is no record of the file."""


def _more(name: str) -> Callable[[Record], Record]:
    """The amount of another row in place of the row's own."""
    return lambda row: {**row, name: "9" + row[name].lstrip("-")}


_TORN: Fault = ("wrong_column_count", _torn)
_AMOUNTS = (
    "medfee_sumamt fulamt_ownpay_amt overlmt_selfpay preselfpay_amt inscp_amt dedc_std "
    "act_pay_dedc pool_prop_selfpay hifp_pay cvlserv_pay hifes_pay hifmi_pay hifob_pay hifdm_pay "
    "maf_pay othfund_pay fund_pay_sumamt psn_pay acct_pay cash_payamt ownpay_hosp_part "
    "acct_mulaid_pay"
)
_LINE_AMOUNTS = (
    "cnt pric det_item_fee_sumamt pric_uplmt_amt selfpay_prop fulamt_ownpay_amt overlmt_selfpay "
    "preselfpay_amt inscp_amt"
)
# The key is the first column of every file.
FEEDS: dict[str, Feed] = {
    "people.csv": Feed(
        "psn_info_b",
        "psn_no=PERS psn_name=名 gend=SEX brdy=BORN die_date=DIED surv_stas",
        (
            ("bad_date:brdy", _set(BORN="31/02/1970")),
            ("unknown_code:gend", _set(SEX="?")),
            ("missing_value:psn_no", _set(PERS="")),
            _TORN,
        ),
        encoding="gb18030",
        dates="brdy die_date",
    ),
    "spells.csv": Feed(
        "psn_insu_d",
        "psn_insu_rlts_id=SPELL psn_no=PERS insutype=PLAN psn_type=GROUP psn_insu_stas=STATE "
        "hi_type crt_insu_date=SINCE paus_insu_date=UNTIL insu_admdvs=PLACE cvlserv_flag",
        (
            ("orphan:psn_no", _set(PERS="nobody")),
            ("bad_date:crt_insu_date", _set(SINCE="soon")),
            ("unknown_code:insutype", _set(PLAN="GUEST")),
        ),
        dates="crt_insu_date paus_insu_date",
    ),
    "houses.csv": Feed(
        "fixmedins_b",
        "fixmedins_code=HOUSE fixmedins_name=TITLE fixmedins_type=SORT hosp_lv=RANK "
        "fix_blng_admdvs=PLACE",
        (("unknown_code:hosp_lv", _set(RANK="77")), _TORN),
    ),
    "visits.csv": Feed(
        "mdtrt_d",
        "mdtrt_id=VISIT psn_no=PERS psn_insu_rlts_id=SPELL gend=SEX brdy=BORN insutype=PLAN "
        "psn_type=GROUP insu_admdvs=PLACE fixmedins_code=HOUSE hosp_lv=RANK fix_blng_admdvs=WHERE "
        "begntime=CAME endtime=LEFT med_type=KIND dscg_maindiag_code=ICD dscg_way inhosp_stas",
        (
            ("bad_date:begntime", _set(CAME="30/02/2024 08:00:00")),
            ("orphan:psn_no", _set(PERS="nobody")),
            ("unknown_code:med_type", _set(KIND="88")),
        ),
        dates="brdy",
        times="begntime endtime",
    ),
    "bills.csv": Feed(
        "setl_d",
        "setl_id=BILL mdtrt_id=VISIT init_setl_id=UNDOES psn_no=PERS psn_insu_rlts_id=SPELL "
        "gend=SEX brdy=BORN age=YEARS insutype=PLAN psn_type=GROUP insu_admdvs=PLACE "
        "fixmedins_code=HOUSE hosp_lv=RANK fix_blng_admdvs=WHERE begndate=CAME enddate=LEFT "
        "setl_time=BILLED med_type=KIND setl_type clr_type refd_setl_flag=REFUND "
        "mid_setl_flag=INTERIM cvlserv_flag "
        f"{_AMOUNTS}",
        (
            ("bad_number:medfee_sumamt", _set(C_medfee_sumamt="a lot")),
            ("R05", _more("C_inscp_amt")),
            ("orphan:mdtrt_id", _set(VISIT="nowhere")),
            ("R12", _set(REFUND="yes", UNDOES="nothing")),
            _TORN,
        ),
        dates="brdy begndate enddate",
        times="setl_time",
        numbers=f"age {_AMOUNTS}",
    ),
    "shares.csv": Feed(
        "setl_fund_d",
        "setl_id=BILL fund_pay_type=FUND fund_payamt=PAID",
        (
            ("orphan:setl_id", _set(PAID="1,00")),
            ("bad_number:fund_payamt", _set(PAID="1,2,3")),
        ),
        numbers="fund_payamt",
    ),
    "lines.csv": Feed(
        "fee_list_d",
        "bkkp_sn=LINE feedetl_sn init_feedetl_sn setl_id=BILL mdtrt_id=VISIT psn_no=PERS "
        "fixmedins_code=HOUSE insu_admdvs=PLACE med_type=KIND fee_ocur_time=WHEN chrgitm_lv "
        f"list_type=SORT med_list_codg=ITEM med_chrgitm_type=CAT {_LINE_AMOUNTS}",
        (
            ("R01", _more("C_pric")),
            ("orphan:setl_id", _set(BILL="none such")),
            ("bad_number:cnt", _set(C_cnt="two")),
            ("unknown_code:med_chrgitm_type", _set(CAT="99")),
            ("bad_date:fee_ocur_time", _set(WHEN="2024")),
            ("missing_value:mdtrt_id", _set(VISIT="")),
            _TORN,
        ),
        times="fee_ocur_time",
        numbers=_LINE_AMOUNTS,
    ),
    "diags.csv": Feed(
        "setl_diag_list_d",
        "diag_info_id=ROW mdtrt_id=VISIT psn_no=PERS inout_diag_type diag_type maindiag_flag "
        "diag_srt_no=NTH diag_code=ICD",
        (("orphan:mdtrt_id", _set(VISIT="nowhere")), ("bad_number:diag_srt_no", _set(NTH="first"))),
    ),
    "drugs.csv": Feed(
        "drug_cat_b",
        "med_list_codg=ITEM drug_genname=INN route=WAY prodentp_name=MAKER atc_code=ATC "
        "ddd_per_cnt=DDDS list_type=SORT chrgitm_lv begndate=LISTED",
        (("bad_number:ddd_per_cnt", _set(DDDS="some")), ("unknown_code:route", _set(WAY="sky"))),
        dates="begndate",
        numbers="ddd_per_cnt",
    ),
    "groups.csv": Feed(
        "drg_rslt_d",
        "setl_id=BILL grp_ver mdc adrg drg_code=DRG rw std_fee pay_std_amt case_type=CLASS",
        (("orphan:setl_id", lambda row: row), ("unknown_code:case_type", _set(CLASS="Z"))),
        numbers="rw std_fee pay_std_amt",
    ),
}
RUBBISH_SHARE = 20  # one row of rubbish on twenty rows of the file


def export(
    tables: duckdb.DuckDBPyConnection, folder: Path, seed: int
) -> dict[tuple[str, int], tuple[str, str]]:
    """The files and `mapping.yaml`; of each rubbish row, by file and line, its table and reason."""
    chance = random.Random(seed)  # noqa: S311  (test data)
    told: dict[tuple[str, int], tuple[str, str]] = {}
    for name, feed in FEEDS.items():
        with (folder / name).open("w", encoding=feed.encoding, newline="") as file:
            out = csv.writer(file, delimiter=";", lineterminator="\n")
            names = [foreign for _, foreign in feed.columns]
            out.writerow(names)
            for line, (values, reason) in enumerate(_mixed(tables, feed, names, chance), 2):
                out.writerow(values)
                if reason:
                    told[name, line] = (feed.table, reason)
    (folder / "mapping.yaml").write_text(_mapping(), encoding="utf-8")
    return told


def _mixed(
    tables: duckdb.DuckDBPyConnection, feed: Feed, names: list[str], chance: random.Random
) -> Iterator[tuple[list[str], str]]:
    """The rows in random order, and rubbish among them with the reason to refuse it."""
    listed = ", ".join(feed.exported(name) for name, _ in feed.columns)
    good = tables.execute(f"SELECT {listed} FROM {feed.table} ORDER BY ALL").fetchall()
    rows = [["" if value is None else value for value in row] for row in good]
    chance.shuffle(rows)
    number = 0
    for position, row in enumerate(rows, 1):
        yield row, ""
        if position % (RUBBISH_SHARE - 1) == 0 or (position == len(rows) and not number):
            reason, spoil = feed.faults[number % len(feed.faults)]
            number += 1
            spoiled = spoil(
                {**dict(zip(names, row, strict=True)), names[0]: f"X{feed.table[5:8]}{number}"}
            )
            yield (row[:-1] if spoiled is None else list(spoiled.values())), reason


def _mapping() -> str:
    lines = ["version: 1", "sources:"]
    for name, feed in FEEDS.items():
        options = f'files: {name}, delimiter: ";", encoding: {feed.encoding}'
        lines.append(f"  {Path(name).stem}: {{{options}}}")
    lines += ["tables:", "  admdvs_b: {derive_table: from_codes_seen}"]
    for name, feed in FEEDS.items():
        lines += [f"  {feed.table}:", f"    source: {Path(name).stem}", "    columns:"]
        lines += [f"      {here}: {feed.rule(here, there)}" for here, there in feed.columns]
    return "\n".join(lines) + "\n"
