"""The versioned code lists beside this file: closed lists with titles and the next coarser code."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent

VERSIONS = {
    "icd": "ICD-10-CHS-2.0-SYN.1",
    "drg": "CHS-DRG-2.0-SYN",
    "drug": "DRUG-SYN-2026.1",
    "dxg": "DXG-2026.1",
}


@dataclass(frozen=True)
class Code:
    """One code: its titles and the code it belongs to one level up (empty at the top)."""

    code: str
    title_zh: str
    title_en: str
    parent: str


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The list as read, with whatever further columns it has."""
    path = _HERE / f"{name}.csv"
    if not path.is_file():
        raise KeyError(f"there is no code list {name}")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def code_list(name: str) -> tuple[Code, ...]:
    """The codes of a list in its published order; KeyError for an unknown list."""
    return tuple(
        Code(r["code"], r["title_zh"], r["title_en"] or r["title_zh"], r["parent"])
        for r in rows(name)
    )
