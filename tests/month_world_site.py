"""The real parts that a simulated month runs on: journals, releases, prices, books.

A site is made once per process and emptied between worlds. Every journal is the product's, in a
file, with its counters and its clock; the books are the product's on SQLite, migrated once.
"""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.billing.office import Office
from gateway.billing.seal import Sealer
from gateway.billing.terms import Terms
from gateway.catalogue.tariff import Published, Tariff
from gateway.db.engine import open_engine, sqlite_url
from gateway.db.upgrade import upgrade
from gateway.journal.checkpoint import PUBLIC_KEY, public_key, signing_key
from gateway.journal.events import SqliteJournals
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from gateway.quota.embedded import EmbeddedStore
from gateway.releases.contributions import FILE, SCHEMA
from gateway.releases.manifest import Manifest, Shown, sealed
from gateway.releases.places import SPAN, place_of
from metering.sharing import SHARE_ONE
from tests.month_world_auditor import BUREAU, Agreed, Chunk, Price

PROFILES = ("life", "pharma")
RELEASES = (("S02", 1), ("S02", 2), ("S09", 1))
FREE = "free"
PROVIDERS = ("990100", "H-01", "H-02", "others(990100)", "unknown")
SELDOM = Checkpointing(events=40, period=timedelta(days=60))
MEASURES = ("persons", "cost")
_CUTS = ((0, 100), (100, SPAN))  # cells of a place that are asked for together


class Site:
    """A folder with releases, an empty database to copy, and one engine for all worlds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.releases = folder / "releases"
        self.chunks: dict[tuple[str, str], tuple[Chunk, ...]] = {}
        self.services: dict[str, list[str]] = {}
        for service, number in RELEASES:
            release = self._release(service, number)
            self.services.setdefault(service, []).append(release)
        self._blank = folder / "blank.db"
        upgrade(sqlite_url(self._blank))
        signing_key(folder / "keys")
        self.audit_key = public_key(folder / "keys" / PUBLIC_KEY)
        self.sealer = Sealer(
            Ed25519PrivateKey.from_private_bytes(b"simulated months, every one!".ljust(32))
        )
        self.database = folder / "sluice.db"
        self.engine = open_engine(sqlite_url(self.database))
        self.home = folder / "home"
        self.taken: dict[str, int] = {}
        self.worlds = 0
        self.quotas = EmbeddedStore(shared=True)

    def empty(self) -> None:
        """A new world begins: no journal, nothing booked."""
        self.engine.dispose()
        for file in self.folder.glob("sluice.db*"):
            file.unlink()
        shutil.copy(self._blank, self.database)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.taken.clear()
        self.worlds += 1
        self.quotas = EmbeddedStore(shared=True)

    def journal(self, path: Path, now: datetime) -> SqliteJournal:
        """A node's journal, made if new."""
        return SqliteJournal.open(path, self.folder / "keys", now, every=SELDOM)

    def office(
        self, journals: tuple[Path, ...], prices: dict[str, list[Price]], terms: Agreed
    ) -> Office:
        """The books, resting on these journals."""
        return Office(
            engine=self.engine,
            events=SqliteJournals(journals),
            archive=self.home / "archive",
            releases=self.releases,
            tariffs={name: tariff(name, of) for name, of in prices.items()},
            terms=agreed_terms(terms),
            audit_key=self.audit_key,
            sealer=self.sealer,
        )

    def _release(self, service: str, number: int) -> str:
        manifest = _manifest(service, number)
        folder = self.releases / service / manifest.release_id
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(manifest.text(), encoding="utf-8")
        rows: list[tuple[object, ...]] = []
        for profile in PROFILES:
            chunks = _chunks(manifest.release_id, seeded(f"{service}{number}{profile}"))
            self.chunks[manifest.release_id, profile] = tuple(chunks)
            rows += [row for chunk in chunks for row in _rows(profile, chunk)]
        columns = [pa.array(column) for column in zip(*sorted(rows), strict=True)]
        table = pa.table(columns, names=SCHEMA.names).cast(SCHEMA)
        pq.write_table(table, folder / FILE)
        return manifest.release_id


def seeded(seed: object) -> random.Random:
    """Chance that comes again with its seed."""
    return random.Random(str(seed))  # noqa: S311 - reproducible, not secret


def _manifest(service: str, number: int) -> Manifest:
    empty = ("profiles", "domains", "levels", "cells", "code_versions", "quality", "unmapped")
    fields: dict[str, Any] = {name: {} for name in (*empty, "software")}
    fields |= dict.fromkeys(("shapes", "structural_zeros", "inputs", "files"), ())
    fields |= {
        "service": service,
        "version": f"1.{number}",
        "periods": {"quarter": ("2025Q1", "2025Q2", "2025Q3")},
        "geo": ("990100",),
        "measures": tuple(Shown(name=name, unit="", zero=0) for name in MEASURES),
        "person_measure": MEASURES[0],
        "definitions": "",
        "waiver": None,
        "rounding_key": "",
    }
    return sealed(fields, datetime(2025, 12, 1, tzinfo=UTC))


def _chunks(release: str, chance: random.Random) -> list[Chunk]:
    """Three blocks of two chunks, each shared by two to four providers."""
    made = []
    for block in range(3):
        for begins, ends in _CUTS:
            place, at = place_of(block, begins)
            parties = chance.sample(PROVIDERS, chance.randint(2, 4))
            cuts = sorted(chance.randrange(1, SHARE_ONE) for _ in parties[1:])
            ends_of = zip([0, *cuts], [*cuts, SHARE_ONE], strict=True)
            shares = tuple(zip(parties, (high - low for low, high in ends_of), strict=True))
            alone = frozenset(name for name in parties if chance.random() < 0.3)
            width = len(MEASURES)
            made.append(Chunk(release, place, at * width, (ends - begins) * width, shares, alone))
    return made


def _rows(profile: str, chunk: Chunk) -> list[tuple[object, ...]]:
    width, block = len(MEASURES), chunk.place >> 40
    first = chunk.first // width
    return [
        (profile, block, cell, name, 10, share / SHARE_ONE, name in chunk.alone)
        for cell in range(first, first + chunk.count // width)
        for name, share in chunk.shares
    ]


def published(price: Price) -> Published:
    """The price as the catalogue has it; refuses what no price list may hold."""
    tiered = bool(price.tiers)
    return Published.model_validate(
        {
            "ref": price.ref,
            "valid_from": price.first,
            "valid_to": price.last,
            "kind": price.kind,
            "price_fen": None if tiered else price.fen,
            "size": price.size if price.kind == "package" else None,
            "tiers": tuple({"up_to": up_to, "price_fen": fen} for up_to, fen in price.tiers),
            "minimum_fen": price.minimum,
            "cap_fen": price.cap,
        }
    )


def tariff(service: str, prices: list[Price]) -> Tariff:
    """A service's tariff; a service without prices is free."""
    unit = "per_1000_cells" if prices else FREE
    return Tariff(unit=unit, prices=tuple(published(price) for price in prices))


def agreed_terms(terms: Agreed) -> Terms:
    """The terms as the office reads them."""
    return Terms.model_validate(
        {
            "tax_bp": terms.tax_bp,
            "operator_cost_bp": terms.operator_bp,
            "operator_cost_ceiling_fen": terms.ceiling,
            "public_interest_bp": terms.interest_bp,
            "strategy": terms.strategy,
            "services": {},
            "bureau": BUREAU,
            "grace_days": 3,
            "dispute_days": 30,
            "approved_income_fen": {2026: 10**9},
        }
    )
