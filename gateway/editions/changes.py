"""Acts in the life of an edition. Each happens wholly with its entry in the record, or not at all.

Every function wants a session of `gateway.db.engine.writing`, an `Act` and the key that seals. What
change of state there is at all says `EDITION_TRANSITIONS`; two people approve before anybody is
decided for by an edition, and going back needs one. What was gone back from begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.edition_tables import DifferenceRow, EditionRow
from gateway.db.tables import TenantRow
from gateway.editions.model import APPROVERS, EDITION_TRANSITIONS, EditionRecord
from gateway.editions.store import in_place, keep, read_record
from gateway.errors import OperatorError
from gateway.identity.record import Act, record_change
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.policy.contents import PolicyFiles
from gateway.policy.packing import BundleKey

MOST_UNFINISHED = 50
MOST_TENANTS = 200
_APPROVABLE = ("tested", "shadow", "canary")


def push(
    session: Session, act: Act, files: PolicyFiles, title: str, key: BundleKey, *, green: bool
) -> EditionRecord:
    """Store an edition as a draft, and as tested when its tests are green."""
    row = session.get(EditionRow, files.name)
    before = read_record(session, key, files.name) if row else None
    if before is None:
        _refuse_too_many(session)
    elif before.digest != files.digest:
        raise OperatorError("edition.state", "Another edition has this name; change a comment.")
    elif before.state not in {"draft", "withdrawn"}:
        raise OperatorError("edition.exists", f"Edition {files.name} is {before.state} already.")
    elif before.state == "withdrawn":
        allow(EDITION_TRANSITIONS, before.state, "draft", f"Edition {files.name}")
    draft = EditionRecord(files.name, files.digest, title, act.actor, act.at, "draft")
    _keep(session, act, "push", before, draft, key=key, files=files)
    if not green:
        return draft
    return _move(session, act, "test", draft, "tested", key=key)


def approve(session: Session, act: Act, name: str, key: BundleKey) -> EditionRecord:
    """Add one person's approval; an author may be one of the two."""
    before = read_record(session, key, name)
    if before.state not in _APPROVABLE:
        raise OperatorError("edition.state", f"Edition {name} is {before.state}, not to approve.")
    if one_spelling(act.actor) in map(one_spelling, before.approvals):
        raise OperatorError("edition.same_approver", f"{act.actor} has approved {name} already.")
    after = replace(before, approvals=(*before.approvals, act.actor))
    return _keep(session, act, "approve", before, after, key=key)


def shadow(session: Session, act: Act, name: str, key: BundleKey) -> EditionRecord:
    """Let an edition decide beside the live one, without effect, from now on."""
    before = read_record(session, key, name)
    _refuse_taken(session, "shadow", name, key)
    session.execute(sa.delete(DifferenceRow).where(DifferenceRow.edition == name))
    return _move(session, act, "shadow", before, "shadow", key=key)


def canary(
    session: Session, act: Act, name: str, tenants: Sequence[str], key: BundleKey
) -> EditionRecord:
    """Let an edition decide for some tenants; said again, for those named then."""
    before = read_record(session, key, name)
    _refuse_unapproved(before)
    _refuse_taken(session, "canary", name, key)
    check_step(before, "canary")
    if not tenants or len(tenants) > MOST_TENANTS:
        raise OperatorError("edition.tenants", f"Name 1 to {MOST_TENANTS} tenants.")
    for tenant in tenants:
        if session.get(TenantRow, tenant) is None:
            raise OperatorError("tenant.unknown", f"There is no tenant {tenant}.")
    after = replace(before, state="canary", tenants=tuple(dict.fromkeys(tenants)))
    return _keep(session, act, "canary", before, after, key=key)


def promote(
    session: Session, act: Act, name: str, key: BundleKey, *, lost: Collection[str] = ()
) -> EditionRecord:
    """Let an edition decide for all. `lost`: grants it would leave out, accepted by nobody."""
    before = read_record(session, key, name)
    check_step(before, "live")
    _refuse_unapproved(before)
    if lost:
        raise OperatorError(
            "edition.grants_lost",
            f"Edition {name} is narrower than these grants, which would be refused from then on: "
            f"{', '.join(sorted(lost)[:20])}. Change them first, or say that this is meant.",
            grants=sorted(lost),
        )
    old = in_place(session, key, "live")
    if old is not None:
        _move(session, act, "retire", old, "retired", key=key)
    after = replace(
        before, state="live", tenants=(), replaces=old.name if old else "", live_since=act.at
    )
    return _keep(session, act, "promote", before, after, key=key)


