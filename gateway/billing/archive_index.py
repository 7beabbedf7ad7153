"""What lies in the archive: which events each file holds, and from what each hour was added up.

An SQLite file, changed in one transaction at a time, after the files it names were written. So a
crash leaves files that nobody names, never names without files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

FORMAT = 1
_TABLES = """
CREATE TABLE head (journal TEXT PRIMARY KEY, seq INTEGER NOT NULL, link BLOB NOT NULL) STRICT;
CREATE TABLE part (
  hour INTEGER NOT NULL, journal TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  events INTEGER NOT NULL, late INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
  PRIMARY KEY (hour, journal)
) STRICT;
CREATE TABLE rolled (
  hour INTEGER PRIMARY KEY, inputs TEXT NOT NULL, usage TEXT NOT NULL, usage_sha256 TEXT NOT NULL,
  charged TEXT NOT NULL, charged_sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE state (watermark TEXT, closed_before TEXT) STRICT;
INSERT INTO state VALUES (NULL, NULL);
"""


@dataclass(frozen=True)
class Part:
    """The events of one hour in one journal, numbered `first` to `last`. `late`: how many of them
    came when the hour was closed."""

    hour: int
    journal: str
    first: int
    last: int
    events: int
    late: int
    file: str
    sha256: str


@dataclass(frozen=True)
class Rolled:
    """What an hour added up to. `inputs` names the parts it was computed from, by content."""

    hour: int
    inputs: str
    usage: str
    usage_sha256: str
    charged: str
    charged_sha256: str


@dataclass(frozen=True)
class Waterline:
    """`watermark`: up to when everything has arrived, by the last look; None: nobody looked.
    `closed_before`: hours that ended before were closed once, so what comes for them is late."""

    watermark: datetime | None
    closed_before: datetime | None


class Index:
    """The archive's table of contents, held open by one process."""

    def __init__(self, path: Path) -> None:
        self._db = _connected(path)
        if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            self.clear()

    def close(self) -> None:
        self._db.close()

    def clear(self) -> None:
        """An archive of nothing."""
        names = ("head", "part", "rolled", "state")
        drops = "".join(f"DROP TABLE IF EXISTS {name};" for name in names)
        self._db.executescript(f"BEGIN; {drops} {_TABLES} PRAGMA user_version={FORMAT}; COMMIT;")

    def heads(self) -> dict[str, tuple[int, bytes]]:
        """How far each journal is archived, with the chain's hash there."""
        return {j: (seq, link) for j, seq, link in self._db.execute("SELECT * FROM head")}

    def parts(self, begins: int = 0, ends: int = 1 << 62) -> list[Part]:
        """Parts of the hours from `begins` to before `ends`, in order of time."""
        rows = self._db.execute(
            "SELECT * FROM part WHERE hour >= ? AND hour < ? ORDER BY hour, journal", (begins, ends)
        )
        return [Part(*row) for row in rows]

    def part(self, hour: int, journal: str) -> Part | None:
        """The part of an hour in a journal, if anything is archived of it."""
        row = self._db.execute(
            "SELECT * FROM part WHERE hour = ? AND journal = ?", (hour, journal)
        ).fetchone()
        return None if row is None else Part(*row)

    def rolled(self, begins: int = 0, ends: int = 1 << 62) -> dict[int, Rolled]:
        """What hours were added up to."""
        rows = self._db.execute(
            "SELECT * FROM rolled WHERE hour >= ? AND hour < ? ORDER BY hour", (begins, ends)
        )
        return {row[0]: Rolled(*row) for row in rows}

    def put_parts(self, journal: str, parts: Iterable[Part], seq: int, link: bytes) -> None:
        """Parts replace what stood in their place; the journal is archived up to `seq`."""
        with self._db:
            self._db.execute("BEGIN")
            marks = "?, ?, ?, ?, ?, ?, ?, ?"
            rows = [astuple(part) for part in parts]
            self._db.executemany(f"INSERT OR REPLACE INTO part VALUES ({marks})", rows)
            head = (journal, seq, link)
            self._db.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?)", head)

    def put_rolled(self, hours: Iterable[Rolled]) -> None:
        """Hours as they add up now."""
        with self._db:
            self._db.execute("BEGIN")
            rows = [astuple(hour) for hour in hours]
            self._db.executemany("INSERT OR REPLACE INTO rolled VALUES (?, ?, ?, ?, ?, ?)", rows)

    def waterline(self) -> Waterline:
        """Up to when everything has arrived."""
        row = self._db.execute("SELECT watermark, closed_before FROM state").fetchone()
        return Waterline(*(None if t is None else datetime.fromisoformat(t) for t in row))

    def put_waterline(self, line: Waterline) -> None:
        """As the last look showed it."""
        texts = (
            None if t is None else t.astimezone(UTC).isoformat()
            for t in (line.watermark, line.closed_before)
        )
        self._db.execute("UPDATE state SET watermark = ?, closed_before = ?", tuple(texts))

    def late(self) -> int:
        """How many events came when their hour was closed."""
        return int(self._db.execute("SELECT coalesce(sum(late), 0) FROM part").fetchone()[0])

    def files(self) -> set[str]:
        """Every file that is named here."""
        sql = (
            "SELECT file FROM part UNION SELECT usage FROM rolled UNION SELECT charged FROM rolled"
        )
        return {file for (file,) in self._db.execute(sql)}


def _connected(path: Path) -> sqlite3.Connection:
    """The file at `path`; one that is no database any more is begun anew."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        if db.execute("PRAGMA quick_check").fetchone() == ("ok",):
            return db
    except sqlite3.DatabaseError:
        pass
    db.close()
    path.unlink()
    return sqlite3.connect(path, isolation_level=None)
