"""`sluice consent`: the bureau looks at consents, halts or ends one, and proves the record whole.

A person's own acts are made on their pages; nothing here can give a consent in somebody's name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import sqlalchemy as sa
import typer
from sqlalchemy.orm import Session

from gateway.cli.office import Actor, Json, Reason, act_now, office, say, show
from gateway.consent import changes
from gateway.consent.chain import broken, history
from gateway.consent.changes import Deed
from gateway.consent.record import Actor as ConsentActor
from gateway.consent.record import Consent, Document, unknown_consent
from gateway.consent.states import STATES
from gateway.consent.store import consent_of, find
from gateway.db.consent_tables import ConsentRow
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.settings import Settings

app = typer.Typer(help="Consents of persons: look, halt, end, verify.", no_args_is_help=True)

ConsentId: TypeAlias = Annotated[str, typer.Argument(help="Id of the consent.")]
Act: TypeAlias = Callable[[Session, str, Deed], Consent]
MOST = 500


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Option(help="Only consents to this receiver.")] = "",
    state: Annotated[str, typer.Option(help="Only consents in this state.")] = "",
    as_json: Json = False,
) -> None:
    """The newest consents; never who the persons are."""
    if state and state not in STATES:
        raise OperatorError("consent.state", f"A state is one of: {', '.join(STATES)}.")
    query, now = sa.select(ConsentRow).order_by(ConsentRow.created_at.desc()), datetime.now(UTC)
    if tenant:
        query = query.where(ConsentRow.tenant_id == tenant)
    with office(Settings()) as engine, reading(engine) as session:
        found = [consent_of(row) for row in session.scalars(query.limit(MOST))]
    rows = [_shown(each, now) for each in found if state in ("", each.state_at(now))]
    show(rows, ("consent_id", "tenant", "scenario", "state", "valid_to", "uses"), as_json)


@app.command("show")
def show_(consent_id: ConsentId, as_json: Json = False) -> None:
    """What happened to one consent, event by event."""
    with office(Settings()) as engine, reading(engine) as session:
        if find(session, consent_id) is None:
            raise unknown_consent()
        rows: list[Document] = [
            {
                "seq": row.seq,
                "at": row.at.isoformat(),
                "act": row.act,
                "state": row.after,
                "by": row.actor_kind,
                "reason": row.reason,
                "hash": row.hash,
            }
            for row in history(session, consent_id)
        ]
    show(rows, ("seq", "at", "act", "state", "by", "reason"), as_json)


@app.command()
def suspend(
    consent_id: ConsentId, reason: Reason, actor: Actor = "", as_json: Json = False
) -> None:
    """Halt a consent while a dispute or a suspected theft is looked into; its tokens stop."""
    _do(changes.suspend, consent_id, reason, actor, as_json)


@app.command()
def resume(consent_id: ConsentId, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Let a halted consent work again."""
    _do(changes.resume, consent_id, reason, actor, as_json)


@app.command()
def revoke(consent_id: ConsentId, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End a consent for the bureau; everything that hangs on it ends within five seconds."""
    _do(changes.revoke, consent_id, reason, actor, as_json)


@app.command()
def verify(as_json: Json = False) -> None:
    """Replay the chain of consent events; exit 1 when anything was changed or is missing."""
    with office(Settings()) as engine, reading(engine) as session:
        faults = broken(session)
    sentence = "\n".join(faults) or "The record of consents is whole."
    say({"whole": not faults, "faults": list(faults)}, as_json, sentence)
    raise typer.Exit(1 if faults else 0)


def _do(act: Act, consent_id: str, reason: str, actor: str, as_json: bool) -> None:
    done = act_now(actor, reason)
    if not reason.strip():
        raise OperatorError("consent.reason", "Say why (--reason); it is kept in the record.")
    deed = Deed(ConsentActor("bureau", done.actor), done.at, reason)
    with office(Settings()) as engine, writing(engine) as session:
        consent = act(session, consent_id, deed)
    say(_shown(consent, done.at), as_json, f"Consent {consent.id} is {consent.state}.")


def _shown(consent: Consent, now: datetime) -> Document:
    return {"tenant": consent.tenant_id, **consent.for_receiver(now)}
