"""Taking a bulk export away, as a client's program would: start, follow, fetch, verify.

A download that breaks off goes on where it
broke off; a file is kept under its name only when its SHA-256 is that of the manifest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sluice_client.errors import SluiceClientError

_GIVE_UP = (403, 404, 410)


class ExportError(SluiceClientError):
    """The export cannot be had; the message says why, in the server's words where it gave any."""


class DamagedFile(ExportError):
    """A file arrived otherwise than the manifest says; `url` is its address. It was dropped."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(f"{name} arrived otherwise than the manifest says.")
        self.url = url


@dataclass(frozen=True)
class Exports:
    """A client's way to its exports. `again` is told the seconds to wait before the next look."""

    http: httpx.Client
    auth: httpx.Auth
    again: Callable[[float], None] = time.sleep
    attempts: int = 8
    """How often in a row a request or a download may break off before we give up."""

    def export(
        self,
        service: str,
        question: Mapping[str, Any],
        folder: Path,
        *,
        output_format: str = "ndjson",
        since: str | None = None,
    ) -> dict[str, Any]:
        """Export the answer to a question into a folder; returns the manifest."""
        url = self.start(service, question, output_format=output_format, since=since)
        told = self.follow(url)
        if told["error"]:
            raise ExportError(f"{told['error'][0]['code']}: {told['error'][0]['detail']}")
        folder.mkdir(parents=True, exist_ok=True)
        for file in told["output"]:
            self.fetch(file, folder / str(file["url"]).rpartition("/")[2])
        return told

    def start(
        self,
        service: str,
        question: Mapping[str, Any],
        *,
        output_format: str = "ndjson",
        since: str | None = None,
    ) -> str:
        """Start a job; its address."""
        params = {"_outputFormat": output_format} | ({"_since": since} if since else {})
        reply = self.http.post(
            f"/v1/services/{service}/exports",
            json=dict(question),
            params=params,
            headers={"Prefer": "respond-async"},
            auth=self.auth,
        )
        if reply.status_code != httpx.codes.ACCEPTED:
            raise ExportError(_reason(reply))
        return str(reply.headers["Content-Location"])

    def follow(self, url: str) -> dict[str, Any]:
        """Wait as long as the server says, until there is a manifest."""
        broken = 0
        while True:
            try:
                reply = self.http.get(url, auth=self.auth)
            except httpx.TransportError as error:
                broken = self._count(broken, str(error))
                continue
            if reply.status_code == httpx.codes.OK:
                return dict(reply.json())
            if reply.status_code in _GIVE_UP:
                raise ExportError(_reason(reply))
            if reply.status_code != httpx.codes.ACCEPTED:
                broken = self._count(broken, _reason(reply))
                continue
            broken = 0
            self.again(float(reply.headers.get("Retry-After", "2")))

    def fetch(self, file: Mapping[str, Any], path: Path) -> None:
        """One file, from where an earlier attempt ended, verified before it gets its name."""
        draft = path.with_name(f"{path.name}.part")
        broken = 0
        while not draft.exists() or draft.stat().st_size < file["size"]:
            before = draft.stat().st_size if draft.exists() else 0
            try:
                self._more(str(file["url"]), str(file["sha256"]), draft)
            except httpx.TransportError as error:
                moved = draft.exists() and draft.stat().st_size > before
                broken = self._count(0 if moved else broken, str(error))
            if not file["size"]:
                draft.touch()
        if _sha256(draft) != file["sha256"]:
            draft.unlink()
            raise DamagedFile(path.name, str(file["url"]))
        draft.replace(path)

    def _more(self, url: str, sha256: str, draft: Path) -> None:
        """What is still missing; all of it anew where the file is no longer the same."""
        have = draft.stat().st_size if draft.exists() else 0
        headers = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'} if have else {}
        with self.http.stream("GET", url, headers=headers, auth=self.auth) as reply:
            if reply.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                reply.read()
                raise ExportError(_reason(reply))
            goes_on = reply.status_code == httpx.codes.PARTIAL_CONTENT
            with draft.open("ab" if goes_on else "wb") as out:
                for octets in reply.iter_bytes():  # as they come: what arrived is not lost
                    out.write(octets)

    def _count(self, broken: int, reason: str) -> int:
        if broken + 1 >= self.attempts:
            raise ExportError(f"given up after {self.attempts} attempts: {reason}")
        self.again(min(2.0**broken, 30.0))
        return broken + 1


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(reply: httpx.Response) -> str:
    try:
        told = reply.json()
        return f"{told['code']}: {told['detail']} {' '.join(told.get('deny', ()))}".strip()
    except (ValueError, KeyError):
        return f"the server answered {reply.status_code}"
