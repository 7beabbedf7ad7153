"""What the bureau may do to a person's consent: halt it, let it work again, end it.

The act and its evidence are `gateway.consent`'s; the staff record says which officer it was. No
answer here tells whose consent it is.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from gateway.api.admin.endpoint import Answer, Call, Endpoint, Run
from gateway.consent import changes
from gateway.consent.changes import Deed
from gateway.consent.record import Actor, Consent
from gateway.identity.record import append
from gateway.staff.model import RECORD


def _bureau(action: str, act: Callable[[Session, str, Deed], Consent]) -> Run:
    def run(call: Call) -> Answer:
        officer = Actor("bureau", call.visitor.name)
        consent = act(call.session, call.at["consent"], Deed(officer, call.act.at, call.act.reason))
        entity = ("consent", consent.id)
        append(call.session, RECORD, call.act, action, entity, before=None, after=None)
        return {"id": consent.id, "state": consent.state}

    return run


ENDPOINTS: tuple[Endpoint, ...] = tuple(
    Endpoint(
        f"consent.{name}",
        "POST",
        f"/consents/{{consent}}/{name}",
        _bureau(name, act),
        says_why=True,
    )
    for name, act in (
        ("suspend", changes.suspend),
        ("resume", changes.resume),
        ("revoke", changes.revoke),
    )
)
