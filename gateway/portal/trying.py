"""Asking a service in the sandbox from a page: the same desk, policy, metering and journal.

Only the proof of who asks is another: a browser's session in place of a token. What the client may
not ask over the API it may not ask here, and every question is on record and counted as its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson
from starlette.requests import Request

from gateway.api.queries import call_of
from gateway.editions.running import Running
from gateway.errors import SluiceError
from gateway.identity.model import EVERYTHING, Grant
from gateway.pages.browser import Language
from gateway.portal.answers import of_answer, written
from gateway.portal.own_pages import Choice, TryPage
from gateway.portal.pages import Fact, Table
from gateway.portal.sessions import Member, MemberIdentity, Sessions
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.arrival import Doorkeeper
from gateway.serving.model import Answer, Call, Refusal
from gateway.serving.reasons import reason

SANDBOX: Final = "sandbox"
_META: Final = ("release", "profile", "decision_id", "request_id", "watermark")


@dataclass(frozen=True)
class Outcome:
    """What came of a question: an answer, or the reasons there is none."""

    answer: Table | None = None
    meta: Sequence[Fact] = ()
    refused: str = ""
    reasons: Sequence[Fact] = ()


@dataclass(frozen=True)
class Trying:
    """The sandbox's desk, for signed-in developers."""

    desk: Desk
    sessions: Sessions

    @property
    def open(self) -> bool:
        """Whether this is the sandbox: nowhere else is anything asked from a page."""
        return self.desk.env == SANDBOX

    async def ask(
        self,
        request: Request,
        member: Member,
        asked: tuple[str, str],
        now: datetime,
        lang: Language,
    ) -> Outcome:
        """Put a question (service and JSON text) on behalf of the session's client."""
        service, question = asked
        door = Doorkeeper(
            MemberIdentity(member, self.sessions, self.desk.env),
            self.desk.journal,
            self.desk.door.failures,
        )
        desk = replace(self.desk, door=door)
        try:
            told = await desk.answer(_call(request, service, question, now))
        except SluiceError as error:
            return Outcome(refused=_sentence(error, lang))
        if isinstance(told, Refusal):
            return Outcome(refused=told.code, reasons=[_reason(code, lang) for code in told.deny])
        return self._told(told, service, lang)

    def _told(self, answer: Answer, service: str, lang: Language) -> Outcome:
        body = orjson.loads(answer.body)
        found = self.desk.catalogue.get(service)
        table = of_answer(found, body["data"], lang) if found else None
        meta = [Fact(name, str(answer.meta[name])) for name in _META if name in answer.meta]
        return Outcome(answer=table, meta=meta)


def page(
    running: Running,
    asked: tuple[str, str],
    outcome: Outcome,
    *,
    grants: Sequence[Grant],
    form: str,
    sandbox: bool,
    language: Language,
) -> TryPage:
    """The form with a service's example in it, and what came of the question before."""
    services = [
        Choice(one.id, f"{one.id} {one.title.zh if language == 'zh' else one.title.en}")
        for one in running.catalogue.services.values()
        if one.disclosure.subject != "own"
    ]
    offered = running.catalogue.services
    found = running.catalogue.get(asked[0]) or next(iter(offered.values()))
    return TryPage(
        sandbox=sandbox,
        services=services,
        service=found.id,
        question=asked[1] or written(found.example | _granted(running, found.id, grants)),
        form=form,
        answer=outcome.answer,
        meta=outcome.meta,
        refused=outcome.refused,
        reasons=outcome.reasons,
    )


def _granted(running: Running, service: str, grants: Sequence[Grant]) -> dict[str, object]:
    """What the example must say to be what the organisation may ask: its own purpose and place."""
    for grant in grants:
        scenario = running.bounds.scenarios.get(grant.scenario, {})
        if service in grant.services and grant.status == "active" and "purpose" in scenario:
            places = [place for place in grant.regions if place != EVERYTHING][:1]
            return {"purpose": scenario["purpose"]} | ({"geo": places} if places else {})
    return {}


def _call(request: Request, service: str, question: str, now: datetime) -> Call:
    """The question as the API would have been asked it; nothing of the page's own address."""
    return replace(
        call_of(request, question.encode(), now),
        authorization=None,
        service=service,
        query=(),
        accept=JSON,
        content_type=JSON,
        idempotency=(),
    )


def _reason(code: str, language: Language) -> Fact:
    found = reason(code)
    return Fact(code, found.zh if language == "zh" else found.en)


def _sentence(error: SluiceError, language: Language) -> str:
    said = error.zh if language == "zh" else error.message
    return f"{said or error.message or error.title} ({error.code})"
