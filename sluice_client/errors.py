"""What can go wrong, as a program can tell it apart."""

from __future__ import annotations

import httpx


class SluiceClientError(Exception):
    """Anything this library raises."""


class Unreachable(SluiceClientError):
    """Nobody answered, or not in time, as often as it was tried."""


class Refused(SluiceClientError):
    """The gateway said no, or that it cannot now.

    `code` is stable; `deny` are the policy's reasons; with `request_id` the data office finds it.
    """

    def __init__(self, reply: httpx.Response) -> None:
        told = _document(reply)
        self.status = reply.status_code
        self.code = str(told.get("code", ""))
        self.detail = str(told.get("detail", ""))
        listed = told.get("deny")
        self.deny = tuple(str(one) for one in listed) if isinstance(listed, list) else ()
        self.request_id = str(told.get("request_id", reply.headers.get("Sluice-Request-Id", "")))
        reasons = f" [{', '.join(self.deny)}]" if self.deny else ""
        what = f"{self.code}: {self.detail}" if self.code else "no problem document came with it"
        super().__init__(f"{self.status} {what}{reasons} (request {self.request_id or 'unknown'})")


def _document(reply: httpx.Response) -> dict[str, object]:
    try:
        told = reply.json()
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    oauth = {"code": told.get("error"), "detail": told.get("error_description")}
    return {**{k: v for k, v in oauth.items() if v}, **told}
