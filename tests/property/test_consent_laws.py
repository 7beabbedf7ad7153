"""Laws of consents under any order of acts: a naive oracle, and a record that stays whole."""

from datetime import timedelta
from itertools import count, pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from gateway.consent import changes
from gateway.consent.chain import broken, history
from gateway.consent.changes import Deed
from gateway.consent.record import Actor, ConsentConflict
from gateway.consent.store import find
from gateway.db.engine import reading, writing
from gateway.errors import NotFound
from gateway.identity.revocation import revoked_in
from tests.consent_book import BUREAU, DRAFT, MINUTE, NOW, PERSON, answer, asked, book

NUMBERS = count()
ACTS = ("authorise", "reject", "revoke", "suspend", "resume", "use", "give_up", "sweep")
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from([1, 60, 600, 60 * 24 * 31])), max_size=12
)


class Oracle:
    """What SPEC §8.1 says happens, in the plainest form."""

    def __init__(self):
        self.state, self.uses = "AWAITING_PERSON", 0
        self.answer_by, self.valid_to = NOW + 15 * MINUTE, None

    def look(self, now):
        if self.state == "AWAITING_PERSON" and now >= self.answer_by:
            self.state = "REJECTED"
        if self.state in ("AUTHORISED", "SUSPENDED") and now >= self.valid_to:
            self.state = "EXPIRED"

    def act(self, name, now):
        self.look(now)
        match name, self.state:
            case "authorise", "AWAITING_PERSON":
                self.state, self.valid_to = "AUTHORISED", now + timedelta(days=30)
            case (("reject" | "give_up"), "AWAITING_PERSON"):
                self.state = "REJECTED"
            case (("revoke" | "give_up"), ("AUTHORISED" | "SUSPENDED")):
                self.state = "REVOKED"
            case "suspend", "AUTHORISED":
                self.state = "SUSPENDED"
            case "resume", "SUSPENDED":
                self.state = "AUTHORISED"
            case "use", "AUTHORISED":
                self.uses += 1
                self.state = "CONSUMED" if self.uses == DRAFT.uses_max else "AUTHORISED"


def do(session, consent_id, name, now):
    match name:
        case "authorise":
            changes.authorise(session, consent_id, answer(), now)
        case "reject":
            changes.reject(session, consent_id, Deed(PERSON, now))
        case "revoke":
            changes.revoke(session, consent_id, Deed(PERSON, now))
        case "suspend":
            changes.suspend(session, consent_id, Deed(BUREAU, now))
        case "resume":
            changes.resume(session, consent_id, Deed(Actor("bureau", "x"), now))
        case "use":
            changes.use(session, consent_id, DRAFT.tenant_id, now)
        case "give_up":
            changes.give_up(session, consent_id, DRAFT.client_id, now)
        case "sweep":
            changes.expire_due(session, now)


def attempt(engine, consent_id, name, now):
    try:
        with writing(engine) as session:
            do(session, consent_id, name, now)
    except (ConsentConflict, NotFound):
        pass  # not possible in this state: nothing may have changed


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with book(tmp_path_factory.mktemp("book")) as opened:
        yield opened


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_any_order_of_acts_ends_where_the_specification_says(engine, steps):
    consent, oracle, now = asked(engine, id=f"c-{next(NUMBERS)}"), Oracle(), NOW
    for name, minutes in steps:
        now += minutes * MINUTE
        before = read(engine, consent.id).state
        attempt(engine, consent.id, name, now)
        oracle.act(name, now)
        found = read(engine, consent.id)
        assert found.state_at(now) == oracle.state
        assert found.uses == oracle.uses
        if found.state != before:  # later the row may be gone: no token lives that long
            assert is_revoked(engine, consent) == (found.state != "AUTHORISED")
    with reading(engine) as session:
        assert broken(session) == ()
        events = history(session, consent.id)
    assert all(one.after == other.before for one, other in pairwise(events))


def read(engine, consent_id):
    with reading(engine) as session:
        return find(session, consent_id)


def is_revoked(engine, consent):
    with reading(engine) as session:
        return revoked_in(session, token_id="t", client_id="c", consent_id=consent.id)
