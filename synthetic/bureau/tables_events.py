"""Encounter, diagnosis and grouping tables of one block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Ints, ranks, stream, sums
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import (
    assemble,
    coded,
    constant,
    dates,
    decimal,
    moments,
    money,
    padded,
)
from synthetic.bureau.diagnoses import dx_codes, dx_index, dx_names
from synthetic.bureau.dip import UNGROUPED, dip_case_type, dip_groups
from synthetic.bureau.enrolment import PSN_TYPES
from synthetic.bureau.events import MED, MED_TYPES, SHOP, STAY, Events
from synthetic.bureau.grouping import CASE_TYPES, case_type, groups
from synthetic.bureau.institutions import LOCAL
from synthetic.bureau.operations import NOTHING, oprn_codes
from synthetic.bureau.settings import RESIDENT
from synthetic.bureau.settlements import CLOSING
from synthetic.bureau.visits import DISEASES
from synthetic.warehouse.schema import TABLES

PAY_LOCS = ("2", "3", "4")
DEPARTMENTS = tuple(f"K{i:02d}" for i in range(1, 13))
_SECONDARY = ("I10.x00x002", "E78.500", "K29.500", "E11.900", "I67.900", "D64.900", "K76.000")
_SECONDARY_CHILD = ("J06.900", "D64.900", "R50.900", "E87.600", "J20.900", "R56.000", "J30.400")


def encounter_ids(block: Block) -> pa.Array:
    """mdtrt_id of every event."""
    return padded(f"990100M{block.number:04d}", np.arange(len(block.events)), 8)


def persons(city: City, block: Block) -> pa.Array:
    """psn_no of the block's persons, to be indexed by person − first."""
    return city.names.person.slice(block.first, block.last - block.first)


def who(city: City, block: Block, event: Array) -> dict[str, pa.Array]:
    """The columns about the person that encounters and settlements repeat."""
    events, people = block.events, city.people
    person, unit = events.person[event], events.unit[event]
    group, n = block.units.group[unit], len(event)
    resident = group == RESIDENT
    row = block.units.row[unit]
    first_row = int(row.min(initial=0)) if n else 0
    some = city.names.enrolment.slice(first_row, int(row.max(initial=0)) - first_row + 1)
    age_days = events.begin[event] - people.birth[person]
    special = np.where(resident, people.special[person], 0) - 1
    return {
        "psn_no": coded(person - block.first, persons(city, block)),
        "psn_insu_rlts_id": coded(row - first_row, some),
        "gend": coded(people.female[person], ["1", "2"]),
        "brdy": dates(people.birth[person]),
        "age": decimal(np.rint(age_days / 36.525).astype(np.int64), 4, 1),
        "insutype": coded(resident, ["310", "390"]),
        "psn_type": coded(block.units.kind[unit], PSN_TYPES),
        "cvlserv_flag": coded(people.civil[person] & ~resident, ["0", "1"]),
        "sp_psn_type": coded(special, ["1", "2", "3"]),
        "nwb_flag": coded(age_days <= 28, ["0", "1"]),
        "insu_admdvs": coded(people.county[person], city.names.county),
    }


def place(city: City, events: Events, event: Array) -> dict[str, pa.Array]:
    """The columns about the institution that encounters and settlements repeat."""
    inst = events.inst[event]
    return {
        "pay_loc": coded(events.place[event], PAY_LOCS),
        "fixmedins_code": coded(inst, city.places.code),
        "hosp_lv": coded(inst, city.places.hosp_lv),
        "fix_blng_admdvs": coded(inst, city.places.region),
        "med_type": coded(events.med[event], MED_TYPES),
    }


