"""Why a decision was made, and what a stored edition would decide otherwise.

Both look at the journal of this process; an installation with several asks the one that answered.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Conflict, Endpoint
from gateway.api.admin.office import Office
from gateway.db.engine import reading
from gateway.editions.store import read_record
from gateway.errors import BadRequest, OperatorError
from gateway.identity.entries import Entry
from gateway.identity.model import Document
from gateway.identity.record import append
from gateway.policy.what_if import Tally
from gateway.serving.explain import explain, find, standings
from gateway.serving.rehearsal import rehearse
from gateway.serving.rulebook import Shelf
from gateway.staff.model import RECORD

MOST = 2000
SECONDS = 60.0
"""A replay that takes longer ends with what it has found so far."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EDITION = re.compile(r"[0-9a-f]{12}")
_UNTRIED = {"draft", "withdrawn"}
_one_at_a_time = threading.Lock()  # a replay takes the processor that answers need


class WhatIfForm(Entry):
    """How many of the last decisions are asked again."""

    last: Annotated[int, Field(ge=1, le=MOST)] = MOST


def _find_why(office: Office, at: Mapping[str, str], _form: Entry | None) -> Document:
    if not _ID.fullmatch(at["decision"]):
        raise BadRequest("invalid_parameter", "A decision's id is a UUID.", "判定编号应为 UUID。")
    found = find(office.journal, at["decision"])
    shelf = Shelf(office.editions.policies, office.keys, office.engine)
    book = shelf.of(found.logged.revision)
    with reading(office.engine) as session:
        return explain(found, book, standings(session, found))


def _explain(call: Call) -> Answer:
    decision = ("decision", call.at["decision"])
    append(call.session, RECORD, call.act, "explain", decision, before=None, after=None)
    told: Document = call.found
    return told


def _find_changes(office: Office, at: Mapping[str, str], form: Entry | None) -> Document:
    name = at["edition"]
    if not _EDITION.fullmatch(name):
        raise BadRequest("invalid_parameter", "An edition's name is 12 hexadecimal digits.")
    with reading(office.engine) as session:
        state = read_record(session, office.editions.key, name).state
    if state in _UNTRIED:
        raise OperatorError("edition.state", f"Edition {name} is {state}; only tried ones are run.")
    if not _one_at_a_time.acquire(blocking=False):
        raise Conflict("busy", "Another replay is running.", "另一项回放正在进行，请稍后再试。")
    try:
        return _replay(office, name, form.last if isinstance(form, WhatIfForm) else MOST)
    finally:
        _one_at_a_time.release()


def _replay(office: Office, name: str, last: int) -> Document:
    tally, ends = Tally(), time.monotonic() + SECONDS
    with (
        rehearse(office.engine, office.keys, office.editions.policies, name) as rehearsal,
    ):
        number = min(last, office.journal.count_decisions())
        for _ in rehearsal.replay(office.journal.last_decisions(number), tally):
            if time.monotonic() > ends:
                break
        read = tally.replayed + sum(tally.skipped.values())
        return {"decisions": number, "cut_off": read < number, **rehearsal.report(tally)}


def _what_if(call: Call) -> Answer:
    edition = ("edition", call.at["edition"])
    append(call.session, RECORD, call.act, "what_if", edition, before=None, after=None)
    told: Document = call.found
    return told


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "decision.explain",
        "GET",
        "/decisions/{decision}",
        _explain,
        finds=_find_why,
        summary="解释一项判定：依据的规则、版本与事实 / Why a decision was made: by which rule, "
        "under which revision, on which facts",
    ),
    Endpoint(
        "edition.what_if",
        "POST",
        "/policies/{edition}/what-if",
        _what_if,
        WhatIfForm,
        finds=_find_changes,
        summary="用已存版本回放最近的判定，列出会改变的结果 / Put the last decisions to a stored "
        "edition and show every answer that would change",
    ),
)
