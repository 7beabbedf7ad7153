"""Make one file of a job: read, leave out, mask, write; in a process beside the server's.

Flat memory: a batch of rows at a time, and of each cell that is charged one bit. The process works
at a low priority and ends with the server: page answers do not wait for it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue.model import Service
from gateway.exports.changed import Earlier, only
from gateway.exports.files import Writer, summed, writer
from gateway.journal.names import sync_names
from gateway.policy.port import ColumnRule
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.store import Page, ReleaseStore, Selection
from gateway.serving.charge import FREE_OF_CHARGE, HIDDEN, chargeable
from gateway.serving.fetching import masked
from gateway.serving.render import Table
from gateway.watermark.marking import Marks

BATCH = 2000
_NICE = 10
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Receiver:
    """For whom amounts are marked, and whether the policy's `word` asks for it."""

    marks: Marks
    tenant: str
    word: str
    service: Service

    def page(self, store: ReleaseStore, asked: Selection, offset: int, limit: int) -> Page:
        """The rows as this tenant is given them."""
        return self.marks.page(
            store, asked, offset, limit, tenant=self.tenant, word=self.word, service=self.service
        )


@dataclass(frozen=True)
class Order:
    """One file to be made: which rows of which question, masked how, written where."""

    releases: Path
    selection: Selection
    receiver: Receiver
    since: str | None
    rows: range
    columns: tuple[ColumnRule, ...]
    units: Mapping[str, str]
    form: str
    notes: Mapping[str, str]
    path: Path


@dataclass(frozen=True)
class Made:
    """What a file came to; `chargeable` as `gateway.serving.charge` counts it."""

    rows: int
    cells: int
    suppressed: int
    chargeable: dict[int, int]
    bytes: int
    sha256: str
    sm3: str


class _Tally:
    """Counts what goes into the file."""

    def __init__(self, letters: Mapping[str, int]) -> None:
        self._letters = letters
        self.rows = self.cells = self.suppressed = 0
        self.chargeable: dict[int, int] = {}

    def add(self, table: Table, found: Mapping[int, int]) -> None:
        self.rows += table.rows
        for column in table.flags.values():
            self.cells += sum(flag not in FREE_OF_CHARGE for flag in column)
            self.suppressed += sum(flag in HIDDEN for flag in column)
        for place, bits in found.items():
            self.chargeable[place] = self.chargeable.get(place, 0) | bits


def begin(parent: int) -> None:
    """What the process does first: step back behind the server, and end with it."""
    os.nice(_NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to die with it
            os._exit(1)


def make(order: Order) -> Made:
    """Write the file under its name, durably; nothing of it stays where that fails."""
    gc.collect()  # the last file's lists of labels: megabytes in cycles, which nothing else hurries
    store = ReleaseStore(order.releases)
    manifest = _manifest(store, order.selection.release_id)
    tally = _Tally({measure.name: i for i, measure in enumerate(manifest.measures)})
    draft = order.path.with_name(f"{order.path.name}.part")
    with summed(draft) as out:
        into = writer(order.form, out, dict(order.notes))
        _write(order, store, manifest, into, tally)
        into.end()
        sha256, sm3 = out.settle()
    draft.rename(order.path)
    sync_names(order.path.parent)
    found = (tally.rows, tally.cells, tally.suppressed, tally.chargeable)
    return Made(*found, out.size, sha256, sm3)


def _write(
    order: Order, store: ReleaseStore, manifest: Manifest, into: Writer, tally: _Tally
) -> None:
    asked, rows = order.selection, order.rows
    letters = {measure.name: i for i, measure in enumerate(manifest.measures)}
    earlier = None
    if order.since is not None:
        earlier = Earlier(store, manifest, _manifest(store, order.since), asked)
    width = store.page(asked, 0, 0).total // max(1, len(asked.periods) * len(asked.geo))
    for start in range(rows.start, rows.stop, BATCH):
        count = min(BATCH, rows.stop - start)
        page = order.receiver.page(store, asked, start, count)
        if earlier is not None:  # what changed is told by the figures before they are marked
            page = only(page, earlier.changed(store.page(asked, start, count), start, width))
        table = masked(page, order.columns, order.units)
        into.add(table)
        tally.add(table, chargeable(table, page.addresses, letters))


def _manifest(store: ReleaseStore, release_id: str) -> Manifest:
    manifest = store.find(release_id)
    if manifest is None:
        raise ReleaseError("release_changed", "A release of this export is no longer served.")
    return manifest
