"""The real servers other tests stand on: private, durable unless told otherwise, and then gone."""

import os
import signal
import socket

import asyncpg
import pytest
import redis

from tests.postgres_server import postgres_server
from tests.valkey_server import valkey_server

pytestmark = pytest.mark.services


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_postgres_keeps_what_it_committed_through_an_immediate_stop():
    with postgres_server() as server:
        assert server.sql("SHOW fsync") == [("on",)]
        server.sql("CREATE TABLE kept AS SELECT 7 AS seven")
        port, pid = server.port, server.pid
        server.restart("immediate")
        assert (server.port, server.pid != pid) == (port, True)
        assert server.sql("SELECT seven FROM kept") == [(7,)]
    assert not listens(port)
    assert not server.folder.exists()


def test_postgres_that_is_stopped_refuses_connections_until_it_is_started():
    with postgres_server(fsync="off") as server:
        assert server.sql("SHOW fsync") == [("off",)]
        server.stop()
        assert not server.answers()
        server.start()
        assert server.answers()


def test_postgres_comes_back_after_its_parent_process_was_killed():
    with postgres_server(fsync="off") as server:
        os.kill(server.pid, signal.SIGKILL)
        server.restart()
        assert server.answers()


def test_each_test_has_a_database_of_its_own(postgres, postgres_dsn):
    name = postgres_dsn.rsplit("/", 1)[1]
    postgres.sql("CREATE TABLE mine AS SELECT 1", database=name)
    with postgres.database() as other:
        found = postgres.sql("SELECT to_regclass('mine')::text", database=other.rsplit("/", 1)[1])
    assert found == [(None,)]


def test_postgres_lets_nobody_in_without_the_password(postgres, monkeypatch):
    monkeypatch.setattr(postgres, "password", "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        postgres.sql("SELECT 1")


@pytest.mark.parametrize(("kept", "left"), [("yes", b"1"), ("no", None)])
def test_valkey_keeps_writes_through_a_kill_exactly_if_it_is_told_to(kept, left):
    with valkey_server(appendonly=kept) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("a", 1)
        server.restart("immediate")
        with redis.Redis.from_url(server.url) as client:
            assert client.get("a") == left
        port = server.port
    assert not listens(port)


def test_the_shared_valkey_is_empty_at_the_start_of_each_test(valkey, valkey_url):
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("b", 2)
    valkey.empty()
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
