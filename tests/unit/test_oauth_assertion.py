"""The rules of a client assertion at their very edges, and equal work for every client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authserver import clients
from gateway.identity import jose
from gateway.identity.assertion import LEEWAY, LONGEST_LIFE, AssertionRefused, read_assertion
from gateway.identity.binding import Presented
from gateway.identity.jose import encode_json
from gateway.identity.limiter import FailureLimiter
from sluice_client.proof import token_form
from tests.factories_identity import (
    NOON,
    Machine,
    first_machine,
    new_key,
    office_of,
    open_at,
    sign,
)

ISSUER = "https://gateway.example"
AT = int(NOON.timestamp())


def text(**changes: object) -> str:
    claims = {"iss": "c", "sub": "c", "aud": ISSUER, "jti": "j", "iat": AT, "exp": AT + 60}
    return f"{encode_json({'alg': 'ES256'})}.{encode_json({**claims, **changes})}.AA"


def verdict(now: datetime = NOON, **changes: Any) -> str:
    try:
        read_assertion(text(**changes), ISSUER, now)
    except AssertionRefused as refusal:
        return refusal.code
    return "accepted"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": AT + LONGEST_LIFE}, "accepted"),
        ({"exp": AT + LONGEST_LIFE + 1}, "assertion_lifetime"),
        ({"iat": AT + LEEWAY, "exp": AT + 60}, "accepted"),
        ({"iat": AT + LEEWAY + 1, "exp": AT + 60}, "assertion_not_yet_valid"),
        ({"nbf": AT + LEEWAY}, "accepted"),
        ({"nbf": AT + LEEWAY + 1}, "assertion_not_yet_valid"),
        ({"iat": AT - 60, "exp": AT - LEEWAY + 1}, "accepted"),
        ({"iat": AT - 60, "exp": AT - LEEWAY}, "assertion_expired"),
        ({"iat": AT - LONGEST_LIFE, "exp": AT}, "accepted"),
        ({"iat": AT + 0.5, "exp": AT + 1.5}, "accepted"),
        ({"iat": AT, "exp": 10**30}, "assertion_times"),
        ({"nbf": "now"}, "assertion_times"),
        ({"jti": "j" * 256}, "accepted"),
        ({"jti": "j" * 257}, "assertion_jti"),
    ],
)
def test_limits_hold_exactly(changes: dict[str, Any], expected: str) -> None:
    assert verdict(**changes) == expected


@given(life=st.integers(-400, 400), age=st.integers(-100, 400))
def test_whatever_is_accepted_is_remembered_longer_than_it_can_be_accepted(
    life: int, age: int
) -> None:
    now = NOON + timedelta(seconds=age)
    changes: dict[str, Any] = {"exp": AT + life}
    if verdict(now, **changes) != "accepted":
        return
    remembered_until = read_assertion(text(**changes), ISSUER, now).expires

    assert verdict(remembered_until, **changes) == "assertion_expired"
    assert remembered_until <= now + timedelta(seconds=LONGEST_LIFE + 2 * LEEWAY)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "jti", "iat", "exp", "nbf"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=4)
        | st.lists(st.text(max_size=3), max_size=2),
    )
)
def test_no_claims_get_more_than_a_refusal(changes: dict[str, Any]) -> None:
    assert isinstance(verdict(**changes), str)


def test_known_unknown_and_banned_clients_cost_one_signature_check_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, settings = open_at(tmp_path / "home")
    office = office_of(identity, settings)
    machine = first_machine(identity)
    checked: list[str] = []
    genuine = jose.signature_is_valid

    def counting(algorithm: str, key: Any, *rest: Any) -> bool:
        checked.append(f"{algorithm} {key.curve.name}")  # a real key of the right kind
        return genuine(algorithm, key, *rest)

    monkeypatch.setattr(clients, "signature_is_valid", counting)
    now = datetime.now(UTC)
    stranger = new_key(str(machine.key.kid))
    unknown = Machine("no-such-app", stranger, identity.issuer)
    other_kid = sign({"alg": "ES256", "kid": "another"}, machine.claims(now), machine.key)
    forms = [
        token_form(sign({"alg": "ES256"}, machine.claims(now), stranger)),
        token_form(unknown.assertion(now)),
        token_form(other_kid),
    ]
    shown = Presented("POST", f"{identity.issuer}/oauth/token", ip="127.0.0.1")
    replies = [office.token(form, shown, now).reply for form in forms]
    identity.close()

    assert checked == ["ES256 secp256r1"] * 3
    assert {dict(reply.body)["code"] for reply in replies} == {"client_refused"}


def test_failures_are_counted_per_client_and_address_within_a_minute() -> None:
    limiter = FailureLimiter(per_client=2, per_address=3)
    for _ in range(2):
        limiter.failed("10.0.0.1", "a", now=1000.0)

    assert limiter.wait_seconds("10.0.0.1", "a", 1030.0) == 30
    assert limiter.wait_seconds("10.0.0.1", "b", 1030.0) == 0
    assert limiter.wait_seconds("10.0.0.2", "a", 1030.0) == 0  # nobody is locked out from afar
    limiter.failed("10.0.0.1", "b", now=1031.0)
    assert limiter.wait_seconds("10.0.0.1", "c", 1031.0) > 0  # the address as a whole
    assert limiter.wait_seconds("10.0.0.1", "a", 1060.0) == 0


def test_a_flood_of_invented_names_does_not_fill_the_memory() -> None:
    limiter = FailureLimiter(per_address=10**9)
    for number in range(25_000):
        limiter.failed("10.0.0.1", f"client-{number}", now=1000.0)

    assert len(limiter._counts) <= 20_000
