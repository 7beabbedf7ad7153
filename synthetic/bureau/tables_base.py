"""Base tables: persons, enrolment, institutions, the drug catalogue, regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, stream
from synthetic.bureau.catalogue import (
    EARLIER_VBP,
    NEGO_START,
    VBP_START,
    Items,
    Products,
    generics,
    maker_name,
)
from synthetic.bureau.columns import assemble, coded, constant, dates, decimal, padded
from synthetic.bureau.days import day_of
from synthetic.bureau.enrolment import PSN_TYPES, Enrolment
from synthetic.bureau.institutions import DEDC_LEVEL, NONE, Institutions
from synthetic.bureau.people import NEVER, People, counties
from synthetic.bureau.programme import COUNTY, LINKABLE_SHARE, since
from synthetic.bureau.settings import ACTIVE, RESIDENT, RETIRED, Run
from synthetic.warehouse.codes import rows
from synthetic.warehouse.schema import TABLES

_STEMS = "甲乙丙丁戊己庚辛壬癸"
_DIGITS = "一二三四五六七八九十"
_ROWS = 8  # enrolments of one person at most: two spells of four years
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


@dataclass(frozen=True)
class Names:
    """Strings that other tables repeat."""

    person: pa.Array
    enrolment: pa.Array
    county: tuple[str, ...]


def names(run: Run, people: People, found: Enrolment) -> Names:
    """Person and enrolment numbers; nobody has more than `_ROWS` enrolments."""
    person = padded("990100P", np.arange(len(people)) + 1 + run.before, 8)
    row = np.arange(len(found.person)) + 1 + run.before * _ROWS
    enrolment = padded("990100R", row, 8)
    return Names(person, enrolment, counties())


def certificates(people: People, areas: Array) -> list[str]:
    """Numbers of the right form whose check character is off by one: no validator accepts them."""
    birth = np.datetime_as_string(np.datetime64("2022-01-01") + people.birth)
    serial = np.arange(len(people)) % 1000
    bodies = [
        f"{area}{b.replace('-', '')}{s:03d}"
        for area, b, s in zip(areas, birth, serial, strict=True)
    ]
    digits = np.array([list(b) for b in bodies], dtype="U1").astype(np.int64)
    right = (digits * np.array(_WEIGHTS)).sum(axis=1) % 11
    return [b + _CHECK[(r + 1) % 11] for b, r in zip(bodies, right, strict=True)]


def psn_info(run: Run, people: People, named: Names) -> pa.Table:
    """psn_info_b."""
    n, rng = len(people), stream(run.seed, "psn_info", run.cohort)
    area = np.array(named.county)[people.county]
    first, second, third = (rng.integers(0, 10, n) for _ in range(3))
    invented = [
        f"测试{_STEMS[a]}{_STEMS[b]}{_DIGITS[c]}"
        for a, b, c in zip(first, second, third, strict=True)
    ]
    dead = people.death < NEVER
    columns = {
        "psn_no": named.person,
        "psn_cert_type": constant("01", n),
        "certno": pa.array(certificates(people, area)),
        "psn_name": pa.array(invented),
        "gend": coded(people.female, ["1", "2"]),
        "naty": constant("01", n),
        "brdy": dates(people.birth),
        "tel": padded("1990000", rng.integers(0, 10_000, n), 4),
        "addr": coded(people.county, [f"虚构地址{c}" for c in named.county]),
        "resd_natu": coded(rng.integers(0, 2, n), ["1", "2"]),
        "surv_stas": coded(dead, ["1", "2"]),
        "die_date": dates(np.where(dead, people.death, 0), dead),
    }
    return assemble(TABLES["psn_info_b"], columns, n)


def psn_insu(people: People, found: Enrolment, named: Names) -> pa.Table:
    """psn_insu_d."""
    who, n = found.person, len(found.person)
    resident = found.group == RESIDENT
    open_end = found.end >= NEVER
    emp_no = np.where(resident, -1, (who * 48_271) % 997)
    columns = {
        "psn_insu_rlts_id": named.enrolment,
        "psn_no": named.person.take(pa.array(who)),
        "emp_no": coded(emp_no, [f"990100E{i:05d}" for i in range(997)]),
        "insutype": coded(resident, ["310", "390"]),
        "hi_type": coded(np.where(resident, -1, people.pooled_only[who]), ["1", "2"]),
        "psn_type": coded(found.kind, PSN_TYPES),
        "psn_insu_stas": coded(found.status, ["1", "2", "4"]),
        "psn_insu_date": dates(found.start),
        "crt_insu_date": dates(found.start),
        "paus_insu_date": dates(np.where(open_end, 0, found.end), ~open_end),
        "insutype_retr_flag": coded(found.group == RETIRED, ["0", "1"]),
        "clct_way": coded(resident, ["01", "02"]),
        "emp_fom": coded(np.where(found.group == ACTIVE, (who % 100) < 17, -1), ["1", "2"]),
        "max_acctprd": constant("202512", n),
        "cvlserv_flag": coded(people.civil[who] & ~resident, ["0", "1"]),
        "sp_psn_type": coded(np.where(resident, people.special[who], 0) - 1, ["1", "2", "3"]),
        "insu_admdvs": coded(people.county[who], named.county),
    }
    return assemble(TABLES["psn_insu_d"], columns, n)


def fixmedins(places: Institutions) -> pa.Table:
    """fixmedins_b."""
    n = len(places.code)
    level = places.level
    columns = {
        "fixmedins_code": pa.array(places.code),
        "fixmedins_name": pa.array(places.name),
        "uscc": padded("99990100", np.arange(n), 8, "XX"),
        "fixmedins_type": coded(places.pharmacy, ["1", "2"]),
        "hosp_lv": pa.array(places.hosp_lv),
        "lmtpric_hosp_lv": coded(level, DEDC_LEVEL),
        "dedc_hosp_lv": coded(level, DEDC_LEVEL),
        "fix_blng_admdvs": pa.array(places.region),
        "fix_onln_open_flag": constant("1", n),
        "medins_natu": coded(np.where(level == NONE, 1, 0), ["1", "2"]),
        "biznat": coded(np.where(level == NONE, 1, 0), ["1", "2"]),
        "aprv_bed_cnt": pa.array(np.array([1200, 400, 40, 0], dtype=np.int32)[level]),
        "grst_hosp_flag": coded(level == 2, ["0", "1"]),
        "biz_stas": constant("1", n),
    }
    return assemble(TABLES["fixmedins_b"], columns, n).sort_by("fixmedins_code")


def drug_cat(made: Products, items: Items) -> pa.Table:
    """drug_cat_b."""
    n = items.drugs
    rows_of = [generics()[g] for g in made.generic]
    kind = [r["kind"] for r in rows_of]
    won = np.array([k == "P" for k in kind])
    earlier = np.array([k == "V" for k in kind])
    nego = np.array([k == "N" for k in kind])
    planted = np.array([r["atc"] == "A10BJ06" for r in rows_of])
    since = np.where(planted, day_of(NEGO_START), day_of("2021-03-01"))
    start = np.where(won, day_of(VBP_START), day_of(EARLIER_VBP))
    columns = {
        "med_list_codg": pa.array(items.code[:n]),
        "drug_genname": pa.array([r["title_zh"] for r in rows_of]),
        "reg_name": pa.array([r["title_zh"] + r["form"] for r in rows_of]),
        "dosform": pa.array([r["form"] for r in rows_of]),
        "route": pa.array([r["route"] for r in rows_of]),
        "drug_spec": pa.array(items.spec[:n]),
        "min_pacunt": constant("盒", n),
        "pac_cnt": pa.array(np.array([int(r["pac_cnt"]) for r in rows_of], dtype=np.int32)),
        "prodentp_name": pa.array([maker_name(int(m)) for m in made.maker]),
        "aprvno": padded("虚构准字H", np.arange(n) + 1, 8),
        "atc_code": pa.array([r["atc"] for r in rows_of]),
        "strength": _scaled([r["strength"] for r in rows_of], 16, 4),
        "ddd": _scaled([r["ddd"] for r in rows_of], 16, 4),
        "ddd_unt": pa.array([r["unit"] for r in rows_of]),
        "ddd_per_cnt": decimal(np.rint(made.ddd_per_pack * 1e6).astype(np.int64), 16, 6),
        "list_type": constant("101", n),
        "chrgitm_lv": coded(items.lv[:n] - 1, ["01", "02", "03"]),
        "bas_medn_flag": coded(items.basic[:n], ["0", "1"]),
        "hi_nego_drug_flag": coded(nego, ["0", "1"]),
        "vbp_batch": coded(
            np.where(won, 1, np.where(earlier, 0, -1)), ["VBP-SYN-01", "VBP-SYN-02"]
        ),
        "vbp_selected_flag": coded(np.where(won | earlier, made.selected, -1), ["0", "1"]),
        "vbp_begndate": dates(start, won | earlier),
        "nego_begndate": dates(since, nego),
        "begndate": dates(np.where(planted, day_of(NEGO_START), day_of("2020-01-01"))),
        "ver": constant("DRUG-SYN-2026.1", n),
    }
    return assemble(TABLES["drug_cat_b"], columns, n).sort_by("med_list_codg")


def _scaled(texts: list[str], precision: int, scale: int) -> pa.Array:
    return decimal(
        np.array([round(float(t) * 10**scale) for t in texts], dtype=np.int64), precision, scale
    )


def chr_prog(people: People, named: Names) -> pa.Table:
    """chr_prog_d: members of the programme from the day they join."""
    day = since(people)
    who = np.flatnonzero(day < NEVER)
    last = np.maximum(people.end[0], people.end[1])[who]
    columns = {
        "prog_id": constant(f"HTN-{COUNTY}", len(who)),
        "psn_no": named.person.take(pa.array(who)),
        "dise_no": constant("M03900", len(who)),
        "scope": coded((who * 29 + 7) % 100 < LINKABLE_SHARE, ["CARE_ONLY", "LINK_FOR_EVALUATION"]),
        "begndate": dates(day[who]),
        "enddate": dates(np.where(last < NEVER, last, 0), last < NEVER),
    }
    return assemble(TABLES["chr_prog_d"], columns, len(who))


def admdvs() -> pa.Table:
    """admdvs_b."""
    listed = sorted(rows("admdvs"), key=lambda r: r["code"])
    columns = {
        "admdvs": pa.array([r["code"] for r in listed]),
        "admdvs_name": pa.array([r["title_zh"] for r in listed]),
        "prnt_admdvs": pa.array([r["parent"] or None for r in listed]),
        "admdvs_lv": pa.array([r["level"] for r in listed]),
    }
    return assemble(TABLES["admdvs_b"], columns, len(listed))
