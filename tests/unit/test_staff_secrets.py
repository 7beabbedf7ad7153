"""What staff prove themselves with: waits, codes, seals, and passwords that cannot be used."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.staff.secrets import (
    RECOVERY_CODES,
    Passwords,
    Sealer,
    accepted_step,
    is_recovery_code,
    new_recovery_codes,
    new_totp_secret,
    password_fault,
    tidy_code,
    totp_address,
)
from gateway.staff.throttle import LONGEST, network_of, wait_after
from tests.factories_identity import NOON
from tests.staff_factory import CHEAP, PASSWORD

SEALER = Sealer(b"k" * 32)


@given(failures=st.integers(0, 10_000), free=st.integers(1, 100))
def test_waits_grow_with_failures_and_never_past_the_longest(failures: int, free: int) -> None:
    wait, next_wait = wait_after(failures, free), wait_after(failures + 1, free)
    assert timedelta(0) <= wait <= next_wait <= LONGEST
    assert (wait == timedelta(0)) == (failures < free)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(4, 0), (5, 15), (6, 30), (7, 60), (10, 480), (11, 900), (99, 900)]
)
def test_the_fifth_failure_costs_fifteen_seconds_and_each_further_one_twice(
    failures: int, seconds: int
) -> None:
    assert wait_after(failures, 5).total_seconds() == seconds


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("not an address", "unknown"),
    ],
)
def test_a_party_is_counted_by_the_network_it_can_have_all_of(ip: str, network: str) -> None:
    assert network_of(ip) == network


@pytest.mark.parametrize(
    "password",
    ["", "short", "x" * 201, "aaaaaaaaaaaaaaaa", "the-anna-password", "ANNA's quiet river"],
)
def test_passwords_that_are_short_monotonous_or_name_the_account_are_refused(password: str) -> None:
    assert password_fault(password, "anna")


def test_a_long_password_of_any_kind_of_character_is_accepted() -> None:
    assert password_fault(PASSWORD, "anna") is None
    assert password_fault("一条安静的河流从山间缓缓流过", "anna") is None


def test_a_password_fits_its_own_hash_and_no_account_has_no_password() -> None:
    passwords = Passwords(CHEAP)
    stored = passwords.keep(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert passwords.fits(stored, PASSWORD)
    assert not passwords.fits(stored, PASSWORD + " ")
    assert not passwords.fits("", PASSWORD)
    assert not passwords.fits("not a hash", PASSWORD)


def test_the_stored_hashes_cost_what_rfc_9106_asks_for() -> None:
    hasher = Passwords().hasher
    assert (hasher.memory_cost, hasher.time_cost, hasher.parallelism) == (65536, 3, 4)


@given(shift=st.integers(-300, 300))
def test_a_code_counts_in_its_own_half_minute_and_the_ones_beside(shift: int) -> None:
    secret = pyotp.random_base32()
    code = pyotp.TOTP(secret).at(NOON)
    step = accepted_step(secret, code, NOON + timedelta(seconds=shift), 0)
    steps_away = (NOON + timedelta(seconds=shift)).timestamp() // 30 - NOON.timestamp() // 30
    assert (step is not None) == (abs(steps_away) <= 1)


def test_a_code_is_accepted_only_after_the_last_accepted_one() -> None:
    secret = new_totp_secret()
    code, step = pyotp.TOTP(secret).at(NOON), int(NOON.timestamp()) // 30
    assert accepted_step(secret, code, NOON, step - 1) == step
    assert accepted_step(secret, code, NOON, step) is None


def test_a_sealed_secret_opens_for_its_account_and_key_only() -> None:
    secret = new_totp_secret()
    sealed = SEALER.seal("anna", secret)
    assert secret not in sealed
    assert SEALER.unseal("anna", sealed) == secret
    for sealer, name in ((SEALER, "bert"), (Sealer(b"x" * 32), "anna")):
        with pytest.raises(OperatorError, match="second factor"):
            sealer.unseal(name, sealed)


def test_one_text_has_another_digest_for_each_purpose_and_key() -> None:
    digests = {SEALER.digest("a", "t"), SEALER.digest("b", "t"), Sealer(b"x" * 32).digest("a", "t")}
    assert len(digests) == 3


def test_recovery_codes_are_many_different_and_typed_as_people_type() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    for code in codes:
        assert is_recovery_code(code)
        assert tidy_code(f" {code.lower()} ".replace("-", " ")) == tidy_code(code)
    assert not is_recovery_code("123 456")


def test_the_authenticator_is_told_the_account_and_the_office() -> None:
    address = totp_address(new_totp_secret(), "anna", "https://office.example:8443")
    assert address.startswith("otpauth://totp/")
    told = pyotp.parse_uri(address)
    assert (told.name, told.issuer) == ("anna", "Sluice office.example")
