"""RFC 9449 §11.1: a proof is good once, for as long as it could be believed, and by one process."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.identity import dpop
from gateway.identity.dpop import ProofChecker, ProofRefused
from tests.factories_identity import NOON, new_key
from tests.proofs import TOKEN, forge, shown

KEY = new_key()


@pytest.fixture
def checker() -> ProofChecker:
    return ProofChecker()


def accepted(checker: ProofChecker, proof: str) -> str:
    return checker.check(shown(proof), NOON, access_token=TOKEN)


def refusal(checker: ProofChecker, proof: str, jkt: str | None = None) -> tuple[str, str]:
    """The protocol's word and our code."""
    with pytest.raises(ProofRefused) as caught:
        checker.check(shown(proof), NOON, access_token=TOKEN, jkt=jkt)
    return caught.value.error, caught.value.code


def test_rfc9449_11_1_a_proof_is_good_once(checker: ProofChecker) -> None:
    proof = forge(checker, KEY, NOON).proof()

    accepted(checker, proof)

    assert refusal(checker, proof) == ("invalid_dpop_proof", "dpop_replayed")


def test_a_second_signature_over_the_same_jti_is_the_same_proof(checker: ProofChecker) -> None:
    made = forge(checker, KEY, NOON)
    accepted(checker, made.proof(jti="same"))
    head, body, signature = made.proof(jti="same").split(".")
    spaced = made.header() | {"kid": "another spelling"}

    assert refusal(checker, made.proof(jti="same"))[1] == "dpop_replayed"
    assert refusal(checker, made.proof(spaced, jti="same"))[1] == "dpop_replayed"
    assert refusal(checker, f"{head}.{body}.{signature}")[1] == "dpop_replayed"


def test_two_clients_may_choose_the_same_jti(checker: ProofChecker) -> None:
    assert accepted(checker, forge(checker, KEY, NOON).proof(jti="1"))
    assert accepted(checker, forge(checker, new_key(), NOON).proof(jti="1"))


def test_of_fifty_parallel_uses_of_one_proof_exactly_one_wins(checker: ProofChecker) -> None:
    request = shown(forge(checker, KEY, NOON).proof())

    def use(_: int) -> str:
        try:
            return checker.check(request, NOON, access_token=TOKEN)
        except ProofRefused as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(use, range(50)))

    assert outcomes == {KEY.thumbprint(): 1, "dpop_replayed": 49}


def test_a_proof_stays_used_for_as_long_as_its_nonce_is_good(checker: ProofChecker) -> None:
    """Across the minute in which it was used, up to the last second it could be believed."""
    proof = forge(checker, KEY, NOON).proof()
    accepted(checker, proof)
    for seconds in range(0, 61, 10):
        now = NOON + timedelta(seconds=seconds)
        with pytest.raises(ProofRefused, match="used before"):
            checker.check(shown(proof), now, access_token=TOKEN)


def test_memory_of_used_proofs_ends_with_their_nonces(checker: ProofChecker) -> None:
    for minute in range(0, 20, 2):
        now = NOON + timedelta(minutes=minute)
        checker.check(shown(forge(checker, KEY, now).proof()), now, access_token=TOKEN)

    assert len(checker._rounds) <= dpop._BUCKETS


def test_a_full_memory_refuses_instead_of_forgetting(
    checker: ProofChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpop, "_MOST_USED", 3)
    first = forge(checker, KEY, NOON).proof(jti="0")
    for proof in (first, *(forge(checker, KEY, NOON).proof(jti=str(n)) for n in (1, 2))):
        accepted(checker, proof)

    assert refusal(checker, forge(checker, KEY, NOON).proof(jti="3"))[1] == "dpop_busy"
    assert refusal(checker, first)[1] == "dpop_replayed"


def test_proofs_of_strangers_do_not_fill_the_memory(checker: ProofChecker) -> None:
    for number in range(5):
        stranger = forge(checker, new_key(), NOON).proof(jti=str(number))
        refusal(checker, stranger, jkt=KEY.thumbprint())

    assert not any(held.used for held in checker._rounds.values())


def test_a_clock_set_back_revives_no_proof(checker: ProofChecker) -> None:
    now = NOON + timedelta(seconds=50)
    proof = forge(checker, KEY, now).proof()
    checker.check(shown(proof), now, access_token=TOKEN)
    assert forge(checker, KEY, NOON + timedelta(minutes=1)).nonce  # a minute on, and back again

    assert refusal(checker, proof)[1] == "dpop_replayed"
    assert accepted(checker, forge(checker, KEY, NOON).proof())
