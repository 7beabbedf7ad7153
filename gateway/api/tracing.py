"""W3C Trace Context: which trace a request belongs to, and what the answer says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.S)
_FORBIDDEN, _KNOWN = "ff", "00"


def trace_id(given: Sequence[str], request_id: str) -> str:
    """The trace the caller names in its one `traceparent`, else one made of the request's id.

    A caller that is not understood starts a new trace, as the standard asks: version ff, ids of
    noughts, more than one header, or more fields than version 00 has.
    """
    found = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
    own = request_id.replace("-", "")
    if found is None or found[1] == _FORBIDDEN or (found[1] == _KNOWN and found[4]):
        return own
    return own if not (found[2].strip("0") and found[3].strip("0")) else found[2]


def trace_response(trace: str, request_id: str) -> str:
    """The answer's `traceresponse` (Trace Context 2): the trace, our span, not sampled."""
    return f"{_KNOWN}-{trace}-{request_id.replace('-', '')[-16:]}-00"
