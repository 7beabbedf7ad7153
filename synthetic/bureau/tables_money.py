"""Settlement, fund split and fee line tables of one block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, stream
from synthetic.bureau.block import Block, City
from synthetic.bureau.catalogue import VBP_MONTH, generics
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
from synthetic.bureau.devices import labelled
from synthetic.bureau.events import MED_TYPES, SHOP, STAY
from synthetic.bureau.institutions import DEDC_LEVEL, LOCAL, SECONDARY, Institutions
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import RESIDENT
from synthetic.bureau.settlements import INTERIM, REFUND_DELAY, boundary, with_refunds
from synthetic.bureau.tables_events import (
    DEPARTMENTS,
    PAY_LOCS,
    encounter_ids,
    persons,
    place,
    settlement_ids,
    who,
)
from synthetic.bureau.visits import DISEASES
from synthetic.warehouse.schema import TABLES

MISMAPPED = "C08CA01"  # PT10: this generic is reported under the code of another one
MISMAPPED_AS = "C08CA05"
MISMAPPED_FROM = days.day_of("2024-03-01")
EXTERNAL_SHARE = 0.12  # of purchases at pharmacies: on a prescription of somebody else
_FUNDS = (
    ("hifp", ("310100", "390100")),
    ("cvlserv", ("320100", "320100")),
    ("hifob", ("330100", "330100")),
    ("hifmi", ("390200", "390200")),
    ("maf", ("610100", "610100")),
    ("acct", ("310200", "310200")),
)


def mismapping_hospital(places: Institutions) -> int:
    """PT10: the institution with a wrong mapping."""
    return int(places.pool(SECONDARY, LOCAL)[1])


def setl(city: City, block: Block) -> pa.Table:
    """setl_d, each refund right behind its original."""
    made, events, paid = block.settlements, block.events, block.payments
    row, refund = with_refunds(made)
    event, n = made.event[row], len(row)
    sign = np.where(refund, -1, 1)
    stay = events.kind[event] == STAY
    interim = made.part[row] == INTERIM
    end = np.where(interim, boundary(events)[event], events.end[event])
    moment = made.day[row] * 86_400 + made.second[row] + refund * REFUND_DELAY
    kind = np.where(stay, 1, np.where(events.kind[event] == SHOP, 2, 0))
    level = city.places.level[events.inst[event]]
    counted = stay & (interim | ~events.mid[event])
    ids = settlement_ids(block, row, refund)
    columns = who(city, block, event) | place(city, events, event)
    columns |= {name: money(sign * values[row]) for name, values in _amounts(block).items()}
    columns |= {
        "setl_id": ids,
        "mdtrt_id": coded(event, encounter_ids(block)),
        "medins_setl_id": padded(f"h{block.number:04d}", row * 10 + refund, 8),
        "init_setl_id": _undone(block, row, refund),
        "clr_optins": constant("990100", n),
        "flxempe_flag": constant("0", n),
        "lmtpric_hosp_lv": coded(level, DEDC_LEVEL),
        "dedc_hosp_lv": coded(level, DEDC_LEVEL),
        "begndate": dates(events.begin[event]),
        "enddate": dates(end),
        "setl_time": moments(moment),
        "mdtrt_cert_type": coded((events.person[event] * 3 + event) % 10 < 6, ["03", "01"]),
        "setl_type": coded(events.manual[event], ["2", "1"]),
        "clr_type": coded(kind, ["11", "21", "41"]),
        "clr_way": coded(stay & (events.place[event] == LOCAL), ["1", "4"]),
        "psn_setlway": constant("01", n),
        "dedc_std": money(paid.dedc_std[row]),
        "crt_dedc": money(paid.crt_dedc[row]),
        "pool_prop_selfpay": decimal(paid.ratio[row], 5, 4),
        "balc": money(paid.balance[row]),
        "refd_setl_flag": coded(refund, ["0", "1"]),
        "cal_ipt_cnt": coded(counted, ["0", "1"]),
        "mid_setl_flag": coded(interim, ["0", "1"]),
        "acct_used_flag": coded(paid.acct[row] > 0, ["0", "1"]),
        "year": coded(days.YEAR_OF[made.day[row]], [str(y) for y in days.YEARS]),
        "dise_no": coded(events.disease[event], DISEASES),
        "invono": padded(f"9901{block.number:04d}", row * 10 + refund, 12),
        "manl_reim_rea": coded(np.where(events.manual[event], 0, -1), ["未联网结算"]),
        "crte_time": moments(moment + 5),
    }
    return assemble(TABLES["setl_d"], columns, n)


def _undone(block: Block, row: Ints, refund: Flags) -> pa.Array:
    """The settlement that each refund undoes; the dictionary holds no others."""
    position = row[refund]
    labels = settlement_ids(block, position, np.zeros(len(position), dtype=bool))
    return coded(np.where(refund, np.cumsum(refund) - 1, -1), labels)


def _amounts(block: Block) -> dict[str, Ints]:
    made, paid = block.settlements, block.payments
    nothing = np.zeros(len(made), dtype=np.int64)
    return {
        "medfee_sumamt": made.medfee, "fulamt_ownpay_amt": made.own, "overlmt_selfpay": made.over,
        "preselfpay_amt": made.pre, "inscp_amt": made.scope, "act_pay_dedc": paid.act_dedc,
        "hifp_pay": paid.hifp, "hi_agre_sumfee": made.medfee, "cvlserv_pay": paid.cvlserv,
        "hifes_pay": nothing, "hifmi_pay": paid.hifmi, "hifob_pay": paid.hifob,
        "hifdm_pay": nothing, "maf_pay": paid.maf, "othfund_pay": nothing,
        "fund_pay_sumamt": paid.fund, "psn_pay": paid.psn, "acct_pay": paid.acct,
        "cash_payamt": paid.cash, "ownpay_hosp_part": nothing, "acct_mulaid_pay": nothing,
    }  # fmt: skip


def setl_fund(block: Block) -> pa.Table:
    """setl_fund_d: one row per fund (and account) that pays."""
    made, paid = block.settlements, block.payments
    row, refund = with_refunds(made)
    resident = block.units.group[block.events.unit[made.event]] == RESIDENT
    sources = np.stack([getattr(paid, name) for name, _ in _FUNDS], axis=1)
    used, fund = np.nonzero(sources[row] > 0)
    at = row[used]
    sign = np.where(refund[used], -1, 1)
    codes = [code for _, pair in _FUNDS for code in pair]
    columns = {
        "setl_id": settlement_ids(block, at, refund[used]),
        "fund_pay_type": coded(fund * 2 + resident[at], codes),
        "inscp_scp_amt": money(sign * made.scope[at]),
        "fund_payamt": money(sign * sources[at, fund]),
    }
    return assemble(TABLES["setl_fund_d"], columns, len(at))


def fee_list(city: City, block: Block) -> pa.Table:
    """fee_list_d: the lines of an encounter, then the negative lines of its refund."""
    lines, parts, where = block.lines, block.split, block.where
    undone = np.flatnonzero((where >= 0) & block.settlements.refund[where])
    index = np.concatenate([np.arange(len(lines)), undone])
    back = np.concatenate([np.zeros(len(lines), dtype=bool), np.ones(len(undone), dtype=bool)])
    order = np.argsort(lines.event[index] * 2 + back, kind="stable")
    index, back = index[order], back[order]
    original = np.full(len(lines), -1)
    original[index[~back]] = np.flatnonzero(~back)
    n = len(index)
    sign = np.where(back, -1, 1)
    serial = padded(f"990100F{block.number:04d}", np.arange(n), 8)
    columns = {name: money(sign * getattr(parts, field)[index]) for name, field in _SPLIT}
    columns |= _about(city, block, index, back)
    columns |= _what(city, block, index)
    columns |= _named(city, block, index)
    columns |= {
        "bkkp_sn": serial,
        "feedetl_sn": serial,
        "init_feedetl_sn": _originals_of(block, original[index], back),
        "setl_id": _settled(block, where[index], back),
        "cnt": decimal(sign * lines.count[index] * 10_000, 16, 4),
        "pric": decimal(lines.price[index] * 10_000, 16, 6),
    }
    return assemble(TABLES["fee_list_d"], columns, n)


def _originals_of(block: Block, original: Ints, back: Flags) -> pa.Array:
    """Serials of the lines that refunds undo; the dictionary holds no others."""
    labels = padded(f"990100F{block.number:04d}", original[back], 8)
    return coded(np.where(back, np.cumsum(back) - 1, -1), labels)


_SPLIT = (
    ("det_item_fee_sumamt", "amount"),
    ("fulamt_ownpay_amt", "own"),
    ("overlmt_selfpay", "over"),
    ("preselfpay_amt", "pre"),
    ("inscp_amt", "scope"),
)


def _settled(block: Block, where: Ints, back: Flags) -> pa.Array:
    every = np.arange(2 * len(block.settlements))
    labels = settlement_ids(block, every // 2, every % 2 == 1)
    return coded(np.where(where < 0, -1, where * 2 + back), labels)


def _about(city: City, block: Block, index: Array, back: Flags) -> dict[str, pa.Array]:
    """Who, where, when of each line."""
    events, lines = block.events, block.lines
    event = lines.event[index]
    stay = events.kind[event] == STAY
    person = events.person[event]
    ward = lines.day[index] * 86_400 + 28_800 + (np.arange(len(index)) * 977) % 36_000
    visit = events.begin[event] * 86_400 + np.minimum(events.second[event] + 20, 86_399)
    moment = np.where(stay, ward, visit) + back * REFUND_DELAY
    shop = events.kind[event] == SHOP
    dept = np.where(shop, -1, (events.dx[event] * 7) % len(DEPARTMENTS))
    doctor = np.where(shop, -1, events.inst[event] * 8 + (person + dept) % 8)
    doctors = [f"D{r}{i:03d}{k:03d}" for i, r in enumerate(city.places.region) for k in range(8)]
    return {
        "mdtrt_id": coded(event, encounter_ids(block)),
        "psn_no": coded(person - block.first, persons(city, block)),
        "fixmedins_code": coded(events.inst[event], city.places.code),
        "insu_admdvs": coded(city.people.county[person], city.names.county),
        "pay_loc": coded(events.place[event], PAY_LOCS),
        "med_type": coded(events.med[event], MED_TYPES),
        "rx_circ_flag": coded(np.where(shop, _external(city, block)[event], -1), ["0", "1"]),
        "fee_ocur_time": moments(moment),
        "bilg_dept_codg": coded(dept, DEPARTMENTS),
        "bilg_dr_code": coded(doctor, doctors),
        "crte_time": moments(moment + 60 + (event * 13) % 240),
    }


def _external(city: City, block: Block) -> Flags:
    """Purchases on a prescription that came from elsewhere; PT2's drug is sold without one."""
    rng = stream(city.run.seed, "external", block.number)
    events = block.events
    some = rng.random(len(events)) < EXTERNAL_SHARE
    found: Flags = some & (events.kind == SHOP) & (events.regimen != REGIMENS.index("nego"))
    return found


