"""The books of a home whose server has answered a few questions, and what was issued from them."""

from __future__ import annotations

import shutil
from contextlib import closing as closed_after
from datetime import UTC, datetime
from pathlib import Path

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.export import plain_lines
from gateway.billing.office import Office
from gateway.billing.seal import Sealer
from gateway.billing.terms import read_terms
from gateway.catalogue.load import load_catalogue
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import open_engine, reading, sqlite_url
from gateway.db.upgrade import upgrade
from gateway.identity.secrets import secret
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.events import home_journals
from gateway.journal.schema import connect_reading
from tests.gateway_factory import (
    COST,
    DRUGS,
    POLICIES,
    copy_home,
    copy_policies,
    serving,
)

MONTH = "2025-06"  # in which the gateway's clock stands
AFTER = datetime(2025, 7, 10, tzinfo=UTC)


def answer_some(released: Path, home: Path) -> None:
    """Make a home of these releases whose server has answered two insurers and a pharma firm, some
    things twice."""
    copy_home(released, home)
    with serving(home, copy_policies(home / "policies")) as gateway:
        gateway.everything("S02", {**COST, "dims": ["benefit5"]})
        gateway.everything("S02", {**COST, "dims": ["benefit5"]})
        gateway.everything("S02", {**COST, "dims": ["benefit5", "gend"]}, client="ins2-app")
        gateway.everything("S09", DRUGS, client="pha-app")
        assert gateway.ask("S09", {**DRUGS, "purpose": "other"}, client="pha-app").is_client_error


def books_of_copy(asked: Path, home: Path) -> Office:
    """New books on a copy of a home's journal and releases."""
    copy_home(asked, home)
    for file in asked.glob("journal.db*"):
        shutil.copy(file, home / file.name)
    upgrade(sqlite_url(home / "sluice.db"))
    return books_at(home)


def books_at(home: Path) -> Office:
    """The books that lie in a home."""
    return Office(
        open_engine(sqlite_url(home / "sluice.db")),
        home_journals(home),
        home / "archive",
        home / "releases",
        load_catalogue(POLICIES).tariffs,
        read_terms(POLICIES),
        public_key(home / "keys" / PUBLIC_KEY),
        Sealer(Ed25519PrivateKey.from_private_bytes(secret(home / "keys", "statement"))),
    )


def issued(office: Office) -> dict[tuple[str, str], PaperRow]:
    with reading(office.engine) as session:
        rows = session.scalars(sa.select(PaperRow)).all()
        session.expunge_all()
    return {(row.kind, row.party): row for row in rows}


def journal_of(office: Office) -> Path:
    """The one journal of the books' home."""
    (path,) = office.events.files()
    return path


def exported(office: Office) -> list[dict]:
    with closed_after(connect_reading(journal_of(office))) as db:
        return [orjson.loads(line) for line in plain_lines(db)]
