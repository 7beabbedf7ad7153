"""Whether a set may be handed out, by the copy and membership limits of profile DC7: every
limit kept and every declaration kept, or it is not released. What was not measured has failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from synthetic.evaluation.attacks import QUASI_IDENTIFIERS, Copies, Membership
from synthetic.evaluation.constraints import Check


@dataclass(frozen=True)
class Limits:
    """DC7 of the policy's `sdc_profiles`."""

    exact_match_max: int = 0
    dcr_p5_ratio_min: float = 1.0
    mia_auc_max: float = 0.55


@dataclass(frozen=True)
class Reason:
    """One condition, its figure beside its limit."""

    condition: str
    figure: str
    limit: str
    kept: bool


@dataclass(frozen=True)
class Verdict:
    """Released only if every reason is kept."""

    reasons: tuple[Reason, ...]

    @property
    def released(self) -> bool:
        """Whether the set may be handed out."""
        return all(reason.kept for reason in self.reasons)


def judge(
    checks: Sequence[Check],
    copies: Copies,
    attacked: Sequence[Membership],
    limits: Limits,
) -> Verdict:
    """All of DC7's limits, and every declaration in every row."""
    broken = [one for one in checks if one.broken]
    few = copies.quasi_identifiers < QUASI_IDENTIFIERS
    found = [one.auc for one in attacked]
    auc = max(found) if found and all(map(isfinite, found)) else float("nan")
    return Verdict(
        (
            Reason("Declarations kept in every row", f"{len(broken)} broken", "0", not broken),
            Reason(
                "Persons of one of a kind found again, told apart by six columns or more",
                "not measured: too few columns" if few else str(copies.exact),
                f"≤ {limits.exact_match_max}",
                not few and copies.exact <= limits.exact_match_max,
            ),
            Reason(
                "Closest real row, 5th percentile, over that of other real rows",
                f"{copies.closest_ratio:.2f}",
                f"≥ {limits.dcr_p5_ratio_min:g}",
                copies.closest_ratio >= limits.dcr_p5_ratio_min,
            ),
            Reason(
                "Best membership attack, area under the curve",
                f"{auc:.3f}" if isfinite(auc) else "not measured: too few persons",
                f"≤ {limits.mia_auc_max:g}",
                isfinite(auc) and auc <= limits.mia_auc_max,
            ),
        )
    )
