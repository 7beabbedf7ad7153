"""The bureau's rounding key: one secret for all releases, so that equal counts round equally."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from gateway.releases.manifest import ReleaseError

FILE = "rounding.key"
_BYTES = 32


def rounding_key(keys: Path) -> bytes:
    """The key in the folder, made at first use and readable by its owner alone."""
    path = keys / FILE
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
    key = path.read_bytes()
    if len(key) != _BYTES:
        raise ReleaseError("rounding_key", f"{path} is not a key of {_BYTES} bytes.")
    return key


def fingerprint(key: bytes) -> str:
    """Says which key was used without giving it away."""
    return hashlib.sha256(b"sluice rounding key " + key).hexdigest()[:16]
