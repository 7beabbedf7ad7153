"""OPA gone, slow, silent or talking nonsense: no decision, no queue, recovery by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import orjson
import pytest

from gateway.policy.circuit import FAILURES
from gateway.policy.line import OpaServer
from gateway.policy.packing import bundle_key
from gateway.policy.port import PolicyUnavailable
from gateway.policy.remote import OpaPolicy
from tests.opa_server import (
    Followed,
    bundle_served,
    free_port,
    opa_process,
    pretending,
    until,
)
from tests.policy_factory import POLICIES, PRICING, ask, catalogue, directory

REFUSED = {"allow": False, "deny": ["D000"]}
ALLOWED = {"allow": True, "deny": []}


def policy_at(server: OpaServer, timeout: float = 1.0) -> Followed:
    return Followed(POLICIES, catalogue(), directory(), server, timeout=timeout)


def reply(result: object, revision: object) -> bytes:
    bundles = {"sluice": {"revision": revision}}
    return orjson.dumps({"result": result, "provenance": {"bundles": bundles}})


def refuses(policy: OpaPolicy) -> str:
    """The reason why no decision is to be had; it stays inside."""
    with pytest.raises(PolicyUnavailable) as refused:
        policy.decide(ask(PRICING))
    assert (refused.value.status, refused.value.code) == (503, "policy_unavailable")
    assert "g-pricing" not in f"{refused.value}{refused.value.reason}"
    return refused.value.reason


@contextmanager
def faulty(answer: Callable[[], tuple[int, bytes]], timeout: float = 1.0) -> Iterator[Followed]:
    """A policy whose OPA answers like this."""
    with pretending(answer) as server:
        policy = policy_at(server, timeout)
        try:
            yield policy
        finally:
            policy.close()


NONSENSE: list[bytes] = [
    b"{}",
    b"",
    b"null",
    b"[]",
    b"<html>not OPA</html>",
    b'{"result": {"allow": true, "deny": []}}',
    b'{"result": true}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body)[:30])
def test_an_answer_that_is_none_is_no_decision(body: bytes) -> None:
    with faulty(lambda: (200, body)) as policy:
        refuses(policy)
        assert not policy.healthy


WRONG: list[object] = [
    None,
    {},
    True,
    "allow",
    ALLOWED,
    {"allow": True, "deny": ["D101"]},
    {"allow": False, "deny": []},
    {"allow": 1, "deny": []},
    {"allow": False, "deny": "D101"},
    ALLOWED | {"obligations": None},
    ALLOWED | {"obligations": []},
]


@pytest.mark.parametrize("result", WRONG, ids=lambda result: repr(result)[:40])
def test_an_answer_not_of_the_agreed_form_is_no_decision(result: object) -> None:
    told: dict[str, bytes] = {"body": b"{}"}
    with faulty(lambda: (200, told["body"])) as policy:
        told["body"] = reply(REFUSED, policy.version)
        until(lambda: policy.healthy)
        told["body"] = reply(result, policy.version)
        refuses(policy)


def test_an_answer_by_a_revision_never_published_is_no_decision() -> None:
    for revision in ("2026.1+0000000000000000", "", None, 7):
        with faulty(lambda revision=revision: (200, reply(REFUSED, revision))) as policy:  # type: ignore[misc]  # bound here
            refuses(policy)
            assert not policy.healthy


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502, 503, 504])
def test_an_error_of_the_server_is_no_decision(status: int) -> None:
    with faulty(lambda: (status, reply(REFUSED, "x"))) as policy:
        refuses(policy)


def test_an_answer_to_something_else_keeps_the_circuit_open() -> None:
    """A server that refuses the empty question for another reason is not our policy."""
    told: dict[str, bytes] = {"body": b"{}"}
    with faulty(lambda: (200, told["body"])) as policy:
        told["body"] = reply({"allow": False, "deny": ["D101"]}, policy.version)
        asked = [refuses(policy) for _ in range(FAILURES + 1)]
        assert set(asked) == {"circuit_open"}


def test_a_slow_server_is_asked_few_times_then_nobody_waits() -> None:
    """Five seconds are longer than the time-out; after a few of them the refusal is immediate."""
    enough, questions = threading.Event(), 0

    def slow() -> tuple[int, bytes]:
        nonlocal questions
        questions += 1
        enough.wait(5)
        return 200, b"{}"

    with faulty(slow, timeout=0.3) as policy:
        reasons = [refuses(policy) for _ in range(50)]
        assert questions <= FAILURES + 2
        assert reasons[-1] == "circuit_open"
        enough.set()


@pytest.mark.services
def test_a_killed_opa_refuses_and_a_new_one_is_found_without_help() -> None:
    port = free_port()
    policy = policy_at(OpaServer.at(f"http://127.0.0.1:{port}"))
    with ExitStack() as stack:
        stack.callback(policy.close)
        config = stack.enter_context(bundle_served(policy))
        refuses(policy)
        with opa_process(port, config) as first:
            policy.wait()
            assert policy.decide(ask(PRICING)).allow
            first.kill()
            first.wait()
            for _ in range(FAILURES + 2):
                refuses(policy)
            assert not policy.healthy
        with opa_process(port, config):
            policy.wait()
            assert policy.healthy
            assert policy.decide(ask(PRICING)).allow


@pytest.mark.services
def test_an_opa_that_loses_the_bundle_decides_no_longer() -> None:
    """It goes on by the old revision; a stop that it has not heard of must not be missed."""
    port = free_port()
    policy = policy_at(OpaServer.at(f"http://127.0.0.1:{port}"))
    stopped = directory()
    stopped["stops"]["scenario"]["SC01"] = {"since": "2026-03-01", "reason": "drill"}
    with ExitStack() as stack:
        stack.callback(policy.close)
        with bundle_served(policy) as config:
            stack.enter_context(opa_process(port, config))
            policy.wait()
        OpaPolicy.load(policy, stopped)  # published, but there is nobody to fetch it from
        until(lambda: not policy.healthy)
        assert refuses(policy) in {"circuit_open", "revision"}


@pytest.mark.services
def test_opa_loads_no_bundle_that_another_key_signed() -> None:
    port = free_port()
    policy = policy_at(OpaServer.at(f"http://127.0.0.1:{port}"))
    asked = threading.Event()
    with ExitStack() as stack:
        stack.callback(policy.close)
        config = stack.enter_context(bundle_served(policy, bundle_key(b"a forger")))
        stack.enter_context(opa_process(port, config))
        # The probes reach OPA, which has nothing to answer by.
        for _ in range(60):
            assert not policy.healthy
            asked.wait(0.05)
        refuses(policy)
