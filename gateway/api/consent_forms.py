"""What consents, events and rule packages answer, written out for the OpenAPI document.

The routes answer with plain JSON; a test holds every answer against these forms.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.consent.states import State


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WindowShown(_Shown):
    """The days the data may come from."""

    start: date = Field(alias="from")
    to: date


class ReceiverShown(_Shown):
    """Whom a consent is given to: an organisation and its product; the client that asked."""

    tenant: str
    product: str
    client: str


class ConsentShown(_Shown):
    """A consent as its receiver sees it; never who the person is."""

    consent_id: str
    receiver: ReceiverShown
    state: State
    state_reason: str | None
    scenario: str
    purpose: str
    grant_id: str
    services: list[str]
    scopes_asked: list[str]
    scopes: list[str]
    claim_ref: str | None
    policy_ref: str | None
    window: WindowShown
    valid_days: int
    valid_from: datetime | None
    valid_to: datetime | None
    uses: int
    uses_max: int
    separate: Literal[True]
    language: str
    notice_version: str
    fields_preview_hash: str | None
    created_at: datetime
    answer_by: datetime
    ended_at: datetime | None


class ConsentList(_Shown):
    """Part of the list; `next_after` is the `after` of the next part."""

    consents: list[ConsentShown]
    next_after: str | None


class Sets(_Shown):
    """Events by their ids (RFC 8936 §2.5): signed tokens of type secevent+jwt."""

    sets: dict[str, str]
    moreAvailable: bool  # noqa: N815 — RFC 8936's name


class DeliveryShown(_Shown):
    """How events reach the client."""

    method: Literal["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]
    endpoint_url: str


class StreamShown(_Shown):
    """A client's stream of events."""

    delivery: DeliveryShown


class RulePackageShown(_Shown):
    """A rule package as its insurer sees it; `effective.to` is excluded."""

    rule_package: str
    client: str
    product: str
    version: str
    effective: WindowShown
    submitted_at: datetime
    state: Literal["submitted", "checked", "approved", "refused", "withdrawn"]
    checked_at: datetime | None
    approved_at: datetime | None
    reason: str


class RulePackageSubmitted(RulePackageShown):
    """With what its coded answers could tell at most, in bits."""

    bits: float


class RulePackageWhole(RulePackageShown):
    """With its rules, amounts in fen and ratios in ten-thousandths."""

    rules: dict[str, Any]  # the form is in docs/rule-packages.md


class RulePackageList(_Shown):
    """Newest first."""

    rule_packages: list[RulePackageShown]


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    detail_zh: str
    code: str
    request_id: str


Responses = dict[int | str, dict[str, Any]]  # Any: the type FastAPI asks for

_MEANING = {
    400: "The request is not of the documented form, or outside what the scenario allows.",
    401: "No valid access token.",
    403: "The grant does not allow this; `code` says why.",
    404: "There is none of that name of yours.",
    409: "The Idempotency-Key or the version was used with another body.",
    422: "The bureau's terms do not allow it; `faults` names each place.",
    503: "A part the answer depends on is down.",
}


def answers(*statuses: int) -> Responses:
    """The problems an operation may answer with."""
    listed = sorted({400, 401, 403, 503, *statuses})
    return {
        status: {
            "description": _MEANING[status],
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        for status in listed
    }
