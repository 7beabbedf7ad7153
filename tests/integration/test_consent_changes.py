"""Acts on a consent in a real database: state, clock, uses, chain, tokens and messages."""

import threading

import pytest
import sqlalchemy as sa

from gateway.consent import changes
from gateway.consent.chain import broken, history
from gateway.consent.changes import Deed
from gateway.consent.record import Actor, ConsentConflict, Guardian
from gateway.consent.store import find
from gateway.consent.tokens import for_token
from gateway.db.consent_tables import EventOutboxRow
from gateway.db.engine import reading, writing
from gateway.errors import NotFound
from gateway.identity.revocation import revoked_in
from tests.consent_book import (
    ADULT,
    BUREAU,
    CHILD,
    DAY,
    EVIDENCE,
    MINUTE,
    NOW,
    PERSON,
    answer,
    asked,
    book,
    given,
)


@pytest.fixture
def engine(tmp_path):
    with book(tmp_path) as opened:
        yield opened


def acts(engine, consent):
    with reading(engine) as session:
        return [row.act for row in history(session, consent.id)]


def messages(engine):
    with reading(engine) as session:
        rows = session.scalars(sa.select(EventOutboxRow).order_by(EventOutboxRow.created_at))
        return [next(iter(row.claims["events"])).rpartition(":")[2] for row in rows]


def is_revoked(engine, consent):
    with reading(engine) as session:
        return revoked_in(session, token_id="t", client_id="c", consent_id=consent.id)


def whole(engine):
    with reading(engine) as session:
        return broken(session)


def test_a_request_awaits_its_person_and_its_record_is_whole(engine):
    consent = asked(engine)
    assert consent.state == "AWAITING_PERSON"
    assert acts(engine, consent) == ["request", "submit"]
    assert whole(engine) == ()


def test_a_yes_binds_person_scopes_evidence_and_term(engine):
    consent = given(engine)
    assert (consent.state, consent.subject_ref) == ("AUTHORISED", ADULT)
    assert consent.valid_to == NOW + MINUTE + 30 * DAY
    assert consent.evidence == EVIDENCE.document()
    assert consent.fields_preview_hash == "2" * 64
    assert messages(engine) == ["authorised"]
    assert whole(engine) == ()


def test_scopes_that_were_not_asked_cannot_be_given(engine):
    consent = asked(engine)
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.authorise(session, consent.id, answer(ADULT, "SETL", "FEE"), NOW)


def test_a_yes_by_somebody_the_receiver_did_not_mean_finds_no_consent(engine):
    consent = asked(engine, subject_hint="p-other")
    with pytest.raises(NotFound), writing(engine) as session:
        changes.authorise(session, consent.id, answer(), NOW)


def test_a_request_cannot_be_answered_twice(engine):
    consent = given(engine)
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.authorise(session, consent.id, answer(), NOW + MINUTE)
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.reject(session, consent.id, Deed(PERSON, NOW + MINUTE))


def test_after_the_time_to_answer_a_request_is_rejected_whether_swept_or_not(engine):
    consent = asked(engine)
    late = consent.answer_by
    assert consent.state_at(late - MINUTE) == "AWAITING_PERSON"
    assert (consent.state_at(late), consent.reason_at(late)) == ("REJECTED", "not_answered")
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.authorise(session, consent.id, answer(), late)
    with writing(engine) as session:
        assert changes.expire_due(session, late) == 1
        assert changes.expire_due(session, late) == 0
    assert messages(engine) == ["expired"]
    assert whole(engine) == ()


def test_after_its_term_a_consent_is_expired_whether_swept_or_not(engine):
    consent = given(engine)
    with reading(engine) as session:
        over = for_token(session, consent.id, "T-INS", consent.valid_to)
        before = for_token(session, consent.id, "T-INS", consent.valid_to - MINUTE)
    assert (before.state, over.state) == ("AUTHORISED", "EXPIRED")
    with writing(engine) as session:
        assert changes.expire_due(session, consent.valid_to) == 1
    assert is_revoked(engine, consent)
    assert messages(engine) == ["authorised", "expired"]


def test_revoking_ends_tokens_and_tells_the_receiver_in_one_transaction(engine):
    consent = given(engine)

    def cut_short():
        with writing(engine) as session:
            changes.revoke(session, consent.id, Deed(PERSON, NOW + DAY, "ended_by_person"))
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        cut_short()
    assert not is_revoked(engine, consent)
    assert messages(engine) == ["authorised"]
    with writing(engine) as session:
        ended = changes.revoke(session, consent.id, Deed(PERSON, NOW + DAY, "ended_by_person"))
    assert (ended.state, ended.ended_by, ended.end_reason) == (
        "REVOKED",
        "person",
        "ended_by_person",
    )
    assert is_revoked(engine, consent)
    assert messages(engine) == ["authorised", "revoked"]
    assert whole(engine) == ()


def test_revoking_again_changes_nothing(engine):
    consent = given(engine)
    for _ in range(2):
        with writing(engine) as session:
            changes.revoke(session, consent.id, Deed(PERSON, NOW + DAY))
    assert acts(engine, consent).count("revoke") == 1


