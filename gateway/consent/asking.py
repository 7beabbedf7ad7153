"""What a receiver may ask a person for, checked against its active grant and the scenario."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from gateway.consent.record import Consent
from gateway.consent.rules import Rule, Rules
from gateway.consent.states import FIRST
from gateway.errors import BadRequest, Forbidden
from gateway.identity.model import Grant

_CERTNO = re.compile(r"[0-9A-Za-z]{6,30}")
ONLINE = timedelta(minutes=15)
LATER = timedelta(hours=72)

Reference: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Form):
    """The days the data asked for may come from."""

    start: Annotated[date, Field(alias="from")]
    to: date


class SubjectHint(_Form):
    """Whom the receiver means; the number is hashed at once and never kept."""

    certno: SecretStr

    @field_validator("certno")
    @classmethod
    def _is_a_number(cls, value: SecretStr) -> SecretStr:
        if not _CERTNO.fullmatch(value.get_secret_value()):
            raise ValueError("letters and digits")
        return value


class Wanted(_Form):
    """The body of `POST /v1/consents`."""

    scenario: Annotated[str, Field(pattern=r"^SC\d\d$")]
    purpose: Name
    services: Annotated[tuple[Annotated[str, Field(pattern=r"^S\d\d$")], ...], Field(min_length=1)]
    scopes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
    window: Window
    grant_id: Reference | None = None
    claim_ref: Reference | None = None
    policy_ref: Reference | None = None
    valid_days: Annotated[int, Field(ge=1, le=3660)] = 30
    uses_max: Annotated[int, Field(ge=1, le=100_000)] = 1
    channel: Literal["online", "later"] = "online"
    language: Literal["zh", "en"] = "zh"
    subject: SubjectHint | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who asks: the tenant and its client, as the access token proved them."""

    tenant_id: str
    client_id: str


def draft(
    wanted: Wanted,
    receiver: Receiver,
    grants: Iterable[Grant],
    rules: Rules,
    *,
    reference: Callable[[str], str],
    notice_version: str,
    now: datetime,
) -> Consent:
    """The consent to be asked for; raises what keeps it from being asked."""
    rule = rules.scenarios.get(wanted.scenario)
    if rule is None:
        raise BadRequest(
            "consent_not_needed",
            "This scenario takes no consent of persons.",
            "该场景不需要个人授权。",
        )
    grant = _grant(wanted, grants, now.date())
    _check(wanted, rule, grant)
    _check_terms(wanted, rule, now.date())
    named = wanted.subject
    hint = reference(named.certno.get_secret_value()) if named else None
    wait = ONLINE if wanted.channel == "online" else LATER
    return Consent(
        id=f"c-{uuid_utils.uuid7()}",
        tenant_id=receiver.tenant_id,
        client_id=receiver.client_id,
        grant_id=grant.id,
        product_name=grant.product_name,
        scenario=rule.scenario,
        purpose_code=rule.purpose,
        services=_once(wanted.services),
        scopes_asked=tuple(each for each in rule.scopes if each in wanted.scopes),
        scopes=(),
        claim_ref=wanted.claim_ref,
        policy_ref=wanted.policy_ref,
        window_from=wanted.window.start,
        window_to=wanted.window.to,
        valid_days=wanted.valid_days,
        uses_max=wanted.uses_max,
        uses=0,
        channel=wanted.channel,
        language=wanted.language,
        notice_version=notice_version,
        fields_preview_hash=None,
        subject_hint=hint,
        subject_ref=None,
        guardian=None,
        evidence=None,
        state=FIRST,
        created_at=now,
        answer_by=now + wait,
        valid_from=None,
        valid_to=None,
        ended_at=None,
        ended_by=None,
        end_reason=None,
        prev_hash="",
    )


def _grant(wanted: Wanted, grants: Iterable[Grant], today: date) -> Grant:
    """The one active grant the request is made under."""
    active = [
        each
        for each in grants
        if each.scenario == wanted.scenario
        and each.is_active(today)
        and wanted.grant_id in (None, each.id)
    ]
    if not active:
        raise Forbidden("D201", "")
    if len(active) > 1:
        raise BadRequest("grant_ambiguous", "")
    return active[0]


def _check(wanted: Wanted, rule: Rule, grant: Grant) -> None:
    if wanted.purpose != rule.purpose:
        raise Forbidden("D301", "")
    about_persons = {name for name, each in rule.fields.items() if each} or set(rule.fields)
    allowed = set(grant.services) & about_persons
    if not set(wanted.services) <= allowed:
        raise Forbidden("D401", "")
    if not set(wanted.scopes) <= set(rule.scopes):
        raise Forbidden("D603", "")
    bound = wanted.claim_ref if rule.per_claim else wanted.policy_ref
    if (rule.per_claim or rule.policy_bound) and bound is None:
        raise Forbidden("D609", "")


def _check_terms(wanted: Wanted, rule: Rule, today: date) -> None:
    if wanted.valid_days > rule.max_days:
        raise _outside(f"valid_days is at most {rule.max_days} in this scenario.")
    if wanted.uses_max > rule.most_uses(wanted.valid_days):
        raise _outside(f"uses_max is at most {rule.most_uses(wanted.valid_days)} here.")
    window = wanted.window
    earliest = today - timedelta(days=31 * rule.lookback_months)
    if not earliest <= window.start <= window.to <= today + timedelta(days=rule.max_days):
        raise _outside("window runs backwards or reaches beyond what the scenario allows.")


def _outside(sentence: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"Not valid: {sentence}")


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
