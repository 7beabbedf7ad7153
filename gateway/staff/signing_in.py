"""Signing in: name, password and second factor at once, judged together, refused in one way.

Nothing half signed in exists. Whether the account, the password or the code was wrong is told to
nobody, and takes as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Semaphore

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.staff_tables import StaffDeviceRow, StaffRecoveryRow, StaffRow
from gateway.errors import TooMany, Unauthenticated
from gateway.identity.record import Act, Source, append
from gateway.staff.model import RECORD
from gateway.staff.secrets import (
    Passwords,
    Sealer,
    accepted_step,
    is_recovery_code,
    new_token,
    tidy_code,
)
from gateway.staff.sessions import LOCAL, end_session, open_session
from gateway.staff.throttle import (
    Origin,
    count_attempt,
    forgive,
    holders_of,
    network_of,
    wait_of,
)

DEVICE_LIFE = timedelta(days=90)
_HASHING = Semaphore(2)  # each takes 64 MiB while it runs
_FREE_DEVICE, _FREE_NETWORK, _FREE_ACCOUNT, _FREE_ALL = 5, 5, 50, 100


@dataclass(frozen=True)
class Attempt:
    """What somebody says at the door, and from where."""

    name: str
    password: str
    code: str
    ip: str
    device: str = ""  # cookie of a browser that has signed in before
    session: str = ""  # cookie of a session; ended, never continued


@dataclass(frozen=True)
class SignedIn:
    """Cookies for the browser."""

    session: str
    device: str


@dataclass(frozen=True)
class Door:
    """What signing in needs."""

    engine: sa.Engine
    sealer: Sealer
    passwords: Passwords
    clock: Callable[[], datetime]

    def sign_in(self, attempt: Attempt) -> SignedIn:
        """A new session for the right person; raises `TooMany` or `Unauthenticated`."""
        now = self.clock()
        origins = self._count(attempt, now)
        self.prove(attempt, now)
        with writing(self.engine) as session:
            forgive(session, origins, now)
            if attempt.session:
                end_session(session, attempt.session, sealer=self.sealer)
            device = self._know_device(session, attempt, now)
            token = open_session(session, attempt.name, LOCAL, (), sealer=self.sealer, now=now)
            act = Act(attempt.name, now, "", Source(ip=attempt.ip))
            _record(session, act, "sign_in", attempt.name)
        return SignedIn(token, device)

    def prove(self, attempt: Attempt, now: datetime) -> None:
        """Password and second factor of an active account; uses the factor up, or refuses."""
        with reading(self.engine) as session:
            row = session.get(StaffRow, attempt.name)
            stored = row.password_hash if row is not None and row.state == "active" else ""
        with _HASHING:
            fits = self.passwords.fits(stored, attempt.password)
        proved = False
        with writing(self.engine) as session:
            row = session.get(StaffRow, attempt.name)
            if fits and row is not None and row.state == "active" and row.password_hash == stored:
                proved = self._use_factor(session, row, attempt.code, now)
            if not proved:
                known = attempt.name if row is not None else "unknown"
                act = Act("nobody", now, "", Source(ip=attempt.ip))
                _record(session, act, "sign_in_refused", known)
        if not proved:
            raise refused()

    def prove_again(self, name: str, password: str, code: str) -> None:
        """Password and second factor of somebody who is signed in already."""
        now = self.clock()
        origin = Origin(self.sealer.digest("throttle", f"again\0{name}"), _FREE_DEVICE)
        with writing(self.engine) as session:
            wait = count_attempt(session, (origin,), now)
        go_on(wait)
        self.prove(Attempt(name, password, code, ip=""), now)
        with writing(self.engine) as session:
            forgive(session, (origin,), now)

    def _count(self, attempt: Attempt, now: datetime) -> tuple[Origin, ...]:
        with reading(self.engine) as session:  # who has to wait does not take the write lock
            origins = self._origins(session, attempt, now)
            go_on(wait_of(session, origins, now))
        with writing(self.engine) as session:
            wait = count_attempt(session, origins, now)
        go_on(wait)
        return origins

    def _origins(self, session: Session, attempt: Attempt, now: datetime) -> tuple[Origin, ...]:
        digest = self.sealer.digest
        if attempt.device:
            row = session.get(StaffDeviceRow, digest("device", attempt.device))
            if row is not None and row.name == attempt.name and row.expires_at > now:
                return (Origin(digest("throttle", f"device\0{row.digest}"), _FREE_DEVICE),)
        network = network_of(attempt.ip)
        near = (
            Origin(digest("throttle", f"near\0{attempt.name}\0{network}"), _FREE_NETWORK),
            *(
                Origin(digest("throttle", f"all\0{holder}"), _FREE_ALL * times, forgiving=True)
                for holder, times in holders_of(attempt.ip)
            ),
        )
        if is_recovery_code(attempt.code):
            return near
        name = digest("throttle", f"name\0{attempt.name}")
        return (*near, Origin(name, _FREE_ACCOUNT, forgiving=True))

    def _use_factor(self, session: Session, row: StaffRow, code: str, now: datetime) -> bool:
        """Use up a one-time code; each is accepted once, even by two requests at once."""
        if is_recovery_code(code):
            digest = self.sealer.digest("recovery", f"{row.name}\0{tidy_code(code)}")
            used = session.execute(
                sa.delete(StaffRecoveryRow).where(StaffRecoveryRow.digest == digest)
            )
            return isinstance(used, CursorResult) and used.rowcount == 1
        secret = self.sealer.unseal(row.name, row.totp_sealed)
        step = accepted_step(secret, tidy_code(code), now, row.totp_step)
        if step is None:
            return False
        moved = session.execute(
            sa.update(StaffRow)
            .where(StaffRow.name == row.name, StaffRow.totp_step < step)
            .values(totp_step=step)
        )
        return isinstance(moved, CursorResult) and moved.rowcount == 1

    def _know_device(self, session: Session, attempt: Attempt, now: datetime) -> str:
        """A new cookie by which this browser is known for this account."""
        digest = self.sealer.digest
        session.execute(sa.delete(StaffDeviceRow).where(StaffDeviceRow.expires_at <= now))
        if attempt.device:
            session.execute(
                sa.delete(StaffDeviceRow).where(
                    StaffDeviceRow.digest == digest("device", attempt.device)
                )
            )
        token = new_token()
        session.add(
            StaffDeviceRow(
                digest=digest("device", token), name=attempt.name, expires_at=now + DEVICE_LIFE
            )
        )
        return token


def go_on(wait: timedelta | None) -> None:
    """Refuse, with the time to wait, unless there is none."""
    if wait is not None:
        seconds = int(wait.total_seconds()) + 1
        raise TooMany(
            "staff_wait",
            f"Too many attempts; wait {seconds} seconds and try again.",
            f"尝试次数过多，请在 {seconds} 秒后重试。",
            retry_after=seconds,
        )


def refused() -> Unauthenticated:
    """The one refusal: it does not say what was wrong."""
    return Unauthenticated(
        "staff_sign_in",
        "Name, password and code do not fit together, or the code was used before.",
        "账号、密码与动态口令不匹配，或口令已被使用。",
        www_authenticate='Session realm="sluice-admin"',
    )


def _record(session: Session, act: Act, action: str, name: str) -> None:
    append(session, RECORD, act, action, ("staff", name), before=None, after=None)
