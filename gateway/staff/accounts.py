"""Accounts of the office from invitation to end. Each act is recorded in its own transaction.

An invited person chooses a password and takes over a second factor; nobody else ever knows either.
The first account is made on the machine itself (`sluice staff add`), where guarded roles are given
at once (`on_machine`); everywhere else two administrators give them (see `guarding`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffDeviceRow, StaffRecoveryRow, StaffRow, StaffSessionRow
from gateway.errors import OperatorError
from gateway.identity.entries import Entry, Line
from gateway.identity.record import Act, append
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.staff.guarding import asking
from gateway.staff.model import RECORD, STAFF_TRANSITIONS, Account, account_of
from gateway.staff.operations import Operations
from gateway.staff.secrets import (
    Passwords,
    Sealer,
    accepted_step,
    check_password,
    new_recovery_codes,
    new_token,
    new_totp_secret,
    tidy_code,
)

INVITATION_LIFE = timedelta(hours=24)
ADMINISTRATOR = "staff.invite"
"""Whoever may do this can make accounts; the last such person cannot be taken away."""

StaffName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{1,31}$")]


class StaffEntry(Entry):
    """A person to be given an account."""

    name: StaffName
    display_name: Line
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Factor:
    """What an authenticator app is set up with; shown once."""

    name: str
    secret: str
    recovery_codes: tuple[str, ...]


def invite(
    session: Session,
    act: Act,
    entry: StaffEntry,
    operations: Operations,
    sealer: Sealer,
    *,
    on_machine: bool = False,
) -> tuple[Account, str]:
    """A new account, and the invitation to hand over; it is good once, for a day."""
    if session.get(StaffRow, entry.name):
        raise OperatorError("staff.exists", f"There is already an account {entry.name}.")
    _refuse_second_account(session, entry)
    roles, token = operations.known_roles(entry.roles), new_token()
    new = Account(entry.name, entry.display_name, (), "invited", invited_by=act.actor)
    held = operations.guarded if on_machine else ()
    account = asking(new, act, roles, operations, held)
    row = StaffRow(
        name=entry.name,
        display_name=entry.display_name,
        roles=list(account.roles),
        asked_roles=list(account.asked_roles),
        asked_by=account.asked_by,
        invited_by=account.invited_by,
        state="invited",
        password_hash="",
        totp_sealed="",
        totp_step=0,
        invite_digest=sealer.digest("invitation", token),
        invite_until=act.at + INVITATION_LIFE,
        created_at=act.at,
    )
    session.add(row)
    _record(session, act, "invite", None, account)
    return account, token


def _refuse_second_account(session: Session, entry: StaffEntry) -> None:
    """One human, one account: two people of one name are told apart by what they are called."""
    called = one_spelling(entry.display_name)
    rows = session.scalars(sa.select(StaffRow).where(StaffRow.state != "disabled"))
    other = next((row.name for row in rows if one_spelling(row.display_name) == called), None)
    if other is not None:
        raise OperatorError(
            "staff.exists",
            f"{entry.display_name} has the account {other}. One person has one account; for "
            "another person choose a display name that tells them apart.",
        )


def accept(
    session: Session, act: Act, token: str, password: str, *, sealer: Sealer, passwords: Passwords
) -> Factor:
    """Choose a password and get a second factor; the account waits for the factor's first code."""
    row = _invited(session, act, token, sealer)
    check_password(password, row.name)
    factor = Factor(row.name, new_totp_secret(), new_recovery_codes())
    row.password_hash = passwords.keep(password)
    row.totp_sealed, row.totp_step = sealer.seal(row.name, factor.secret), 0
    _replace_recovery(session, row.name, factor, sealer)
    account = account_of(row)
    _record(session, act, "accept", account, account)
    return factor


def check_invitation(session: Session, act: Act, token: str, sealer: Sealer) -> None:
    """Refuse an invitation that is not good, without writing anything."""
    _invited(session, act, token, sealer)


def confirm(session: Session, act: Act, token: str, code: str, sealer: Sealer) -> Account:
    """Show that the second factor works; from now on the person can sign in."""
    row = _invited(session, act, token, sealer)
    if not row.totp_sealed:
        raise OperatorError("staff.invitation", "Choose a password first.")
    step = accepted_step(sealer.unseal(row.name, row.totp_sealed), tidy_code(code), act.at, 0)
    if step is None:
        raise OperatorError("staff.code", "That is not the present code; check the device's clock.")
    before = account_of(row)
    row.totp_step, row.invite_digest, row.invite_until = step, None, None
    row.state = "active"
    return _record(session, act, "confirm", before, replace(before, state="active"))


def set_roles(
    session: Session,
    act: Act,
    name: str,
    roles: tuple[str, ...],
    operations: Operations,
    *,
    on_machine: bool = False,
) -> Account:
    """Give a person other roles, or ask for guarded ones; nobody changes their own."""
    row = _row(session, name)
    _not_oneself(act, name)
    before = account_of(row)
    held = operations.guarded if on_machine else before.roles
    after = asking(before, act, operations.known_roles(roles), operations, held)
    _keep_roles(row, after)
    _keep_an_administrator(session, before, operations)
    end_sessions(session, name)
    return _record(session, act, "roles", before, after)


