"""What the OpenAPI document says of the audit views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.api.audit_query import MOST, QUERY
from gateway.api.audit_views import PARAMETERS
from gateway.db.event_kinds import KINDS
from gateway.journal.entry import RESULTS

_FORMS: Final[dict[str, dict[str, Any]]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
    "kind": {"type": "string", "enum": sorted(KINDS)},
    "result": {"type": "string", "enum": sorted(RESULTS)},
    "from": {"type": "string", "format": "date-time"},
    "until": {"type": "string", "format": "date-time"},
    "after": {"type": "string", "format": "uuid"},
}
_PAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["entries", "next"],
    "properties": {
        "entries": {"type": "array", "items": {"type": "object", "required": ["event_id", "ts"]}},
        "next": {
            "type": ["string", "null"],
            "description": "Send it as `after` to get the next page.",
        },
    },
}
_TEXT: Final = {"type": "string"}
_STEPS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string", "contentEncoding": "base64"},
    "description": "Hashes of the proof (RFC 9162), in order.",
}
_NOTE: Final[dict[str, Any]] = {
    "type": "string",
    "description": "A signed note (C2SP signed-note, tlog-checkpoint): origin, size, root.",
}
_CHECKPOINTS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["notes", "key"],
    "properties": {
        "notes": {"type": "array", "items": _NOTE},
        "key": _TEXT | {"description": "The Ed25519 public key of the notes, PEM."},
    },
}
_INCLUSION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["origin", "leaf_index", "tree_size", "hash", "prev_hash", "event", "inclusion"],
    "properties": {
        "origin": _TEXT,
        "leaf_index": {"type": "integer", "minimum": 0},
        "tree_size": {"type": "integer", "minimum": 1},
        "hash": _TEXT | {"description": "SHA-256 of prev_hash and the event's canonical JSON."},
        "prev_hash": _TEXT,
        "event": {
            "type": ["object", "null"],
            "description": "The event itself; null of services about single persons.",
        },
        "inclusion": _STEPS,
        "note": _NOTE,
    },
}
_CONSISTENCY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["origin", "first_note", "second_note", "consistency"],
    "properties": {
        "origin": _TEXT,
        "first_note": _NOTE,
        "second_note": _NOTE,
        "consistency": _STEPS,
    },
}
Read = Callable[[str, str, dict[str, Any], tuple[int, ...]], dict[str, Any]]


def paths(read: Read) -> dict[str, object]:
    """The two views of a client, and the proofs."""
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": QUERY[name],
            "schema": _FORMS.get(name, {"type": "string", "maxLength": 200}),
        }
        for name in PARAMETERS
    ]
    statuses = (400, 401, 403, 503)
    calls = read("listOwnCalls", "Your own calls, as the audit trail has them.", _PAGE, statuses)
    uses = read("listUsesOfData", "Who used data that you provide.", _PAGE, statuses)
    return {
        "/v1/audit/calls": {"get": calls | {"parameters": parameters}},
        "/v1/audit/uses": {"get": uses | {"parameters": parameters}},
        **_proofs(read),
    }


def _proofs(read: Read) -> dict[str, object]:
    """Inclusion, consistency, and the newest notes."""
    usual = (400, 401, 403, 503)
    notes = read("listCheckpoints", "The last signed note of every log.", _CHECKPOINTS, usual)
    told = "That a call of yours is in the log; 503 `not_signed_yet` for a moment after the call."
    inclusion = read("proveInclusion", told, _INCLUSION, (*usual, 404))
    told = "That the log only grew since a note that you kept."
    consistency = read("proveConsistency", told, _CONSISTENCY, (*usual, 404))
    request = _parameter("request", "the request id of the call", _TEXT | {"maxLength": 64})
    size: dict[str, Any] = {"type": "integer", "minimum": 1}
    sizes = [
        _parameter("origin", "the first line of the note", _TEXT | {"maxLength": 96}),
        _parameter("first", "the size of the note that you kept", size),
        _parameter("second", "the size of a later note; default the newest", size, needed=False),
    ]
    return {
        "/v1/audit/checkpoints": {"get": notes},
        "/v1/audit/inclusion": {"get": inclusion | {"parameters": [request]}},
        "/v1/audit/consistency": {"get": consistency | {"parameters": sizes}},
    }


def _parameter(
    name: str, told: str, schema: dict[str, Any], *, needed: bool = True
) -> dict[str, Any]:
    place = {"name": name, "in": "query", "required": needed}
    return place | {"description": told, "schema": schema}
