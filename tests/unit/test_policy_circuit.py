"""When an engine in another process is asked, and which of its revisions may decide."""

from __future__ import annotations

import pytest

from gateway.errors import OperatorError
from gateway.policy.circuit import FAILURES, LIVE_WITHIN, Circuit, Revisions
from gateway.policy.line import OpaServer


def after(outcomes: str) -> Circuit:
    """The circuit after these: p a probe as it must be, d one that is not, o an answer, x none."""
    circuit = Circuit()
    step = {
        "p": Circuit.proved,
        "d": Circuit.disproved,
        "o": Circuit.succeeded,
        "x": Circuit.failed,
    }
    for outcome in outcomes:
        circuit = step[outcome](circuit)
    return circuit


def test_nobody_is_asked_before_the_first_answer_to_a_probe() -> None:
    assert not Circuit().closed
    assert not after("xo").closed
    assert after("p").closed


def test_failures_in_a_row_open_the_circuit_and_a_probe_closes_it() -> None:
    assert after("p" + "x" * (FAILURES - 1)).closed
    assert not after("p" + "x" * FAILURES).closed
    assert after("p" + "x" * FAILURES + "p").closed


def test_an_answer_that_was_on_its_way_does_not_close_the_circuit() -> None:
    assert not after("p" + "x" * FAILURES + "oo").closed


def test_a_probe_answered_otherwise_opens_the_circuit_at_once() -> None:
    assert not after("pod").closed
    assert not after("podo").closed


def test_failures_among_answers_do_not_add_up() -> None:
    assert after("p" + ("o" + "x" * (FAILURES - 1)) * 9).closed


def test_a_replaced_revision_decides_for_five_seconds_and_no_longer() -> None:
    revisions = Revisions("a").publish("b", 100.0)
    assert LIVE_WITHIN == 5.0
    assert revisions.accept("b", 1000.0)
    assert revisions.accept("a", 104.9)
    assert not revisions.accept("a", 105.0)


def test_a_revision_never_published_here_does_not_decide() -> None:
    assert not Revisions("a").accept("x", 0.0)
    assert not Revisions("a").publish("b", 1.0).accept("", 1.0)


def test_a_revision_published_again_decides_again() -> None:
    back = Revisions("a").publish("b", 1.0).publish("a", 2.0)
    assert back.accept("a", 1000.0)
    assert back.accept("b", 6.9)
    assert not back.accept("b", 7.0)


def test_publishing_what_is_published_changes_nothing() -> None:
    revisions = Revisions("a").publish("b", 1.0)
    assert revisions.publish("b", 3.0) == revisions


def test_revisions_replaced_long_ago_are_forgotten() -> None:
    revisions = Revisions("0")
    for number in range(1, 50):
        revisions = revisions.publish(str(number), float(number))
    assert len(revisions.replaced) <= 6


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://127.0.0.1:8181", OpaServer("127.0.0.1", 8181, False)),
        ("http://opa", OpaServer("opa", 8181, False)),
        ("https://opa.example/", OpaServer("opa.example", 443, True)),
        ("http://[::1]:9000", OpaServer("[::1]", 9000, False)),
    ],
)
def test_an_address_is_scheme_host_and_port(url: str, server: OpaServer) -> None:
    assert OpaServer.at(url) == server


@pytest.mark.parametrize(
    "url", ["", "opa:8181", "ftp://opa", "http://opa/base", "http://u@opa", "http://opa?x=1"]
)
def test_an_address_the_client_would_misread_is_refused(url: str) -> None:
    with pytest.raises(OperatorError):
        OpaServer.at(url)
