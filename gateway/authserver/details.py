"""Rich authorisation requests (RFC 9396): the one type this server knows is a consent.

What a client asks for must be the consent, exactly: an object that is wider, narrower or of
another purpose is refused, so that what the person reads is what the token says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from gateway.authserver.errors import Refused, invalid_grant
from gateway.consent.tokens import ConsentView, for_token
from gateway.identity.metadata import CONSENT_TYPE
from gateway.identity.model import Client, Document

_MEMBERS = frozenset({"type", "consent_id", "scenario", "purpose", "services", "actions"})
_ACTIONS = ["read"]
_LONGEST = 4000
_ASKABLE = frozenset({"DRAFT", "AWAITING_PERSON", "AUTHORISED"})
_WHY_NOT = {
    "EXPIRED": ("consent_expired", "The consent has expired; ask the person again."),
    "REVOKED": ("consent_revoked", "The consent was revoked; stop using what it covered."),
    "SUSPENDED": ("consent_suspended", "The consent is suspended; try again later."),
    "CONSUMED": ("consent_consumed", "The consent's uses are used up; ask the person again."),
}


def read_details(text: object) -> tuple[Document, ...]:
    """The authorization_details parameter: none, or one consent object of the known form."""
    if text is None:
        return ()
    listed = _parse(text)
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
        raise _refused("authorization_details is a JSON array of one object.")
    detail: Document = listed[0]
    if detail.get("type") != CONSENT_TYPE:
        raise _refused(f"The only type of authorization_details is {CONSENT_TYPE}.")
    if not isinstance(detail.get("consent_id"), str) or detail.keys() - _MEMBERS:
        raise _refused(f"The object holds {', '.join(sorted(_MEMBERS))} and nothing else.")
    return (detail,)


def _parse(text: object) -> object:
    if not isinstance(text, str):
        return text  # a request object carries it as JSON
    if len(text) > _LONGEST:
        raise _refused(f"authorization_details has at most {_LONGEST} characters.")
    try:
        parsed: object = json.loads(text, object_pairs_hook=_once)
        # JSON can spell half a character (a lone surrogate), which no store or reader takes.
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _refused("authorization_details is not JSON of whole characters.") from error
    return parsed


def _once(pairs: list[tuple[str, object]]) -> Document:
    """A member named twice is read differently by different readers, so by none here."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise _refused("authorization_details names no member twice.")
    return content


def agree(
    session: Session,
    detail: Document,
    client: Client,
    clients: Mapping[str, Client],
    now: datetime,
) -> Document:
    """The consent as the token will state it; refused unless the client asked for just that."""
    consent = for_token(session, str(detail["consent_id"]), client.tenant_id, now)
    if consent is None or not _is_receiver(client, clients.get(consent.client_id)):
        raise _refused("There is no such consent of yours.")
    if consent.state not in _ASKABLE:
        raise _refused("The consent is over; ask for a new one.")
    stated = state(consent)
    asked = {name: _sorted(value) for name, value in detail.items()}
    if any(asked.get(name, value) != value for name, value in stated.items()):
        raise _refused("scenario, purpose, services and actions must be those of the consent.")
    return stated


def _is_receiver(client: Client, asker: Client | None) -> bool:
    """A consent has one receiver, an organisation with one product: the client that asked for it,
    or another client of the same product."""
    if asker is None:
        return False
    same_product = client.product_id is not None and client.product_id == asker.product_id
    return client.id == asker.id or same_product


def state(consent: ConsentView) -> Document:
    """A consent as an authorization_details object."""
    return {
        "type": CONSENT_TYPE,
        "consent_id": consent.id,
        "scenario": consent.scenario,
        "purpose": consent.purpose_code,
        "services": sorted(consent.services),
        "actions": _ACTIONS,
    }


def in_force(session: Session, consent_id: str, tenant_id: str, now: datetime) -> ConsentView:
    """The consent, read in the transaction that issues; refused unless it is authorised now."""
    consent = for_token(session, consent_id, tenant_id, now)
    if consent is not None and consent.state == "AUTHORISED" and consent.valid_to is not None:
        return consent
    fallback = ("consent_not_authorised", "The person has not authorised this consent.")
    raise invalid_grant(*_WHY_NOT.get(consent.state if consent else "", fallback))


def _sorted(value: object) -> object:
    """Lists as sets: the order of services says nothing."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return value


def _refused(description: str) -> Refused:
    return Refused("invalid_authorization_details", "authorization_details", description)
