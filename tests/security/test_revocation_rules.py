"""What a revocation ends, what it leaves alone, and that nobody goes on who cannot hear of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.revocation_tables import RevocationRow
from gateway.errors import Unauthenticated, Unavailable
from gateway.identity import revocation
from gateway.identity.caller import Caller
from gateway.identity.desk import Identity
from gateway.identity.revocation import (
    KEEP,
    RevocationKind,
    Revocations,
    lift,
    revoke,
    revoked_in,
)
from gateway.identity.tokens import PersonClaims, issue_token
from tests.factories_identity import NOON, first_machine, new_key, open_at, proven

KEY = new_key()
LATER = NOON + timedelta(seconds=1)
DETAILS = ({"type": "urn:sluice:params:oauth:consent", "consent_id": "C-1"},)
ALICE = PersonClaims("pairwise-a", "G-1", "C-1", DETAILS)
SAME_CONSENT = PersonClaims("pairwise-a", "G-2", "C-1")
OTHER = PersonClaims("pairwise-b", "G-3", "C-3")
SIGNED_IN = PersonClaims("pairwise-c", "G-4", None)


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    identity, _ = open_at(tmp_path / "home")
    first_machine(identity, KEY)
    yield identity
    identity.close()


def token(identity: Identity, person: PersonClaims | None = None, name: str = "J-1") -> str:
    return issue_token(
        identity.rule,
        identity.ring(),
        client_id="ins-app",
        tenant_id="T-INS",
        now=NOON,
        cnf={"jkt": KEY.thumbprint()},
        person=person,
        token_id=name,
    )


def use(identity: Identity, text: str) -> Caller:
    return identity.verifier.verify(f"DPoP {text}", proven(identity, KEY, LATER, text), LATER)


def works(identity: Identity, text: str) -> bool:
    try:
        use(identity, text)
    except Unauthenticated as error:
        return error.code != "token_revoked"
    return True


def end(identity: Identity, kind: RevocationKind, value: str) -> None:
    with writing(identity.engine) as session:
        revoke(session, kind, value, NOON + KEEP, NOON)
    identity.revocations.refresh()


def test_a_person_token_names_what_it_hangs_on(identity: Identity) -> None:
    caller = use(identity, token(identity, ALICE))

    assert (caller.subject, caller.gid, caller.consent_id) == ("pairwise-a", "G-1", "C-1")
    assert caller.authorization_details == DETAILS
    assert use(identity, token(identity)).authorization_details is None
    assert use(identity, token(identity, SIGNED_IN, "J-2")).consent_id is None


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("token", "J-alice", {"same consent", "other", "signed in", "machine"}),
        ("grant", "G-1", {"same consent", "other", "signed in", "machine"}),
        ("consent", "C-1", {"other", "signed in", "machine"}),
        ("client", "ins-app", set()),
        ("client", "another-app", {"alice", "same consent", "other", "signed in", "machine"}),
        ("consent", "J-alice", {"alice", "same consent", "other", "signed in", "machine"}),
    ],
)
def test_a_revocation_ends_what_it_names_and_nothing_else(
    identity: Identity, kind: RevocationKind, value: str, left: set[str]
) -> None:
    tokens = {
        "alice": token(identity, ALICE, "J-alice"),
        "same consent": token(identity, SAME_CONSENT, "J-same"),
        "other": token(identity, OTHER, "J-other"),
        "signed in": token(identity, SIGNED_IN, "J-signed"),
        "machine": token(identity, None, "J-machine"),
    }
    assert all(works(identity, text) for text in tokens.values())  # and are remembered

    end(identity, kind, value)

    assert {name for name, text in tokens.items() if works(identity, text)} == left


def test_the_database_itself_says_the_same_at_once(identity: Identity) -> None:
    with writing(identity.engine) as session:
        revoke(session, "consent", "C-1", NOON + KEEP, NOON)
        asked = {"token_id": "J-1", "client_id": "ins-app", "gid": "G-1"}
        assert revoked_in(session, **asked, consent_id="C-1")
        assert not revoked_in(session, **asked, consent_id="C-2")
        assert not revoked_in(session, **asked)


def test_what_a_client_gets_after_its_revocation_works(identity: Identity) -> None:
    end(identity, "client", "ins-app")
    later = NOON + timedelta(minutes=1)
    fresh = issue_token(
        identity.rule,
        identity.ring(),
        client_id="ins-app",
        tenant_id="T-INS",
        now=later,
        cnf={"jkt": KEY.thumbprint()},
    )

    shown = proven(identity, KEY, later, fresh)
    assert identity.verifier.verify(f"DPoP {fresh}", shown, later).client_id == "ins-app"
    assert not works(identity, token(identity))
    with reading(identity.engine) as session:
        asked = {"token_id": "x", "client_id": "ins-app"}
        assert revoked_in(session, **asked, issued=NOON.timestamp())
        assert not revoked_in(session, **asked, issued=later.timestamp())


def test_a_suspension_that_is_lifted_lets_the_same_tokens_work_again(identity: Identity) -> None:
    text = token(identity, ALICE)
    for _ in range(2):
        end(identity, "consent", "C-1")
        assert not works(identity, text)
        with writing(identity.engine) as session:
            lift(session, "consent", "C-1")
        identity.revocations.refresh()
        assert works(identity, text)
        with reading(identity.engine) as session:
            assert not revoked_in(session, token_id="", client_id="", consent_id="C-1")


def test_a_revocation_rolled_back_never_was(identity: Identity) -> None:
    text = token(identity, ALICE)
    with Session(identity.engine) as session:
        revoke(session, "consent", "C-1", NOON + KEEP, NOON)
        session.rollback()
    identity.revocations.refresh()

    assert works(identity, text)


def test_a_restart_knows_every_revocation(identity: Identity) -> None:
    for number in range(5):
        end(identity, "token", f"J-{number}")

    fresh = Revocations(identity.engine, lambda: NOON)

    assert all(fresh.is_revoked(f"J-{number}", "ins-app") for number in range(5))
    assert not fresh.is_revoked("J-5", "ins-app")


def test_a_longer_revocation_is_never_shortened(identity: Identity) -> None:
    with writing(identity.engine) as session:
        revoke(session, "consent", "C-1", NOON + 2 * KEEP, NOON)
        revoke(session, "consent", "C-1", NOON + KEEP, NOON)
        row = session.get(RevocationRow, ("consent", "C-1"))
        assert row is not None
        assert row.until == NOON + 2 * KEEP


def test_rows_and_memory_end_with_the_last_token_they_could_concern(identity: Identity) -> None:
    end(identity, "token", "J-old")
    later = NOON + 2 * KEEP
    with writing(identity.engine) as session:
        revoke(session, "token", "J-new", later + KEEP, later)
        assert session.scalars(sa.select(RevocationRow.value)).all() == ["J-new"]
    memory = Revocations(identity.engine, lambda: later)
    with writing(identity.engine) as session:
        revoke(session, "token", "J-last", later + 3 * KEEP, later + 2 * KEEP)
    memory._clock = lambda: later + 2 * KEEP
    memory.refresh()

    assert memory.is_revoked("J-last", "")
    assert len(memory._revoked) == 1


def refused_in_the_end(identity: Identity, text: str) -> str:
    for _ in range(200):
        time.sleep(0.05)
        try:
            use(identity, text)
        except Unavailable as unavailable:
            return unavailable.code
    return "never"


def test_who_cannot_hear_of_revocations_refuses_everybody(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "STALE_AFTER", 0.6)
    text = token(identity)
    identity.start()
    assert works(identity, text)
    with identity.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE revocation_number RENAME TO gone"))

    assert refused_in_the_end(identity, text) == "revocation_unavailable"

    with identity.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO revocation_number"))
    identity.revocations.refresh()
    assert works(identity, text)
