"""One edition at work: its engine, its catalogue, the grants as its own scenarios bound them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.remembered import Remembered
from gateway.consent.rules import Rules, load_rules
from gateway.identity.boundaries import load_boundaries
from gateway.identity.directory import take_snapshot
from gateway.identity.model import Grant
from gateway.identity.narrowing import Boundaries
from gateway.identity.store import Contents
from gateway.policy.bundle import Edition, read_edition
from gateway.policy.documents import PolicyDataError
from gateway.policy.engine import engine_words
from gateway.policy.engines import Engine

Start: TypeAlias = Callable[[Edition, Mapping[str, Any]], Engine]
"""Makes the engine of an edition and the directory's documents."""

_LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Prepared:
    """An edition read and checked, before there is an engine for it."""

    edition: Edition
    catalogue: Catalogue
    bounds: Boundaries
    consent_rules: Rules


def prepare(policies: Path) -> Prepared:
    """Read a policies folder; raises `OperatorError` naming what is wrong with it."""
    known = _KNOWN.of(policies)
    # A folder is gone when its edition is not, so the root is the one that was named now.
    return replace(known, catalogue=replace(known.catalogue, root=policies / "catalogue"))


def _prepare(policies: Path) -> Prepared:
    catalogue = load_catalogue(policies)
    try:
        edition = read_edition(policies, catalogue.as_policy_data())
    except RuntimeError as error:  # rules that parse and cannot be evaluated
        raise PolicyDataError(engine_words(error)) from None
    return Prepared(edition, catalogue, load_boundaries(policies), load_rules(policies))


_KNOWN = Remembered(_prepare)


class Running:
    """Decides for whoever takes it; a request that has taken it keeps it to its end."""

    def __init__(self, prepared: Prepared, contents: Contents, start: Start) -> None:
        self.name = prepared.edition.name
        self.prepared = prepared
        self.catalogue, self.bounds = prepared.catalogue, prepared.bounds
        self.consent_rules = prepared.consent_rules
        self._directory = take_snapshot(contents, prepared.bounds)
        self.policy = start(prepared.edition, self._directory.policy_data)
        self._gate = threading.Lock()
        self._taken = 0

    def grants_for(self, tenant_id: str) -> tuple[Grant, ...]:
        """Grants of a tenant that narrow their scenario as this edition has it, in any state."""
        return self._directory.grants.get(tenant_id, ())

    def follow(self, contents: Contents) -> None:
        """Decide on these contents of the directory from now on."""
        if contents is not self._directory.contents:
            snapshot = take_snapshot(contents, self.bounds)
            self.policy.load(snapshot.policy_data)
            self._directory = snapshot

    def take(self) -> None:
        """Count one more request that is decided by it."""
        with self._gate:
            self._taken += 1

    def let_go(self) -> None:
        """The request has ended."""
        with self._gate:
            self._taken -= 1

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nobody has it any more, but not for ever."""
        ends = time.monotonic() + seconds
        while self._taken and time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)
        return not self._taken