def mdtrt(city: City, block: Block) -> pa.Table:
    """mdtrt_d."""
    events, n = block.events, len(block.events)
    every = np.arange(n)
    stay = events.kind == STAY
    ended = events.end < days.DAYS
    begin = events.begin * 86_400 + events.second
    end = np.where(stay, events.end * 86_400 + 17 * 3600, begin + 50)
    end = np.maximum(np.minimum(end, _settled(events)), begin)
    dead = (city.people.death[events.person] == events.end) & stay & ended
    dx = np.where(ended, events.dx, -1)
    dept = np.where(events.kind == SHOP, -1, (events.dx * 7) % len(DEPARTMENTS))
    length = np.maximum(events.end - events.begin, 1)
    born = np.isin(events.med, [MED["52"], MED["2106"], MED["2107"]])
    natural = events.dx == dx_index()["O80.900"]
    columns = who(city, block, every) | place(city, events, every)
    columns |= {
        "mdtrt_id": encounter_ids(block),
        "medins_setl_id": padded(f"h{block.number:04d}", every, 8),
        "fixmedins_name": coded(events.inst, city.places.name),
        "begntime": moments(begin),
        "endtime": moments(end, ended),
        "mdtrt_cert_type": coded((events.person * 3 + every) % 10 < 6, ["03", "01"]),
        "year": coded(days.YEAR_OF[events.begin], [str(y) for y in days.YEARS]),
        "ipt_otp_no": padded(f"n{block.number:04d}", every, 8),
        "adm_way": coded(np.where(stay, events.med == MED["24"], -1), ["2", "1"]),
        "adm_dept_codg": coded(dept, DEPARTMENTS),
        "dscg_dept_codg": coded(np.where(stay & ended, dept, -1), DEPARTMENTS),
        "dscg_maindiag_code": coded(dx, dx_codes()),
        "dscg_maindiag_name": coded(dx, dx_names()),
        "dscg_way": coded(np.where(stay & ended, np.where(dead, 1, 0), -1), ["1", "5"]),
        "dise_no": coded(events.disease, DISEASES),
        "oprn_oprt_code": coded(_operation(block, stay & ended), oprn_codes()),
        "inhosp_stas": coded(stay & ~ended, ["0", "1"]),
        "die_date": dates(np.where(dead, events.end, 0), dead),
        "ipt_days": decimal(length, 16, 0, stay & ended),
        "matn_type": coded(np.where(born, np.where(natural, 0, 1), -1), ["1", "3"]),
        "crte_time": moments(begin + 30),
    }
    return assemble(TABLES["mdtrt_d"], columns, n)


def _operation(block: Block, closed: Array) -> Ints:
    """The main operation of each finished stay, NOTHING elsewhere."""
    out = np.full(len(block.events), NOTHING)
    out[closed] = block.operations.main[block.events.stay[closed]]
    return out


def _settled(events: Events) -> Ints:
    return events.settle * 86_400 + events.settle_second


def diagnoses(city: City, block: Block) -> pa.Table:
    """setl_diag_list_d: one line per visit; main and secondary diagnoses per stay."""
    events = block.events
    rng = stream(city.run.seed, "secondary", block.number)
    stay = events.kind == STAY
    extra = np.where(stay, rng.integers(1, 5, len(events)), 0)
    many = np.where(events.kind == SHOP, 0, 1 + extra)
    event = np.repeat(np.arange(len(events)), many)
    rank = ranks(event)
    dx = np.where(rank == 0, events.dx[event], _secondary(city, events, event, rank))
    ended = (events.end < days.DAYS)[event]
    n = len(event)
    stays = stay[event]
    columns = {
        "diag_info_id": padded(f"990100D{block.number:04d}", np.arange(n), 8),
        "mdtrt_id": coded(event, encounter_ids(block)),
        "psn_no": coded(events.person[event] - block.first, persons(city, block)),
        "inout_diag_type": coded(stays & ended, ["1", "2"]),
        "diag_type": constant("1", n),
        "maindiag_flag": coded(rank == 0, ["0", "1"]),
        "diag_srt_no": pa.array((rank + 1).astype(np.int32)),
        "diag_code": coded(dx, dx_codes()),
        "diag_name": coded(dx, dx_names()),
        "adm_cond": coded(np.where(stays, 0, -1), ["1"]),
        "diag_dept": coded((events.dx[event] * 7) % len(DEPARTMENTS), DEPARTMENTS),
        "diag_time": moments(events.begin[event] * 86_400 + events.second[event] + 20),
    }
    return assemble(TABLES["setl_diag_list_d"], columns, n)


