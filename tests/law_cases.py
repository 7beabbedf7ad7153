"""How many cases a law about money is tried on: few in CI, 20 000 in `make test-all`."""

import os

_ASKED = int(os.environ.get("SLUICE_LAW_CASES", "0"))
LAW_CASES = _ASKED or 300


def cases(few: int) -> int:
    """Of a law whose cases cost more or less than others: `few`, unless more are asked for."""
    return max(few, _ASKED)
