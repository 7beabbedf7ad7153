"""The archive: every event that money follows from, in Parquet files, found by hour and journal.

It is made from the journals and can be made again from them at any time; what it holds is checked
by content before it is used. Files are never changed, only followed by others: an hour for which
something arrives late lies whole in a new file, and is added up anew because its content is
another.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway.billing.archive_events import SCHEMA, archived, hours_in
from gateway.billing.archive_index import Index, Part, Waterline
from gateway.billing.watermark import closed_hours, watermark
from gateway.errors import OperatorError
from gateway.journal.events import EventSource
from gateway.journal.names import make_folder

PENDING: Final = 400_000
"""Events held in memory before they are written."""
_JOURNAL: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,99}")
"""What a journal may be called: it becomes part of a file's name."""


class _Broken(Exception):
    """A file of the archive is not as it was written."""


@dataclass(frozen=True)
class Caught:
    """What bringing the archive up to date came to."""

    events: int = 0
    late: int = 0
    rebuilt: bool = False


class Archive:
    """The archive of a home, held by this process alone; open it with `opened`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder / "index.db")

    def catch_up(self, events: EventSource, now: datetime | None = None) -> Caught:
        """Take over what was recorded since the last time; with a moment, also look which hours
        are over by then."""
        rebuilt = not self._same(events)
        if rebuilt:
            self.index.clear()
        # Asked before the heads: what is complete up to then is among the events read below.
        mark = None if now is None else watermark(events.marks(now))
        try:
            count, late = self._take_over(events)
        except _Broken:  # what lies there cannot be gone on with; the journals have it all
            rebuilt = True
            self.index.clear()
            count, late = self._take_over(events)
        if mark is not None:
            self._mark(mark)
        self._sweep()
        return Caught(count, late, rebuilt)

    def path(self, file: str) -> Path:
        """Where a file of the archive lies."""
        return self.folder / file

    def intact(self, file: str, sha256: str) -> bool:
        """Whether a file is there with the content that was written."""
        path = self.path(file)
        return path.is_file() and digest(path) == sha256

    def write(self, table: pa.Table, name: str) -> tuple[str, str]:
        """Write rows under a name followed by their content's hash; the file's name and hash.

        Nothing is synced: what a power cut takes is found missing, and made again.
        """
        path = self.path(name)
        writing = path.with_suffix(".writing")
        try:
            make_folder(path.parent)
            pq.write_table(table, writing, compression="zstd")
            sha256 = digest(writing)
            file = f"{name}-{sha256[:12]}.parquet"
            writing.rename(self.path(file))
        except OSError as error:
            raise OperatorError(
                "archive_not_written",
                f"The archive in {self.folder} cannot be written ({error.strerror or 'full?'}): "
                "make room there and run the command again.",
            ) from error
        return file, sha256

    def close(self) -> None:
        self.index.close()

    def _same(self, events: EventSource) -> bool:
        """Whether the journals are those that were archived. One that is gone is no reason to
        forget what was used."""
        same = True
        for journal, (seq, link) in self.index.heads().items():
            found = events.link_at(journal, seq)
            if found is None:
                raise OperatorError(
                    "journal_missing",
                    f"Journal {journal} was archived up to event {seq}, which is not there any "
                    "more: restore the journal, it is the evidence of what was charged.",
                )
            same = same and found == link
        return same

    def _take_over(self, events: EventSource) -> tuple[int, int]:
        """Events of all journals that were not archived before, and how many of them came late."""
        count = late = 0
        for journal, head in sorted(events.heads().items()):
            if not _JOURNAL.fullmatch(journal):
                raise OperatorError(
                    "journal_name",
                    "A journal has a name that no journal of ours has: find out who wrote it "
                    "(`sluice journal status`) before anything is rated.",
                )
            done, _ = self.index.heads().get(journal, (0, b""))
            if done < head:
                more = _Catch(self, events, journal).run(done, head)
                count, late = count + more[0], late + more[1]
        return count, late

    def _mark(self, mark: datetime) -> None:
        before = self.index.waterline().closed_before
        self.index.put_waterline(Waterline(mark, mark if before is None else max(before, mark)))

    def _sweep(self) -> None:
        """Remove files that nothing names any more."""
        named = {self.path(file) for file in self.index.files()}
        for path in self.folder.glob("*/*.*"):
            if path not in named:
                path.unlink()


class _Catch:
    """Takes over one journal's events, holding only so many at a time."""

    def __init__(self, archive: Archive, events: EventSource, journal: str) -> None:
        self._archive, self._events, self._journal = archive, events, journal
        self._pending: dict[int, list[pa.Table]] = defaultdict(list)
        self._closed = closed_hours(archive.index.waterline().closed_before)
        self._late = 0
        self._intact: set[str] = set()

    def run(self, done: int, head: int) -> tuple[int, int]:
        """How many events were new, and how many of them late."""
        count = waiting = 0
        for batch, hours in archived(self._events, self._journal, done, head):
            for hour in np.unique(hours):
                self._pending[int(hour)].append(batch.filter(pa.array(hours == hour)))
            count, waiting = count + batch.num_rows, waiting + batch.num_rows
            if waiting >= PENDING:
                self._write(int(batch["seq"][-1].as_py()))
                waiting = 0
        self._write(head)
        return count, self._late

    def _write(self, seq: int) -> None:
        """Everything held becomes a file; up to `seq` all is archived then."""
        parts = self._parts() if self._pending else []
        self._pending.clear()
        link = self._events.link_at(self._journal, seq)
        if link is None:
            raise OperatorError("journal_missing", f"Journal {self._journal} lost event {seq}.")
        self._archive.index.put_parts(self._journal, parts, seq, link)

    def _parts(self) -> list[Part]:
        """Hours for which something came, each whole, in one file."""
        new = {hour: pa.concat_tables(tables) for hour, tables in sorted(self._pending.items())}
        known = {hour: self._archive.index.part(hour, self._journal) for hour in new}
        tables = [
            table
            for hour, rows in new.items()
            for table in (*self._before(hour, known[hour]), rows)
        ]
        whole = _once(pa.concat_tables(tables))
        file, sha256 = self._archive.write(whole, f"events/{self._journal}")
        parts = []
        for hour, seqs in _seqs_by_hour(whole):
            late = new[hour].num_rows if hour < self._closed else 0
            self._late += late
            before = known[hour]
            late += before.late if before else 0
            ends = (int(seqs.min()), int(seqs.max()))
            parts.append(Part(hour, self._journal, *ends, len(seqs), late, file, sha256))
        return parts

    def _before(self, hour: int, part: Part | None) -> Iterator[pa.Table]:
        if part is not None:
            if part.file not in self._intact:
                if not self._archive.intact(part.file, part.sha256):
                    raise _Broken
                self._intact.add(part.file)
            rows = pq.read_table(self._archive.path(part.file), schema=SCHEMA)
            yield rows.filter(pa.array(hours_in(rows) == hour))


@contextmanager
def opened(folder: Path) -> Iterator[Archive]:
    """The archive in a folder, made if new; others wait until this one is done with it."""
    make_folder(folder, 0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        archive = Archive(folder)
        try:
            yield archive
        finally:
            archive.close()
    finally:
        os.close(descriptor)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _once(rows: pa.Table) -> pa.Table:
    """Each event of a journal once, the first time it stands there."""
    if pc.count_distinct(rows["event_id"]).as_py() == rows.num_rows:
        return rows
    first = rows.group_by("event_id").aggregate([("seq", "min")])["seq_min"]
    return rows.filter(pc.is_in(rows["seq"], first.combine_chunks()))


def _seqs_by_hour(rows: pa.Table) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The hours of a table's events, with the numbers of those of each."""
    hours, seqs = hours_in(rows), rows["seq"].to_numpy()
    for hour in np.unique(hours):
        yield int(hour), seqs[hours == hour]
