"""Every code a caller can be shown, with its HTTP status and its sentence in two languages.

The table is data (`reasons.yaml`); nothing else in the gateway spells these sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from gateway.errors import SluiceError

_DENY_CODE = re.compile(r"D\d{3}", re.ASCII)


@dataclass(frozen=True)
class Reason:
    """What one code means to the caller."""

    code: str
    status: int
    en: str
    zh: str


class NotAcceptable(SluiceError):
    status = 406
    title = "No answer in an accepted format"


class Conflict(SluiceError):
    status = 409
    title = "The release changed"


class UnsupportedMedia(SluiceError):
    status = 415
    title = "The body has an unsupported media type"


@cache
def reasons() -> Mapping[str, Reason]:
    """The whole table by code."""
    text = Path(__file__).with_name("reasons.yaml").read_bytes()
    table = yaml.load(text, Loader=yaml.CSafeLoader)  # safe, and eight times faster
    return MappingProxyType({code: Reason(code, **entry) for code, entry in table.items()})


def reason(code: str) -> Reason:
    """The entry of a code. A deny code without one, such as an edition of the policy may bring, is
    shown as a plain refusal, anything else as an internal error; nothing is shown as nothing."""
    general = "refused" if _DENY_CODE.fullmatch(code) else "internal_error"
    return reasons().get(code) or reasons()[general]


def status_of(codes: Iterable[str]) -> int:
    """HTTP status of a set of deny codes: their common one, else 403 (a plain refusal wins)."""
    statuses = {reason(code).status for code in codes}
    return statuses.pop() if len(statuses) == 1 else 403
