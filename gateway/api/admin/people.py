"""Operations on the office itself: one's own session, accounts of others, the two records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint, Run
from gateway.errors import BadRequest
from gateway.identity.entries import Entry, Line
from gateway.identity.model import Document
from gateway.identity.record import DIRECTORY, Chain, append, newest_entries, read_entries
from gateway.staff import accounts, sessions
from gateway.staff.accounts import StaffEntry
from gateway.staff.guarding import vouch, vouching_code
from gateway.staff.links import linked_names, unlink
from gateway.staff.model import RECORD, Account

_MOST_ENTRIES = 500


class RolesForm(Entry):
    """A person's roles from now on."""

    roles: tuple[str, ...]


class VouchForm(Entry):
    """The code that the person who has taken up the account reads at /me."""

    code: Annotated[str, Field(pattern=r"^[0-9A-Fa-f -]{8,12}$")]


class PersonForm(Entry):
    """Somebody who may be signed in."""

    name: Line


def _me(call: Call) -> Answer:
    office, name = call.office, call.visitor.name
    operations = office.operations
    may = [each for each in operations.table if operations.allows(each, call.visitor.roles)]
    told: Document = {**call.visitor.document(), "may": sorted(may)}
    if call.visitor.via == sessions.LOCAL:  # who came by another house has not shown this factor
        told["vouching_code"] = vouching_code(call.session, name, office.sealer)
    return told


def _my_sessions(call: Call) -> Answer:
    return sessions.sessions_of(call.session, call.visitor.name, call.act.at)


def _end_my_session(call: Call) -> Answer:
    return _end(call, call.at["session"])


def _sign_out(call: Call) -> Answer:
    return _end(call, call.visitor.session_id)


def _end(call: Call, session_id: str) -> Answer:
    name = call.visitor.name
    sessions.end_one_of(call.session, name, session_id)
    append(call.session, RECORD, call.act, "end_session", ("staff", name), before=None, after=None)
    return {"ended": session_id}


def _people(call: Call) -> Answer:
    linked = linked_names(call.session)
    return [
        {**each.document(), "linked": each.name in linked}
        for each in accounts.accounts(call.session)
    ]


def _invite(call: Call) -> Answer:
    office = call.office
    made = accounts.invite(call.session, call.act, call.form, office.operations, office.sealer)
    return _invited(*made)


def _reset(call: Call) -> Answer:
    office = call.office
    made = accounts.reset(
        call.session, call.act, call.at["person"], office.operations, office.sealer
    )
    return _invited(*made)


def _invited(account: Account, token: str) -> Answer:
    """The invitation is shown this once, to be handed over by a way of the office's own."""
    hours = int(accounts.INVITATION_LIFE.total_seconds() // 3600)
    return {**account.document(), "invitation": token, "good_for_hours": hours}


def _roles(call: Call) -> Answer:
    person, operations = call.at["person"], call.office.operations
    roles: RolesForm = call.form
    return accounts.set_roles(call.session, call.act, person, roles.roles, operations).document()


def _vouch(call: Call) -> Answer:
    office, form = call.office, call.form
    return vouch(
        call.session,
        call.act,
        call.at["person"],
        form.code,
        operations=office.operations,
        sealer=office.sealer,
    ).document()


def _unlink(call: Call) -> Answer:
    person = call.at["person"]
    unlink(call.session, call.act, person)
    return {"unlinked": person}


def _disable(call: Call) -> Answer:
    person, operations = call.at["person"], call.office.operations
    return accounts.disable(call.session, call.act, person, operations).document()


def _end_sessions(call: Call) -> Answer:
    """End every session of a person, also of one who is known by single sign-on alone."""
    name: str = call.form.name
    accounts.end_sessions(call.session, name)
    entity = ("staff", name)
    append(call.session, RECORD, call.act, "end_sessions", entity, before=None, after=None)
    return {"ended": name}


def _record_of(chain: Chain) -> Run:
    def run(call: Call) -> Answer:
        limit = min(_number(call, "limit", 100), _MOST_ENTRIES)
        if "before" in call.query:
            before = _number(call, "before", 0)
            return {"entries": newest_entries(call.session, chain, before, limit)}
        entries = read_entries(call.session, chain, _number(call, "after", 0), limit)
        return {"entries": entries}

    return run


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise BadRequest("invalid_parameter", f"Not valid: query.{name}.")
    return int(text)


_RECORD = {
    "after": "Only entries after this number, oldest first.",
    "before": "Only entries before this number, newest first; 0: from the newest.",
    "limit": "At most so many; 100 by default.",
}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("me.read", "GET", "/me", _me),
    Endpoint("me.sessions", "GET", "/me/sessions", _my_sessions),
    Endpoint("me.end_session", "POST", "/me/sessions/{session}/end", _end_my_session),
    Endpoint("me.sign_out", "POST", "/me/sign-out", _sign_out),
    Endpoint("staff.list", "GET", "/staff", _people),
    Endpoint("staff.invite", "POST", "/staff", _invite, StaffEntry, status=201),
    Endpoint("staff.roles", "PUT", "/staff/{person}/roles", _roles, RolesForm, says_why=True),
    Endpoint("staff.vouch", "POST", "/staff/{person}/vouch", _vouch, VouchForm, says_why=True),
    Endpoint("staff.unlink", "POST", "/staff/{person}/unlink", _unlink, says_why=True),
    Endpoint("staff.disable", "POST", "/staff/{person}/disable", _disable, says_why=True),
    Endpoint("staff.reset", "POST", "/staff/{person}/reset", _reset, says_why=True),
    Endpoint(
        "staff.end_sessions",
        "POST",
        "/staff-sessions/end",
        _end_sessions,
        PersonForm,
        says_why=True,
    ),
    Endpoint("audit.directory", "GET", "/audit/directory", _record_of(DIRECTORY), query=_RECORD),
    Endpoint("audit.staff", "GET", "/audit/staff", _record_of(RECORD), query=_RECORD),
)
