"""Claims decided by insurers' rules inside, each as its story says, and what bounds the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.billing.closing import close
from gateway.billing.months import truth_of
from gateway.billing.opening import open_billing
from gateway.catalogue.load import load_catalogue
from gateway.claims import refunds
from gateway.consent.subjects import open_subjects
from gateway.db.claim_tables import ClaimDecisionRow
from gateway.db.engine import reading
from gateway.identity.jose import parse_compact
from gateway.identity.secrets import secret
from gateway.persons.building import build_schema
from gateway.persons.keeping import kept_by
from gateway.persons.loading import Warehouse
from gateway.persons.postgres import PostgresSource
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from gateway.rules.submissions import Refused
from tests.adjudication_stories import FILE, RulesStage
from tests.adjudication_world import RuledWorld, enter_rules, huimin, plus, ruled_world
from tests.claim_stories import read_stories
from tests.claim_world import QUOTA, STRANGER, warehouse_rows
from tests.gateway_factory import copy_home, copy_policies, free_port, serving
from tests.integration.test_claim_stories import work_counted
from tests.leak_watch import watching
from tests.opa_server import TOKEN, opa_process, until
from tests.postgres_server import PostgresServer
from tests.tiny_warehouse import Rows, write

PG_STORIES = ("one stay", "by the invoice", "struck lines", "deductible over two claims",
              "negative list", "a sensitive diagnosis decides nothing", "no such settlement",
              "unknown person", "the deductible is given back")  # fmt: skip
_NEVER = ("dscg", "diag", "I63", "medfee", "psn_no", "8000.00", "H1")


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledWorld]:
    folder = tmp_path_factory.mktemp("ruled")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(refunds, "LOOK_SECONDS", 1e6)
        with ruled_world(released_home, folder) as found:
            yield found


@pytest.fixture
def settled(world: RuledWorld, tmp_path: Path) -> RuledWorld:
    """The world with the people of `claim_world`, nobody locked, nothing decided."""
    world.load(tmp_path / "rows", warehouse_rows())
    with world.consents.engine.begin() as db:
        for table in ("claim_miss", "claim_decision"):
            db.exec_driver_sql(f"DELETE FROM {table}")
    return world


def decided(world: RuledWorld, body: Any, **asked: Any) -> Any:
    reply = world.verify(body, "S20", **asked)
    assert reply.status_code == 200, reply.text
    return reply.json()


def kept(world: RuledWorld) -> list[ClaimDecisionRow]:
    with reading(world.consents.engine) as session:
        return list(session.scalars(sa.select(ClaimDecisionRow)))


def test_the_stories_are_decided_as_they_are_told(world: RuledWorld) -> None:
    stories = read_stories(FILE)
    assert len(stories) >= 60
    with watching() as watch:
        assert RulesStage(world, stories).play() == {}
    assert watch.found == {}
    assert watch.seen_bytes > 80_000  # it did look


def test_nothing_but_the_answer_leaves_and_it_is_signed(settled: RuledWorld) -> None:
    world = settled
    reply = decided(world, world.claim(world.ruled()))
    assert set(reply["data"]) == {
        "claim_ref", "decision", "payable_amt", "deductible_used", "layer_used", "reason_codes",
        "rule_package_version",
    }  # fmt: skip
    assert parse_compact(reply["proof"]).claims["data"] == reply["data"]
    assert not any(word in str(reply) for word in _NEVER)
    denied = decided(world, world.claim(world.ruled("patient"), "patient", policy={
        "from": "2025-04-05", "to": "2025-12-31"}))  # fmt: skip
    assert [type(one) for one in denied["data"].values()][:4] == [str, str, str, str]
    assert list(denied["data"]) == list(reply["data"])


def refusals(world: RuledWorld) -> dict[str, Any]:
    """Questions refused for as many reasons as there are about a consent."""
    live, other, revoked = world.ruled(), world.ruled("patient"), world.ruled()
    world.change(revoked, "revoke")
    return {
        "unknown person": world.claim("c-unknown", STRANGER, setl_id="S-0"),
        "unknown person, live consent": world.claim(live, STRANGER, setl_id="S-0"),
        "no consent": world.claim("c-unknown"),
        "somebody else's consent": world.claim(other),
        "revoked": world.claim(revoked),
        "another policy": world.claim(live, policy_ref="POL-2"),
        "a product without rules": world.claim(live, product="nothing"),
        "another insurer's product": world.claim(live, product="rival"),
        "dead": world.claim(world.ruled("dead"), "dead"),
    }


def test_every_refusal_costs_the_same_work(settled: RuledWorld) -> None:
    world = settled
    world.verify(world.claim("c-unknown"), "S20")  # signs the client in, which is on record too
    work: dict[str, tuple[Counter[str], int, list[str]]] = {}
    for story, body in refusals(world).items():
        with work_counted(world) as done:
            reply = world.verify(body, "S20")
        assert (reply.status_code, reply.json()["deny"]) == (403, ["D6xx"]), story
        work[story] = (done, len(reply.content), sorted(reply.headers))
    for story, one in work.items():
        assert one == work["no consent"], story


def test_one_claim_asked_at_once_is_decided_once(settled: RuledWorld) -> None:
    world = settled
    consent = world.ruled(uses_max=20)
    body = world.claim(consent)
    before = len(kept(world))
    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(lambda _: decided(world, body), range(12)))
    assert {str(one["data"]) for one in told} == {str(told[0]["data"])}
    assert len(kept(world)) == before + 1
    charged = [one for one in told if not one["meta"]["charge"]["repeat"]]
    assert len(charged) == 1
    shown = world.gateway.http.get(f"/v1/consents/{consent}", auth=world.gateway.auth("claims-app"))
    assert shown.json()["uses"] == 1


def test_two_claims_at_once_share_one_deductible(settled: RuledWorld) -> None:
    world = settled
    consent = world.ruled()
    bodies = [world.claim(consent, setl_id=number) for number in ("S-adult", "S-adult-march")]
    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(lambda body: decided(world, body)["data"], bodies))
    assert sorted(one["deductible_used"] for one in told) == ["0.00", "500.00"]
    assert sorted(one["payable_amt"] for one in told) == ["400.00", "800.00"]


def test_a_decision_is_charged_once_and_a_refusal_is_not(settled: RuledWorld) -> None:
    world = settled

    def used() -> int:
        rows = world.gateway.get("/v1/usage", "claims-app").json()["usage"]
        return sum(row["units"] for row in rows if row["unit"] == "per_adjudicated_claim")

    consent, before = world.ruled(), used()
    decided(world, world.claim(consent), key="decide-key-1")
    decided(world, world.claim(consent), key="decide-key-1")
    decided(world, world.claim(consent))
    world.verify(world.claim("c-unknown"), "S20")
    assert used() - before == 1


def test_a_package_that_would_carry_the_diagnosis_out_decides_nothing(settled: RuledWorld) -> None:
    world = settled
    told = [{"when": {"dx": [f"I{n:02}"]}, "then": {"decision": "deny", "reasons": [f"R{n:02}"]}}
            for n in range(5, 40)]  # fmt: skip
    last = {"then": {"decision": "pay", "layers": ["all"]}}
    with pytest.raises(Refused) as refused:
        world.approve({**plus(), "product": "spy", "rows": [*told, last]})
    assert {one["code"] for one in refused.value.extra["faults"]} == {"rules_single_out"}
    reply = world.verify(world.claim(world.ruled(), product="spy"), "S20")
    assert (reply.status_code, reply.json()["deny"]) == (403, ["D6xx"])


def test_a_near_duplicate_does_not_decide_about_the_same_person(settled: RuledWorld) -> None:
    world = settled
    body = world.claim(world.ruled(client="rival-app"), product="rival")
    assert decided(world, body, client="rival-app")["data"]["decision"] == "pay"
    world.withdraw(world.packages["rival"])
    world.approve({**huimin(), "product": "north"}, "rival-app")
    other = world.ruled(client="rival-app", policy_ref="POL-2")
    asked = {"product": "north", "policy_ref": "POL-2"}
    for number in ("S-adult", "S-adult-march"):
        body = world.claim(other, setl_id=number, **asked)
        reply = world.verify(body, "S20", client="rival-app")
        assert (reply.status_code, reply.json()["code"]) == (409, "adjudication_near_duplicate")
    patient = world.ruled("patient", client="rival-app", policy_ref="POL-2")
    body = world.claim(patient, "patient", **asked)
    assert decided(world, body, client="rival-app")["data"]["decision"] == "pay"
    assert len(kept(world)) == 2


def test_a_month_of_decisions_is_closed(settled: RuledWorld) -> None:
    decided(settled, settled.claim(settled.ruled()))
    office = open_billing(settled.gateway.settings, settled.consents.engine)
    closed = close(office, "2025-06", datetime(2025, 7, 30, tzinfo=UTC), "o-1")
    assert closed.fees_fen > 0
    split = truth_of(office, "2025-06", office.events.heads()).splits["S20"]
    assert set(split.providers) == {office.terms.bureau}


@contextmanager
def on_postgres(home: Path, folder: Path, server: PostgresServer) -> Iterator[RuledWorld]:
    """The world over a person source in PostgreSQL, read by the role that sees one person."""
    role, word = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    with server.database() as dsn:
        server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{word}'")
        database = dsn.rpartition("/")[2]
        file = folder / "dsn"
        file.write_text(server.dsn(database, role, word))
        file.chmod(0o600)

        class OnPostgres(RuledWorld):
            def load(self, folder: Path, rows: Rows) -> None:
                settings = self.gateway.settings
                names = kept_by(settings.policies, load_catalogue(settings.policies))
                subjects, now = open_subjects(settings.keys), self.gateway.clock()
                with Warehouse(write(folder, rows), names, subjects) as warehouse:
                    asyncio.run(build_schema(dsn, role, warehouse, now, lambda table: None))

            async def look_for_refunds(self) -> None:
                # Its own connections: those of the gateway belong to the server's loop.
                source = PostgresSource(file.read_text())
                await replace(self.gateway.app.state.refunds, source=source).look()
                await source.close()

        policies = copy_policies(folder / "policies", QUOTA)
        facts = {"person_dsn_file": file}
        with serving(copy_home(home, folder / "home"), policies, **facts) as gateway:
            found = OnPostgres(gateway, folder)
            enter_rules(found)
            yield found
        server.sql(f"DROP OWNED BY {role}", database=database)
    server.sql(f"DROP ROLE {role}")


def test_stories_are_decided_alike_from_postgresql(
    released_home: Path, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refunds, "LOOK_SECONDS", 1e6)
    stories = read_stories(FILE)
    with on_postgres(released_home, tmp_path, postgres) as found:
        chosen = {name: stories[name] for name in PG_STORIES}
        assert RulesStage(found, chosen).play() == {}


@pytest.mark.slow
@pytest.mark.services
def test_stories_are_decided_alike_where_opa_decides(
    released_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refunds, "LOOK_SECONDS", 1e6)
    port, token = free_port(), tmp_path / "token"
    token.write_text(TOKEN + "\n")
    facts = {
        "policy_engine": "opa",
        "opa_url": f"http://127.0.0.1:{port}",
        "policy_bundle_token_file": token,
    }
    policies = copy_policies(tmp_path / "policies", QUOTA)
    with serving(copy_home(released_home, tmp_path / "home"), policies, **facts) as gateway:
        key = bundle_key(secret(gateway.settings.keys, "policy_bundle"))
        with opa_process(port, opa_config(gateway.settings.base_url, token, key)):
            found = RuledWorld(gateway, tmp_path)
            enter_rules(found)
            until(lambda: gateway.http.get("/readyz").status_code == 200)
            assert RulesStage(found, read_stories(FILE)).play() == {}