def _secondary(city: City, events: Events, event: Ints, rank: Ints) -> Ints:
    """Further diagnoses: common ones of the age, each at most once and never the main one."""
    adult = events.begin[event] - city.people.birth[events.person[event]] >= 18 * 365
    lists = np.array([[dx_index()[c] for c in names] for names in (_SECONDARY_CHILD, _SECONDARY)])
    offset = (events.person[event] * 5 + event) % lists.shape[1]
    main = events.dx[event]
    same = lists[adult.astype(np.int64)] == main[:, None]
    at = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    steps = rank + 0
    behind = (at - offset) % lists.shape[1]
    steps = steps - 1 + ((at >= 0) & (behind <= steps - 1))
    found: Ints = lists[adult.astype(np.int64), (offset + steps) % lists.shape[1]]
    return found


def drg_results(city: City, block: Block) -> pa.Table:
    """drg_rslt_d: one row per closed stay, on its closing settlement."""
    made, events = block.settlements, block.events
    closing = (made.part == CLOSING) & (events.kind[made.event] == STAY)
    row = np.flatnonzero(closing)
    event = made.event[row]
    found = block.grouping.take(events.stay[event])
    medfee = sums(made.event, made.medfee, len(events))[event]
    n = len(row)
    ungrouped = found.drg == 0
    code = np.array([g["code"] for g in groups()])
    standard = np.maximum(found.std_fee, 1)
    columns = {
        "setl_id": settlement_ids(block, row, np.zeros(n, dtype=bool)),
        "grp_ver": constant("CHS-DRG-2.0-SYN", n),
        "mdc": coded(found.drg, [c[0] for c in code]),
        "adrg": coded(found.drg, [c[:3] for c in code]),
        "drg_code": coded(found.drg, list(code)),
        "rw": decimal(found.rw, 8, 4, ~ungrouped),
        "std_fee": decimal(found.std_fee, 16, 2, ~ungrouped),
        "case_type": coded(case_type(medfee, found), CASE_TYPES),
        "fee_ratio": decimal(
            np.rint(medfee * 10_000 / standard).astype(np.int64), 8, 4, ~ungrouped
        ),
        "pay_std_amt": money(found.pay_std),
        "hi_paymtd": coded(events.place[event] == LOCAL, ["1", "4"]),
    }
    return assemble(TABLES["drg_rslt_d"], columns, n)


def dip_results(city: City, block: Block) -> pa.Table:
    """dip_rslt_d: the same closed stays, grouped the other way."""
    made, events = block.settlements, block.events
    row = np.flatnonzero((made.part == CLOSING) & (events.kind[made.event] == STAY))
    event = made.event[row]
    found = block.dip.take(events.stay[event])
    medfee = sums(made.event, made.medfee, len(events))[event]
    n, grouped = len(row), found.group != UNGROUPED
    every = dip_groups()
    ratio = np.rint(medfee * 10_000 / np.maximum(found.std_fee, 1)).astype(np.int64)
    columns = {
        "setl_id": settlement_ids(block, row, np.zeros(n, dtype=bool)),
        "grp_ver": constant("DIP-2.0-SYN", n),
        "dip_dx4": coded(np.where(grouped, found.group, -1), [g["parent"] for g in every]),
        "dip_oprn": _some(found.group, [g["oprn"] for g in every]),
        "dip_code": coded(found.group, [g["code"] for g in every]),
        "dip_type": coded(found.group, [g["dip_type"] for g in every]),
        "score": decimal(found.score, 10, 2, grouped),
        "std_fee": decimal(found.std_fee, 16, 2, grouped),
        "case_type": coded(dip_case_type(medfee, found), CASE_TYPES),
        "fee_ratio": decimal(ratio, 8, 4, grouped),
        "aux_flag": coded(found.auxiliary, ["0", "1"]),
        "pay_std_amt": money(found.pay_std),
        "hi_paymtd": coded(events.place[event] == LOCAL, ["1", "3"]),
    }
    return assemble(TABLES["dip_rslt_d"], columns, n)


def _some(index: Ints, labels: list[str]) -> pa.Array:
    """Labels by index, null where the label is empty."""
    filled = np.array([bool(label) for label in labels])
    return coded(np.where(filled[index], index, -1), labels)


def settlement_ids(block: Block, position: Array, refund: Array) -> pa.Array:
    """setl_id: a refund's sorts right behind its original's."""
    return padded(f"990100S{block.number:04d}", np.asarray(position) * 10 + refund, 8)
