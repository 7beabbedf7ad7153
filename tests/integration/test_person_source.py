"""One suite on both adapters of the person source, PostgreSQL with the real reading role."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.consent.subjects import Subjects
from gateway.persons.building import build_file, build_schema
from gateway.persons.embedded import EmbeddedSource
from gateway.persons.keeping import Kept, kept_by, name_mac, readable
from gateway.persons.loading import Loaded, Warehouse
from gateway.persons.port import Found, PersonSource, PersonSourceDown
from gateway.persons.postgres import SCHEMA, PostgresSource
from gateway.policy.filters import Reading, select
from gateway.policy.port import ColumnRule, Obligations, RowRule, TariffRule
from tests.claim_world import PEOPLE, warehouse_rows
from tests.policy_factory import POLICIES
from tests.postgres_server import PostgresServer
from tests.tiny_warehouse import Rows, write

NOW = datetime(2025, 6, 2, 4, tzinfo=UTC)
SUBJECTS = Subjects(b"k" * 32)
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Store:
    """A source, and how it is loaded."""

    path: Path
    source: Callable[[], PersonSource]
    load: Callable[[Warehouse, datetime], Loaded]
    reader: str = ""  # the DSN of the reading role, where there is one

    def fill(self, rows: Rows, now: datetime = NOW) -> Loaded:
        """Load these rows."""
        folder = write(self.path / secrets.token_hex(4), rows)
        with Warehouse(folder, kept(), SUBJECTS) as warehouse:
            return self.load(warehouse, now)

    def ask(self, work: Callable[[PersonSource], Any]) -> Any:
        """Ask the source one thing."""

        async def run() -> Any:
            source = self.source()
            try:
                return await work(source)
            finally:
                await source.close()

        return asyncio.run(run())


def kept() -> Kept:
    return kept_by(POLICIES, load_catalogue(POLICIES))


@contextmanager
def _postgres(server: PostgresServer, path: Path) -> Iterator[Store]:
    role, word = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    with server.database() as dsn:
        server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{word}'")
        database = dsn.rpartition("/")[2]
        reading = server.dsn(database, role, word)

        def load(warehouse: Warehouse, now: datetime) -> Loaded:
            return asyncio.run(build_schema(dsn, role, warehouse, now, lambda table: None))

        yield Store(path, lambda: PostgresSource(reading), load, reading)
        server.sql(f"DROP OWNED BY {role}", database=database)
    server.sql(f"DROP ROLE {role}")


@pytest.fixture(params=["embedded", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "postgres":
        with _postgres(request.getfixturevalue("postgres"), tmp_path) as found:
            yield found
        return
    file = tmp_path / "persons" / "persons.db"

    def load(warehouse: Warehouse, now: datetime) -> Loaded:
        return build_file(file, warehouse, now, lambda table: None)

    yield Store(tmp_path, lambda: EmbeddedSource(file), load)


def reference(person: str) -> str:
    return SUBJECTS.reference(PEOPLE[person][0])


def settlements(person: str, **conditions: str) -> Any:
    """A statement for a person's settlements in two regions."""
    rows = (
        RowRule("setl_d.psn_no", "is", "subject"),
        RowRule("setl_d.insu_admdvs", "in", ("990101", "990201")),
        RowRule("setl_d.begndate", "ge", conditions.get("since", "2025-01-01")),
        RowRule("setl_d.setl_id", "unlike", (conditions.get("unlike", "nothing"),)),
    )
    fields = ("setl", "day", "fee")
    told = Obligations(
        profile={},
        columns=tuple(ColumnRule(name, "C06-01", "L4", "none") for name in fields),
        sensitive_dx="none",
        max_cells=1,
        quota={},
        watermark="",
        log_level="full",
        notify_person=True,
        tariff=TariffRule("free", 1, "", "", free=True),
        ttl=1,
        rows=rows,
    )
    reading = Reading("setl_d", {"setl": "setl_id", "day": "begndate", "fee": "medfee_sumamt"})
    return select(readable(), told, reading, {"subject": (reference(person),)})


def read(store: Store, person: str, statement: Any, subject: str = "") -> Found:
    found = store.ask(lambda source: source.read(subject or reference(person), {"s": statement}))
    assert isinstance(found, Found)
    return found


