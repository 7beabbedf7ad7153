"""What a request is before anybody knows who sent it: its class of work, and whether its head and
its body can be read in one way only."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from gateway.api.presented import source
from gateway.errors import BadRequest
from gateway.serving.places import ROOMS, Places
from gateway.serving.reasons import UnsupportedMedia

STRANGER: Final = "stranger"
_KINDS: Final = (
    ("/v1/services", "query"),
    ("/v1/text/", "text"),
    ("/v1/exports", "bulk"),
    ("/v1/jobs", "bulk"),
    ("/v1/", "office"),
    ("/access/v1/", "office"),
)
_ALWAYS_OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What the operator's own programs ask: never shed, or nobody would see why."""


def open_places() -> dict[str, Places]:
    """The empty rooms of one server."""
    return {kind: Places(kind, room) for kind, room in ROOMS.items()}


def kind_of(path: str) -> str | None:
    """The class of work at an address; None: always let in."""
    if path in _ALWAYS_OPEN:
        return None
    return next((kind for start, kind in _KINDS if path.startswith(start)), STRANGER)


def stranger(scope: Scope) -> str:
    """Whose place a request takes before anybody has proven anything: its address."""
    return source(Request(scope))


def check_head(scope: Scope, headers: Headers) -> None:
    """Raise for a head that two programs could read in two ways, or a body in a coding.

    No coding is taken: what is small here stays small. (RFC 9112 §3.2, RFC 9110 §8.4)
    """
    version = scope.get("http_version", "1.1")
    if version not in {"1.0", "1.1"}:
        raise BadRequest("bad_request", "HTTP/1.1 is spoken here.", "本服务使用 HTTP/1.1。")
    hosts = headers.getlist("host")
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise BadRequest(
            "bad_host", "A request names its host once.", "请求须且仅须包含一个 Host 请求头。"
        )
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMedia("unsupported_encoding", "")


def check_names(body: bytes) -> None:
    """Raise for JSON in which an object names a member twice: of two readers of it, one would take
    the first value and one the last (RFC 7493 §2.3). What is no JSON is left to who asked for it.
    """
    if len(body) <= _SHORT:
        _check_short(body)
    else:
        _check(body)


def _check(body: bytes) -> None:
    try:
        _ONCE.decode(body.decode())
    except (ValueError, RecursionError):
        return


_SHORT: Final = 2048
_check_short = lru_cache(maxsize=1024)(_check)  # the same questions come again; no error is kept


def _once(members: list[tuple[str, object]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise BadRequest(
            "duplicate_name",
            "An object of the body names a member twice.",
            "请求体中有对象重复使用了同一字段名。",
        )


# Numbers stay text: thousands of digits cost nothing then.
_ONCE: Final = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str)
