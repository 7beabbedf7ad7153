"""What may enter the journal, and what is a mistake of the program that made it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.journal.entry import Entry, InvalidEntryError, login_failed
from gateway.journal.stamp import Stamper
from metering.usage import UsageError
from tests.journal_factory import NOON, answered, event_id, refused, usage


def test_an_answered_call_needs_its_usage():
    with pytest.raises(InvalidEntryError, match="every answered call has one"):
        replace(answered(), usage=None)


def test_a_refused_call_has_no_usage():
    with pytest.raises(InvalidEntryError, match="usage belongs to an answered call"):
        replace(refused(1), usage=usage(1))


def test_nothing_is_answered_without_a_decision_that_allows_it():
    audit = {**refused().audit, "result": "answered"}
    with pytest.raises(InvalidEntryError, match="without a decision that allows"):
        replace(refused(), audit=audit, usage=usage(1))


def test_a_call_cannot_be_recorded_without_a_decision():
    with pytest.raises(InvalidEntryError, match="a call has no decision"):
        replace(refused(), decision=None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_id", "other"),
        ("decision_id", "other"),
        ("qty", 501),
        ("tenant", "other"),
        ("grant", "other"),
        ("service", "S04"),
        ("time", NOON),
    ],
)
def test_usage_and_audit_must_tell_the_same_story(field, value):
    with pytest.raises(InvalidEntryError, match="disagree"):
        replace(answered(), usage=replace(usage(), **{field: value}))


def test_a_decision_either_allows_or_names_denials():
    for allow, deny in ((True, ["D501"]), (False, [])):
        with pytest.raises(InvalidEntryError, match="one of the two"):
            replace(refused(), decision={"decision_id": "d", "allow": allow, "deny": deny})


def test_nobody_else_writes_the_journals_own_fields():
    with pytest.raises(InvalidEntryError, match="seq"):
        replace(refused(), audit={**refused().audit, "seq": 7})


def test_unknown_kinds_and_results_are_refused():
    for change in ({"kind": "gossip"}, {"result": "maybe"}):
        with pytest.raises(InvalidEntryError):
            Entry("r", event_id(1), NOON, None, {"kind": "login", "result": "done", **change}, None)


def test_a_failed_login_is_an_event_without_a_decision():
    entry = login_failed(event_id(1), NOON, "token_expired", "192.0.2.7", count=3)
    assert (entry.audit["kind"], entry.audit["result"], entry.audit["count"]) == (
        "login",
        "failed",
        3,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"billable_qty": 501},
        {"repeat_of": event_id(9)},
        {"qty": -1, "billable_qty": -1},
        {"unit": "free"},
        {"unit": "per_moon"},
        {"event_id": "not-a-uuid"},
        {"grant": ""},
        {"time": NOON.replace(tzinfo=None)},
        {"price_micro": 1.5},
        {"qty": True, "billable_qty": True},
    ],
)
def test_a_usage_event_that_contradicts_itself_does_not_exist(change):
    with pytest.raises(UsageError):
        usage(1, **change)


def test_stamps_rise_even_when_the_clock_steps_back():
    stamper = Stamper(NOON)
    stamps = [stamper.stamp(NOON + timedelta(seconds=s)) for s in (-3600, 0, 1, -5, 1, 2)]
    ids, times = [s.event_id for s in stamps], [s.time for s in stamps]
    assert ids == sorted(set(ids))
    assert times == sorted(times)
    assert times[0] == NOON
    assert times[-1] == NOON + timedelta(seconds=2)


def test_an_event_id_carries_its_millisecond_and_is_a_uuid_of_version_7():
    text = Stamper(NOON).stamp(NOON).event_id
    assert int(text.replace("-", "")[:12], 16) == int(NOON.timestamp() * 1000)
    assert (text[14], text[19] in "89ab") == ("7", True)
