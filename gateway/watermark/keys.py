"""The secrets that choose the marks: files of mode 0600 in the home, one per rotation.

A key marks the releases made from its moment on. What was marked before stays as it is and can
still be traced, so a rotation never changes a figure that somebody has already been given.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import OperatorError
from gateway.identity.secrets import secret

_NAME: Final = "watermark-amounts"
_FILE: Final = re.compile(rf"{_NAME}-(\d{{8}}T\d{{6}}Z)\.secret")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MarkKey:
    """A secret and the moment from which releases are marked with it."""

    since: datetime
    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Names the key in meta and verdicts; tells nothing of it."""
        return hashlib.sha256(b"sluice watermark key\0" + self.secret).hexdigest()[:12]

    def derived(self, *parts: str) -> bytes:
        """A secret of its own for each purpose: 32 bytes no other purpose has."""
        text = b"".join(len(one.encode()).to_bytes(4, "big") + one.encode() for one in parts)
        return hmac.digest(self.secret, text, hashlib.sha256)


def keys_in(folder: Path) -> tuple[MarkKey, ...]:
    """Every key of a home, oldest first; the first is made here."""
    found = _stamps(folder)
    if not found:
        secret(folder, _named(_FIRST))
        found = _stamps(folder)
    return tuple(MarkKey(since, secret(folder, _named(since))) for since in found)


def key_for(keys: tuple[MarkKey, ...], created: datetime) -> MarkKey:
    """The key of a release: the newest that was there when it was made."""
    return next((key for key in reversed(keys) if key.since <= created), keys[0])


def rotate(folder: Path, now: datetime) -> MarkKey:
    """Make the key of the releases from now on."""
    before = keys_in(folder)
    since = now.astimezone(UTC).replace(microsecond=0)
    if since <= before[-1].since:
        raise OperatorError(
            "watermark.rotated", "The key was rotated this second, or the clock went back."
        )
    return MarkKey(since, secret(folder, _named(since)))


def _stamps(folder: Path) -> list[datetime]:
    names = (_FILE.fullmatch(path.name) for path in folder.glob(f"{_NAME}-*.secret"))
    return sorted(
        datetime.strptime(name[1], _STAMP).replace(tzinfo=UTC) for name in names if name is not None
    )


def _named(since: datetime) -> str:
    return f"{_NAME}-{since:{_STAMP}}"
