"""A directory of its own for each test: an empty database, and entries with visible inventions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from gateway.db.engine import open_engine, reading, sqlite_url, writing
from gateway.db.upgrade import upgrade
from gateway.identity.changes import register_client, register_tenant
from gateway.identity.directory import Snapshot, take_snapshot
from gateway.identity.entries import ClientTerms, ProductEntry
from gateway.identity.grants import approve_grant, enter_grant
from gateway.identity.model import Client
from gateway.identity.narrowing import Boundaries
from gateway.identity.products import register_product
from gateway.identity.store import read_contents
from tests.factories_identity import NOON, act, grant_entry, new_key, public, tenant_entry

SCENARIO = {
    "consumers": ["insurer"],
    "services": {"S02": {"measures": "*"}},
    "regions": {"grant": "listed", "finest": "city"},
    "validity_days": 365,
    "qualification": ["licensed_health_or_life_insurer"],
}
BOUNDS = Boundaries(
    scenarios={"SC01": SCENARIO},
    services={"S02": {"dims": ["gend"], "measures": ["medfee"]}},
    regions={"990100": {"level": "city", "insured": 2_000_000}},
)
"""The smallest scenario a grant can narrow, so that these tests do not follow the policy files."""


@cache
def _migrated() -> bytes:
    """An empty database at the newest schema; migrating anew for each test would cost a second."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sluice.db"
        upgrade(sqlite_url(path))
        return path.read_bytes()


def empty_database(folder: Path) -> Path:
    """A migrated, empty database in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sluice.db"
    path.write_bytes(_migrated())
    return path


@contextmanager
def empty_directory(folder: Path) -> Iterator[sa.Engine]:
    """The operational database, migrated and empty, open."""
    engine = open_engine(sqlite_url(empty_database(folder)))
    yield engine
    engine.dispose()


def snapshot(engine: sa.Engine) -> Snapshot:
    """The directory as a serving process would see it now."""
    with reading(engine) as session:
        return take_snapshot(read_contents(session), BOUNDS)


def add_tenant(engine: sa.Engine, tenant_id: str = "T-INS", **facts: object) -> None:
    """An insurer in good standing."""
    with writing(engine) as session:
        register_tenant(session, act(), tenant_entry(tenant_id, **facts))


def product_entry(
    product_id: str = "P-1", tenant_id: str = "T-INS", **facts: object
) -> ProductEntry:
    """A product with uploaded keys."""
    entry = {
        "id": product_id,
        "tenant": tenant_id,
        "name_zh": "测试产品（虚构）",
        "name_en": "Invented product",
        "redirect_uris": ["https://app.example/cb"],
        "jwks": public(new_key()),
        "security_contact": "security@app.example",
        **facts,
    }
    return ProductEntry.model_validate(entry)


def add_product(engine: sa.Engine, product_id: str = "P-1", **facts: object) -> None:
    """An active product."""
    with writing(engine) as session:
        register_product(session, act(), product_entry(product_id, **facts))


def add_client(
    engine: sa.Engine, client_id: str = "app", tenant_id: str = "T-INS", **terms: object
) -> Client:
    """A client; with a `jwks_uri` among its terms it has no keys yet."""
    made = ClientTerms.model_validate(terms)
    with writing(engine) as session:
        return register_client(
            session,
            act(),
            client_id=client_id,
            tenant_id=tenant_id,
            name="测试程序",
            jwks=None if made.jwks_uri else public(new_key()),
            terms=made,
        )


def add_grant(engine: sa.Engine, grant_id: str = "G-1", **facts: object) -> None:
    """An active grant, approved by two."""
    entry = grant_entry(grant_id, services=["S02"], **facts)
    with writing(engine) as session:
        enter_grant(session, act(), entry, BOUNDS)
    for person in ("测试己一", "测试己二"):
        with writing(engine) as session:
            approve_grant(session, act(person), grant_id, BOUNDS)


def later(**time: float) -> datetime:
    """A moment after the one the tests' acts happen at."""
    return NOON + timedelta(**time)
