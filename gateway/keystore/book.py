"""The keys of masks over their life: made ahead, rotated, destroyed; every act is recorded.

The directory's audit chain is the register: what it says was made and not destroyed must be there,
or nothing that needs a key is served; what it says was destroyed is refused even if a backup of
the file is put back.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.tables import DirectoryAuditRow
from gateway.errors import OperatorError, Unavailable
from gateway.identity.record import Act, record_change
from gateway.keystore.files import Epoch, KeyFiles
from gateway.keystore.wrapping import KeyProgram, Wrapper, root_from_text, root_in_file
from gateway.masking.keys import Context, KeyMaterial, MaskingKeys, Suite
from gateway.settings import Settings

MASKING = "masking"
_ENTITY = "data_key"
_States: TypeAlias = Mapping[Epoch, str]  # the last action recorded: create or destroy


class KeyBook:
    """The data keys of one installation. Keys are unwrapped once and forgotten when destroyed."""

    def __init__(self, engine: sa.Engine, files: KeyFiles, suite: Suite) -> None:
        self.engine, self._files, self._suite = engine, files, suite
        self._opened: dict[Epoch, tuple[int, KeyMaterial]] = {}

    def ensure(self, act: Act, today: date) -> None:
        """Make the key of this year and the next, and check that no recorded key is missing."""
        with writing(self.engine) as session:
            states = _states(session)
            for year in (today.year, today.year + 1):
                if not any(epoch.year == year for epoch in states):
                    self._create(session, act, Epoch(year, 1))
        self.check()

    def check(self) -> None:
        """OperatorError if a recorded key cannot be opened, or a destroyed one is back."""
        for epoch, state in self._states().items():
            if state == "create":
                self._files.open(MASKING, epoch)
            elif not self._files.sheet(MASKING, epoch).destroyed_at:
                raise _returned(epoch)

    def masking_keys(self, consumer: str, scenario: str, day: date) -> MaskingKeys:
        """The keys of one consumer in one scenario, of the epoch `day` lies in.

        Unavailable (`key_missing`) if that epoch has no key: nothing is masked with another one.
        """
        live = [epoch for epoch in self._files.epochs(MASKING) if epoch.year == day.year]
        if not live:
            raise _missing(str(day.year))
        return MaskingKeys(self._root(live[-1]), Context(consumer, scenario))

    def keys_of(self, consumer: str, scenario: str, epoch: str) -> MaskingKeys:
        """The same for an epoch by name, to make an earlier token again until it is destroyed."""
        return MaskingKeys(self._root(Epoch.parse(epoch)), Context(consumer, scenario))

    def rotate(self, act: Act, today: date) -> str:
        """A new key for the rest of this year; returns its epoch. Tokens change from now on."""
        with writing(self.engine) as session:
            numbers = [epoch.number for epoch in _states(session) if epoch.year == today.year]
            epoch = Epoch(today.year, max(numbers, default=0) + 1)
            self._create(session, act, epoch)
        return str(epoch)

    def destroy(self, act: Act, epoch: Epoch, today: date) -> Mapping[str, object]:
        """Destroy a past key for good: recorded first, then overwritten; done again, it ends what
        was begun. Returns the proof: the tombstone and the number of its audit entry."""
        if not act.reason:
            raise OperatorError("keys.reason", "Say why the key is destroyed: --reason.")
        with writing(self.engine) as session:
            states = _states(session)
            if epoch not in states:
                raise OperatorError("keys.unknown", f"There is no key {MASKING}/{epoch}.")
            if epoch >= self._current(states, today):
                raise OperatorError(
                    "keys.in_use", f"The key {MASKING}/{epoch} is in use or still to come: rotate."
                )
            before = self._files.sheet(MASKING, epoch)
            tombstone = before
            if not before.destroyed_at:
                tombstone = replace(before, destroyed_at=act.at.isoformat())
            revision = 0
            if states[epoch] == "create":
                revision = record_change(
                    session,
                    act,
                    "destroy",
                    (_ENTITY, tombstone.id),
                    before=asdict(before),
                    after=asdict(tombstone),
                )
        self._files.bury(tombstone)
        self._opened.pop(epoch, None)
        return {**asdict(tombstone), "revision": revision}

    def describe(self) -> list[dict[str, object]]:
        """Every data key, oldest first: never anything of the key itself."""
        return [
            {
                **asdict(sheet),
                "id": sheet.id,
                "status": "destroyed" if sheet.destroyed_at else "live",
            }
            for sheet in self._files.sheets(MASKING)
        ]

    def _current(self, states: _States, today: date) -> Epoch:
        past = [epoch for epoch, state in states.items() if epoch.year <= today.year]
        return max(past, default=Epoch(today.year, 1))

    def _create(self, session: Session, act: Act, epoch: Epoch) -> None:
        sheet = self._files.create(MASKING, epoch, self._suite, act.at.isoformat())
        after = asdict(sheet)
        record_change(session, act, "create", (_ENTITY, sheet.id), before=None, after=after)

    def _root(self, epoch: Epoch) -> KeyMaterial:
        """The opened key; its file's time of change tells whether it was destroyed meanwhile."""
        path = self._files.path(MASKING, epoch)
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            self._opened.pop(epoch, None)
            raise _missing(str(epoch)) from None
        held = self._opened.get(epoch)
        if held is not None and held[0] == changed:
            return held[1]
        self._opened.pop(epoch, None)
        if self._states().get(epoch) != "create":
            raise _missing(str(epoch))
        try:
            key = self._files.open(MASKING, epoch)
        except OperatorError:
            raise _missing(str(epoch)) from None
        self._opened[epoch] = changed, key
        return key

    def _states(self) -> _States:
        with reading(self.engine) as session:
            return _states(session)


def _states(session: Session) -> _States:
    """The last recorded act on every data key."""
    rows = session.execute(
        sa.select(DirectoryAuditRow.entity_id, DirectoryAuditRow.action)
        .where(DirectoryAuditRow.entity == _ENTITY)
        .order_by(DirectoryAuditRow.revision)
    )
    return {Epoch.parse(id_.removeprefix(f"{MASKING}/")): action for id_, action in rows}


def _missing(epoch: str) -> Unavailable:
    return Unavailable(
        "key_missing",
        f"There is no masking key of epoch {epoch}; nothing is masked without one.",
        "缺少脱敏密钥，结果未予返回。",
    )


def _returned(epoch: Epoch) -> OperatorError:
    return OperatorError(
        "keys.returned",
        f"The key {MASKING}/{epoch} is destroyed by record, but a file holds it: destroy it again.",
        "已销毁的密钥文件重新出现。",
    )


def open_book(engine: sa.Engine, settings: Settings, now: datetime) -> KeyBook:
    """The key book of these settings, with this year's and next year's key; made when absent.

    From here on the process writes no core dump: one would hold keys.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = KeyFiles(settings.keys / "data", _wrapper(settings))
    book = KeyBook(engine, files, settings.crypto_suite)
    book.ensure(Act("sluice", now, "keys of this year and the next"), now.date())
    return book


def _wrapper(settings: Settings) -> Wrapper:
    if settings.key_program is not None:
        return KeyProgram(settings.key_program)
    if settings.root_key is not None:
        return root_from_text(settings.root_key.get_secret_value(), settings.crypto_suite)
    return root_in_file(settings.keys / "data", settings.crypto_suite)
