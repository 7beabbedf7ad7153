"""Messages' signatures at the edge: whole bodies against their digest, answers signed on request.

An answer, also a refusal, is signed (RFC 9421) if the request says `Accept-Signature`. It is held
back until it is whole, because its digest stands in its head; one that is larger than `MOST_SIGNED`
goes out as it comes, unsigned: whoever needs signatures refuses it.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Message, Receive, Scope, Send

from gateway.api.presented import query_of
from gateway.identity.desk import Identity
from gateway.identity.signatures import Answered, Asked, Headers, check_digest, sign_answer

MOST_SIGNED: Final = 4 * 1024 * 1024


def digested(receive: Receive, stated: str) -> Receive:
    """The same body, whose last piece is handed on only if all of it has the digest that is stated;
    raises `DigestRefused`. The body is bounded by whoever receives it."""
    pieces: list[bytes] = []

    async def checked() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                check_digest(stated, b"".join(pieces))
        return message

    return checked


class SignedAnswer:
    """The way out of one answer: holds it back, and signs it once it is whole."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._held: list[Message] = []
        self._size = 0
        self._passes = False

    async def __call__(self, message: Message) -> None:
        """A part of the answer."""
        if self._passes:
            await self._send(message)
            return
        self._held.append(message)
        self._size += len(message.get("body", b""))
        whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        if whole and self._size <= MOST_SIGNED:
            self._sign()
        if whole or self._size > MOST_SIGNED:
            self._passes = True
            for each in self._held:
                await self._send(each)

    def _sign(self) -> None:
        scope, start = self._scope, self._held[0]
        identity: Identity = scope["app"].state.identity
        path = scope.get("raw_path") or scope["path"].encode()
        url = f"{identity.issuer}{path.decode('latin-1')}{query_of(scope)}"
        asked = Asked(scope["method"], url, Headers(scope["headers"]))
        answered = Answered(start["status"], Headers(start["headers"]), asked)
        body = b"".join(each.get("body", b"") for each in self._held)
        sign_answer(answered, body, identity.ring(), identity.clock())
        start["headers"] = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answered.headers.items()
        ]
