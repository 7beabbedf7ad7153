"""A node that was killed starts while its PostgreSQL is away: it records, and it gives nothing out
of a quota before it knows again what it had used."""

import asyncio
import time
from contextlib import closing
from datetime import timedelta

import httpx
import pytest

from gateway.journal import standing
from gateway.metrics import meters
from gateway.quota.embedded import EmbeddedStore
from gateway.quota.leases import Leases
from gateway.quota.port import QuotaUnproven
from gateway.serving.quotas import Quotas
from tests.gateway_factory import TODAY, copy_home, copy_policies, serving
from tests.journal_factory import NOON, answered, refused
from tests.journal_store import record_all, store_on
from tests.postgres_server import postgres_server
from tests.quota_world import question, rules

pytestmark = pytest.mark.services


def at_noon():
    return NOON


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def kill(journal):
    """Let go of everything as a kill would: no sums, no goodbye."""
    journal._group.close()
    journal._central.close()
    journal._stores.direct.store.close()
    journal._looking.close()
    journal._spool.close()


def calls(journal):
    return journal.usage_counters("g-life", NOON).calls_day


@pytest.fixture
def site(tmp_path):
    """A PostgreSQL, and a node that recorded three answers straight into it and was killed."""
    with postgres_server() as server, store_on(server) as store:
        journal = store.open(tmp_path, clock=at_noon)
        assert record_all(journal, [answered(n) for n in (1, 2, 3)]) == [None] * 3
        kill(journal)
        try:
            yield server, store
        finally:
            if not server.answers():
                server.start()


def test_it_records_into_its_spool_and_knows_its_counters_once_the_store_is_back(site, tmp_path):
    server, store = site
    server.stop("immediate")
    with closing(store.open(tmp_path, clock=at_noon)) as journal:
        assert not journal.counted
        assert meters_say() == 0
        assert journal.healthy
        journal.record_now(refused(4))
        assert journal._spool.head.seq == 1
        server.start()
        wait_for(lambda: journal.counted)  # nobody has to call for that
        assert meters_say() == 1
        assert (calls(journal), journal.usage_counters("g-life", NOON).cells_month) == (3, 1500)
        journal.record_now(answered(5))
        assert journal._spool.head.seq == 1
    with closing(store.open(tmp_path, clock=at_noon)) as again:
        assert calls(again) == 4
    wait_for(lambda: store.count("audit_event") == 5)


def meters_say():
    return meters.registry.get_sample_value("journal_counted")


def test_killed_again_or_stopped_before_the_store_is_back_it_still_knows_that_it_does_not_know(
    site, tmp_path
):
    server, store = site
    server.stop("immediate")
    kill(store.open(tmp_path, clock=at_noon))
    with closing(store.open(tmp_path, clock=at_noon)) as journal:
        journal.record_now(refused(4))
        journal._stores.fold()
        assert not standing.direct_folded(journal._looking)[1]
    with closing(store.open(tmp_path, clock=at_noon)) as journal:
        assert not journal.counted
    server.start()
    with closing(store.open(tmp_path, clock=at_noon)) as journal:
        assert journal.counted
        assert calls(journal) == 3


def test_what_another_day_used_is_no_use_of_today(site, tmp_path):
    server, store = site
    server.stop("immediate")
    later = NOON + timedelta(days=1)
    with closing(store.open(tmp_path, now=later, clock=lambda: later)) as journal:
        server.start()
        wait_for(lambda: journal.counted)
        found = journal.usage_counters("g-life", later)
        assert (found.calls_day, found.cells_day, found.cells_month) == (0, 0, 1500)


def test_meanwhile_nothing_is_allowed_and_no_word_is_said_of_what_is_held(site, tmp_path):
    server, store = site
    server.stop("immediate")
    count = EmbeddedStore(shared=True)

    async def decide(asked):
        return rules(asked, {"calls_day": 10})

    async def play(journal):
        quotas = Quotas(journal.counters, lambda s: Leases(count, "n", s), at_noon)
        await quotas.leases.begin()
        said = count.operations
        with journal.counters.reserve("g-life", "q", 1, NOON, tenant="t-life") as hold:
            asked = question(quotas, hold)
            with pytest.raises(QuotaUnproven):
                await quotas.prove(hold, asked, await decide(asked), decide)
            with pytest.raises(QuotaUnproven):
                await quotas.look(hold)
            no = rules(asked, {"calls_day": 0})
            assert (await quotas.prove(hold, asked, no, decide))[1] == no
        await quotas.leases.tend(NOON)
        assert count.operations == said
        await asyncio.to_thread(server.start)
        while not journal.counted:
            await asyncio.sleep(0.02)
        with journal.counters.reserve("g-life", "q", 1, NOON, tenant="t-life") as hold:
            asked = question(quotas, hold)
            _, yes = await quotas.prove(hold, asked, await decide(asked), decide)
            assert (asked.usage.calls_day, yes.allow) == (3, True)

    with closing(store.open(tmp_path, clock=at_noon)) as journal:
        asyncio.run(play(journal))


def test_a_gateway_says_that_it_is_counting_and_answers_when_it_has(released_home, tmp_path):
    home = copy_home(released_home, tmp_path / "home")
    with postgres_server() as server, store_on(server) as store:
        (tmp_path / "dsn").write_text(store.dsn)
        journal = store.open(home, now=TODAY, clock=lambda: TODAY)
        journal.record_now(answered(1, time=TODAY))
        kill(journal)
        server.stop("immediate")
        policies = copy_policies(tmp_path / "policies")
        with serving(home, policies, postgres_dsn_file=tmp_path / "dsn") as gateway:
            told = httpx.get(f"{gateway.settings.base_url}/readyz")
            assert (told.status_code, told.json()) == (503, {"status": "counting"})
            refusal = gateway.ask()
            assert (refusal.status_code, refusal.json()["code"]) == (503, "quota_unproven")
            server.start()
            wait_for(lambda: httpx.get(f"{gateway.settings.base_url}/readyz").is_success)
            assert gateway.ask().status_code == 200
