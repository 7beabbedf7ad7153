"""Reading the audit trail: every event of every chain, newest first; reading it is an event too."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.admin.office import Office
from gateway.api.audit_query import QUERY, limit_of, sought
from gateway.audit.trail import read_trail, told
from gateway.identity.entries import Entry
from gateway.identity.model import Document
from gateway.identity.record import append
from gateway.staff.model import RECORD


def _find(office: Office, asked: Mapping[str, str], _form: Entry | None) -> Document:
    limit = limit_of(asked.get("limit", ""))
    found = read_trail(office.journal, office.engine, sought(asked), limit)
    more = found[-1].event_id if len(found) == limit else None
    return {"entries": [_with_sources(office, told(one)) for one in found], "next": more}


def _with_sources(office: Office, event: Document) -> Document:
    """The event with the tables its release was built from, by content: as the manifest says."""
    release = event["release"]
    manifest = office.offer.releases.find(release) if isinstance(release, str) else None
    if manifest is None:
        return event
    sources = [
        {"table": one.table, "release": release, "lineage_id": one.sha256}
        for one in manifest.inputs
    ]
    return {**event, "source_tables": sources}


def _list(call: Call) -> Answer:
    asked = {name: call.query[name] for name in QUERY if call.query.get(name)}
    entity = ("audit", "events")
    facts = {"query_shape": asked}
    append(call.session, RECORD, call.act, "read", entity, before=None, after=None, facts=facts)
    answer: Document = call.found
    return answer


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "audit.events",
        "GET",
        "/audit/events",
        _list,
        finds=_find,
        query=QUERY,
        summary="审计事件，新者在前；查阅本身亦留痕 / Audit events of all chains, newest first; "
        "reading them is recorded",
    ),
)
