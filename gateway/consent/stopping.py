"""Whom a person stop is about: the bureau knows certificate numbers, the gateway references."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.consent.subjects import open_subjects
from gateway.identity.model import PERSON

_KNOWN = re.compile(r"p[0-9a-f]{40}|person-[0-9a-f]{12}")


def stop_target(keys: Path, kind: str, target: str) -> str:
    """The target as the directory keeps it; a certificate number becomes a reference at once."""
    if kind != PERSON or _KNOWN.fullmatch(target):
        return target
    return open_subjects(keys).reference(target)
