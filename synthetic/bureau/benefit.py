"""The benefit engine: who pays what of each settlement, computed in time order for every person.

The k-th settlements of all persons are settled together, so the annual accumulators (deductible,
pooled payments, critical-illness basis, stays so far) and the account are always those a clerk
would see at that moment. Money is integer fen throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from synthetic.bureau.arrays import Flags, Ints, half_up, ranks
from synthetic.bureau.policy import SHOP, STAY, TWO, VISIT, Policy, critical_due


@dataclass(frozen=True)
class Claims:
    """Settlements in order of person and time. `credit` is what the account had received by then.

    `void` marks those refunded at once: they leave no trace in the accumulators. `continued` marks
    later settlements of a stay already counted. `yearly` kinds use up the annual cap of the pooled
    fund, `major` ones count for critical illness.
    """

    person: Ints
    year: Ints
    kind: Ints
    resident: Flags
    retired: Flags
    account: Flags
    civil: Flags
    special: Ints
    level: Ints
    away: Flags
    two: Ints
    continued: Flags
    void: Flags
    medfee: Ints
    inscp: Ints
    credit: Ints
    yearly: Flags
    major: Flags

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: Ints) -> Claims:
        """The claims at these positions."""
        return Claims(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class Payments:
    """What each settlement pays, beside the claims."""

    dedc_std: Ints
    crt_dedc: Ints
    act_dedc: Ints
    ratio: Ints
    hifp: Ints
    hifob: Ints
    cvlserv: Ints
    hifmi: Ints
    maf: Ints
    fund: Ints
    psn: Ints
    acct: Ints
    cash: Ints
    balance: Ints


class _Book:
    """Accumulators of each person; all but the account restart with the year."""

    def __init__(self, persons: int) -> None:
        self.year = np.full(persons, -1)
        self.stays, self.pooled, self.large, self.dedc, self.visits, self.basis, self.spent = (
            np.zeros(persons, dtype=np.int64) for _ in range(7)
        )
        self.two = np.zeros((persons, 2), dtype=np.int64)

    def turn(self, who: Ints, year: Ints) -> None:
        """Start a new benefit year for those whose year has changed."""
        fresh = who[self.year[who] != year]
        self.year[who] = year
        for name in ("stays", "pooled", "large", "dedc", "visits", "basis"):
            getattr(self, name)[fresh] = 0
        self.two[fresh] = 0


def settle(claims: Claims, rules: Policy) -> Payments:
    """Settle every claim."""
    out = {f.name: np.zeros(len(claims), dtype=np.int64) for f in fields(Payments)}
    _, local = np.unique(claims.person, return_inverse=True)
    book = _Book(int(local.max(initial=-1)) + 1)
    rank = ranks(claims.person)
    order = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[order], np.arange(int(rank.max(initial=-1)) + 2))
    for a, b in pairwise(bounds):
        now = order[a:b]
        paid = _round(claims.take(now), local[now], book, rules)
        for name, values in paid.items():
            out[name][now] = values
    return Payments(**out)


def _round(c: Claims, who: Ints, book: _Book, rules: Policy) -> dict[str, Ints]:
    """One settlement of each of many different persons."""
    book.turn(who, c.year)
    r = c.resident.astype(np.int64)
    std, owed = _deductible(c, r, who, book, rules)
    act = np.minimum(owed, c.inscp)
    base = c.inscp - act
    ratio = _ratio(c, r, rules)
    formula = half_up(base * ratio, 10_000)
    hifp = np.minimum(np.maximum(_room(c, r, who, book, rules), 0), formula)
    hifob = _large(c, base, ratio, formula, hifp=hifp, used=book.large[who], rules=rules)
    personal = c.inscp - hifp - hifob
    cvl = np.where(c.civil & (c.kind != SHOP), half_up((personal - act) * rules.civil, 10_000), 0)
    basis = book.basis[who]
    hifmi = _critical(c, basis, personal, rules)
    helped = rules.assistance[c.special] * (c.kind != SHOP)
    maf = half_up(np.maximum(personal - act - cvl - hifmi, 0) * helped, 10_000)
    fund = hifp + hifob + cvl + hifmi + maf
    psn = c.medfee - fund
    have = np.maximum(c.credit - book.spent[who], 0)
    acct = np.where(c.account, np.minimum(psn, have), 0)
    keep = ~c.void
    book.stays[who] += keep & (c.kind == STAY) & ~c.continued
    book.pooled[who] += keep * hifp * c.yearly
    book.large[who] += keep * hifob
    book.dedc[who] += keep * act * (c.kind == VISIT)
    book.visits[who] += keep * hifp * (c.kind == VISIT)
    two = np.maximum(c.two, 0)
    book.two[who, two] += keep * hifp * (c.kind == TWO)
    book.basis[who] += keep * personal * c.major
    book.spent[who] += keep * acct
    return {
        "dedc_std": std, "crt_dedc": owed, "act_dedc": act, "ratio": ratio, "hifp": hifp,
        "hifob": hifob, "cvlserv": cvl, "hifmi": hifmi, "maf": maf, "fund": fund, "psn": psn,
        "acct": acct, "cash": psn - acct, "balance": np.where(c.account, have - keep * acct, 0),
    }  # fmt: skip


def _critical(c: Claims, basis: Ints, personal: Ints, rules: Policy) -> Ints:
    """What critical-illness insurance owes now, beyond what it owed before this settlement."""
    if not ((basis + personal)[c.major] > rules.critical[0][0]).any():
        return np.zeros(len(c), dtype=np.int64)
    due = critical_due(rules, basis + personal) - critical_due(rules, basis)
    return np.where(c.major, due, 0)


def _deductible(c: Claims, r: Ints, who: Ints, book: _Book, rules: Policy) -> tuple[Ints, Ints]:
    """(standard, still owed): per stay with repeats reduced; per year for outpatient visits."""
    full = rules.deductible[r, c.kind, c.level]
    share = rules.repeat[np.minimum(book.stays[who], len(rules.repeat) - 1)]
    stay = np.where(c.continued, 0, full * share // 10_000)
    visit = np.maximum(full - book.dedc[who], 0)
    std = np.where(c.kind == STAY, stay, full)
    return std, np.where(c.kind == STAY, stay, np.where(c.kind == VISIT, visit, 0))


def _ratio(c: Claims, r: Ints, rules: Policy) -> Ints:
    """Payment ratio of the pooled fund; residents away without filing lose some of it."""
    ratio = rules.ratio[r, c.kind, c.level]
    ratio = ratio + np.where(c.retired & (ratio > 0), rules.retired[c.kind], 0)
    malus = c.away & c.resident & (c.kind == STAY)
    return ratio - np.where(malus, rules.away_malus, 0)


def _room(c: Claims, r: Ints, who: Ints, book: _Book, rules: Policy) -> Ints:
    """What the pooled fund may still pay under the cap that holds for the kind."""
    room = np.where(c.yearly, rules.cap[r] - book.pooled[who], 0)
    room = np.where(c.kind == VISIT, rules.visit_cap[r] - book.visits[who], room)
    two = np.maximum(c.two, 0)
    return np.where(c.kind == TWO, rules.two_cap[two] - book.two[who, two], room)


def _large(
    c: Claims, base: Ints, ratio: Ints, formula: Ints, *, hifp: Ints, used: Ints, rules: Policy
) -> Ints:
    """Employees: 大额 takes over above the annual cap, up to its own cap."""
    capped = ~c.resident & c.yearly & (formula > hifp)
    if not capped.any():
        return np.zeros(len(c), dtype=np.int64)
    covered = -(-hifp * 10_000 // np.maximum(ratio, 1))
    beyond = np.maximum(base - covered, 0)
    due = np.minimum(half_up(beyond * rules.large_ratio, 10_000), rules.large_cap - used)
    return np.where(capped, due, 0)
