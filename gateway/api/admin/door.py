"""The office's door: signing in, taking up an invitation, changing one's password.

These calls come without a session, or prove the person anew; everything else is an `Endpoint`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.admin.office import Office
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.entries import Entry
from gateway.identity.record import Act
from gateway.staff import accounts, sessions
from gateway.staff.guarding import vouching_code
from gateway.staff.model import Visitor
from gateway.staff.secrets import totp_address
from gateway.staff.signing_in import SignedIn

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9 -]{6,40}$")]
Password = Annotated[str, Field(min_length=1, max_length=200)]
Invitation = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class SignInForm(Entry):
    """Name, password, and the present code of the authenticator app or a recovery code."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{1,31}$")]
    password: Password
    code: Code


class AcceptForm(Entry):
    """An invitation and the password its person chooses."""

    invitation: Invitation
    password: Password


class ConfirmForm(Entry):
    """An invitation and the first code of the new authenticator."""

    invitation: Invitation
    code: Code


class PasswordForm(Entry):
    """The present password and code, and the new password."""

    password: Password
    code: Code
    new_password: Password


def welcome(office: Office, signed_in: SignedIn) -> Answer:
    """What a page needs to go on after signing in."""
    return {"csrf": sessions.csrf_token(signed_in.session, office.sealer)}


def accept(office: Office, form: AcceptForm) -> Answer:
    """Take up an invitation: the second factor and the recovery codes, shown this once."""
    act = _act_of_the_invited(office, form.invitation)
    with writing(office.engine) as session:
        factor = accounts.accept(
            session,
            act,
            form.invitation,
            form.password,
            sealer=office.sealer,
            passwords=office.passwords,
        )
    return {
        "totp": totp_address(factor.secret, factor.name, office.issuer),
        "recovery_codes": list(factor.recovery_codes),
    }


def confirm(office: Office, form: ConfirmForm) -> Answer:
    """Show that the authenticator works; the account is active from now on."""
    act = _act_of_the_invited(office, form.invitation)
    with writing(office.engine) as session:
        account = accounts.confirm(session, act, form.invitation, form.code, office.sealer)
        code = vouching_code(session, account.name, office.sealer)
    return {**account.document(), "vouching_code": code}


def _act_of_the_invited(office: Office, invitation: str) -> Act:
    """Strangers are sent away before anything takes the write lock."""
    act = Act("invited", office.clock())
    with reading(office.engine) as session:
        accounts.check_invitation(session, act, invitation, office.sealer)
    return act


def _prove(office: Office, visitor: Visitor, form: Entry | None) -> None:
    """The person at the keyboard is the one who signed in; people of another house have none."""
    if visitor.via != sessions.LOCAL:
        raise OperatorError("staff.state", "Your password is kept by your single sign-on.")
    if isinstance(form, PasswordForm):
        office.door.prove_again(visitor.name, form.password, form.code)


def _keep_password(call: Call) -> Answer:
    form: PasswordForm = call.form
    accounts.keep_password(
        call.session, call.act, call.visitor.name, form.new_password, call.office.passwords
    )
    return {"changed": True}


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("me.password", "POST", "/me/password", _keep_password, PasswordForm, first=_prove),
)
