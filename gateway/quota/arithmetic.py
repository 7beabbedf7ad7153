"""How much a store gives: the one rule, in Python; `lease.lua` and `lease.sql` say the same.

Whatever is asked in whatever order, the total never passes the largest limit it was asked under.
"""

from __future__ import annotations

from gateway.quota.port import Ask, Told

SHARE = 4
"""Of what is left beyond the need, one holder gets at most a quarter: others come too."""


def settle(total: int, mine: int, ask: Ask) -> Told:
    """What the holder has afterwards, and all together, where it had `mine` of `total`."""
    others = total - mine
    left = max(0, ask.limit - others - ask.have)
    base = min(ask.want, left) if left >= ask.least else 0
    more = min(ask.extra, (left - base) // SHARE) if base == ask.want else 0
    held = ask.have + base + more
    return Told(held, others + held)
