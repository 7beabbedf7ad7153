"""The report of a run: what it says, signed as statements are, and how another office checks it.

The sandbox signs with its statement key (Ed25519, RFC 7515); who accepts a report has that key's
public half by another way (`SLUICE_CONFORMANCE_KEYS`), never from the report.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.conformance.judging import RULES
from gateway.conformance.verdicts import SUITE, Verdict, passed
from gateway.errors import OperatorError

DOCUMENT: Final = "conformance_report"
MEDIA: Final = "application/jose"
TYPE: Final = "sluice-conformance+jws"


def contents(
    facts: Mapping[str, object], found: Sequence[Verdict], ended_at: datetime
) -> dict[str, object]:
    """What a report says: whose client, which suite, what came of every check."""
    return {
        **facts,
        "document": DOCUMENT,
        "suite": SUITE,
        "ended_at": ended_at.isoformat(),
        "checks": [{"id": each.id, "result": each.result} for each in found],
        "passed": passed(found),
    }


def read_keys(path: Path) -> list[Mapping[str, str]]:
    """The public keys of sandboxes whose reports are believed: a JWK set."""
    try:
        told = orjson.loads(path.read_bytes())
        keys = [dict(each) for each in told["keys"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            "conformance.keys", f"{path} is no JWK set: GET /v1/conformance/keys of the sandbox."
        ) from error
    return [each for each in keys if each.get("crv") == "Ed25519"]


def opened(report: str, keys: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """What a report says, signed by one of the keys; raises `OperatorError`."""
    parts = report.strip().split(".")
    try:
        head, told = (orjson.loads(_octets(part)) for part in parts[:2])
        signature, signed = _octets(parts[2]), f"{parts[0]}.{parts[1]}".encode()
        by_id = {each["kid"]: _octets(each["x"]) for each in keys}
        typed = len(parts) == 3 and head["typ"] == TYPE and head["alg"] == "Ed25519"
        if not typed or head["kid"] not in by_id:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(by_id[head["kid"]]).verify(signature, signed)
    except (InvalidSignature, ValueError, KeyError, IndexError, TypeError) as error:
        raise OperatorError(
            "conformance.signature",
            "This is no report signed by a sandbox whose key is known here.",
        ) from error
    if not isinstance(told, dict) or told.get("document") != DOCUMENT:
        raise OperatorError("conformance.document", "What is signed is no conformance report.")
    return told


def shortcomings(told: Mapping[str, Any]) -> list[str]:
    """Why a report does not do: checks that were not passed, another suite. Empty: it does."""
    if told.get("suite") != SUITE:
        return [f"suite {told.get('suite')}, not {SUITE}"]
    results = {each["id"]: each["result"] for each in told["checks"]}
    return [name for name in RULES if results.get(name) != "passed"]


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
