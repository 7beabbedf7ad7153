"""What the OpenAPI document says of statements."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.statements import PDF
from gateway.serving.accept import CSV, JSON

_TEXT: Final[dict[str, Any]] = {"type": "string"}
LIST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["statements", "next", "key"],
    "properties": {
        "statements": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "kind", "month", "issued_at", "sha256"],
                "properties": {
                    "number": _TEXT,
                    "kind": {"type": "string", "enum": ["client", "credit_note"]},
                    "month": _TEXT,
                    "issued_at": _TEXT,
                    "lines_fen": {"type": "integer"},
                    "closing_balance_fen": {"type": ["integer", "null"]},
                    "sha256": _TEXT,
                },
            },
        },
        "next": {
            "type": ["string", "null"],
            "description": "Send it as `after` to get the next page.",
        },
        "key": {"type": "object", "description": "JSON Web Key (Ed25519) of the signatures."},
    },
}
CONTENT: Final[dict[str, Any]] = {
    JSON: {"schema": {"type": "object", "description": "The signed document."}},
    CSV: {"schema": _TEXT | {"description": "Its rows; they add up to what the balance moved."}},
    PDF: {"schema": _TEXT | {"contentMediaType": PDF, "description": "PDF/A, for people."}},
}
AFTER: Final[dict[str, Any]] = {
    "name": "after",
    "in": "query",
    "required": False,
    "description": "Number of the last paper of the page before.",
    "schema": {"type": "string", "maxLength": 200},
}
NUMBER: Final[dict[str, Any]] = {
    "name": "number",
    "in": "path",
    "required": True,
    "description": "Number of an own statement or credit note.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
HEADERS: Final = {
    "Sluice-Signature": "Detached JWS (RFC 7515, Ed25519) over the JSON form.",
    "Sluice-Seal": "JWS over the SHA-256 of the JSON, the CSV and the PDF.",
}
