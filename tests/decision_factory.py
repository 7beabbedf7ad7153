"""A home whose journal holds decisions: parties in the directory, questions decided and recorded.

Rules, directory and journal are the real ones; only HTTP and releases are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.catalogue.load import load_catalogue
from gateway.db.engine import writing
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import register_tenant
from gateway.identity.desk import Identity, open_identity
from gateway.identity.entries import TenantEntry
from gateway.identity.grants import approve_grant, enter_grant
from gateway.identity.narrowing import Boundaries
from gateway.journal.entry import Entry
from gateway.journal.sqlite import SqliteJournal
from gateway.policy.decision_log import brief, event
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyInput
from gateway.settings import Settings
from tests.factories_identity import act, grant_entry, tenant_entry
from tests.policy_factory import DRUGS, PRICING, Json, ask

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
BEFORE = NOW - timedelta(days=60)
USCC = "91990100MA0000001G"  # of the invented region 990100, with the digit that checks it
VALID: Mapping[str, object] = {"valid_from": "2026-01-01", "valid_to": "2026-12-31"}
PARTIES = (("T-INS", "insurer", "SC01"), ("T-PHA", "pharma", "SC05"))
ADDRESS = {"cert_thumbprint": None, "ip": "127.0.0.1"}
OF_INSURER: Json = PRICING | {"tenant": {"id": "T-INS", **ADDRESS}, "grant_id": "G-T-INS"}
OF_PHARMA: Json = DRUGS | {"tenant": {"id": "T-PHA", **ADDRESS}, "grant_id": "G-T-PHA"}


@dataclass(frozen=True)
class Bureau:
    """A home with parties, and what its directory tells the rules."""

    settings: Settings
    directory: Mapping[str, Any]

    def decide(self, questions: Iterable[PolicyInput]) -> list[Decision]:
        """What the rules of this home say to each question."""
        policies = self.settings.policies
        services = load_catalogue(policies).as_policy_data()
        with closing(EmbeddedPolicy(policies, services, self.directory)) as policy:
            return [policy.decide(question) for question in questions]

    def record(
        self, questions: Iterable[PolicyInput], listed: Mapping[str, tuple[str, ...]] | None = None
    ) -> list[str]:
        """Decide and record the questions; the decisions' ids."""
        asked = list(questions)
        decisions = self.decide(asked)
        with closing(self._journal()) as journal:
            for question, decision in zip(asked, decisions, strict=True):
                document = event(question, decision, listed or {})
                journal.record_now(self._entry(journal, question, decision, document))
        return [decision.decision_id for decision in decisions]

    def record_attempt(self, number: int = 1) -> str:
        """Something refused before the rules were asked."""
        decision = Decision(False, ("D406",), None, "2026.1+0123456789abcdef", f"attempt-{number}")
        question = ask(OF_INSURER, request_id=f"attempt-{number}")
        with closing(self._journal()) as journal:
            journal.record_now(self._entry(journal, question, decision, brief(decision)))
        return decision.decision_id

    def _journal(self) -> SqliteJournal:
        return SqliteJournal.open(self.settings.journal, self.settings.keys, NOW)

    @staticmethod
    def _entry(
        journal: SqliteJournal, question: PolicyInput, decision: Decision, document: Json
    ) -> Entry:
        audit: dict[str, object] = {
            "kind": "read",
            "result": "failed" if decision.allow else "refused",
            "tenant": question.tenant.id,
            "grant": question.grant_id,
            "service": question.service,
        }
        if decision.obligations is not None:
            audit["columns"] = [asdict(column) for column in decision.obligations.columns]
        stamp = journal.stamp(NOW)
        return Entry(stamp.event_id, stamp.event_id, stamp.time, document, audit, None)


def open_bureau(home: Path, policies: Path | None = None) -> Bureau:
    """A new home with an insurer under SC01 and a pharma firm under SC05."""
    settings = Settings(home=home, **({"policies": policies} if policies else {}))
    identity = open_identity(settings, clock=lambda: NOW)
    try:
        return bureau_of(settings, identity)
    finally:
        identity.close()


def bureau_of(settings: Settings, identity: Identity) -> Bureau:
    """The parties entered into an open directory."""
    bounds = load_boundaries(settings.policies)
    for tenant, kind, scenario in PARTIES:
        _enter(identity, bounds, tenant_entry(tenant, kind, uscc=USCC), scenario)
    identity.directory.refresh()
    return Bureau(settings, identity.directory.policy_data())


def _enter(identity: Identity, bounds: Boundaries, entry: TenantEntry, scenario: str) -> None:
    """An organisation and its grant, long before anything is asked."""
    grant = grant_entry(f"G-{entry.id}", entry.id, scenario, **VALID)
    with writing(identity.engine) as session:
        register_tenant(session, act(at=BEFORE), entry)
        enter_grant(session, act(at=BEFORE), grant, bounds)
    for person in ("测试己一", "测试己二"):
        with writing(identity.engine) as session:
            approve_grant(session, act(person, BEFORE), grant.id, bounds)


def later(question: PolicyInput, **time: float) -> PolicyInput:
    """The same question some time later."""
    return question.model_copy(update={"time": question.time + timedelta(**time)})


def with_codes(decision: Decision, *codes: str) -> Decision:
    """A refusal by these codes."""
    return replace(decision, allow=False, deny=codes, obligations=None)
