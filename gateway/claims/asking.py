"""What an insurer may ask about one person: three forms, and nothing beside them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self, TypeAlias

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from gateway.errors import BadRequest
from gateway.fhir.capability import MEDIA as FHIR
from gateway.policy.port import Ident, Name
from gateway.serving.accept import JSON, choose
from gateway.serving.model import Call
from gateway.serving.questions import SdcParameter, key_names, sets_disclosure
from gateway.serving.reasons import UnsupportedMedia

Amount: TypeAlias = Annotated[str, Field(pattern=r"^-?\d{1,14}(\.\d{1,2})?$")]
_Secret: TypeAlias = Annotated[SecretStr, Field(min_length=1, max_length=64)]
_Number: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/+@-]{1,100}$")]
_Product: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
]
_LONGEST_TERM = 366
_PLAIN_ALONE = ("S20",)
"""Services whose answers have no FHIR form."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Window(_Form):
    """First and last day of what is claimed for."""

    start: Annotated[date, Field(alias="from")]
    to: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.start:
            raise ValueError("the window ends before it begins")
        return self


class Ask(_Form):
    """What all of them want: by which consent, for which claim or policy, about whom."""

    purpose: Name
    consent_id: Ident
    claim_ref: _Number | None = None
    policy_ref: _Number | None = None
    grant_id: Ident | None = None
    certno: _Secret


class Eligibility(Ask):
    """S18: whether name and number belong together, and the coverage on one day."""

    name: _Secret
    date: date


class Verification(Ask):
    """S19: the settlements of a claim's window, or the one with this number; of a family of
    diagnoses, whether it was seen since `history_from`."""

    window: Window
    setl_id: _Number | None = None
    invono: _Number | None = None
    history_from: date | None = None
    dx_family: Annotated[str, Field(pattern=r"^[A-Z][0-9]{2}$")] | None = None
    submitted: Annotated[dict[Name, Amount], Field(max_length=20)] = {}


class Adjudication(Ask):
    """S20: one settlement, by its number or its invoice's, claimed under a policy of a product;
    `policy` is the year of cover, `window` the days in which the care lies."""

    claim_ref: _Number
    policy_ref: _Number
    product: _Product
    policy: Window
    window: Window
    setl_id: _Number | None = None
    invono: _Number | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if self.setl_id is None and self.invono is None:
            raise ValueError("setl_id or invono is needed")
        if (self.policy.to - self.policy.start).days > _LONGEST_TERM:
            raise ValueError("policy is one year of cover")
        return self


Asked: TypeAlias = Eligibility | Verification | Adjudication
FORMS: dict[str, type[Eligibility] | type[Verification] | type[Adjudication]] = {
    "S18": Eligibility,
    "S19": Verification,
    "S20": Adjudication,
}
NAMES: frozenset[str] = frozenset(
    field.alias or name
    for form in (Eligibility, Verification, Adjudication, Window)
    for name, field in form.model_fields.items()
)


def months(asked: Asked) -> tuple[str, str]:
    """First and last month that a question is about."""
    match asked:
        case Eligibility():
            return _month(asked.date), _month(asked.date)
        case Verification():
            first = min(asked.window.start, asked.history_from or asked.window.start)
            return _month(first), _month(asked.window.to)
        case Adjudication():
            return _month(asked.window.start), _month(asked.window.to)


def params(asked: Asked) -> dict[str, str | int | bool]:
    """What the rules are told of it beside person, consent and months."""
    names = ("claim_ref", "policy_ref", "setl_id", "invono", "dx_family")
    found = {name: getattr(asked, name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def media_of(service: str, call: Call) -> str:
    """The form in which the caller wants the answer."""
    return choose(call.accept, (JSON,) if service in _PLAIN_ALONE else (JSON, FHIR))


def read_ask(service: str, call: Call) -> Asked:
    """The question a call puts; raises `BadRequest`, or `SdcParameter` for an attempt at it."""
    if sets_disclosure(call.query):
        raise SdcParameter
    if call.query:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    if (call.content_type or "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    try:
        return FORMS[service].model_validate_json(call.body)
    except ValidationError as error:
        raise _refused(call.body, error) from None


def _refused(body: bytes, error: ValidationError) -> BadRequest:
    """Which member is wrong, never what it held."""
    try:
        names = set(key_names(orjson.loads(body))) - NAMES
    except orjson.JSONDecodeError:
        return BadRequest("malformed_json", "")
    if sets_disclosure(names):
        return SdcParameter()
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    known = [str(part) for part in first["loc"] if str(part) in NAMES]
    field = ".".join(known) or "the body"
    return BadRequest("invalid_parameter", f"{field}: {first['msg']}.")


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
