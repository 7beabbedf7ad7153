"""Consents as the rest of the gateway asks for them: one desk per process, short transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent import changes, outbox, store
from gateway.consent.asking import Receiver, Wanted, draft
from gateway.consent.notice import Language, Notice, notice, version
from gateway.consent.notice import Receiver as Named
from gateway.consent.record import Consent, ConsentConflict
from gateway.consent.rules import Rules, load_rules
from gateway.consent.subjects import Subjects, open_subjects
from gateway.consent.tokens import ConsentView, for_token
from gateway.db.consent_tables import ConsentRequestRow, PersonSessionRow
from gateway.db.engine import reading, writing
from gateway.identity.directory import Snapshot
from gateway.settings import Settings

KEEP_KEYS = timedelta(days=7)
"""How long a repeated Idempotency-Key is recognised."""


@dataclass(frozen=True)
class Page:
    """Part of a list, and where to go on."""

    consents: Sequence[Consent]
    after: str | None


@dataclass(frozen=True)
class Consents:
    """Asking for, reading and giving up consents; `snapshot` is the directory of the moment."""

    engine: sa.Engine
    rules_for: Callable[[str], Rules]  # of a tenant at the moment: they follow the policy
    subjects: Subjects
    snapshot: Callable[[], Snapshot]

    def ask(self, wanted: Wanted, receiver: Receiver, key: str, now: datetime) -> Consent:
        """Enter a request once per key; the same key with another body is refused."""
        key_hash = self.subjects.mac("key", f"{receiver.client_id}\0{key}")
        body_hash = self.subjects.mac("body", _canonical(wanted))
        with writing(self.engine) as session:
            known = session.get(ConsentRequestRow, (receiver.client_id, key_hash))
            if known is not None:
                return self._again(session, known, body_hash, receiver)
            consent = changes.request(session, self._draft(wanted, receiver, now), now)
            session.add(
                ConsentRequestRow(
                    client_id=receiver.client_id,
                    key_hash=key_hash,
                    body_hash=body_hash,
                    consent_id=consent.id,
                    created_at=now,
                )
            )
            return consent

    def _draft(self, wanted: Wanted, receiver: Receiver, now: datetime) -> Consent:
        grants = self.snapshot().grants.get(receiver.tenant_id, ())
        return draft(
            wanted,
            receiver,
            grants,
            self.rules_for(receiver.tenant_id),
            reference=self.subjects.reference,
            notice_version=version(),
            now=now,
        )

    def _again(
        self, session: Session, known: ConsentRequestRow, body_hash: str, receiver: Receiver
    ) -> Consent:
        if known.body_hash != body_hash:
            raise ConsentConflict(
                "idempotency_conflict",
                "This Idempotency-Key was used with another body; use a new one.",
                "该 Idempotency-Key 已用于不同的请求体，请更换。",
            )
        return store.of_tenant(session, known.consent_id, receiver.tenant_id)

    def read(self, consent_id: str, tenant_id: str) -> Consent:
        """A receiver's own consent; raises the same for another's and for none."""
        with reading(self.engine) as session:
            return store.of_tenant(session, consent_id, tenant_id)

    def view(self, consent_id: str, tenant_id: str, now: datetime) -> ConsentView | None:
        """As `gateway.consent.tokens.for_token`, in a transaction of its own."""
        with reading(self.engine) as session:
            return for_token(session, consent_id, tenant_id, now)

    def give_up(self, consent_id: str, receiver: Receiver, now: datetime) -> None:
        """The receiver wants it no longer."""
        with writing(self.engine) as session:
            store.of_tenant(session, consent_id, receiver.tenant_id)
            changes.give_up(session, consent_id, receiver.client_id, now)

    def page(
        self, tenant_id: str, *, state: str | None, after: str, limit: int, now: datetime
    ) -> Page:
        """A tenant's consents by id; with `state`, those that are in it now."""
        with reading(self.engine) as session:
            found = store.list_of_tenant(session, tenant_id, after=after, limit=limit + 1)
        more = found[limit - 1].id if len(found) > limit else None
        shown = [each for each in found[:limit] if state in (None, each.state_at(now))]
        return Page(shown, more)

    def of_person(self, subjects: Sequence[str]) -> Sequence[Consent]:
        """Everything ever consented to about these persons, newest first."""
        with reading(self.engine) as session:
            return store.list_of_subjects(session, subjects)

    def notice(self, consent: Consent, language: Language) -> Notice:
        """What the person is shown about a consent."""
        rules = self.rules_for(consent.tenant_id)
        return notice(consent, rules, self.receiver(consent), language)

    def receiver(self, consent: Consent) -> Named:
        """Name, product and contact of who asks."""
        tenant = self.snapshot().tenants.get(consent.tenant_id)
        if tenant is None:
            return Named(consent.tenant_id, consent.product_name, "")
        return Named(tenant.name, consent.product_name, tenant.contact)

    def sweep(self, now: datetime) -> int:
        """Enter what the clock has decided and forget what is over; returns how many ended."""
        with writing(self.engine) as session:
            ended = changes.expire_due(session, now)
            outbox.forget_old(session, now)
            session.execute(
                sa.delete(ConsentRequestRow).where(ConsentRequestRow.created_at < now - KEEP_KEYS)
            )
            over = PersonSessionRow.expires_at < now
            session.execute(sa.delete(PersonSessionRow).where(over))
            return ended


def open_consents(
    engine: sa.Engine,
    settings: Settings,
    snapshot: Callable[[], Snapshot],
    rules: Callable[[str], Rules] | None = None,
) -> Consents:
    """The desk on these settings; without `rules` those of the policies folder."""
    if rules is None:
        found = load_rules(settings.policies)
        return Consents(engine, lambda _tenant: found, open_subjects(settings.keys), snapshot)
    return Consents(engine, rules, open_subjects(settings.keys), snapshot)


def _canonical(wanted: Wanted) -> str:
    """The body as one text, the certificate number included: only its keyed hash is kept."""
    body = wanted.model_dump(mode="json", by_alias=True)
    if wanted.subject is not None:
        body["subject"] = {"certno": wanted.subject.certno.get_secret_value()}
    return json.dumps(body, sort_keys=True)
