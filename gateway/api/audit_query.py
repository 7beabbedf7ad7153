"""What a request asks of the audit trail: page, filters and times, for office and clients alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.db.event_ids import first_id
from gateway.db.event_kinds import KINDS
from gateway.db.office_journal import Sought
from gateway.errors import BadRequest
from gateway.journal.entry import RESULTS

MOST: Final = 500
USUAL: Final = 50
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_REQUEST = re.compile(r"[A-Za-z0-9-]{1,64}")
QUERY: Final[Mapping[str, str]] = {
    "after": "key of the last entry of the page before (`next`); absent: the newest",
    "limit": f"1 to {MOST}, default {USUAL}",
    "tenant": "only of this organisation",
    "service": "only of this service",
    "kind": "only of this kind (SPEC 8.2)",
    "result": "only with this result",
    "request": "only of this request id",
    "from": "not before this moment (ISO 8601 with its zone)",
    "until": "before this moment",
}


def sought(asked: Mapping[str, str]) -> Sought:
    """What the parameters ask for; refuses what is no value of theirs."""
    before, until = _matched(_ID, asked, "after"), _moment(asked, "until")
    return Sought(
        before=min(filter(None, (before, until)), default=""),
        since=_moment(asked, "from"),
        kind=_one_of(KINDS, asked, "kind"),
        result=_one_of(RESULTS, asked, "result"),
        tenant=_matched(_NAME, asked, "tenant"),
        service=_matched(_NAME, asked, "service"),
        request=_matched(_REQUEST, asked, "request"),
    )


def limit_of(text: str) -> int:
    if not text:
        return USUAL
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MOST):
        raise _invalid("limit", f"a number from 1 to {MOST}")
    return int(text)


def _matched(form: re.Pattern[str], asked: Mapping[str, str], name: str) -> str:
    value = asked.get(name, "")
    if value and not form.fullmatch(value):
        raise _invalid(name, "of another form")
    return value


def _one_of(known: frozenset[str], asked: Mapping[str, str], name: str) -> str:
    value = asked.get(name, "")
    if value and value not in known:
        raise _invalid(name, f"one of: {', '.join(sorted(known))}")
    return value


def _moment(asked: Mapping[str, str], name: str) -> str:
    """The smallest id of that moment."""
    value = asked.get(name, "")
    if not value:
        return ""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return first_id(max(moment, _BEGINNING))
    except (ValueError, OverflowError) as error:
        raise _invalid(name, "a moment such as 2026-11-23T08:00:00+08:00") from error


def _invalid(name: str, wanted: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"{name}: {wanted}.", f"参数 {name} 不正确。")
