"""What a disclosure profile says of differential privacy: nothing is noised unless it says `on`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gateway.errors import OperatorError


class PrivacyError(OperatorError):
    """A private table cannot be made as the profile says."""

    title = "The privacy terms cannot be kept"


@dataclass(frozen=True)
class PrivateTable:
    """The one table of a service that is published with noise: its dims, geography and period."""

    dims: tuple[str, ...]
    geo: str
    grain: str


@dataclass(frozen=True)
class Terms:
    """The `dp` part of a profile that is on.

    `epsilon` is the loss of one release (of one period of a table, of one cohort question),
    `year` the most a geography may lose in a calendar year, both exact; `contributions` the most
    cells of a table one person counts in.
    """

    epsilon: Fraction
    year: Fraction
    contributions: int
    tables: Mapping[str, PrivateTable]

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> Terms | None:
        """The terms of a profile; None where differential privacy is off.

        Raises `PrivacyError` (`dp_terms`) where it is on and the terms are incomplete.
        """
        told = profile.get("dp")
        if not isinstance(told, Mapping) or told.get("on", False) is False:
            return None
        try:
            terms = cls(
                exact(told["epsilon_per_release"]),
                exact(told["epsilon_year"]),
                int(told.get("contributions", 1)),
                {name: _table(one) for name, one in told.get("tables", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _wrong(profile) from error
        sound = 0 < terms.epsilon <= terms.year and terms.contributions > 0
        if told["on"] is not True or not sound:
            raise _wrong(profile)
        return terms


def yearly_budget(profiles: Mapping[str, Mapping[str, Any]]) -> Fraction | None:
    """The most ε that every profile lets a geography lose in a year; None where none is on."""
    on = [terms for one in profiles.values() if (terms := Terms.of(one))]
    return min((terms.year for terms in on), default=None)


def exact(number: object) -> Fraction:
    """A figure of the policy as it was written: 0.1 is a tenth."""
    if isinstance(number, bool) or not isinstance(number, (int, float, str)):
        raise ValueError("not a number")
    return Fraction(str(number))


def _table(told: Mapping[str, Any]) -> PrivateTable:
    return PrivateTable(tuple(map(str, told["dims"])), str(told["geo"]), str(told["grain"]))


def _wrong(profile: Mapping[str, Any]) -> PrivacyError:
    return PrivacyError(
        "dp_terms",
        f"Disclosure profile '{profile.get('name', '')}': `dp` is on and needs "
        "epsilon_per_release, epsilon_year (not smaller), contributions ≥ 1, and for each "
        "service its dims, geo, grain.",
        "脱敏规则档的 dp 已启用，但参数缺失或取值不当。",
    )
