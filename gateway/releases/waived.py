"""The gate of data quality: what fails stops a release, unless two people signed for it.

Failing are the four figures of a period, all feeders together, and the rules that block. A service
whose subject is the quality itself is not held back by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from gateway.quality.waiver import Waiver, judge
from gateway.releases.manifest import ReleaseError, Waived
from synthetic.integrity.quality import months_of

_NAMED = 6


def check_quality(
    failing: Mapping[str, Sequence[str]], waivers: Iterable[Waiver], today: date
) -> tuple[Waiver, ...]:
    """The waivers this build rests on; refuses one that fails where none covers it."""
    months = {period: months_of(period) for period in failing}
    verdict = judge(failing, months, waivers, today)
    if not verdict.open:
        return verdict.used
    told = [f"{name} ({_span(where)})" for name, where in verdict.open.items()]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    names = ", ".join(told[:_NAMED]) + more
    raise ReleaseError(
        "quality_blocks",
        f"Data quality stops this release: {names}. Repair the warehouse (`sluice quality report` "
        "names feeders and rules), or have a waiver signed by two people "
        "(`sluice quality waiver propose`).",
        f"数据质量未达标：{names}。请修复数据（见 sluice quality report），或由两人签署质量豁免。",
    )


def _span(periods: Sequence[str]) -> str:
    return periods[0] if len(periods) == 1 else f"{periods[0]} … {periods[-1]}"


def waived_in(
    waivers: Iterable[Waiver], failing: Mapping[str, Sequence[str]], labels: Iterable[str]
) -> tuple[Waived, ...] | None:
    """What a release with these periods says of the waivers it rests on; none if on none."""
    own = {label: failing[label] for label in labels if failing.get(label)}
    found = tuple(
        as_told(one)
        for one in waivers
        if any(
            one.covers_all_of(name, months_of(label))
            for label, names in own.items()
            for name in names
        )
    )
    return found or None


def as_told(waiver: Waiver) -> Waived:
    """A waiver as releases and answers tell of it."""
    return Waived(
        id=waiver.id,
        covers=waiver.covers,
        first=waiver.first,
        last=waiver.last,
        reason=waiver.reason,
        until=waiver.until,
        signed_by=(waiver.proposed_by, waiver.signed_by or ""),
    )
