"""The vectorised benefit engine agrees with a clerk who settles one claim after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic.bureau.benefit import Claims, Payments, settle
from synthetic.bureau.block import live
from synthetic.bureau.build import build_city
from synthetic.bureau.policy import (
    ANTENATAL,
    BIRTH,
    SHOP,
    SPECIAL,
    STAY,
    TWO,
    VISIT,
    policy,
)  # fmt: skip
from synthetic.bureau.settings import Run, document
from synthetic.bureau.settlements import claims

D = Decimal
LEVELS = ("T", "S", "P", "N")
FIELDS = ("dedc_std", "act_dedc", "hifp", "hifob", "cvlserv", "hifmi", "maf", "acct", "cash")


def cents(value: Decimal) -> Decimal:
    return value.quantize(D("0.01"), ROUND_HALF_UP)


@dataclass
class Ledger:
    """A clerk's notes on one person."""

    year: int = -1
    spent: Decimal = field(default_factory=Decimal)
    sums: dict[str, Decimal] = field(default_factory=dict)

    def turn(self, year: int) -> None:
        if year != self.year:
            self.year = year
            names = ("stays", "pooled", "large", "dedc", "visits", "basis", "two0", "two1")
            self.sums = dict.fromkeys(names, D(0))


def number(value: float) -> Decimal:
    return D(str(value))


def critical(basis: Decimal) -> Decimal:
    rules = document("benefit")["resident"]["critical"]
    due, lower = D(0), number(rules["from"])
    for upper, share in rules["bands"]:
        due += max(D(0), min(basis, number(upper)) - lower) * number(share)
        lower = number(upper)
    due += max(D(0), basis - lower) * number(rules["above"])
    return due.quantize(D("0.01"), rounding="ROUND_DOWN")


def terms(c: Claims, i: int, note: Ledger) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """(standard deductible, owed now, ratio, room under the cap) from the policy's own words."""
    text = document("benefit")
    scheme = text["resident" if c.resident[i] else "employee"]
    kind, level = int(c.kind[i]), int(c.level[i])
    bonus = bool(c.retired[i])
    room = number(scheme["cap"]) - note.sums["pooled"]
    zero = D(0)
    if kind == STAY:
        share = text["repeat_stay"][min(int(note.sums["stays"]), 2)]
        std = number(scheme["stay"]["deductible"][level]) * number(share)
        std = zero if c.continued[i] else std
        ratio = number(scheme["stay"]["ratio"][level])
        ratio += number(scheme["stay"].get("retired_bonus", 0)) if bonus else zero
        ratio -= number(scheme["stay"].get("away_malus", 0)) if c.away[i] else zero
        return std, std, ratio, room
    if kind == VISIT:
        std = number(scheme["outpatient"]["deductible"])
        ratio = number(scheme["outpatient"]["ratio"][level])
        if bonus and ratio > 0:
            ratio += number(scheme["outpatient"]["retired_bonus"])
        room = number(scheme["outpatient"]["cap"]) - note.sums["visits"]
        return std, max(zero, std - note.sums["dedc"]), ratio, room
    if kind == TWO:
        which = int(c.two[i])
        ratio = number(text["resident"]["two_diseases"]["ratio"]) if c.resident[i] else zero
        cap = number(text["resident"]["two_diseases"]["cap"][which])
        return zero, zero, ratio, cap - note.sums[f"two{which}"]
    if kind == SHOP:
        return zero, zero, zero, zero
    words = {SPECIAL: scheme["special"]["ratio"], BIRTH: scheme["maternity"]["stay"],
             ANTENATAL: scheme["maternity"]["outpatient"]}  # fmt: skip
    return zero, zero, number(words[kind]), room


