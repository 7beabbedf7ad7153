"""What a month's papers say besides its figures: when, by whom, about whom, from which inputs.

Names change; what they were when a month was closed is kept with it, so that its papers come out
the same when they are made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from metering.usage import time_text

CLIENT: Final = "CS"
PROVIDER: Final = "PS"
CREDIT: Final = "CN"


@dataclass(frozen=True)
class Labels:
    """Names in Chinese and English, as they are printed."""

    issuer: Mapping[str, str] = field(default_factory=dict)
    tenants: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Plain values, as kept with a closed month."""
        return {
            "issuer": dict(self.issuer),
            "tenants": dict(self.tenants),
            "services": {name: dict(title) for name, title in self.services.items()},
        }

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Labels:
        """The labels that `document` wrote."""
        return cls(**kept)

    def service(self, name: str) -> dict[str, str]:
        """A service's title; its id where nobody gave it one."""
        return dict(self.services.get(name, {"zh": name, "en": name}))


@dataclass(frozen=True)
class Frame:
    """What is the same on all papers that are issued together."""

    issued_at: datetime
    labels: Labels
    inputs_sha256: str

    def head(self, sort: str, kind: str, month: str, party: str) -> dict[str, object]:
        """The first fields of a paper."""
        return {
            "number": f"{sort}-{month}-{party}",
            "kind": kind,
            "month": month,
            "party": party,
            "party_name": self.labels.tenants.get(party, ""),
            "issuer": dict(self.labels.issuer),
            "currency": "CNY",
            "issued_at": time_text(self.issued_at),
            "inputs_sha256": self.inputs_sha256,
        }


def inputs_hash(inputs: Mapping[str, object]) -> str:
    """One hash of everything that papers follow from."""
    return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()
