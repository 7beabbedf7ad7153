"""The audit trail for those it concerns: an organisation's own calls, a provider's own data.

Each sees less than the office. Nothing of what is here names a person: a pseudonym that is the same
over calls would be a key to put them together, so it stays inside, as do the addresses of persons
and what detection said of an organisation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

from gateway.audit.trail import told
from gateway.db.event_kinds import CALLS
from gateway.db.office_journal import Listed, Sought
from gateway.identity.model import Document
from gateway.journal.looking import Looking

OWN_KINDS: Final = CALLS | {"login", "egress-request"}
AT_ONCE: Final = 500
ROUNDS: Final = 10
"""So many times so many events are read for one page; where less was found, `next` goes on."""
_OWN: Final = (
    *("event_id", "ts", "kind", "result", "actor", "decision_id", "request_id", "policy_version"),
    *("grant", "scenario", "service", "version", "release", "query_shape", "consent_id"),
    *("columns", "rows", "cells", "cells_suppressed", "bytes", "latency_ms", "deny_codes"),
    *("watermark_tag", "meter_id", "input_hash", "output_hash", "trace_id"),
    *("journal", "seq", "prev_hash", "hash"),
)
_USE: Final = (
    *("event_id", "ts", "kind", "result", "grant", "scenario", "service", "version", "release"),
    *("query_shape", "rows", "cells", "cells_suppressed", "columns"),
)
Shown = Callable[[str | None, list[str]], list[str]]
"""The codes of a refusal as a caller of that service sees them."""


def own_calls(
    journal: Looking, tenant: str, sought: Sought, most: int, shown: Shown
) -> tuple[list[Document], str | None]:
    """An organisation's own calls, newest first, and the key of the page that follows."""
    wanted = replace(sought, tenant=tenant)
    found, key = _walk(journal, wanted, most, is_own)
    return [_own(one, shown) for one in found], key


def uses_of_data(
    journal: Looking, grants: Collection[tuple[str, str]], sought: Sought, most: int
) -> tuple[list[Document], str | None]:
    """Answers under grants, as (organisation, grant), to which a provider's data contributes."""
    tenants = {tenant for tenant, _ in grants}
    if not grants:
        return [], None
    wanted = replace(sought, tenant=tenants.pop()) if len(tenants) == 1 else sought

    def contributes(body: dict[str, Any]) -> bool:
        return body.get("kind") in CALLS and (body.get("tenant"), body.get("grant")) in grants

    found, key = _walk(journal, wanted, most, contributes)
    uses = []
    for one in found:
        event = told(one)
        uses.append({"receiver": event["tenant"], **{name: event[name] for name in _USE}})
    return uses, key


def _walk(
    journal: Looking, sought: Sought, most: int, keeps: Callable[[dict[str, Any]], bool]
) -> tuple[list[Listed], str | None]:
    """The newest events that are kept, as far as so many rounds read."""
    found: list[Listed] = []
    for _ in range(ROUNDS):
        page = journal.events(sought, AT_ONCE)
        for one in page:
            if keeps(json.loads(one.body)):
                found.append(one)
                if len(found) == most:
                    return found, one.event_id
        if len(page) < AT_ONCE:
            return found, None
        sought = replace(sought, before=page[-1].event_id)
    return found, sought.before


def is_own(body: dict[str, Any]) -> bool:
    """A call by a program of the organisation: not a person who signed in for it, nor an alarm."""
    actor = body.get("actor")
    return body.get("kind") in OWN_KINDS and isinstance(actor, dict) and "client" in actor


def _own(one: Listed, shown: Shown) -> Document:
    event, body = told(one), json.loads(one.body)
    codes = [str(code) for code in body.get("deny_codes", ())]
    return {name: event[name] for name in _OWN} | {"deny_codes": shown(body.get("service"), codes)}