def _what(city: City, block: Block, index: Array) -> dict[str, pa.Array]:
    """Which item, in which class, with which flags."""
    lines, items = block.lines, city.items
    item = lines.item[index]
    limit = items.limit[item]
    limited = (limit > 0) & (items.lv[item] < 3)
    drug = item < items.drugs
    awarded = np.array([g["kind"] == "P" for g in generics()])
    generic = np.append(city.products.generic, 0)[np.minimum(item, items.drugs)]
    early = awarded[generic] & drug & (days.MONTH_OF[lines.day[index]] < VBP_MONTH)
    supply = lines.supply[index]
    return {
        "pric_uplmt_amt": decimal(limit * 10_000, 16, 6, limited),
        "selfpay_prop": decimal(items.prop[item], 5, 4),
        "chrgitm_lv": coded(items.lv[item] - 1, ["01", "02", "03"]),
        "list_type": coded(item, items.list_type),
        "med_chrgitm_type": coded(items.category[item], [f"{i:02d}" for i in range(15)]),
        "spec": coded(np.where(drug, item, -1), items.spec),
        "lmt_used_flag": constant("0", len(index)),
        "hosp_appr_flag": constant("0", len(index)),
        "bas_medn_flag": coded(items.basic[item], ["0", "1"]),
        "hi_nego_drug_flag": coded(items.nego[item], ["0", "1"]),
        "prcu_drug_flag": coded(items.procured[item] & ~early, ["0", "1"]),
        "dscg_tkdrug_flag": constant("0", len(index)),
        "prd_days": decimal(supply * 100, 4, 2, supply > 0),
    }


