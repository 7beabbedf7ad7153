"""Read an engine's JSON answer into a `Decision`; whatever is not exactly an answer is refused."""

from __future__ import annotations

import re
from typing import Any

import orjson
from uuid_utils import uuid7

from gateway.policy.port import (
    ColumnRule,
    Decision,
    Holds,
    Obligations,
    PolicyUnavailable,
    RowRule,
    RowValue,
    TariffRule,
)

_CODE = re.compile(r"D\d{3}", re.ASCII)
"""A reason is a code and nothing else: what a rule wrote into it would reach logs and callers."""


def read_answer(text: str, version: str) -> Decision:
    """The decision, or `PolicyUnavailable` when the text is undefined, partial or contradictory."""
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PolicyUnavailable(f"answer not understood ({type(error).__name__})") from error
    return read_decision(answer, version)


def read_decision(answer: Any, version: str) -> Decision:  # any JSON; what is not exact is refused
    """As `read_answer`, of an answer that is JSON already."""
    try:
        allow, deny = answer["allow"], answer["deny"]
        _check_consistent(allow, deny)
        obligations = _obligations(answer["obligations"]) if allow else None
        holds = _holds(answer["holds"]) if "holds" in answer else None
        quota = {name: _number(limit) for name, limit in answer.get("quota", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PolicyUnavailable(f"answer not understood ({type(error).__name__})") from error
    return Decision(allow, tuple(deny), obligations, version, str(uuid7()), holds, quota)


def _check_consistent(allow: object, deny: object) -> None:
    """Allowed without reasons or refused with reasons; booleans only, no truthy stand-ins."""
    if not isinstance(deny, list) or not all(_is_code(code) for code in deny):
        raise ValueError("deny is not a list of codes")
    if allow is not (not deny) or not isinstance(allow, bool):
        raise ValueError("allow and deny contradict each other")


def _is_code(code: object) -> bool:
    return isinstance(code, str) and _CODE.fullmatch(code) is not None


def _obligations(told: dict[str, Any]) -> Obligations:
    columns = tuple(
        ColumnRule(
            _text(rule["field"]), _text(rule["item"]), _text(rule["level"]), _text(rule["mask"])
        )
        for rule in told["columns"]
    )
    if not columns:
        raise ValueError("an allowed answer has columns")
    return Obligations(
        profile=dict(told["profile"]),
        columns=columns,
        sensitive_dx=_text(told["sensitive_dx"]),
        max_cells=_number(told["max_cells"]),
        quota={name: _number(limit) for name, limit in told["quota"].items()},
        watermark=_text(told["watermark"]),
        log_level=_text(told["log_level"]),
        notify_person=_flag(told["notify_person"]),
        tariff=_tariff(told["tariff"]),
        ttl=_number(told["ttl"]),
        own_institution=_text(told.get("own_institution", "")),
        rows=tuple(_row(rule) for rule in told["rows"]),
    )


def _row(told: dict[str, Any]) -> RowRule:
    return RowRule(_text(told["column"]), _text(told["op"]), _row_value(told["value"]))


def _row_value(value: object) -> RowValue:
    """A text, texts, or pairs of texts; nothing else can be compared with a column."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise TypeError("not a value of a condition")
    if isinstance(value[0], list):
        pairs = [(_text(first), _text(last)) for first, last in value]
        return tuple(pairs)
    return tuple(_text(each) for each in value)


def _holds(told: dict[str, Any]) -> Holds:
    usage = {name: _whole(limit) for name, limit in told["usage"].items()}
    return Holds(_whole(told["since"]), _whole(told["before"]), usage)


def _tariff(told: dict[str, Any]) -> TariffRule:
    return TariffRule(
        unit=_text(told["unit"]),
        qty_estimate=_number(told["qty_estimate"]),
        price_ref=_text(told["price_ref"]),
        price_plan=_text(told["price_plan"]),
        free=_flag(told["free"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> int:
    if _whole(value) < 0:
        raise TypeError("not a count")
    return _whole(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not yes or no")
    return value
