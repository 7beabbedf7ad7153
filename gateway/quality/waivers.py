"""Acts on waivers: one person proposes, another signs, anybody who may takes it back.

Each happens wholly with its entry in the directory's record, or not at all. Rows lie under a seal
by a key that is not in the database: an edited signature is refused, not believed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.quality_tables import WaiverRow
from gateway.errors import OperatorError
from gateway.identity.record import Act, keep_row
from gateway.identity.secrets import secret
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.policy.packing import BundleKey, bundle_key
from gateway.quality.waiver import LONGEST_DAYS, WAIVER_TRANSITIONS, Waiver, can_be_waived

MOST_OPEN = 100
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


def waiver_key(keys: Path) -> BundleKey:
    """What seals waivers; the same on every replica that shares the key folder."""
    return bundle_key(secret(keys, "quality_waiver"))


def propose(
    session: Session,
    act: Act,
    key: BundleKey,
    *,
    covers: Sequence[str],
    periods: tuple[str, str],
    until: date,
) -> Waiver:
    """Put a waiver down; it does nothing until another person signs it."""
    _check(act, covers, periods, until)
    waiting = sa.select(sa.func.count()).where(WaiverRow.state == "proposed")
    if session.scalars(waiting).one() >= MOST_OPEN:
        raise OperatorError("waiver.state", f"{MOST_OPEN} waivers wait already; withdraw some.")
    waiver = Waiver(
        id=f"W-{secrets.token_hex(5)}",
        covers=tuple(dict.fromkeys(covers)),
        first=periods[0],
        last=periods[1],
        reason=act.reason.strip(),
        until=until,
        proposed_by=act.actor,
        proposed_at=act.at,
        state="proposed",
    )
    return _keep(session, act, "propose", None, waiver, key=key)


def sign(session: Session, act: Act, key: BundleKey, waiver_id: str) -> Waiver:
    """Sign a waiver that somebody else proposed; from now on releases are built despite."""
    before = read_waiver(session, key, waiver_id)
    allow(WAIVER_TRANSITIONS, before.state, "signed", f"Waiver {waiver_id}")
    if one_spelling(act.actor) == one_spelling(before.proposed_by):
        raise OperatorError(
            "waiver.same_approver", f"{act.actor} proposed this waiver; another person signs it."
        )
    if act.at.date() > before.until:
        raise OperatorError("waiver.state", f"Waiver {waiver_id} ended on {before.until}.")
    after = replace(before, state="signed", signed_by=act.actor, signed_at=act.at)
    return _keep(session, act, "sign", before, after, key=key)


def withdraw(session: Session, act: Act, key: BundleKey, waiver_id: str) -> Waiver:
    """Take a waiver back: nothing more is built on it."""
    before = read_waiver(session, key, waiver_id)
    allow(WAIVER_TRANSITIONS, before.state, "withdrawn", f"Waiver {waiver_id}")
    return _keep(session, act, "withdraw", before, replace(before, state="withdrawn"), key=key)


def read_waivers(session: Session, key: BundleKey) -> tuple[Waiver, ...]:
    """Every waiver, newest first."""
    rows = session.scalars(
        sa.select(WaiverRow).order_by(WaiverRow.proposed_at.desc(), WaiverRow.waiver_id)
    )
    return tuple(_opened(row, key) for row in rows)


def read_waiver(session: Session, key: BundleKey, waiver_id: str) -> Waiver:
    """One waiver."""
    row = session.get(WaiverRow, waiver_id)
    if row is None:
        raise OperatorError("waiver.unknown", f"There is no waiver {waiver_id}.")
    return _opened(row, key)


def _check(act: Act, covers: Sequence[str], periods: tuple[str, str], until: date) -> None:
    wrong = [name for name in covers if not can_be_waived(name)]
    if wrong or not covers:
        raise OperatorError(
            "waiver.covers",
            f"{', '.join(wrong) or 'Nothing'} is no figure (completeness, consistency, timeliness,"
            " accuracy) and no rule (R01 to R25).",
        )
    if not all(_MONTH.fullmatch(month) for month in periods) or periods[0] > periods[1]:
        raise OperatorError("waiver.periods", "Name the first and last month as 2024-01, 2024-03.")
    today = act.at.date()
    if not today <= until <= today + timedelta(days=LONGEST_DAYS):
        raise OperatorError(
            "waiver.until", f"A waiver ends today or within {LONGEST_DAYS} days, not on {until}."
        )
    if not act.reason.strip():
        raise OperatorError("waiver.reason", "Say why (reason).")


def _keep(
    session: Session,
    act: Act,
    action: str,
    before: Waiver | None,
    after: Waiver,
    *,
    key: BundleKey,
) -> Waiver:
    row = session.get(WaiverRow, after.id) or WaiverRow(waiver_id=after.id)
    row.covers, row.first_period, row.last_period = list(after.covers), after.first, after.last
    row.reason, row.until, row.state = after.reason, after.until, after.state
    row.proposed_by, row.proposed_at = after.proposed_by, after.proposed_at
    row.signed_by, row.signed_at = after.signed_by, after.signed_at
    row.seal = key.sign(_account(after))
    entity = ("quality_waiver", after.id)
    keep_row(session, act, action, entity, row, before=before, after=after)
    return after


def _opened(row: WaiverRow, key: BundleKey) -> Waiver:
    waiver = Waiver(
        id=row.waiver_id,
        covers=tuple(row.covers),
        first=row.first_period,
        last=row.last_period,
        reason=row.reason,
        until=row.until,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        state=row.state,
        signed_by=row.signed_by,
        signed_at=row.signed_at,
    )
    if key.signed(row.seal) != _account(waiver):
        raise OperatorError(
            "waiver.tampered",
            f"The row of waiver {row.waiver_id} was altered, or sealed with another key; restore "
            "the database or the key folder.",
        )
    return waiver


def _account(waiver: Waiver) -> bytes:
    return orjson.dumps(waiver.document(), option=orjson.OPT_SORT_KEYS)