def disable(session: Session, act: Act, name: str, operations: Operations) -> Account:
    """End an account's use; its sessions end with it."""
    row = _row(session, name)
    _not_oneself(act, name)
    before = account_of(row)
    allow(STAFF_TRANSITIONS, before.state, "disabled", f"Account {name}")
    row.state, row.invite_digest = "disabled", None
    _keep_an_administrator(session, before, operations)
    _forget(session, name)
    return _record(session, act, "disable", before, replace(before, state="disabled"))


def reset(
    session: Session,
    act: Act,
    name: str,
    operations: Operations,
    sealer: Sealer,
    *,
    on_machine: bool = False,
) -> tuple[Account, str]:
    """Invite an existing person again: old password, factor, codes and sessions are gone.

    Whoever resets holds the new invitation, so guarded roles have to be vouched for again.
    """
    row = _row(session, name)
    _not_oneself(act, name)
    before = account_of(row)
    if before.state != "invited":
        allow(STAFF_TRANSITIONS, before.state, "invited", f"Account {name}")
    roles = {*before.roles, *before.asked_roles}
    after = asking(before, act, roles, operations, before.roles if on_machine else ())
    after = replace(after, state="invited", invited_by=act.actor)
    token = new_token()
    _keep_roles(row, after)
    row.invited_by = after.invited_by
    row.state, row.password_hash, row.totp_sealed, row.totp_step = "invited", "", "", 0
    row.invite_digest = sealer.digest("invitation", token)
    row.invite_until = act.at + INVITATION_LIFE
    _forget(session, name)
    session.execute(sa.delete(StaffRecoveryRow).where(StaffRecoveryRow.name == name))
    return _record(session, act, "reset", before, after), token


def _keep_roles(row: StaffRow, account: Account) -> None:
    row.roles, row.asked_roles = list(account.roles), list(account.asked_roles)
    row.asked_by = account.asked_by


def keep_password(
    session: Session, act: Act, name: str, password: str, passwords: Passwords
) -> None:
    """Replace a password that was just proved; every session and known browser is forgotten."""
    row = _row(session, name)
    check_password(password, name)
    row.password_hash = passwords.keep(password)
    _forget(session, name)
    account = account_of(row)
    _record(session, act, "password", account, account)


def end_sessions(session: Session, name: str) -> None:
    """End every session of a person."""
    session.execute(sa.delete(StaffSessionRow).where(StaffSessionRow.name == name))


def accounts(session: Session) -> list[Account]:
    """Every account, by name."""
    return [account_of(row) for row in session.scalars(sa.select(StaffRow).order_by(StaffRow.name))]


def _forget(session: Session, name: str) -> None:
    end_sessions(session, name)
    session.execute(sa.delete(StaffDeviceRow).where(StaffDeviceRow.name == name))


def _invited(session: Session, act: Act, token: str, sealer: Sealer) -> StaffRow:
    digest = sealer.digest("invitation", token)
    row = session.scalars(sa.select(StaffRow).where(StaffRow.invite_digest == digest)).first()
    good = row is not None and hmac.compare_digest(row.invite_digest or "", digest)
    if row is None or not good or row.invite_until is None or row.invite_until <= act.at:
        raise OperatorError("staff.invitation", "This invitation is not or no longer good.")
    return row


def _replace_recovery(session: Session, name: str, factor: Factor, sealer: Sealer) -> None:
    session.execute(sa.delete(StaffRecoveryRow).where(StaffRecoveryRow.name == name))
    for code in factor.recovery_codes:
        digest = sealer.digest("recovery", f"{name}\0{tidy_code(code)}")
        session.add(StaffRecoveryRow(digest=digest, name=name))


def _keep_an_administrator(session: Session, before: Account, operations: Operations) -> None:
    """Refuse to take away the last active person who can make accounts."""
    if before.state != "active" or not operations.allows(ADMINISTRATOR, before.roles):
        return
    session.flush()
    left = session.scalars(sa.select(StaffRow).where(StaffRow.state == "active"))
    if not any(operations.allows(ADMINISTRATOR, row.roles) for row in left):
        raise OperatorError("staff.last", "Somebody must be left who can invite others.")


def _not_oneself(act: Act, name: str) -> None:
    if act.actor == name:
        raise OperatorError("staff.oneself", "Somebody else has to change your own account.")


def _record(
    session: Session, act: Act, action: str, before: Account | None, after: Account
) -> Account:
    append(
        session,
        RECORD,
        act,
        action,
        ("staff", after.name),
        before=before.document() if before else None,
        after=after.document(),
    )
    return after


def _row(session: Session, name: str) -> StaffRow:
    row = session.get(StaffRow, name)
    if row is None:
        raise OperatorError("staff.unknown", f"There is no account {name}.")
    return row
