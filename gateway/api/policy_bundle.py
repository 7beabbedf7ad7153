"""`GET /policy/bundle.tar.gz`: the revision that decides, for OPA's bundle plugin to fetch.

Served only when a token file is configured, and only to who shows that token: the bundle holds the
directory. OPA asks with the ETag it has; when nothing changed and it offers to wait, the answer
waits for the next revision, so that a change is live in OPA a moment after it is live here.
"""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Protocol

from fastapi import APIRouter, Request, Response

from gateway.api.token_door import require_token
from gateway.errors import Unauthenticated
from gateway.policy.bundle import Bundle
from gateway.policy.packing import BundleKey, pack

PATH = "/policy/bundle.tar.gz"
LONGEST_WAIT = 4.0
"""Seconds an answer waits for news; also what the end of a server may have to wait for it."""
_MEDIA = "application/vnd.openpolicyagent.bundles"  # tells OPA that its offer to wait is taken up
_LOOK_SECONDS = 0.05


class Served(Protocol):
    """What knows the bundle to be served."""

    @property
    def bundle(self) -> Bundle: ...


class Shelf:
    """The current bundle, packed once per revision however many fetch it."""

    def __init__(self, policy: Served, key: BundleKey) -> None:
        self._policy, self._key = policy, key
        self._packing = threading.Lock()
        self._packed: tuple[str, bytes] = ("", b"")

    @property
    def etag(self) -> str:
        return _etag(self._policy.bundle)

    def packed(self) -> tuple[str, bytes]:
        """ETag and archive of the revision that decides now."""
        with self._packing:
            bundle = self._policy.bundle
            if self._packed[0] != _etag(bundle):
                self._packed = (_etag(bundle), pack(bundle, self._key))
            return self._packed


def bundle_router(shelf: Shelf, token: str) -> APIRouter:
    """The endpoint for those who know `token`."""
    router = APIRouter()

    @router.get(PATH)
    async def bundle(request: Request) -> Response:
        require_token(request, token, _refusal())
        known = request.headers.get("if-none-match", "")
        if not await _news(request, shelf, known):
            return Response(status_code=304, media_type=_MEDIA, headers={"ETag": known})
        etag, content = await asyncio.to_thread(shelf.packed)
        return Response(content, media_type=_MEDIA, headers={"ETag": etag})

    return router


async def _news(request: Request, shelf: Shelf, known: str) -> bool:
    """Whether there is another revision than `known`, now or while the asker is willing to wait."""
    offered = re.search(r"(?:^|[;,\s])wait=(\d{1,4})", request.headers.get("prefer", ""))
    left = min(float(offered[1]), LONGEST_WAIT) if offered else 0.0
    while shelf.etag == known:
        if left <= 0 or await request.is_disconnected():
            return False
        left -= _LOOK_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)
    return True


def _etag(bundle: Bundle) -> str:
    return f'"{bundle.version}"'


def _refusal() -> Unauthenticated:
    return Unauthenticated(
        "bundle_token",
        "Show the bundle token as a bearer token.",
        "请以 Bearer 方式出示策略包令牌。",
    )
