"""What stands behind each deny code: the facts its rule compares, and what the caller can do.

The table is data (`deny_codes.yaml`); the sentences of the codes are those of `reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml


@dataclass(frozen=True)
class Behind:
    """One code: dotted paths of the facts compared, and a way out in two languages."""

    compares: tuple[str, ...]
    en: str
    zh: str


@cache
def deny_codes() -> Mapping[str, Behind]:
    """The whole table by code."""
    text = Path(__file__).with_name("deny_codes.yaml").read_bytes()
    table = yaml.load(text, Loader=yaml.CSafeLoader)  # safe, and eight times faster
    return MappingProxyType(
        {code: Behind(**{**row, "compares": tuple(row["compares"])}) for code, row in table.items()}
    )