def test_a_suspended_consent_gives_no_tokens_and_works_again_when_resumed(engine):
    consent = given(engine)
    with writing(engine) as session:
        changes.suspend(session, consent.id, Deed(BUREAU, NOW + DAY, "dispute"))
    assert is_revoked(engine, consent)
    with writing(engine) as session:
        resumed = changes.resume(session, consent.id, Deed(BUREAU, NOW + 2 * DAY, "settled"))
    assert resumed.state == "AUTHORISED"
    assert not is_revoked(engine, consent)
    assert messages(engine) == ["authorised", "changed", "changed"]


def test_a_person_can_end_a_suspended_consent(engine):
    consent = given(engine)
    with writing(engine) as session:
        changes.suspend(session, consent.id, Deed(BUREAU, NOW + DAY, "dispute"))
    with writing(engine) as session:
        ended = changes.revoke(session, consent.id, Deed(PERSON, NOW + 2 * DAY))
    assert ended.state == "REVOKED"
    assert is_revoked(engine, consent)
    assert acts(engine, consent)[-3:] == ["suspend", "resume", "revoke"]
    assert messages(engine) == ["authorised", "changed", "revoked"]


def test_nobody_but_the_bureau_can_suspend_or_resume(engine):
    consent = given(engine)
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.suspend(session, consent.id, Deed(Actor("receiver", "claims-app"), NOW + DAY))


def test_the_last_use_consumes_the_consent(engine):
    consent = given(engine)
    states = []
    for _ in range(3):
        with writing(engine) as session:
            states.append(changes.use(session, consent.id, "T-INS", NOW + DAY).state)
    assert states == ["AUTHORISED", "AUTHORISED", "CONSUMED"]
    assert is_revoked(engine, consent)
    with pytest.raises(ConsentConflict), writing(engine) as session:
        changes.use(session, consent.id, "T-INS", NOW + DAY)
    assert whole(engine) == ()


def test_uses_at_once_are_never_more_than_were_given(engine):
    consent = given(engine, uses_max=5)
    done, refused = [], []

    def use():
        try:
            with writing(engine) as session:
                done.append(changes.use(session, consent.id, "T-INS", NOW + DAY).uses)
        except ConsentConflict:
            refused.append(1)

    threads = [threading.Thread(target=use) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2, 3, 4, 5]
    assert len(refused) == 7


def test_another_organisation_cannot_use_or_see_a_consent(engine):
    consent = given(engine)
    with reading(engine) as session:
        assert for_token(session, consent.id, "T-OTHER", NOW) is None
    with pytest.raises(NotFound), writing(engine) as session:
        changes.use(session, consent.id, "T-OTHER", NOW + DAY)


def test_a_guardian_answers_for_a_child_with_the_guardians_own_evidence(engine):
    consent = asked(engine, subject_hint=CHILD)
    guardian = Guardian(ADULT, "mother", EVIDENCE)
    with writing(engine) as session:
        done = changes.authorise(session, consent.id, answer(CHILD, guardian=guardian), NOW)
    assert done.subject_ref == CHILD
    assert done.guardian["relation"] == "mother"
    with reading(engine) as session:
        assert history(session, consent.id)[-1].actor_kind == "guardian"
        told = for_token(session, consent.id, "T-INS", NOW).facts()
    assert (told.minor, told.guardian_relation) == (True, "mother")
    assert told.claim_ref == "CLM-1"


def test_the_receiver_can_withdraw_a_request_and_give_up_a_consent(engine):
    waiting, live = asked(engine, id="c-w"), given(engine, id="c-l")
    with writing(engine) as session:
        assert changes.give_up(session, waiting.id, "claims-app", NOW).state == "REJECTED"
        assert changes.give_up(session, live.id, "claims-app", NOW + DAY).state == "REVOKED"
        assert changes.give_up(session, live.id, "claims-app", NOW + DAY).state == "REVOKED"
    assert whole(engine) == ()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE consent_event SET reason = 'x' WHERE seq = 2", "event 2 was altered"),
        ("DELETE FROM consent_event WHERE seq = 2", "events 2 to 2 are missing"),
        ("DELETE FROM consent_event WHERE seq = 3", "events 3 to 3 are missing"),
        ('UPDATE consent SET scopes = \'["SETL","DX"]\'', "consent c-1 was altered"),
        ("UPDATE consent SET state = 'REVOKED'", "consent c-1 was altered"),
        ("DELETE FROM consent", "consent c-1 was removed"),
    ],
)
def test_an_edit_of_the_record_is_noticed_and_located(engine, damage, told):
    given(engine)
    with engine.begin() as connection:
        for act in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER consent_event_no_{act}")
        connection.exec_driver_sql(damage)
    assert any(told in fault for fault in whole(engine))


def test_the_record_cannot_be_edited_by_accident(engine):
    given(engine)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE consent_event SET reason = 'x'")


def test_a_consent_never_holds_a_certificate_number(engine):
    consent = given(engine)
    with reading(engine) as session:
        assert "certno" not in find(session, consent.id).content()
