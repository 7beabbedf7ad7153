"""Periods as the API writes them: `2024-03`, `2024Q1`, `2024`; ranges of them, expanded."""

from __future__ import annotations

import re

from gateway.errors import BadRequest

LONGEST = 120
# Years of three centuries: the rules count in nanoseconds, which end in 2262.
FORMS = {
    "month": re.compile(r"((?:19|20|21)[0-9]{2})-(0[1-9]|1[0-2])"),
    "quarter": re.compile(r"((?:19|20|21)[0-9]{2})Q([1-4])"),
    "year": re.compile(r"((?:19|20|21)[0-9]{2})"),
}
_PER_YEAR = {"month": 12, "quarter": 4, "year": 1}


def _ordinal(text: str, grain: str) -> int:
    match = FORMS[grain].fullmatch(text)
    if match is None:
        raise BadRequest("invalid_period", f"A period of grain {grain} was not of its form.")
    parts = [int(part) for part in match.groups()]
    within = parts[1] - 1 if len(parts) == 2 else 0
    return parts[0] * _PER_YEAR[grain] + within


def _written(ordinal: int, grain: str) -> str:
    year, within = divmod(ordinal, _PER_YEAR[grain])
    if grain == "month":
        return f"{year:04d}-{within + 1:02d}"
    return f"{year:04d}Q{within + 1}" if grain == "quarter" else f"{year:04d}"


def expand(first: str, last: str, grain: str) -> tuple[str, ...]:
    """Every period from `first` to `last`, both included, in order."""
    start, end = _ordinal(first, grain), _ordinal(last, grain)
    if end < start:
        raise BadRequest("invalid_period", "The period runs backwards: `from` lies after `to`.")
    if end - start >= LONGEST:
        raise BadRequest("invalid_period", f"A query may span at most {LONGEST} periods.")
    return tuple(_written(ordinal, grain) for ordinal in range(start, end + 1))
