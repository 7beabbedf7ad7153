"""Guarded roles: those with which somebody approves, reviews, or makes accounts, take two.

One administrator asks, by inviting, changing roles or resetting; the account works without the
guarded roles until another vouches for the person who has taken it up. The voucher says a code that
only whoever took up the account can read, and is never who held its invitation (the last to invite
or reset) nor who asked. So of the two, one could not have taken up the account and heard the code
from its person; whoever invited may ask, but then another vouches.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffRow
from gateway.errors import OperatorError
from gateway.identity.record import Act, append
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.staff.model import GUARDED_TRANSITIONS, RECORD, Account, account_of
from gateway.staff.operations import Operations
from gateway.staff.secrets import Sealer, tidy_code

_CODE = 8


def guarded_state(account: Account, operations: Operations) -> str:
    """Where an account stands with its guarded roles (`GUARDED_TRANSITIONS`)."""
    if account.asked_roles:
        return "asked"
    return "without" if operations.guarded.isdisjoint(account.roles) else "held"


def asking(
    before: Account, act: Act, roles: Iterable[str], operations: Operations, held: Iterable[str]
) -> Account:
    """The account with these roles: those not guarded or already `held` at once, others asked for.

    What was asked for earlier is forgotten: only what is asked for now can be vouched for.
    """
    wanted, kept = set(roles), set(held)
    waiting = {role for role in wanted if role in operations.guarded and role not in kept}
    after = replace(
        before,
        roles=tuple(sorted(wanted - waiting)),
        asked_roles=tuple(sorted(waiting)),
        asked_by=act.actor if waiting else None,
    )
    states = guarded_state(before, operations), guarded_state(after, operations)
    allow(GUARDED_TRANSITIONS, *states, f"Account {before.name}", staying=True)
    return after


def vouching_code(session: Session, name: str, sealer: Sealer) -> str | None:
    """What the person reads to the second administrator; None when nothing is asked for them.

    It changes with the second factor: a code said before the account was reset is worth nothing.
    """
    row = session.get(StaffRow, name)
    if row is None or not row.asked_roles or row.state != "active":
        return None
    said = "\0".join((row.name, str(row.asked_by), row.totp_sealed, *row.asked_roles))
    return sealer.digest("vouching", said)[:_CODE].upper()


def vouch(
    session: Session,
    act: Act,
    name: str,
    code: str | None,
    *,
    operations: Operations,
    sealer: Sealer,
) -> Account:
    """Give an account the roles asked for; `code` is None only on the machine itself."""
    before = _asked(session, name)
    _refuse_a_part(act, before)
    expected = vouching_code(session, name, sealer)
    if expected is None:
        raise OperatorError("staff.state", f"{name} has to take up the account first.")
    if code is not None and not hmac.compare_digest(tidy_code(code).encode(), expected.encode()):
        raise OperatorError(
            "staff.vouching", f"That is not the code {name} reads at GET /admin/v1/me; ask again."
        )
    roles = operations.known_roles((*before.roles, *before.asked_roles))
    after = replace(before, roles=roles, asked_roles=(), asked_by=None)
    allow(GUARDED_TRANSITIONS, guarded_state(before, operations), "held", f"Account {name}")
    _keep(session, after)
    append(
        session,
        RECORD,
        act,
        "vouch",
        ("staff", name),
        before=before.document(),
        after=after.document(),
    )
    return after


def _refuse_a_part(act: Act, account: Account) -> None:
    """The voucher has no other part: has not asked, invited or reset, and is not the person."""
    parts = (account.asked_by, account.invited_by, account.name)
    if one_spelling(act.actor) in {one_spelling(each) for each in parts if each}:
        raise OperatorError(
            "staff.oneself",
            "Somebody else has to vouch: not who asked, nor who invited or reset the account, nor "
            "who it is for. Whoever invited can ask, by setting the roles, and another vouches.",
        )


def _asked(session: Session, name: str) -> Account:
    row = session.get(StaffRow, name)
    if row is None:
        raise OperatorError("staff.unknown", f"There is no account {name}.")
    if not row.asked_roles:
        raise OperatorError("staff.state", f"No role is asked for {name}.")
    return account_of(row)


def _keep(session: Session, account: Account) -> None:
    row = session.get_one(StaffRow, account.name)
    row.roles, row.asked_roles = list(account.roles), list(account.asked_roles)
    row.asked_by = account.asked_by
