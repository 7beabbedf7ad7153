"""The disclosure profile: thresholds as the policy merged them, read without any default.

Merging (SPEC 4.3.13) is the policy's; this module only reads the result. A threshold that a rule
needs and the policy does not give is an error, so a typing mistake in policy data can never
publish a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import OperatorError


class ProfileError(OperatorError):
    """The merged profile lacks, or misstates, a threshold that a disclosure rule needs."""


@dataclass(frozen=True)
class Profile:
    """Thresholds of one merged disclosure profile; shares and counts as in policy data."""

    name: str
    thresholds: Mapping[str, float]
    percentile_min_n: Mapping[str, int] | None
    percentiles: tuple[str, ...] | None

    @classmethod
    def of(cls, merged: Mapping[str, object]) -> Profile:
        """The profile in a merged policy document; fields of other rules are left to them."""
        name = str(merged.get("name", "unnamed"))
        if merged.get("complementary") is not True:
            raise _wrong(name, "complementary", "must be true: releases publish whole lattices")
        thresholds = {f: _number(name, f, merged[f]) for f in _FIELDS if f in merged}
        listed = merged.get("percentiles")
        return cls(
            name=name,
            thresholds=thresholds,
            percentile_min_n=_min_n(name, merged.get("percentile_min_n")),
            percentiles=tuple(map(str, listed)) if isinstance(listed, (list, tuple)) else None,
        )

    def count(self, field: str) -> int:
        """A whole-number threshold."""
        value = self._need(field)
        if value != int(value):
            raise _wrong(self.name, field, "must be a whole number")
        return int(value)

    def share(self, field: str) -> float:
        """A threshold between 0 and 1."""
        value = self._need(field)
        if not 0 < value <= 1:
            raise _wrong(self.name, field, "must be a share between 0 and 1")
        return value

    def min_n(self, p: int) -> int | None:
        """Records needed for the p-th percentile; None where this profile never shows it."""
        if self.percentile_min_n is None:
            raise _wrong(self.name, "percentile_min_n", "is missing")
        label = f"p{p:02d}"
        if self.percentiles is not None and label not in self.percentiles:
            return None
        return self.percentile_min_n.get(label)

    @property
    def k(self) -> int:
        """Fewest persons a published cell may describe."""
        return self.count("k_person")

    @property
    def hidden_sum(self) -> int:
        """Fewest persons the hidden children of a published parent hold together.

        2k + 1 makes the interval of each hidden cell at least 2k wide; the second figure keeps a
        difference of three published rounded counts at k or more in the worst case of rounding.
        """
        return max(2 * self.k + 1, self.k + 3 * (self.count("count_round") - 1))

    def _need(self, field: str) -> float:
        if field not in self.thresholds:
            raise _wrong(self.name, field, "is missing")
        return self.thresholds[field]


_FIELDS = (
    "k_person",
    "min_exposure",
    "min_institutions",
    "min_manufacturers",
    "top1_share_max",
    "top2_share_max",
    "count_round",
    "amount_sig_digits",
    "percentile_window",
)


def _number(name: str, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise _wrong(name, field, "must be a positive number")
    return float(value)


def _min_n(name: str, value: object) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(name, "percentile_min_n", "must map percentiles to record counts")
    return {str(p): int(_number(name, f"percentile_min_n.{p}", n)) for p, n in value.items()}


def _wrong(name: str, field: str, what: str) -> ProfileError:
    return ProfileError(
        "sdc_profile",
        f"Disclosure profile '{name}': field '{field}' {what}.",
        f"脱敏规则档“{name}”：字段“{field}”缺失或取值不当。",
    )
