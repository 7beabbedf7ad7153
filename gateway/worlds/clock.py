"""The clock of a sandbox: ahead of the real one by as much as its owner has put it forward.

It only goes forward, as books, chains and quotas count on that; a sandbox that is to begin anew is
set up anew. The lead lies in the home, so all processes on it have the same time.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.errors import BadRequest, OperatorError
from gateway.worlds.guard import world_folder

MOST: Final = timedelta(days=1100)
"""How far ahead it may get in all."""
_NONE: Final = timedelta()


@dataclass
class SandboxClock:
    """Call it for the sandbox's time."""

    home: Path
    real: Callable[[], datetime]
    _seen: tuple[int, int] = field(default=(0, 0), repr=False)
    _lead: timedelta = field(default=_NONE, repr=False)

    def __call__(self) -> datetime:
        """The time everything in the sandbox goes by."""
        return self.real() + self.lead()

    def lead(self) -> timedelta:
        """How far it is ahead; another process may just have put it forward."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return self._lead
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            self._lead, self._seen = max(self._lead, self._stored()), seen
        return self._lead

    def advance(self, step: timedelta) -> datetime:
        """Put it forward; the new time. Raises `BadRequest` for a step back or too far."""
        if step <= _NONE:
            raise BadRequest(
                "sandbox_clock", "The clock only goes forward.", "沙箱时钟只能向前拨动。"
            )
        folder = world_folder(self.home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "clock.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lead = max(self._lead, self._stored()) + step
            if lead > MOST:
                raise BadRequest(
                    "sandbox_clock",
                    f"The clock may be {MOST.days} days ahead at most; set the sandbox up anew.",
                    f"沙箱时钟最多可提前 {MOST.days} 天，请重新建立沙箱。",
                )
            self._write(lead)
        return self()

    @property
    def _file(self) -> Path:
        return world_folder(self.home) / "clock.json"

    def _stored(self) -> timedelta:
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return _NONE
        try:
            return timedelta(seconds=int(json.loads(text)["seconds_ahead"]))
        except (ValueError, KeyError, TypeError) as error:
            raise OperatorError(
                "world.clock", f"{self._file.name} cannot be read; set the sandbox up anew."
            ) from error

    def _write(self, lead: timedelta) -> None:
        draft = self._file.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as out:
            json.dump({"seconds_ahead": int(lead.total_seconds())}, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._file)
