"""Reads along what leaves the gateway in a test run, and finds persons in it.

Everything the application answers in this process (bodies, headers, error documents, pages, the
metrics page), every log record and every span of a trace is searched as it passes, so nothing has
to be kept: for resident ids with the digit that checks them, and for names and person numbers that
the tests plant in person sources. JWS that are answered (proofs, tokens, security events) are
opened first. Servers that tests start as processes of their own are not seen.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from opentelemetry.sdk.trace import Span

from gateway.api.edge import Edge

_WEIGHTS, _CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"
_NUMBER = re.compile(
    rb"(?<![0-9A-Za-z_.-])[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
    rb"(?![0-9A-Za-z_-])"
)
_PLANTED = re.compile(
    "测试(?:甲一|丁四|乙小|丙三|庚五|无人)|测述..".encode()
    + rb"|\\u6d4b\\u8ff0|PSN-\d{3}-990101|\bN-(?:adult|patient|child|dead|elsewhere)\b"
    + rb"|990101198503129006|990101199011309048|990101201609209025|990101195601089032"
    + rb"|990201197003039011"
)
_JWS = re.compile(rb"eyJ[\w-]+\.([\w-]{8,})\.")
_OVERLAP = 64
_NAMES = frozenset({"测试甲一", "测试丁四", "测试乙小", "测试丙三", "测试庚五"})
ALLOWED = {
    "/openapi.json": {
        "测试甲一",
        "990101198503129006",
    },  # the examples of S18 and S19 ask about one
    "/portal/api/verify": {"测试甲一", "990101198503129006"},  # the same examples, for people
    "/portal/catalogue/S1": {"测试甲一", "990101198503129006"},
    "/portal/catalogue/S20": {"990101198503129006"},
    "/person/sign-in": _NAMES,  # the simulated sign-in lists whom to be
    "/person/interactions": _NAMES,  # so do its pages on the way to a consent
}
"""What may be told at addresses that begin so: of invented persons, and at most their names."""


def resident(number: str) -> bool:
    """Whether the last digit checks the others (GB 11643)."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()


def persons_in(data: bytes) -> list[str]:
    """What names or numbers a person in these bytes, JWS opened."""
    found = [one.group().decode() for one in _PLANTED.finditer(data)]
    numbers = (one.group().decode() for one in _NUMBER.finditer(data))
    found += [number for number in numbers if resident(number)]
    for token in _JWS.finditer(data):
        part = token.group(1)
        try:
            opened = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        except binascii.Error:
            continue
        found += persons_in(opened)
    return found


@dataclass
class Watch(logging.Handler):
    """What was found, by where: never more than a few of each place."""

    found: dict[str, set[str]] = field(default_factory=dict)
    seen_bytes: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = logging.Handler.__hash__

    def look(self, where: str, data: bytes) -> None:
        """Search what leaves at a place."""
        self.seen_bytes += len(data)
        told = [names for path, names in ALLOWED.items() if where.startswith(path)]
        for one in set(persons_in(data)).difference(*told):
            self.found.setdefault(where, set()).add(one)

    def emit(self, record: logging.LogRecord) -> None:
        shown = logging.Formatter().format(record)  # with the traceback, as a log would have it
        self.look(f"log {record.name}", shown.encode())


_watches: list[Watch] = []
_LOGGERS = ("", "sluice.access", "sluice.failures", "uvicorn", "uvicorn.error")


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch until the end of the block; of watches in one another the inner one alone sees."""
    watch = Watch()
    _watches.append(watch)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    own = [each for each in loggers if each.name == "root" or not each.propagate]
    for each in own:
        each.addHandler(_Inner())
    try:
        with _looking() if len(_watches) == 1 else _nothing():
            yield watch
    finally:
        for each in own:
            each.handlers = [h for h in each.handlers if not isinstance(h, _Inner)]
        _watches.pop()
        if _watches:
            for each in own:
                each.addHandler(_Inner())


class _Inner(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _watches:
            _watches[-1].emit(record)


@contextmanager
def _looking() -> Iterator[None]:
    with patch.object(Edge, "__call__", _watched), patch.object(Span, "end", _ended):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


_answer, _end = Edge.__call__, Span.end


def _ended(self: Span, end_time: int | None = None) -> None:
    """A span as it is handed to whoever sends it: its name, facts and events."""
    facts = [self.name, dict(self.attributes or {}), self.status.description]
    facts += [(event.name, dict(event.attributes or {})) for event in self.events]
    _watches[-1].look(f"span {self.name[:40]}", repr(facts).encode())
    _end(self, end_time)


async def _watched(self: Edge, scope: Any, receive: Any, send: Any) -> None:
    """The application's outermost layer, its answers read along."""
    tail = b""

    async def pass_on(message: Any) -> None:
        nonlocal tail
        where = str(scope.get("path", ""))
        if message["type"] == "http.response.start":
            fields = b"\n".join(name + b": " + value for name, value in message["headers"])
            _watches[-1].look(where, fields)
        elif message["type"] == "http.response.body":
            whole = tail + bytes(message.get("body", b""))
            _watches[-1].look(where, whole)
            tail = whole[-_OVERLAP:]
        await send(message)

    await _answer(self, scope, receive, pass_on if _watches else send)
