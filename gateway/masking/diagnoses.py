"""The group of S03's list that a diagnosis lies in: what `gen_icd(group)` gives.

`dx_groups.json` holds the groups and the ICD-10 categories of each, as
`policies/catalogue/S03/codes_dx_group.csv` lists them (a test compares both); what no group holds
is the rest of its chapter (`other.NN`).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

GROUPS = Path(__file__).with_name("dx_groups.json")
_FINEST = 5  # characters of `N18.5`


@lru_cache(maxsize=1)
def _held() -> dict[str, str]:
    """From a category, or the finer code some groups have, to its group."""
    groups: dict[str, str] = json.loads(GROUPS.read_text(encoding="utf-8"))
    return {code: group for group, spans in groups.items() for code in _codes(spans)} | {
        group: group for group in groups
    }


def _codes(spans: str) -> list[str]:
    """`D65, D68-D69` as its categories."""
    codes: list[str] = []
    for span in spans.split(", "):
        first, _, last = span.partition("-")
        end = int(last[1:]) if last else -1
        whole = range(int(first[1:]), end + 1) if last else ()
        codes += [f"{first[0]}{number:02d}" for number in whole] or [first]
    return codes


def group_of(code: str) -> str | None:
    """The group of an ICD-10 code in capitals, or of a group's own name; None if none holds it."""
    held = _held()
    return held.get(code) or held.get(code[:_FINEST]) or held.get(code[:3])
