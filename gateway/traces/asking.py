"""From a body to a question about one pack. A refusal repeats nothing of what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.errors import BadRequest
from gateway.traces.forms import LONGEST, PackCode, read_code

NAMES: Final = ("code", "catalogue_code", "device", "grant_id", "purpose")
FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "catalogue_code": re.compile(r"[A-Z][A-Z0-9]{9,29}", re.ASCII),
    "device": re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII),
    "grant_id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", re.ASCII),
    "purpose": re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII),
}


@dataclass(frozen=True)
class Question:
    """One code, and what the caller wants to know beside it; no code is in its `repr`."""

    code: PackCode = field(repr=False)
    catalogue_code: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    grant_id: str | None = None
    purpose: str | None = None
    given: tuple[str, ...] = ()  # the names of what the caller gave


def read_body(body: bytes) -> Question:
    """The question in a body of JSON; raises `BadRequest`."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("malformed_json", "") from None
    if not isinstance(told, dict) or not set(told) <= set(NAMES):
        raise _wrong(f"the body takes {', '.join(NAMES)}")
    code = told.get("code")
    if not isinstance(code, str) or len(code) > LONGEST:
        raise BadRequest("trace_code_form", "")
    texts = {name: _text(name, told) for name in FORMS}
    given = tuple(sorted(name for name in told if told[name] is not None))
    return Question(code=read_code(code), given=given, **texts)


def _wrong(what: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"Not a question about a pack: {what}.")


def _text(name: str, told: Mapping[str, Any]) -> str | None:
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not FORMS[name].fullmatch(value):
        raise _wrong(f"`{name}` is not of its form")
    return value
