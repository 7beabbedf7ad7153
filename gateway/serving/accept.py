"""Which format a caller accepts: the `Accept` header of RFC 9110 against what can be served."""

from __future__ import annotations

from functools import lru_cache

from gateway.serving.reasons import NotAcceptable

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
OFFERED = (JSON, CSV, ARROW)
NAMES = {JSON: "json", CSV: "csv", ARROW: "arrow"}


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value.strip())
            except ValueError:
                return 0.0
            return quality if 0.0 <= quality <= 1.0 else 0.0
    return 1.0


def _ranges(header: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in header.split(","):
        media, *parameters = part.split(";")
        ranges.setdefault(media.strip().lower(), _quality(parameters))
    return ranges


def _weight(media: str, ranges: dict[str, float]) -> float:
    """The most specific range that matches decides, as RFC 9110 says."""
    kind = media.partition("/")[0]
    for candidate in (media, f"{kind}/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0


@lru_cache(maxsize=256)
def choose(header: str | None, offered: tuple[str, ...] = OFFERED) -> str:
    """The media type to answer with; JSON where the caller has no preference."""
    if header is None or not header.strip():
        return JSON
    ranges = _ranges(header[:1000])
    best = max(offered, key=lambda media: _weight(media, ranges))  # ties: the first offered
    if _weight(best, ranges) <= 0:
        raise NotAcceptable("not_acceptable", "")
    return best
