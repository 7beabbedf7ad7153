"""`/v1/rule-packages`: an insurer submits signed rules, reads how far they are, takes them back.

Only the machine token of a client whose organisation holds a grant for S20, or has applied for one,
opens these addresses; another's package is answered exactly as one that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, TypeAlias

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from gateway.adjudication.capacity import bits
from gateway.adjudication.terms import Terms, read_terms
from gateway.api.access import SignedIn
from gateway.api.consent_forms import (
    RulePackageList,
    RulePackageShown,
    RulePackageSubmitted,
    RulePackageWhole,
    answers,
)
from gateway.api.consents import receiver
from gateway.consent.asking import Receiver
from gateway.db.engine import reading, writing
from gateway.errors import BadRequest, Forbidden, NotFound, OperatorError
from gateway.identity.desk import Identity
from gateway.identity.model import Document, Grant
from gateway.identity.record import Act
from gateway.policy.packing import BundleKey
from gateway.rules import submissions
from gateway.rules.signed import LONGEST, read_kept, read_signed
from gateway.rules.submission import Submission
from gateway.serving.accept import JSON
from gateway.serving.reasons import UnsupportedMedia
from gateway.settings import Settings

SERVICE: Final = "S20"
JOSE: Final = "application/jose"
router = APIRouter(prefix="/v1/rule-packages", tags=["rule packages"])


@dataclass(frozen=True)
class RuleDesk:
    """What these addresses work with."""

    identity: Identity
    key: BundleKey
    terms: Callable[[], Terms]

    @property
    def engine(self) -> sa.Engine:
        """The operational database."""
        return self.identity.engine

    def submit(self, text: str, sender: Receiver, now: datetime) -> Document:
        """Take a package in, and say what its answers could tell."""
        keys = self.identity.directory.snapshot.keys.get(sender.client_id, ())
        issuer = self.identity.issuer
        package = read_signed(text, keys, client=sender.client_id, issuer=issuer, now=now)
        terms, act = self.terms(), Act(f"client:{sender.client_id}", now, "submitted")
        with writing(self.engine) as session:
            made = submissions.submit(
                session, act, self.key, terms,
                sender=(sender.tenant_id, sender.client_id), package=package, signed=text,
            )  # fmt: skip
        return {**made.for_insurer(), "bits": round(bits(package, terms.bounds.reasons_max), 2)}

    def listed(self, tenant: str) -> Document:
        """An organisation's packages, newest first."""
        with reading(self.engine) as session:
            found = submissions.read_submissions(session, self.key, tenant)
        return {"rule_packages": [one.for_insurer() for one in found]}

    def shown(self, name: str, tenant: str) -> Document:
        """One own package with its rules."""
        with reading(self.engine) as session:
            found = self._own(session, name, tenant)
        rules = read_kept(found.signed).model_dump(mode="json", by_alias=True, exclude_none=True)
        return {**found.for_insurer(), "rules": rules}

    def withdraw(self, name: str, sender: Receiver, why: str, now: datetime) -> Document:
        """Take an own package back."""
        act = Act(f"client:{sender.client_id}", now, why)
        with writing(self.engine) as session:
            self._own(session, name, sender.tenant_id)
            return submissions.end(session, act, self.key, name, "withdrawn").for_insurer()

    def _own(self, session: Session, name: str, tenant: str) -> Submission:
        try:
            found = submissions.read_submission(session, self.key, name)
        except OperatorError as error:
            if error.code != "rules.unknown":
                raise
            raise _unknown() from None
        if found.tenant != tenant:
            raise _unknown()
        return found

    def entitled(self, sender: Receiver, now: datetime) -> Receiver:
        """Raises `Forbidden` (`rules_not_granted`) where no grant for S20 is held or applied for:
        the scenario asks for reviewed rules before its grant becomes active."""
        grants = self.identity.directory.snapshot.grants.get(sender.tenant_id, ())
        if not any(SERVICE in one.services and _runs(one, now.date()) for one in grants):
            raise Forbidden(
                "rules_not_granted",
                f"Your organisation has no grant for {SERVICE}, nor an application for one.",
                "贵机构没有 S20 授权或申请。",
            )
        return sender


def _runs(grant: Grant, today: date) -> bool:
    return grant.status in ("review", "active") and today <= grant.valid_to


def _unknown() -> NotFound:
    return NotFound("rules_unknown", "There is no such rule package of yours.", "规则包不存在。")


def install(app: FastAPI, settings: Settings) -> None:
    """Add the routes; identity is there already."""
    key = submissions.rules_key(settings.keys)
    app.state.rule_desk = RuleDesk(app.state.identity, key, lambda: read_terms(settings.policies))
    app.include_router(router)


def _desk(request: Request) -> RuleDesk:
    found: RuleDesk = request.app.state.rule_desk
    return found


def _sender(request: Request, caller: SignedIn) -> Receiver:
    return _desk(request).entitled(receiver(caller), request.app.state.clock())


Desk: TypeAlias = Annotated[RuleDesk, Depends(_desk)]
Sender: TypeAlias = Annotated[Receiver, Depends(_sender)]


@router.post(
    "",
    status_code=201,
    operation_id="submit_rule_package",
    response_model=RulePackageSubmitted,
    responses=answers(409, 422),
    openapi_extra={
        "requestBody": {"required": True, "content": {JOSE: {"schema": {"type": "string"}}}}
    },
)
async def submit(request: Request, sender: Sender, desk: Desk) -> Response:
    """Submit signed rules (`application/jose`). The same text again is the same submission."""
    sent = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if sent != JOSE:
        raise UnsupportedMedia("unsupported_media_type", "")
    body = await request.body()
    if len(body) > LONGEST or not body.isascii():
        raise BadRequest("rules_signature", f"The body is ASCII, at most {LONGEST} characters.")
    now = request.app.state.clock()
    made = await run_in_threadpool(desk.submit, body.decode("ascii").strip(), sender, now)
    return _json(made, 201, {"Location": f"/v1/rule-packages/{made['rule_package']}"})


@router.get(
    "",
    operation_id="list_rule_packages",
    response_model=RulePackageList,
    responses=answers(),
)
async def listing(sender: Sender, desk: Desk) -> Response:
    """Own packages and their states."""
    return _json(await run_in_threadpool(desk.listed, sender.tenant_id))


@router.get(
    "/{name}",
    operation_id="read_rule_package",
    response_model=RulePackageWhole,
    responses=answers(404),
)
async def one(name: str, sender: Sender, desk: Desk) -> Response:
    """One own package with its rules."""
    return _json(await run_in_threadpool(desk.shown, name, sender.tenant_id))


@router.delete(
    "/{name}",
    operation_id="withdraw_rule_package",
    response_model=RulePackageShown,
    responses=answers(404),
)
async def withdraw(
    request: Request,
    name: str,
    sender: Sender,
    desk: Desk,
    reason: Annotated[str, Query(min_length=1, max_length=200)],
) -> Response:
    """Take an own package back: it decides no settlement from now on."""
    now = request.app.state.clock()
    return _json(await run_in_threadpool(desk.withdraw, name, sender, reason, now))


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), status, headers, JSON)
