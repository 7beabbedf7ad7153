"""The production profile for the tests' gateways: PostgreSQL, Valkey and OPA instead of files.

With `SLUICE_TEST_PROFILE=production` every gateway of `tests.gateway_factory.serving` keeps its
directory, consents, staff and ledger in a PostgreSQL database of its own, ships its journal there,
leases quotas from a Valkey and asks an OPA of its own: the same tests, by settings alone.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.db.postgres import postgres_url
from gateway.db.roles import let_in
from gateway.db.upgrade import upgrade
from gateway.identity.secrets import secret
from gateway.journal.postgres_schema import init
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import NAME, bundle_key
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings
from tests.opa_server import TOKEN, free_port, opa_process, until
from tests.postgres_server import OWNER, PostgresServer, postgres_server
from tests.quota_site import open_count
from tests.valkey_server import ValkeyServer, valkey_server

READS_FILES = frozenset(
    {
        "test_a_policy_refusal_lists_its_codes_and_is_recorded",
        "test_an_attempt_to_set_disclosure_control_is_refused_and_recorded",
        "test_an_attempt_in_the_address_is_refused_and_recorded",
        "test_the_second_delivery_is_on_record_as_a_repeat_of_the_event",
        "test_another_tenants_key_is_another_key",
        "test_calls_at_the_same_time_under_one_key_are_answered_once",
        "test_an_expired_key_is_free_again",
        "test_a_key_cannot_be_changed_nor_removed_before_it_expires",
        "test_cells_that_were_paged_are_not_charged_again_nor_the_other_way_round",
        "test_every_file_is_one_event_on_record_under_the_digest_of_its_octets",
        "test_a_fetched_file_is_on_record_and_counts_nothing",
        "test_a_job_cut_off_by_a_crash_goes_on_and_charges_nothing_twice",
        "test_the_person_sees_who_looked_and_nobody_is_named",
        "test_a_look_up_is_on_record_without_the_code",
        "test_an_answer_is_on_record_without_its_code_and_charged_where_it_is_not_free",
        "test_a_device_of_the_public_has_twenty_checks_a_day",
    }
)
"""Tests that look into the file of the journal or of the database: here both are elsewhere."""
DIRECTORY_AT_ONCE = frozenset({"test_who_has_used_up_the_credit_of_the_month_is_refused"})
"""Tests that count on a change of the directory at the next call: OPA fetches it within seconds."""
PRODUCTION = os.environ.get("SLUICE_TEST_PROFILE") == "production"
FILES = ("database_dsn_file", "postgres_dsn_file", "redis_url_file", "policy_bundle_token_file")
ROWS, ADDS = "sluice_rows", "sluice_app"


@dataclass
class Site:
    """The servers of a run, and a database with every schema to copy for each gateway."""

    postgres: PostgresServer
    valkey: ValkeyServer
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.postgres.sql("CREATE DATABASE sluice_template")
        owner = self.postgres.dsn("sluice_template")
        upgrade(postgres_url(owner))
        let_in(postgres_url(owner), ROWS, self.password)
        asyncio.run(init(owner, ADDS, self.password))

    def database(self) -> str:
        """The name of a fresh database at the newest schema."""
        name = f"sluice_{secrets.token_hex(6)}"
        self.postgres.sql(f"CREATE DATABASE {name} TEMPLATE sluice_template OWNER {OWNER}")
        return name

    def settings(self, folder: Path, port: int) -> dict[str, Any]:
        """What makes a gateway one of production; its database and count are new. `port` is its
        OPA's."""
        files = {name: folder / name for name in FILES}
        given = {
            "quota_store": "redis",
            "policy_engine": "opa",
            "opa_url": f"http://127.0.0.1:{port}",
            **files,
        }
        if folder.is_dir():  # the gateway of before starts again
            return given
        folder.mkdir(parents=True)
        name = self.database()
        url = f"{self.valkey.url.rsplit('/', 1)[0]}/{next(self.numbers)}"
        open_count(ValkeyStore(url))
        told = (
            self.postgres.dsn(name, ROWS, self.password),
            self.postgres.dsn(name, ADDS, self.password),
            url,
            TOKEN,
        )
        for path, text in zip(files.values(), told, strict=True):
            path.write_text(text)
            path.chmod(0o600)
        return given


@contextmanager
def production_site() -> Iterator[Site]:
    """PostgreSQL and Valkey, running."""
    with (
        postgres_server(max_connections="200") as postgres,
        valkey_server(databases="1024", appendfsync="everysec") as valkey,
    ):
        yield Site(postgres, valkey)


@cache
def _of_run() -> Site:
    """The one of this run."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(production_site())


def facts_of(home: Path) -> dict[str, Any]:
    """The settings of the profile this run is of."""
    return _of_run().settings(home / "production", free_port()) if PRODUCTION else {}


def caught_up(app: FastAPI) -> None:
    """Wait until OPA, if it is what decides, has fetched what the directory says now."""
    settings, editions = app.state.settings, app.state.desk.editions

    def same() -> bool:
        found = httpx.get(f"{settings.opa_url}/v1/data/none?provenance=true", trust_env=False)
        bundles = found.json()["provenance"].get("bundles", {})
        return bool(bundles.get(NAME, {}).get("revision") == editions.live.policy.version)

    if PRODUCTION and settings.policy_engine == "opa":
        until(same)


@contextmanager
def opa_beside(settings: Settings, http: httpx.Client) -> Iterator[None]:
    """The OPA that follows a gateway of this run's profile, deciding already."""
    if settings.policy_engine != "opa" or not PRODUCTION:
        yield
        return
    key = bundle_key(secret(settings.keys, "policy_bundle"))
    assert settings.policy_bundle_token_file is not None
    config = opa_config(settings.base_url, settings.policy_bundle_token_file, key)
    with opa_process(int(settings.opa_url.rsplit(":", 1)[1]), config):
        until(lambda: http.get("/readyz").status_code == 200)
        yield
