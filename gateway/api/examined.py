"""The conformance suite at the edge of the sandbox: observes a client's requests, and challenges.

Only requests of a client with a run going on are looked at. Who asks is read from a token this
gateway signed; what is challenged here is not yet answered, so no rule of the gateway is passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

import anyio
import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.examined_answers import answer_to
from gateway.api.shown_token import our_claims
from gateway.api.threads import in_thread
from gateway.conformance.book import Book, Run
from gateway.conformance.seen import Kind, Seen, Trial, item_of, kind_of, mark
from gateway.identity.desk import Identity
from gateway.identity.jose import MalformedToken, parse_compact

_MOST_READ: Final = 1024 * 1024
_ALTERED: Final = frozenset({Trial.LOST, Trial.BROKEN, Trial.DAMAGED})
_CURSOR: Final = "next_cursor"


class Examined:
    """Stands between the edge and the application; outside the sandbox there is none."""

    def __init__(self, app: ASGIApp, book: Book) -> None:
        self.app, self._book = app, book
        self._threads = anyio.CapacityLimiter(4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if kind is None:
            await self.app(scope, receive, send)
        else:
            await self._look(kind, scope, receive, send)

    async def _look(self, kind: Kind, scope: Scope, receive: Receive, send: Send) -> None:
        """Whether this is a client that is being examined now."""
        headers = Headers(scope=scope)
        body = await _whole(receive)
        identity: Identity = scope["app"].state.identity
        client = _form_client(body) if kind is Kind.TOKEN else _token_client(headers, identity)
        now = identity.clock()
        run = await in_thread(self._threads, self._book.live, client, now) if client else None
        again = _replayed(body, receive)
        if run is None:
            await self.app(scope, again, send)
        elif kind is Kind.TOKEN:
            await self._watch_token(run, scope, again, send)
        else:
            asked = _asked(kind, scope, body, run.id).with_facts(at=self._book.seconds())
            await self._examine(run, asked, now, (scope, again, send))

    async def _watch_token(self, run: Run, scope: Scope, receive: Receive, send: Send) -> None:
        """A token request proves who asks only by its success; nothing else of it is noted."""
        begun = self._book.seconds()
        way = _Way(send, self._book.seconds)
        await self.app(scope, receive, way)
        if way.status == 200:
            seen = Seen(Kind.TOKEN, begun, status=200, answered=way.answered)
            await in_thread(self._threads, self._book.note, run, seen)

    async def _examine(
        self, run: Run, asked: Seen, now: datetime, http: tuple[Scope, Receive, Send]
    ) -> None:
        scope, receive, send = http
        seq, put = await in_thread(self._threads, self._book.begin, run, asked)
        way = _Way(send, self._book.seconds, put)
        try:
            if put is Trial.NONE or put in _ALTERED:
                await self.app(scope, receive, way)
            else:
                await answer_to(put, asked, run, scope, now)(scope, receive, way)
        finally:
            if seq:
                seen = asked.with_facts(
                    trial=way.trial,
                    status=way.status,
                    answered=way.answered,
                    wait=way.wait,
                    next_cursor=mark(run.id, way.cursor) if way.cursor else "",
                    sent=way.sent,
                )
                await in_thread(self._threads, self._book.finish, run, seq, seen)


@dataclass
class _Way:
    """The way out of one answer: watched, and cut or damaged where the challenge is that."""

    send: Send
    seconds: Callable[[], float]
    trial: Trial = Trial.NONE
    status: int = 0
    answered: float = 0.0  # before its reader could see any of it
    wait: float = 0.0
    sent: int = 0
    cursor: str = ""
    _limit: int | None = None  # octets that may still leave; None: all
    _reads: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    _held: Message | None = None

    async def __call__(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self.trial is Trial.LOST:
            await self._lose(message)
        else:
            await self._pass(message)

    async def _begin(self, message: Message) -> None:
        headers = Headers(raw=message["headers"])
        self.status, self.answered = message["status"], self.seconds()
        told = headers.get("retry-after", "")
        self.wait = float(told) if told.isdecimal() else 0.0
        self.cursor = headers.get("sluice-next-cursor", "")
        self._reads = "json" in headers.get("content-type", "") and not self.cursor
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else 0
        if self.trial in _ALTERED and (self.status != 200 or size < 2):
            self.trial = Trial.NONE  # nothing to lose or to damage here
        if self.trial is Trial.BROKEN:
            self._limit = size // 2
        if self.trial is Trial.LOST:
            self._held = message
        else:
            await self.send(message)

    async def _lose(self, message: Message) -> None:
        """Half of the answer leaves, once all of it was made; then the connection breaks off."""
        self._pieces.append(message.get("body", b""))
        if message.get("more_body", False) or self._held is None:
            return
        whole = b"".join(self._pieces)
        self._read_cursor(whole)
        half = whole[: len(whole) // 2]
        self.sent = len(half)
        await self.send(self._held)
        await self.send({"type": "http.response.body", "body": half, "more_body": True})

    async def _pass(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        last = not message.get("more_body", False)
        if self.trial is Trial.DAMAGED and body and not self.sent:
            body = bytes([body[0] ^ 1]) + body[1:]
        if self._limit is not None:
            body, last = body[: self._limit - self.sent], False
        self.sent += len(body)
        self._keep(body, last=last)
        if body or self._limit is None:
            await self.send({"type": "http.response.body", "body": body, "more_body": not last})

    def _keep(self, body: bytes, *, last: bool) -> None:
        if self._reads and self.sent <= _MOST_READ:
            self._pieces.append(body)
            if last:
                self._read_cursor(b"".join(self._pieces))

    def _read_cursor(self, whole: bytes) -> None:
        found = _object(whole).get(_CURSOR)
        self.cursor = found if isinstance(found, str) else ""


def _asked(kind: Kind, scope: Scope, body: bytes, salt: str) -> Seen:
    """What a request shows; `salt` keeps its hashes from being compared with others'."""
    headers, told = Headers(scope=scope), _object(body)
    cursor = told.pop(_CURSOR.removeprefix("next_"), None)
    consent = told.get("consent_id") if kind is Kind.VERIFY else None
    begins = headers.get("range", "").removeprefix("bytes=").partition("-")[0]
    place = f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}"
    question = orjson.dumps(told, option=orjson.OPT_SORT_KEYS) if told else body
    key = headers.get("idempotency-key", "")
    return Seen(
        kind,
        0.0,
        same=mark(salt, place, body),
        question=mark(salt, place, question),
        cursor=mark(salt, cursor) if isinstance(cursor, str) else "",
        key=mark(salt, key) if key else "",
        token=mark(salt, headers.get("authorization", "").partition(" ")[2]),
        proof=_jti(headers.get("dpop", ""), salt),
        item=consent[:200] if isinstance(consent, str) else item_of(kind, scope["path"]),
        asynchronous="respond-async" in headers.get("prefer", ""),
        begins_at=int(begins) if begins.isdecimal() else 0,
        conditional="if-range" in headers,
    )


def _jti(proof: str, salt: str) -> str:
    """Which proof this is; one that cannot be read is refused by the gateway itself."""
    try:
        return mark(salt, str(parse_compact(proof).claims.get("jti"))) if proof else ""
    except MalformedToken:
        return mark(salt, proof)


def _token_client(headers: Headers, identity: Identity) -> str:
    """Whose token is shown; none for a person's."""
    claims = our_claims(headers, identity)
    return "" if "gid" in claims else str(claims.get("client_id", ""))


def _form_client(body: bytes) -> str:
    """Who a token request says it comes from."""
    fields = parse_qs(body.decode("latin-1"))
    if made := fields.get("client_assertion"):
        try:
            return str(parse_compact(made[0]).claims.get("iss", ""))
        except MalformedToken:
            return ""
    return fields.get("client_id", [""])[0]


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


async def _whole(receive: Receive) -> bytes:
    """The body; the edge bounds it."""
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(pieces)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The same body once more, then whatever the connection says."""
    left: list[Mapping[str, object]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return dict(left.pop()) if left else await receive()

    return again
