"""The serving side's two secrets: one seals cursors, one marks answers. Files of mode 0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

LENGTH = 32


def secret(folder: Path, name: str) -> bytes:
    """The secret of this name; made on first use, by exactly one of several starting processes."""
    path = folder / f"{name}.secret"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create(path)
    key = path.read_bytes()
    if len(key) != LENGTH:
        raise ValueError(f"{path.name} is not a secret of {LENGTH} bytes; restore or remove it")
    return key


def _create(path: Path) -> None:
    """Write beside and link into place, so that nobody ever reads half a secret."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(LENGTH))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first; its secret is the secret
    finally:
        draft.unlink()
