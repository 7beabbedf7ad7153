"""The benefit policy as integers: fen and ten-thousandths, read from `benefit.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Ints
from synthetic.bureau.settings import document

STAY, VISIT, SPECIAL, TWO, SHOP, BIRTH, ANTENATAL = range(7)
KINDS = 7


@dataclass(frozen=True)
class Policy:
    """Tables indexed [resident, …, level]; money in fen, ratios in 1/10 000."""

    deductible: Ints
    ratio: Ints
    retired: Ints
    away_malus: int
    filed: float
    cap: Ints
    visit_cap: Ints
    two_cap: Ints
    large_ratio: int
    large_cap: int
    critical: tuple[tuple[int, int], ...]
    critical_top: int
    repeat: Ints
    civil: int
    assistance: Ints


def _fen(yuan: float) -> int:
    return round(yuan * 100)


def _parts(share: float) -> int:
    return round(share * 10_000)


@cache
def policy() -> Policy:
    """The policy in force."""
    text = document("benefit")
    schemes = (text["employee"], text["resident"])
    deductible = np.zeros((2, KINDS, 4), dtype=np.int64)
    ratio = np.zeros((2, KINDS, 4), dtype=np.int64)
    for r, scheme in enumerate(schemes):
        deductible[r, STAY] = [_fen(x) for x in scheme["stay"]["deductible"]]
        deductible[r, VISIT] = _fen(scheme["outpatient"]["deductible"])
        ratio[r, STAY] = [_parts(x) for x in scheme["stay"]["ratio"]]
        ratio[r, VISIT] = [_parts(x) for x in scheme["outpatient"]["ratio"]]
        ratio[r, SPECIAL] = _parts(scheme["special"]["ratio"])
        ratio[r, BIRTH] = _parts(scheme["maternity"]["stay"])
        ratio[r, ANTENATAL] = _parts(scheme["maternity"]["outpatient"])
    employee, resident = schemes
    ratio[1, TWO] = _parts(resident["two_diseases"]["ratio"])
    retired = np.zeros(KINDS, dtype=np.int64)
    retired[STAY] = _parts(employee["stay"]["retired_bonus"])
    retired[VISIT] = _parts(employee["outpatient"]["retired_bonus"])
    critical = resident["critical"]
    edges = [_fen(critical["from"]), *(_fen(edge) for edge, _ in critical["bands"])]
    shares = [_parts(share) for _, share in critical["bands"]]
    return Policy(
        deductible=deductible,
        ratio=ratio,
        retired=retired,
        away_malus=_parts(resident["stay"]["away_malus"]),
        filed=float(resident["stay"]["filed"]),
        cap=np.array([_fen(s["cap"]) for s in schemes]),
        visit_cap=np.array([_fen(s["outpatient"]["cap"]) for s in schemes]),
        two_cap=np.array([_fen(x) for x in resident["two_diseases"]["cap"]]),
        large_ratio=_parts(employee["large"]["ratio"]),
        large_cap=_fen(employee["large"]["cap"]),
        critical=tuple(zip(edges, [*shares, _parts(critical["above"])], strict=True)),
        critical_top=_fen(10_000_000),
        repeat=np.array([_parts(x) for x in text["repeat_stay"]]),
        civil=_parts(text["civil_servant"]),
        assistance=np.array([_parts(x) for x in text["assistance"]]),
    )


def critical_due(rules: Policy, basis: Array) -> Ints:
    """Critical-illness payment due for a year's in-scope personal part, in fen."""
    due = np.zeros(len(basis), dtype=np.int64)
    uppers = [edge for edge, _ in rules.critical[1:]] + [rules.critical_top]
    for (lower, share), upper in zip(rules.critical, uppers, strict=True):
        due += np.clip(basis - lower, 0, upper - lower) * share
    return due // 10_000


def caps() -> list[dict[str, str]]:
    """What a person-year can cost each fund at most, as rule R22 checks it; amounts in yuan."""
    rules = policy()
    first, second = int(rules.repeat[0]), int(rules.repeat[1])
    found = []
    for r, insutype in enumerate(("310", "390")):
        stay = int(rules.deductible[r, STAY].max()) * (first + second) // 10_000
        visit = int(rules.deductible[r, VISIT].max())
        two = int(rules.two_cap.sum()) if r else 0
        pooled = int(rules.cap[r] + rules.visit_cap[r]) + two
        limits = {"hifp_pay": pooled, "act_pay_dedc": stay + visit}
        if not r:
            limits["hifob_pay"] = rules.large_cap
        for field, fen in limits.items():
            found.append({"insutype": insutype, "field": field, "cap": f"{fen / 100:.2f}"})
    return found
