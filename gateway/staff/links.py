"""Links between identities of the single sign-on and accounts: one human is one account.

The person makes the link, signed in to the account and at the provider in one browser. From then on
the identity is the account's person, wherever people are counted; alone it has no guarded role.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffLinkRow, StaffRow, StaffSessionRow
from gateway.errors import OperatorError
from gateway.identity.record import Act, append
from gateway.staff.model import RECORD, Account, account_of
from gateway.staff.secrets import Sealer
from gateway.staff.sessions import UPSTREAM


def link(session: Session, act: Act, issuer: str, subject: str, sealer: Sealer) -> None:
    """Link an identity to the acting person's account; neither may have another."""
    account = session.get(StaffRow, act.actor)
    if account is None or account.state != "active":
        raise OperatorError("link.state", "The account this was begun for is not active any more.")
    digest = _digest(issuer, subject, sealer)
    taken = session.get(StaffLinkRow, digest)
    if taken is not None and taken.name == act.actor:
        return
    mine = session.scalars(sa.select(StaffLinkRow).where(StaffLinkRow.name == act.actor)).first()
    if taken is not None or mine is not None:
        raise OperatorError(
            "link.exists", "One identity belongs to one account; have the other link ended first."
        )
    session.add(StaffLinkRow(digest=digest, name=act.actor, linked_at=act.at))
    _record(session, act, "link", act.actor)
    session.flush()


def unlink(session: Session, act: Act, name: str) -> None:
    """End an account's link and the sessions that came by it."""
    row = session.scalars(sa.select(StaffLinkRow).where(StaffLinkRow.name == name)).first()
    if row is None:
        raise OperatorError("link.unknown", f"The account {name} is not linked to any identity.")
    session.delete(row)
    session.execute(
        sa.delete(StaffSessionRow).where(
            StaffSessionRow.name == name, StaffSessionRow.via == UPSTREAM
        )
    )
    _record(session, act, "unlink", name)


def account_of_identity(
    session: Session, issuer: str, subject: str, sealer: Sealer
) -> Account | None:
    """The account an identity is linked to."""
    row = session.get(StaffLinkRow, _digest(issuer, subject, sealer))
    account = session.get(StaffRow, row.name) if row is not None else None
    return account_of(account) if account is not None else None


def linked_names(session: Session) -> frozenset[str]:
    """Every account that is linked."""
    return frozenset(session.scalars(sa.select(StaffLinkRow.name)))


def _digest(issuer: str, subject: str, sealer: Sealer) -> str:
    return sealer.digest("identity", f"{issuer}\0{subject}")


def _record(session: Session, act: Act, action: str, name: str) -> None:
    append(session, RECORD, act, action, ("staff", name), before=None, after=None)