def clerk(c: Claims, i: int, note: Ledger) -> dict[str, Decimal]:
    """Settle claim i by hand and write it into the notes."""
    note.turn(int(c.year[i]))
    text = document("benefit")
    kind, resident = int(c.kind[i]), bool(c.resident[i])
    fee, scope = D(int(c.medfee[i])) / 100, D(int(c.inscp[i])) / 100
    std, owed, ratio, room = terms(c, i, note)
    dedc = min(owed, scope)
    due = cents((scope - dedc) * ratio)
    hifp = min(due, max(room, D(0)))
    hifob = D(0)
    if not resident and kind in (STAY, SPECIAL, BIRTH, ANTENATAL) and due > hifp:
        covered = (hifp / ratio).quantize(D("0.01"), rounding="ROUND_UP")
        large = text["employee"]["large"]
        rest = cents(max(D(0), scope - dedc - covered) * number(large["ratio"]))
        hifob = min(rest, number(large["cap"]) - note.sums["large"])
    personal = scope - hifp - hifob
    helped = kind != SHOP
    civil = bool(c.civil[i]) and helped
    cvl = cents((personal - dedc) * number(text["civil_servant"])) if civil else D(0)
    major = resident and kind in (STAY, SPECIAL, BIRTH)
    before = note.sums["basis"]
    hifmi = critical(before + personal) - critical(before) if major else D(0)
    share = number(text["assistance"][int(c.special[i])]) if helped else D(0)
    maf = cents(max(D(0), personal - dedc - cvl - hifmi) * share)
    own = fee - hifp - hifob - cvl - hifmi - maf
    have = max(D(0), D(int(c.credit[i])) / 100 - note.spent)
    acct = min(own, have) if c.account[i] else D(0)
    if not c.void[i]:
        note.spent += acct
        adds: dict[str, Decimal] = {
            "stays": D(int(kind == STAY and not c.continued[i])),
            "pooled": hifp * (kind in (STAY, SPECIAL, BIRTH, ANTENATAL)), "large": hifob,
            "dedc": dedc * (kind == VISIT), "visits": hifp * (kind == VISIT),
            "basis": personal * major, f"two{max(0, int(c.two[i]))}": hifp * (kind == TWO),
        }  # fmt: skip
        for name, amount in adds.items():
            note.sums[name] += amount
    return {
        "dedc_std": std, "act_dedc": dedc, "hifp": hifp, "hifob": hifob, "cvlserv": cvl,
        "hifmi": hifmi, "maf": maf, "acct": acct, "cash": own - acct,
    }  # fmt: skip


def compare(c: Claims, paid: Payments, upto: int) -> None:
    notes: dict[int, Ledger] = {}
    for i in range(upto):
        note = notes.setdefault(int(c.person[i]), Ledger())
        for name, amount in clerk(c, i, note).items():
            assert D(int(getattr(paid, name)[i])) / 100 == amount, (name, i)


def test_the_engine_agrees_with_a_clerk_on_simulated_lives() -> None:
    city = build_city(Run("mini", 11))
    block = live(city, 0)
    made = claims(city.people, block.units, block.events, block.settlements, policy())
    upto = int(np.searchsorted(made.person, 400))
    assert upto > 5_000
    assert (block.payments.hifmi[:upto] > 0).any()
    compare(made, block.payments, upto)


def test_a_settlement_always_adds_up_on_simulated_lives() -> None:
    city = build_city(Run("mini", 12))
    block = live(city, 0)
    paid, made = block.payments, block.settlements
    parts = paid.hifp + paid.hifob + paid.cvlserv + paid.hifmi + paid.maf
    assert (parts == paid.fund).all()
    assert (paid.fund + paid.acct + paid.cash == made.medfee).all()
    assert (paid.fund <= made.scope).all()
    assert min(int(getattr(paid, name).min()) for name in FIELDS) >= 0


amounts = st.integers(0, 90_000_000)
claim = st.tuples(
    st.integers(0, 2), st.integers(0, 1), st.sampled_from([STAY, VISIT, SPECIAL, TWO, SHOP, BIRTH]),
    st.integers(0, 3), st.booleans(), st.booleans(), amounts, st.integers(0, 100),
)  # fmt: skip


def batch(rows: list[tuple[int, int, int, int, bool, bool, int, int]]) -> Claims:
    """Claims from drawn tuples; person 0 is a resident in need, 1 retired, 2 a civil servant."""
    rows = sorted(rows, key=lambda r: r[:2])
    person, year, kind, level, flag, void, fee, part = (
        np.array([r[k] for r in rows]) for k in range(8)
    )
    resident = person == 0
    kind = np.where((kind == TWO) & ~resident, VISIT, kind)
    scope = fee * part // 100
    return Claims(
        person=person, year=year, kind=kind, resident=resident, retired=person == 1,
        account=~resident, civil=person == 2, special=np.where(resident, 2, 0), level=level,
        away=flag & resident, two=np.where(kind == TWO, level % 2, -1),
        continued=flag & (kind == STAY), void=void, medfee=fee, inscp=scope,
        credit=np.full(len(rows), 500_000),
        yearly=np.isin(kind, (STAY, SPECIAL, BIRTH, ANTENATAL)),
        major=resident & np.isin(kind, (STAY, SPECIAL, BIRTH)),
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(claim, min_size=1, max_size=25))
def test_the_engine_agrees_with_a_clerk_on_any_claims(
    rows: list[tuple[int, int, int, int, bool, bool, int, int]],
) -> None:
    made = batch(rows)
    compare(made, settle(made, policy()), len(made))
