"""From a request to a question about codes: a JSON body, an address or FHIR Parameters, one form.

Every operation has a closed list of names. What is too long, no plain text or of the wrong kind is
refused before anything is looked up, and the refusal repeats no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import orjson

from gateway.codes.fhir import URN, named_values
from gateway.codes.model import (
    DEFAULT_FOUND,
    FARTHEST,
    MOST_CODES,
    MOST_FOUND,
    Operation,
    Question,
)
from gateway.codes.spelling import LONGEST_CODE, LONGEST_QUESTION, is_plain
from gateway.errors import BadRequest, Unprocessable

COMMON: Final = ("bundle", "grant_id", "purpose")
FORMS: Final[Mapping[Operation, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "search": ((), ("q", "system", "version", "date", "limit", "cursor")),
    "lookup": (("system", "code"), ("version", "date")),
    "validate-code": (("system", "code"), ("version", "date", "display")),
    "validate-list": (("system", "codes"), ("version", "date")),
    "translate": (("system", "code", "target"), ("version", "target_version", "date")),
    "bundles": ((), ()),
    "download": (("bundle",), ()),
}
"""What each operation must be given, and what it may be."""
ONLY_WITH_BODY: Final = ("codes",)
LONGEST_DISPLAY: Final = 200
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_CURSOR: Final = re.compile(r"([0-9a-f]{16})\.([1-9][0-9]{0,4})", re.ASCII)
_FORMS_OF: Final[Mapping[str, re.Pattern[str]]] = {
    "system": re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII),
    "target": re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII),
    "version": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII),
    "target_version": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII),
    "bundle": re.compile(r"[0-9a-f]{16}", re.ASCII),
    "grant_id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", re.ASCII),
    "purpose": re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII),
}
_LONGEST: Final = {"code": LONGEST_CODE, "q": LONGEST_QUESTION, "display": LONGEST_DISPLAY}


def read_body(operation: Operation, body: bytes, *, fhir: bool) -> Question:
    """The question in a body of JSON, or of FHIR Parameters."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("malformed_json", "") from None
    values = named_values(told, operation) if fhir else told
    if not isinstance(values, dict):
        raise _wrong("the body is no object of names and values")
    return read_values(operation, values)


def read_address(operation: Operation, pairs: Sequence[tuple[str, str]]) -> Question:
    """The question in an address: every name once, all values texts."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values or name in ONLY_WITH_BODY:
            raise _wrong("a name is given twice, or only with a body")
        values[name] = value
    limit = values.get("limit")
    if isinstance(limit, str) and _LIMIT.fullmatch(limit):
        values["limit"] = int(limit)
    return read_values(operation, values)


def read_values(operation: Operation, values: Mapping[str, Any]) -> Question:
    """The question that names and values make; raises `BadRequest` for any other form."""
    needed, optional = FORMS[operation]
    if not set(values) <= {*needed, *optional, *COMMON}:
        raise _wrong(f"{operation} takes {', '.join((*needed, *optional, *COMMON))}")
    missing = [name for name in needed if values.get(name) in (None, "", [])]
    if missing:
        raise _wrong(f"{operation} needs {', '.join(missing)}")
    given = {name: value for name, value in values.items() if value is not None}
    texts = {name: _text(name, given[name]) for name in {*_LONGEST, *_FORMS_OF} & given.keys()}
    cursor = _cursor(given.get("cursor"), texts.get("bundle"))
    question = Question(
        operation=operation,
        system=texts.get("system"),
        version=texts.get("version"),
        on=_day(texts.get("date")),
        bundle=cursor[0],
        code=texts.get("code", ""),
        codes=_codes(given.get("codes", [])) if "codes" in needed else (),
        display=texts.get("display"),
        q=texts.get("q", ""),
        target=texts.get("target"),
        target_version=texts.get("target_version"),
        limit=_limit(given.get("limit", DEFAULT_FOUND)),
        offset=cursor[1],
        grant_id=texts.get("grant_id"),
        purpose=texts.get("purpose"),
        given=tuple(sorted(given)),
    )
    if operation == "search" and question.system is None and not question.q.strip():
        raise _wrong("search needs q, system or both")
    return question


def _wrong(what: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"Not a question about codes: {what}.")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST.get(name, 200) or not is_plain(value):
        raise _wrong(f"`{name}` is no plain text of the length allowed")
    if name in ("system", "target"):
        value = value.removeprefix(URN)
    if name in _FORMS_OF and not _FORMS_OF[name].fullmatch(value):
        raise _wrong(f"`{name}` is not of its form")
    if name == "code" and not (value := value.strip()):
        raise _wrong("`code` is empty")
    return value


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise _wrong("`date` is no day") from None


def _codes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong("`codes` is no list")
    if len(value) > MOST_CODES:
        raise Unprocessable("too_many_codes", "")
    return tuple(_text("code", each) for each in value)


def _limit(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MOST_FOUND:
        raise _wrong(f"`limit` is a whole number from 1 to {MOST_FOUND}")
    return value


def _cursor(value: object, bundle: str | None) -> tuple[str | None, int]:
    """The bundle and place a cursor names; a page goes on in the bundle it began in."""
    if value is None:
        return bundle, 0
    found = _CURSOR.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2]) > FARTHEST or bundle not in (None, found[1]):
        raise BadRequest("invalid_cursor", "")
    return found[1], int(found[2])


def cursor_of(bundle: str, offset: int | None) -> str | None:
    """The cursor of the next page; none beyond the farthest place."""
    return None if offset is None or offset > FARTHEST else f"{bundle}.{offset}"