def _named(city: City, block: Block, index: Array) -> dict[str, pa.Array]:
    """National and own codes and names of each line; consumables are products, not kinds."""
    lines, items, made = block.lines, city.items, city.devices
    item = labelled(
        city.run, block.number, made, items, events=block.events, stays=block.stays, lines=lines
    )[index]
    inst = block.events.inst[lines.event[index]]
    reported = _reported(city, item, inst, lines.day[index])
    codes, names = items.code + made.code, items.name + made.name
    return {
        "hilist_code": coded(reported, codes),
        "hilist_name": coded(reported, names),
        "med_list_codg": coded(reported, codes),
        "medins_list_codg": coded(item, [f"L{c}" for c in codes]),
        "medins_list_name": coded(item, names),
    }


def _reported(city: City, item: Ints, inst: Ints, day: Ints) -> Ints:
    """PT10: from a day on one hospital reports one generic under the code of another."""
    codes = [g["atc"] for g in generics()]
    source, target = codes.index(MISMAPPED), codes.index(MISMAPPED_AS)
    generic = np.append(city.products.generic, -1)[np.minimum(item, city.items.drugs)]
    wrong = (inst == mismapping_hospital(city.places)) & (day >= MISMAPPED_FROM)
    return np.where(wrong & (generic == source), city.products.first[target], item)
