"""Consents in a database of their own, without a server: a draft to vary and people to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.consent import changes
from gateway.consent.changes import Answer
from gateway.consent.people import Person, Ward
from gateway.consent.record import Actor, Consent, Evidence
from gateway.db.engine import open_engine, sqlite_url, writing
from gateway.db.upgrade import upgrade

NOW = datetime(2026, 6, 1, 4, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EVIDENCE = Evidence("ehic_face", "simulated", "1" * 64, NOW)
ADULT, CHILD = "p-adult", "p-child"
PERSON = Actor("person", ADULT)
BUREAU = Actor("bureau", "测试戊一")

DRAFT = Consent(
    id="c-1",
    tenant_id="T-INS",
    client_id="claims-app",
    grant_id="G-1",
    product_name="测试产品",
    scenario="SC03",
    purpose_code="claim_verification",
    services=("S18", "S19"),
    scopes_asked=("SETL", "DX", "DX_SENSITIVE"),
    scopes=(),
    claim_ref="CLM-1",
    policy_ref=None,
    window_from=(NOW - 60 * DAY).date(),
    window_to=NOW.date(),
    valid_days=30,
    uses_max=3,
    uses=0,
    channel="online",
    language="zh",
    notice_version="test",
    fields_preview_hash=None,
    subject_hint=None,
    subject_ref=None,
    guardian=None,
    evidence=None,
    state="DRAFT",
    created_at=NOW,
    answer_by=NOW + 15 * MINUTE,
    valid_from=None,
    valid_to=None,
    ended_at=None,
    ended_by=None,
    end_reason=None,
    prev_hash="",
)


@contextmanager
def book(home: Path) -> Iterator[sa.Engine]:
    """A fresh operational database."""
    url = sqlite_url(home / "sluice.db")
    upgrade(url)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def answer(subject: str = ADULT, *scopes: str, **facts: Any) -> Answer:
    """An adult's yes."""
    given = scopes or ("SETL",)
    return Answer(subject, given, "zh", "test", "2" * 64, EVIDENCE, **facts)


def asked(engine: sa.Engine, now: datetime = NOW, **facts: Any) -> Consent:
    """A consent that awaits its person."""
    with writing(engine) as session:
        draft = replace(DRAFT, created_at=now, answer_by=now + 15 * MINUTE)
        return changes.request(session, replace(draft, **facts), now)


def given(engine: sa.Engine, now: datetime = NOW, **facts: Any) -> Consent:
    """A consent in force."""
    consent = asked(engine, now, **facts)
    with writing(engine) as session:
        return changes.authorise(session, consent.id, answer(), now + MINUTE)


def person(age: int = 40, *wards: Ward) -> Person:
    """Somebody who signed in."""
    return Person(ADULT, "测**一", age, wards, EVIDENCE, simulated=True)
