"""A month of very many synthetic events, written straight as an archive of two nodes.

Every tenth event charges six cells (of one place) that its tenant was not charged for; a few charge
what the other node had charged. So what the month comes to is known beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.billing.archive import Archive, opened
from gateway.billing.archive_events import SCHEMA, hours_in
from gateway.billing.archive_index import Part
from gateway.releases.contributions import FILE
from gateway.releases.contributions import SCHEMA as HELD
from gateway.releases.manifest import Shown, sealed
from gateway.releases.places import SPAN, place_of
from metering.calendar import month_range

MONTH = "2026-10"
NODES = ("node-a", "node-b")
SERVICES = ("S01", "S02", "S04", "S09")
MEASURES = ("persons", "stays", "cost", "fund")
TENANTS, GRANTS, BLOCKS, PARTS, PROVIDERS = 40, 3, 4, 200, 5
PLACES = BLOCKS * PARTS
PAIRS = TENANTS * len(SERVICES) * PLACES
TOGETHER = 6  # cells charged by one event
WINDOWS = SPAN * len(MEASURES) // TOGETHER
CHUNK = 800_000
CHARGED_PART, TWICE_PART = 0.1, 0.0002


@dataclass(frozen=True)
class Expected:
    """What the month must come to."""

    events: int
    billable: int
    repeated_twice: int


class Recorded:
    """The journals of an archive that is up to date with them."""

    def __init__(self, folder: Path) -> None:
        with opened(folder) as archive:
            self._heads = archive.index.heads()

    def heads(self):
        return {journal: seq for journal, (seq, _) in self._heads.items()}

    def link_at(self, journal, seq):
        known = self._heads.get(journal)
        return known[1] if known and known[0] == seq else None

    def marks(self, now):
        return dict.fromkeys(self._heads, now)

    def files(self):
        return ()

    def numbered(self, begins, ends):
        return {}

    def rows(self, what, after, until):
        return iter(())


def releases(folder: Path) -> dict[str, str]:
    """A release of each service, with who contributed to its cells; reference by service."""
    found = {}
    for service in SERVICES:
        manifest = _manifest(service)
        place = folder / service / manifest.release_id
        place.mkdir(parents=True)
        (place / "manifest.json").write_text(manifest.text(), encoding="utf-8")
        pq.write_table(_held(), place / FILE, compression="zstd")
        found[service] = manifest.release_id
    return found


def write(folder: Path, named: dict[str, str], events: int, seed: int = 1) -> Expected:
    """Archive so many events; the same for a seed."""
    chance = np.random.default_rng(seed)
    charges = twice = 0
    heads = dict.fromkeys(NODES, 0)
    with opened(folder) as archive:
        for first in range(0, events, CHUNK):
            count = min(CHUNK, events - first)
            span = (first / events, (first + count) / events)
            some = round(count * CHARGED_PART)
            numbers = np.arange(charges, charges + some)
            again = (numbers >= PAIRS) & (chance.random(some) < TWICE_PART)
            charges, twice = charges + some, twice + int(again.sum())
            nodes = (numbers // PAIRS) % 2
            for node, name in enumerate(NODES):
                mine = nodes == node
                free = (count - some) // 2 + (node if (count - some) % 2 else 0)
                drawn = _Drawn(numbers[mine], again[mine], free, span)
                rows = _rows(chance, named, drawn, heads[name])
                heads[name] += rows.num_rows
                _archived(archive, name, rows)
    expected = Expected(events, charges * TOGETHER, twice * TOGETHER)
    (folder.parent / "expected.json").write_text(json.dumps(expected.__dict__))
    return expected


def _archived(archive: Archive, journal: str, rows: pa.Table) -> None:
    if not rows.num_rows:
        return
    hours, seqs = hours_in(rows), rows["seq"].to_numpy()
    known = {part.hour: part for part in archive.index.parts() if part.journal == journal}
    parts = []
    last = int(hours[0])
    if last in known:  # the hour that the chunk before ended in lies whole in one file
        before = pq.read_table(archive.path(known[last].file), schema=SCHEMA)
        rows = pa.concat_tables([before.filter(pa.array(hours_in(before) == last)), rows])
        hours, seqs = hours_in(rows), rows["seq"].to_numpy()
    file, sha256 = archive.write(rows, f"events/{journal}")
    for hour in np.unique(hours):
        own = seqs[hours == hour]
        ends = (int(own.min()), int(own.max()))
        parts.append(Part(int(hour), journal, *ends, len(own), 0, file, sha256))
    archive.index.put_parts(journal, parts, int(seqs.max()), b"link")


@dataclass(frozen=True)
class _Drawn:
    """Events of one node in a span of the month: numbered charges, whether each charges what the
    other node had charged, and how many `free` ones repeat something."""

    numbers: np.ndarray
    again: np.ndarray
    free: int
    span: tuple[float, float]


def _rows(chance: np.random.Generator, named: dict[str, str], drawn: _Drawn, head: int) -> pa.Table:
    """The events drawn, mixed."""
    numbers, again = drawn.numbers, drawn.again
    size = len(numbers) + drawn.free
    charging = np.zeros(size, bool)
    charging[chance.permutation(size)[: len(numbers)]] = True
    pairs = chance.integers(0, PAIRS, size)
    pairs[charging] = numbers % PAIRS
    tenants = pairs // (len(SERVICES) * PLACES)
    services = pairs // PLACES % len(SERVICES)
    unpaid = ~charging & (chance.random(size) < 0.1)
    begins, ends = (moment.timestamp() for moment in month_range(MONTH))
    edges = [begins + (ends - begins) * part for part in drawn.span]
    time = np.sort((chance.uniform(*edges, size) * 1e6).astype(np.int64))
    billable = np.where(charging, TOGETHER, 0)
    refs = [f"{named[service]}/k11" for service in SERVICES]
    columns = {
        "journal": None,
        "seq": pa.array(np.arange(head + 1, head + size + 1)),
        "event_id": _ids(chance, time),
        "tenant": _named([f"T-{n:02}" for n in range(TENANTS)], tenants),
        "grant_id": _named(
            [f"g-{n:03}" for n in range(TENANTS * GRANTS)],
            tenants * GRANTS + chance.integers(0, GRANTS, size),
        ),
        "service": _named(list(SERVICES), services),
        "release": _named([named[service] for service in SERVICES], services),
        "unit": _named(["per_1000_cells", "free"], unpaid.astype(int)),
        "qty": pa.array(np.full(size, TOGETHER)),
        "billable_qty": pa.array(billable),
        "price_ref": _named(["2026-1", "free"], unpaid.astype(int)),
        "price_micro": pa.array(np.where(unpaid, 0, 40_000_000)),
        "providers_ref": _named(refs, services),
        "time": pa.array(time).cast(SCHEMA.field("time").type),
        "charged": _charged(charging, pairs, numbers // PAIRS - again),
    }
    node = NODES[int(numbers[0] // PAIRS % 2)] if len(numbers) else NODES[0]
    columns["journal"] = pa.repeat(pa.scalar(node), size)
    return pa.table(columns, schema=SCHEMA)


def _charged(charging: np.ndarray, pairs: np.ndarray, windows: np.ndarray) -> pa.ListArray:
    places = np.array([place_of(n // PARTS, n % PARTS * SPAN)[0] for n in range(PLACES)], np.int64)
    bits = [((1 << TOGETHER) - 1) << (TOGETHER * n) for n in range(WINDOWS)]
    raw = pa.array([one.to_bytes((one.bit_length() + 7) // 8, "big") for one in bits], pa.binary())
    cells = pa.StructArray.from_arrays(
        [pa.array(places[pairs[charging] % PLACES]), raw.take(pa.array(windows))],
        fields=list(SCHEMA.field("charged").type.value_type),
    )
    offsets = np.concatenate([[0], np.cumsum(charging)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), cells)


def _named(values: list[str], at: np.ndarray) -> pa.Array:
    return pa.array(values).take(pa.array(at))


def _ids(chance: np.random.Generator, time: np.ndarray) -> pa.Array:
    """UUIDv7 as text, made for whole columns."""
    raw = chance.integers(0, 256, (len(time), 16), np.uint8)
    raw[:, :6] = ((time // 1000)[:, None] >> np.arange(40, -8, -8)).astype(np.uint8)
    raw[:, 6] = raw[:, 6] & 15 | 112
    raw[:, 8] = raw[:, 8] & 63 | 128
    digits = np.frombuffer(raw.tobytes().hex().encode(), np.uint8).reshape(-1, 32)
    text = np.full((len(time), 36), ord("-"), np.uint8)
    start = 0
    for at, length in ((0, 8), (9, 4), (14, 4), (19, 4), (24, 12)):
        text[:, at : at + length] = digits[:, start : start + length]
        start += length
    offsets = np.arange(0, 36 * (len(time) + 1), 36, dtype=np.int32)
    buffers = [pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.StringArray.from_buffers(len(time), *buffers)


def _manifest(service: str) -> Any:
    empty = ("profiles", "domains", "levels", "cells", "code_versions", "quality", "unmapped")
    fields: dict[str, Any] = {name: {} for name in (*empty, "software")}
    fields |= dict.fromkeys(("shapes", "structural_zeros", "inputs", "files"), ())
    fields |= {
        "service": service,
        "version": "1.0",
        "periods": {"quarter": tuple(f"2025Q{n + 1}" for n in range(BLOCKS))},
        "geo": ("990100",),
        "measures": tuple(Shown(name=name, unit="", zero=0) for name in MEASURES),
        "person_measure": MEASURES[0],
        "definitions": "",
        "waiver": None,
        "rounding_key": "",
    }
    return sealed(fields, datetime(2025, 12, 1, tzinfo=UTC))


def _held() -> pa.Table:
    """Every cell held by the same number of providers."""
    cells = BLOCKS * PARTS * SPAN
    block, cell = np.divmod(np.repeat(np.arange(cells), PROVIDERS), PARTS * SPAN)
    provider = np.tile(np.arange(PROVIDERS), cells)
    size = len(block)
    return pa.table(
        [
            _named(["k11"], np.zeros(size, int)).dictionary_encode(),
            pa.array(block),
            pa.array(cell),
            _named([f"9901{n:02}" for n in range(PROVIDERS)], provider).dictionary_encode(),
            pa.array(provider + 11),
            pa.array((provider + 11) / (11 * PROVIDERS + 10)),
            pa.array(provider == 0),
        ],
        names=HELD.names,
    ).cast(HELD)


def folders(root: Path) -> Iterator[Path]:
    """Where a world keeps its archive and its releases."""
    yield from (root / "archive", root / "releases")