def adopt(session: Session, act: Act, files: PolicyFiles, title: str, key: BundleKey) -> None:
    """Keep what decided before there was any edition, so that there is something to go back to."""
    if session.get(EditionRow, files.name) is None:
        first = EditionRecord(
            files.name, files.digest, title, "sluice", act.at, "live", live_since=act.at
        )
        why = Act(act.actor, act.at, "the policies folder in use, kept as the first edition")
        _keep(session, why, "adopt", None, first, key=key, files=files)


def roll_back(session: Session, act: Act, key: BundleKey) -> EditionRecord:
    """Let what the live edition took the place of decide again, at once."""
    if not act.reason.strip():
        raise OperatorError("edition.reason", "Say why (--reason).")
    live = in_place(session, key, "live")
    if live is None or not live.replaces:
        raise OperatorError("edition.state", "There is no edition to go back to.")
    before = read_record(session, key, live.replaces)
    if before.state != "retired":
        raise OperatorError(
            "edition.state",
            f"Edition {before.name}, which {live.name} replaced, is {before.state}.",
        )
    _keep(session, act, "roll_back", live, replace(live, state="withdrawn", approvals=()), key=key)
    after = replace(before, state="live", live_since=act.at)
    return _keep(session, act, "restore", before, after, key=key)


def withdraw(session: Session, act: Act, name: str, key: BundleKey) -> EditionRecord:
    """Take an edition out: it decides nothing, and its approvals are gone."""
    before = read_record(session, key, name)
    if before.state == "live":
        raise OperatorError("edition.state", f"Edition {name} is live; roll back instead.")
    allow(EDITION_TRANSITIONS, before.state, "withdrawn", f"Edition {name}")
    live = in_place(session, key, "live")
    if live is not None and live.replaces == name:
        raise OperatorError(
            "edition.state", f"Edition {name} is what {live.name} would be rolled back to."
        )
    after = replace(before, state="withdrawn", approvals=(), tenants=())
    return _keep(session, act, "withdraw", before, after, key=key)


def check_step(record: EditionRecord, state: str) -> None:
    """Whether an edition may be taken to this by hand; said again, a canary stays one."""
    if (record.state, state) == ("retired", "live"):
        raise OperatorError(
            "edition.state",
            f"Edition {record.name} was live before: only a roll-back brings it again at once. "
            "Otherwise withdraw it and push it anew.",
        )
    staying = state == "canary"
    allow(EDITION_TRANSITIONS, record.state, state, f"Edition {record.name}", staying=staying)


def _move(
    session: Session, act: Act, action: str, before: EditionRecord, state: str, *, key: BundleKey
) -> EditionRecord:
    allow(EDITION_TRANSITIONS, before.state, state, f"Edition {before.name}")
    return _keep(session, act, action, before, replace(before, state=state), key=key)


def _keep(
    session: Session,
    act: Act,
    action: str,
    before: EditionRecord | None,
    after: EditionRecord,
    *,
    key: BundleKey,
    files: PolicyFiles | None = None,
) -> EditionRecord:
    keep(session, key, after, files)
    record_change(
        session,
        act,
        action,
        ("policy_edition", after.name),
        before=before.document() if before else None,
        after=after.document(),
    )
    return after


def _refuse_unapproved(record: EditionRecord) -> None:
    missing = APPROVERS - len(record.approvals)
    if missing > 0:
        raise OperatorError(
            "edition.approvals",
            f"Edition {record.name} wants the approval of {missing} more.",
        )


def _refuse_taken(session: Session, place: str, name: str, key: BundleKey) -> None:
    other = in_place(session, key, place)
    if other is not None and other.name != name:
        raise OperatorError(
            "edition.state", f"Edition {other.name} is in {place}; withdraw it or let it go on."
        )


def _refuse_too_many(session: Session) -> None:
    unfinished = sa.select(sa.func.count()).where(EditionRow.state.in_(("draft", "tested")))
    if session.scalars(unfinished).one() >= MOST_UNFINISHED:
        raise OperatorError(
            "edition.state", f"{MOST_UNFINISHED} editions wait already; withdraw some."
        )
