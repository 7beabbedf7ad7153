"""What the office does with editions: the checks around each act, for console and API alike.

To read an edition takes seconds, and whoever writes to the database holds up every other writer. So
`fit`, `outlook` and `foresee` read before the transaction; inside it only state and seal are looked
at again, and whether the same edition still decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.catalogue.tariff import changed_prices
from gateway.db.engine import reading
from gateway.editions import changes
from gateway.editions.checks import check_fit
from gateway.editions.model import EditionRecord
from gateway.editions.published import Former, former_prices, redefined_prices
from gateway.editions.running import Prepared, prepare
from gateway.editions.store import edition_key, in_place, read_files, read_record
from gateway.editions.trial import Trial
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.identity.narrowing import Boundaries, widenings
from gateway.identity.record import Act, record_change
from gateway.identity.store import Contents, read_contents
from gateway.policy.contents import PolicyFiles, read_folder
from gateway.policy.packing import BundleKey
from gateway.policy.profiles import profile_key

_ENDED = {"revoked", "expired"}


Released: TypeAlias = Callable[[str], Collection[str]]
"""The keys of the profiles for which the latest release of a service has cells."""


def nothing_released(_service: str) -> Collection[str]:
    """Of an installation that serves nothing yet."""
    return ()


@dataclass(frozen=True)
class Outlook:
    """An edition beside what decides now, as both were read before the transaction."""

    then: Prepared
    now: Prepared
    adopted: PolicyFiles | None = None  # the folder in use, as long as no edition is live
    former: Former = field(default_factory=dict)  # prices once published, on no list now

    @property
    def name(self) -> str:
        return self.then.edition.name

    @property
    def prices(self) -> tuple[str, ...]:
        """What the edition does to published prices that is not to be done."""
        after = self.then.catalogue.tariffs
        changed = changed_prices(self.now.catalogue.tariffs, after)
        return (*changed, *redefined_prices(self.former, after))

    @property
    def clashing(self) -> tuple[str, ...]:
        """Prices that going back would give another meaning. One that leaves the list is no harm:
        what was sold by it is charged by it, and nothing more is sold by it."""
        after = self.then.catalogue.tariffs
        now = {name: one.prices for name, one in self.now.catalogue.tariffs.items()}
        return tuple(redefined_prices({**self.former, **now}, after))


@dataclass(frozen=True)
class PolicyOffice:
    """Where this installation's editions are kept: its key, and the folder that was the first."""

    keys: Path
    policies: Path
    released: Released = nothing_released

    @property
    def key(self) -> BundleKey:
        return edition_key(self.keys)

    def fit(self, engine: sa.Engine, name: str, state: str) -> Prepared:
        """An edition that may become this, and that this program can decide by."""
        with reading(engine) as session:
            changes.check_step(read_record(session, self.key, name), state)
            files = read_files(session, self.key, name)
        with files.laid_out() as folder:
            return check_fit(folder)

    def outlook(self, engine: sa.Engine, name: str, state: str) -> Outlook:
        """Such an edition beside what is live, or the folder as long as nothing is."""
        return self._beside_live(engine, self.fit(engine, name, state))

    def foresee(self, engine: sa.Engine, files: PolicyFiles, trial: Trial) -> Outlook | None:
        """The same for files to be pushed; of red ones nothing can be said."""
        return self._beside_live(engine, _read(files)) if trial.green else None

    def _beside_live(self, engine: sa.Engine, then: Prepared) -> Outlook:
        with reading(engine) as session:
            live = in_place(session, self.key, "live")
            files = read_files(session, self.key, live.name) if live else read_folder(self.policies)
            now = _read(files)
            former = former_prices(session, self.key, now.catalogue.tariffs)
        return Outlook(then, now, None if live else files, former)

    def back(self, engine: sa.Engine) -> Outlook | None:
        """What a roll-back would bring again, beside what is live; None where there is nothing."""
        with reading(engine) as session:
            live = in_place(session, self.key, "live")
            if live is None or not live.replaces:
                return None
            files = read_files(session, self.key, live.replaces)
        return self._beside_live(engine, _read(files))

    def roll_back(self, session: Session, act: Act, outlook: Outlook | None) -> EditionRecord:
        """Let what the live edition took the place of decide again."""
        if outlook is not None and outlook.clashing:
            raise OperatorError("edition.prices", "; ".join(outlook.clashing) + ".")
        if outlook is not None:
            _tell_prices(session, act, outlook)
        return changes.roll_back(session, act, self.key)

    def push(
        self,
        session: Session,
        act: Act,
        files: PolicyFiles,
        trial: Trial,
        outlook: Outlook | None,
    ) -> Document:
        """Store an edition with what its trial found; a red one stays a draft."""
        record = changes.push(session, act, files, trial.title, self.key, green=trial.green)
        lost: Mapping[str, tuple[str, ...]] = {}
        if outlook is not None:
            lost = _lost(read_contents(session), outlook.now.bounds, outlook.then.bounds)
        return {
            **record.document(),
            "findings": list(trial.findings),
            "lost_grants": {name: list(reasons) for name, reasons in lost.items()},
            "unreleased": list(self._unreleased(outlook)) if outlook else [],
            "prices": list(outlook.prices) if outlook else [],
        }

    def shadow(self, session: Session, act: Act, fit: Prepared) -> EditionRecord:
        """Put an edition in shadow that was found fit."""
        return changes.shadow(session, act, fit.edition.name, self.key)

    def canary(
        self, session: Session, act: Act, outlook: Outlook, tenants: Sequence[str]
    ) -> EditionRecord:
        """Let an edition decide for some tenants, if this installation can serve by it."""
        self._refuse(session, outlook)
        _tell_prices(session, act, outlook)
        return changes.canary(session, act, outlook.name, tenants, self.key)

    def promote(
        self, session: Session, act: Act, outlook: Outlook, *, accept_lost_grants: bool = False
    ) -> EditionRecord:
        """Let an edition decide for everybody; what decided so far is kept to go back to."""
        self._refuse(session, outlook)
        lost: Mapping[str, tuple[str, ...]] = {}
        if not accept_lost_grants:
            lost = _lost(read_contents(session), outlook.now.bounds, outlook.then.bounds)
        if outlook.adopted is not None:
            version = outlook.now.edition.documents.get("policy", {}).get("version", "0")
            changes.adopt(session, act, outlook.adopted, str(version), self.key)
        _tell_prices(session, act, outlook)
        return changes.promote(session, act, outlook.name, self.key, lost=list(lost))

    def _refuse(self, session: Session, outlook: Outlook) -> None:
        """Whatever of the outlook forbids it, or if it holds no more."""
        live = in_place(session, self.key, "live")
        expected = None if outlook.adopted else outlook.now.edition.name
        if (live.name if live else None) != expected:
            raise OperatorError(
                "edition.state",
                "Another edition went live in the meantime; look, and say it again.",
            )
        if outlook.prices:
            raise OperatorError(
                "edition.prices", "; ".join(outlook.prices) + ".", prices=list(outlook.prices)
            )
        missing = list(self._unreleased(outlook))
        if missing:
            raise OperatorError(
                "edition.unreleased",
                f"No release has cells under the profiles of edition {outlook.name} for "
                f"{', '.join(missing)}: run `sluice release build --edition {outlook.name}` first.",
                services=missing,
            )

    def _unreleased(self, outlook: Outlook) -> Iterator[str]:
        """Services and scenarios that can be answered now and could not be any more."""
        now, then = outlook.now.edition.profiles, outlook.then.edition.profiles
        for service, profiles in then.items():
            keys, served = self.released(service), now.get(service, {})
            for scenario, profile in profiles.items():
                is_served = scenario in served and profile_key(served[scenario]) in keys
                if is_served and profile_key(profile) not in keys:
                    yield f"{service} under {scenario}"


def _tell_prices(session: Session, act: Act, outlook: Outlook) -> None:
    """Prices that differ from those of now are a change of prices, beside the change of rules."""
    now, then = (_prices(each) for each in (outlook.now, outlook.then))
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    if changed:
        before, after = ({name: one.get(name) for name in changed} for one in (now, then))
        entity = ("prices", outlook.name)
        record_change(session, act, "change", entity, before=before, after=after)


def _prices(edition: Prepared) -> Document:
    """The tariff of each service, as it is published."""
    tariffs = edition.catalogue.tariffs
    return {name: one.model_dump(mode="json") for name, one in tariffs.items()}


def _read(files: PolicyFiles) -> Prepared:
    with files.laid_out() as folder:
        return prepare(folder)


def _lost(contents: Contents, now: Boundaries, then: Boundaries) -> dict[str, tuple[str, ...]]:
    now, then = (each.with_regions(contents.region_flags) for each in (now, then))
    found = {}
    for grant in contents.grants.values():
        tenant = contents.tenants[grant.tenant]
        if grant.status in _ENDED or widenings(grant, tenant, now):
            continue
        if faults := widenings(grant, tenant, then):
            found[grant.id] = tuple(f"{fault.field}: {fault.reason}" for fault in faults)
    return found
