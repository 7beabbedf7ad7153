"""The operations on editions of the policy: the same acts as the command line's, one row each."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.admin.office import Office
from gateway.editions import changes
from gateway.editions.differences import read_differences
from gateway.editions.model import EditionRecord
from gateway.editions.office import Outlook
from gateway.editions.running import Prepared
from gateway.editions.store import read_records
from gateway.errors import OperatorError
from gateway.identity.entries import Entry, Line
from gateway.policy.contents import LARGEST_ARCHIVE, PolicyFiles, open_archive
from gateway.staff.model import Visitor

_LONGEST = LARGEST_ARCHIVE // 3 * 4 + 4


class PushForm(Entry):
    """A policies folder as a gzipped tar archive in base64."""

    archive: Annotated[str, Field(max_length=_LONGEST, json_schema_extra={"file": True})]


class CanaryForm(Entry):
    """For whom an edition decides."""

    tenants: Annotated[tuple[Line, ...], Field(min_length=1, max_length=changes.MOST_TENANTS)]


class PromoteForm(Entry):
    """Whether it is meant that grants are left out from then on."""

    accept_lost_grants: bool = False


def _list(call: Call) -> Answer:
    return [each.document() for each in read_records(call.session, call.office.editions.key)]


def _differences(call: Call) -> Answer:
    wanted = call.query.get("edition")
    records = read_records(call.session, call.office.editions.key)
    names = [each.name for each in records if wanted in (None, each.name)]
    return [read_differences(call.session, name) for name in names]


def _try_out(office: Office, _visitor: Visitor, form: Entry | None) -> None:
    """The trial takes seconds, so it is made before the transaction."""
    if isinstance(form, PushForm):
        office.trials.make(_files(form))


def _foresee(office: Office, _at: Mapping[str, str], form: Entry | None) -> Outlook | None:
    if not isinstance(form, PushForm):
        return None
    files = _files(form)
    return office.editions.foresee(office.engine, files, office.trials.of(files))


def _fit(office: Office, at: Mapping[str, str], _form: Entry | None) -> Prepared:
    return office.editions.fit(office.engine, at["edition"], "shadow")


def _for_canary(office: Office, at: Mapping[str, str], _form: Entry | None) -> Outlook:
    return office.editions.outlook(office.engine, at["edition"], "canary")


def _for_live(office: Office, at: Mapping[str, str], _form: Entry | None) -> Outlook:
    return office.editions.outlook(office.engine, at["edition"], "live")


def _for_rollback(office: Office, _at: Mapping[str, str], _form: Entry | None) -> Outlook | None:
    return office.editions.back(office.engine)


def _push(call: Call) -> Answer:
    files = _files(call.form)
    trial = call.office.trials.of(files)
    return call.office.editions.push(call.session, call.act, files, trial, call.found)


def _approve(call: Call) -> Answer:
    key = call.office.editions.key
    return changes.approve(call.session, call.act, call.at["edition"], key).document()


def _shadow(call: Call) -> Answer:
    return call.office.editions.shadow(call.session, call.act, call.found).document()


def _canary(call: Call) -> Answer:
    editions, tenants = call.office.editions, call.form.tenants
    return editions.canary(call.session, call.act, call.found, tenants).document()


def _promote(call: Call) -> Answer:
    after: EditionRecord = call.office.editions.promote(
        call.session,
        call.act,
        call.found,
        accept_lost_grants=call.form.accept_lost_grants,
    )
    return after.document()


def _roll_back(call: Call) -> Answer:
    return call.office.editions.roll_back(call.session, call.act, call.found).document()


def _withdraw(call: Call) -> Answer:
    key = call.office.editions.key
    return changes.withdraw(call.session, call.act, call.at["edition"], key).document()


def _files(form: PushForm) -> PolicyFiles:
    try:
        return open_archive(base64.b64decode(form.archive, validate=True))
    except ValueError as error:  # binascii.Error, or letters that are not ASCII
        raise OperatorError("edition.archive", "archive is not base64.") from error


_ONE = "/policies/{edition}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("edition.list", "GET", "/policies", _list),
    Endpoint("edition.differences", "GET", "/policies/differences", _differences),
    Endpoint(
        "edition.push",
        "POST",
        "/policies",
        _push,
        PushForm,
        status=201,
        first=_try_out,
        finds=_foresee,
    ),
    Endpoint("edition.approve", "POST", f"{_ONE}/approve", _approve),
    Endpoint("edition.shadow", "POST", f"{_ONE}/shadow", _shadow, finds=_fit),
    Endpoint("edition.canary", "POST", f"{_ONE}/canary", _canary, CanaryForm, finds=_for_canary),
    Endpoint("edition.promote", "POST", f"{_ONE}/promote", _promote, PromoteForm, finds=_for_live),
    Endpoint(
        "edition.rollback",
        "POST",
        "/policies/rollback",
        _roll_back,
        says_why=True,
        finds=_for_rollback,
    ),
    Endpoint("edition.withdraw", "POST", f"{_ONE}/withdraw", _withdraw, says_why=True),
)
