"""Audited samples as the office keeps them: one sealed file a quarter, counts and no keys.

A file that was edited is refused, not believed: it would make the accuracy of every release better.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.policy.packing import BundleKey, bundle_key
from gateway.quality.audit import Found

_QUARTER = re.compile(r"20\d\dQ[1-4]")
_SUFFIX = ".sealed"


@dataclass(frozen=True)
class Audit:
    """The audit of a quarter: what was drawn from which warehouse, and what was found of it."""

    quarter: str
    warehouse: str
    population: int
    drawn: int
    sample: str  # fingerprint of the keys
    found: Found | None = None

    def as_dict(self) -> dict[str, object]:
        """The audit for machines; no stay is named in it."""
        told: dict[str, object] = {
            "quarter": self.quarter,
            "warehouse": self.warehouse,
            "population": self.population,
            "drawn": self.drawn,
        }
        if self.found is not None:
            error = self.found.error
            told |= {
                "coded": self.found.coded,
                "wrong": self.found.wrong,
                "by_field": dict(self.found.by_field),
                "error": round(error.value, 6),
                "low": round(error.low, 6),
                "high": round(error.high, 6),
                "coders": list(self.found.coders),
            }
        return told


class Audits:
    """The audits of a home."""

    def __init__(self, home: Path, keys: Path) -> None:
        self._folder = home / "quality" / "audits"
        self._keys = keys

    @property
    def lots(self) -> bytes:
        """By what stays are drawn."""
        return secret(self._keys, "quality_lots")

    @property
    def _seal(self) -> BundleKey:
        return bundle_key(secret(self._keys, "quality_audit"))

    def drawn(self, audit: Audit) -> None:
        """Keep what was drawn; a quarter whose sheet came back keeps what was found."""
        self._check_open(audit.quarter)
        self._write(audit)

    def came_back(self, audit: Audit, found: Found) -> Audit:
        """Keep what double coding found; what was kept. A second sheet would be a better one."""
        self._check_open(audit.quarter)
        made = replace(audit, found=found)
        self._write(made)
        return made

    def _check_open(self, quarter: str) -> None:
        known = self.get(quarter)
        if known is not None and known.found is not None:
            raise OperatorError(
                "audit.done", f"The sample of {quarter} was coded already; it stands."
            )

    def get(self, quarter: str) -> Audit | None:
        """The audit of a quarter, if one was drawn."""
        if not _QUARTER.fullmatch(quarter):
            raise OperatorError("audit.quarter", f"{quarter} is no quarter; write it as 2024Q1.")
        path = self._folder / f"{quarter}{_SUFFIX}"
        return self._read(path) if path.is_file() else None

    def every(self) -> Iterator[Audit]:
        """All audits, the earliest quarter first."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield self._read(path)

    def _write(self, audit: Audit) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{audit.quarter}{_SUFFIX}"
        fresh = path.with_name(f".{path.name}-{os.getpid()}")
        fresh.write_text(self._seal.sign(orjson.dumps(_document(audit))), encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(path)

    def _read(self, path: Path) -> Audit:
        payload = self._seal.signed(path.read_text(encoding="utf-8"))
        told = None if payload is None else _audit(orjson.loads(payload))
        if told is None or told.quarter != path.name.removesuffix(_SUFFIX):
            raise OperatorError(
                "audit.tampered",
                f"{path.name} was altered, or sealed with another key; restore it or the key "
                "folder.",
            )
        return told


def _document(audit: Audit) -> dict[str, object]:
    found = audit.found
    return {
        "quarter": audit.quarter,
        "warehouse": audit.warehouse,
        "population": audit.population,
        "drawn": audit.drawn,
        "sample": audit.sample,
        "found": None
        if found is None
        else {
            "coded": found.coded,
            "wrong": found.wrong,
            "by_field": dict(found.by_field),
            "alike": [[*place, *counts] for place, counts in sorted(found.alike.items())],
            "coders": list(found.coders),
        },
    }


def _audit(told: dict[str, Any]) -> Audit:  # JSON of our own making
    found = told.pop("found")
    if not isinstance(found, dict):
        return Audit(**told)
    found["alike"] = {(month, city): (a, n) for month, city, a, n in found["alike"]}
    found["coders"] = tuple(found["coders"])
    return Audit(**told, found=Found(**found))
