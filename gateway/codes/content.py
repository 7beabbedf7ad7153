"""The rows of a bundle and their hash, which is the bundle's name."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Final, TypeAlias

import orjson

FORM: Final = "sluice.codes/1"
NAME_LENGTH: Final = 16
Row: TypeAlias = tuple[str | int | None, ...]
Content: TypeAlias = Mapping[str, list[Row]]
TABLES: Final = {
    "list": 6, "concept": 13, "mapping": 7, "pair": 6, "absent": 3, "sound": 2,
}  # fmt: skip
"""The tables whose rows are the content, with the number of their columns."""


def digest_of(content: Content) -> str:
    """SHA-256 over every row of every table, in order."""
    digest = hashlib.sha256(FORM.encode())
    for table in TABLES:
        for row in content[table]:
            digest.update(orjson.dumps([table, *row]) + b"\n")
    return digest.hexdigest()


def read_content(db: sqlite3.Connection) -> Content:
    """The content of a bundle, in the order in which it was written."""
    keys = {
        "list": "n", "concept": "list, code_key", "mapping": "n", "pair": "mapping, source, target",
        "absent": "source, target", "sound": "syllable",
    }  # fmt: skip
    return {
        table: list(db.execute(f"SELECT * FROM {table} ORDER BY {keys[table]}")) for table in TABLES
    }