def test_a_person_is_known_by_the_token_that_consents_use(store: Store) -> None:
    loaded = store.fill(warehouse_rows())
    assert loaded.rows["person"] == len(PEOPLE)
    known = store.ask(lambda source: source.known(reference("dead")))
    assert known.died == date(2025, 5, 1)
    assert known.name_mac == name_mac(SUBJECTS, PEOPLE["dead"][1])
    assert store.ask(lambda source: source.known("p-nobody")) is None


def test_rows_are_those_of_the_conditions_exact_to_the_cent(store: Store) -> None:
    store.fill(warehouse_rows())
    found = read(store, "adult", settlements("adult"))
    told = sorted((row["setl"], row["day"], row["fee"]) for row in found.rows["s"])
    assert told == [
        ("S-adult", date(2025, 4, 3), "8000.00"),
        ("S-adult-march", date(2025, 3, 3), "8000.00"),
    ]
    later = read(store, "adult", settlements("adult", since="2025-04-01"))
    assert [row["setl"] for row in later.rows["s"]] == ["S-adult"]
    unlike = read(store, "adult", settlements("adult", unlike="S-adult-"))
    assert [row["setl"] for row in unlike.rows["s"]] == ["S-adult"]


def test_a_load_replaces_the_last_one_whole(store: Store) -> None:
    first = store.fill(warehouse_rows())
    assert read(store, "adult", settlements("adult")).load == first.load
    rows = warehouse_rows()
    rows["setl_d"] = [row for row in rows["setl_d"] if row["setl_id"] == "S-adult"]
    second = store.fill(rows, datetime(2025, 6, 3, 4, tzinfo=UTC))
    found = read(store, "adult", settlements("adult"))
    assert found.load == second.load != first.load
    assert len(found.rows["s"]) == 1


def test_a_load_that_breaks_off_leaves_the_old_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.fill(warehouse_rows())
    rows = warehouse_rows()
    with monkeypatch.context() as broken:
        broken.setattr(Warehouse, "batches", _breaks)
        with pytest.raises(OSError, match="gone"):
            store.fill(rows)
    assert read(store, "adult", settlements("adult")).load == first.load


def _breaks(warehouse: Warehouse, table: str) -> Iterator[Any]:
    raise OSError("gone")


def test_a_refunded_settlement_is_marked_and_its_undoing_is_no_row(store: Store) -> None:
    loaded = store.fill(warehouse_rows(refunded=True))
    assert loaded.rows["setl_d"] == len(warehouse_rows()["setl_d"])


def test_a_source_that_is_not_there_answers_nothing(store: Store) -> None:
    with pytest.raises(PersonSourceDown):
        store.ask(lambda source: source.known(reference("adult")))


def test_only_columns_that_a_service_tells_or_conditions_name_are_kept() -> None:
    tables = kept().whole()
    columns = {name for each in tables.values() for name in each}
    assert columns.isdisjoint(
        {"psn_name", "certno", "tel", "addr", "emp_no", "bilg_dr_code", "balc", "sp_psn_type"}
    )
    assert tables.keys() >= {"setl_d", "mdtrt_d", "fee_list_d", "psn_insu_d", "person"}
    assert "drg_rslt_d" not in tables


def test_the_reading_role_sees_one_named_person_and_nothing_else(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with _postgres(postgres, tmp_path) as store:
        store.fill(warehouse_rows())
        assert read(store, "child", settlements("adult")).rows["s"] == ()
        asyncio.run(_probe(store))


async def _probe(store: Store) -> None:
    db = await asyncpg.connect(store.reader, server_settings={"search_path": SCHEMA})
    try:
        assert await db.fetchval("SELECT count(*) FROM setl_d") == 0
        async with db.transaction():
            await db.execute("SELECT set_config('sluice.subject', $1, true)", reference("adult"))
            seen = await db.fetch("SELECT DISTINCT psn_no FROM setl_d")
            assert [row[0] for row in seen] == [reference("adult")]
            assert await db.fetchval("SELECT count(*) FROM person") == 1
        assert await db.fetchval("SELECT count(*) FROM fee_list_d") == 0
        for forbidden in (
            "INSERT INTO person VALUES ('x', 'y', null)",
            "UPDATE setl_d SET medfee_sumamt = '1'",
            "DELETE FROM load",
            f"CREATE TABLE {SCHEMA}.mine (a int)",
            f"DROP SCHEMA {SCHEMA} CASCADE",
            "ALTER TABLE setl_d DISABLE ROW LEVEL SECURITY",
            "SELECT * FROM pg_authid",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(forbidden)
    finally:
        await db.close()
