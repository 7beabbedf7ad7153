"""The source that packs are looked up in: a SQLite file of its own, opened for reading only.

Codes stand in it as keyed hashes and are found by them alone; neither seller nor buyer, settlement
nor day of sale is in it. A load writes a new file and moves it into place (`.loading`).
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.errors import Unavailable
from gateway.traces.forms import PackCode
from gateway.traces.standing import Pack

SECRET: Final = "trace"  # noqa: S105 -- the name of a secret's file
_LOAD = "SELECT id FROM load"
_PACK = (
    "SELECT bought, sent_back, sold, returned, month, expires, recalled FROM pack WHERE code = ?"
)
_PRODUCT = "SELECT med_list_codg, genname, spec, maker, mah FROM product WHERE prefix = ?"
_NAMES = ("med_list_codg", "genname", "spec", "maker", "mah")


@dataclass(frozen=True)
class Looked:
    """What the source has on a code: its load, the product, the pack."""

    load: str
    product: Mapping[str, str | None] | None
    pack: Pack | None


def code_mac(key: bytes, value: str) -> bytes:
    """The keyed hash a code stands under."""
    return hmac.new(key, value.encode(), sha256).digest()[:20]


@dataclass(frozen=True)
class TraceSource:
    """Reads of one code at a time, each of one whole load."""

    path: Path
    key: bytes = field(repr=False)

    def look(self, code: PackCode) -> Looked:
        """What is known of the code; raises `Unavailable` where the source cannot be read."""
        with closing(self._open()) as db:
            try:
                db.execute("BEGIN")
                load = str(db.execute(_LOAD).fetchone()[0])
                product = db.execute(_PRODUCT, (code.product,)).fetchone()
                pack = db.execute(_PACK, (code_mac(self.key, code.value),)).fetchone()
            except (sqlite3.Error, TypeError) as error:
                raise Unavailable("trace_source_unavailable", "") from error
        told = None if product is None else dict(zip(_NAMES, product, strict=True))
        return Looked(load, told, None if pack is None else _pack(pack))

    def load(self) -> str:
        """The name of the load that is read now."""
        with closing(self._open()) as db:
            try:
                return str(db.execute(_LOAD).fetchone()[0])
            except (sqlite3.Error, TypeError) as error:
                raise Unavailable("trace_source_unavailable", "") from error

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
        except sqlite3.Error as error:
            raise Unavailable("trace_source_unavailable", "") from error


def _pack(row: tuple[int, int, int, int, str | None, str | None, str | None]) -> Pack:
    bought, sent_back, sold, returned, month, expires, recalled = row
    return Pack(bought, sent_back, sold, returned, month, _day(expires), _day(recalled))


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
