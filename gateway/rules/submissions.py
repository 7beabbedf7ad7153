"""Acts on rule packages: an insurer submits, one officer checks, another approves.

Each happens wholly with its entry in the directory's record, or not at all. Rows lie under a seal
by a key that is not in the database. Versions of a product follow each other: on a day the approved
version that began last decides, and none begins in the past.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import ClassVar, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.adjudication.capacity import faults
from gateway.adjudication.likeness import likeness
from gateway.adjudication.model import RulePackage
from gateway.adjudication.terms import Terms
from gateway.db.rule_tables import RulePackageRow
from gateway.errors import OperatorError, SluiceError, Unprocessable
from gateway.identity.record import Act, keep_row
from gateway.identity.secrets import secret
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.policy.packing import BundleKey, bundle_key
from gateway.rules.signed import read_kept
from gateway.rules.submission import LIVE, SUBMISSION_TRANSITIONS, Submission

MOST_LIVE: Final = 200


class Refused(Unprocessable):
    """The bureau's terms do not allow the package; `faults` says each place."""

    title = "This rule package may not be reviewed"


class VersionTaken(SluiceError):
    """This version of the product was submitted with other rules."""

    status: ClassVar[int] = 409
    title: ClassVar[str] = "The version is taken"


def rules_key(keys: Path) -> BundleKey:
    """What seals submissions; the same on every replica that shares the key folder."""
    return bundle_key(secret(keys, "rule_packages"))


def submit(
    session: Session,
    act: Act,
    key: BundleKey,
    terms: Terms,
    *,
    sender: tuple[str, str],
    package: RulePackage,
    signed: str,
) -> Submission:
    """Put a package down for review; `sender` is tenant and client. The same text again is the same
    submission. Raises `Refused` (`rules_refused`) or `VersionTaken` (`rules_version_taken`)."""
    tenant, client = sender
    own = [one for one in read_submissions(session, key, tenant) if one.state in LIVE]
    same = [one for one in own if one.product == package.product]
    for one in same:
        if one.version == package.version:
            if one.signed == signed:
                return one
            raise VersionTaken(
                "rules_version_taken",
                f"Version {package.version} of {package.product} was submitted with other rules or "
                "another signature; withdraw it, or name a new version.",
                "该版本已提交，请撤回或更换版本号。",
            )
    _check(package, terms, own, act.at.date())
    made = Submission(
        id=f"RP-{secrets.token_hex(6)}",
        tenant=tenant,
        client=client,
        product=package.product,
        version=package.version,
        first=package.effective.from_,
        last=package.effective.to,
        signed=signed,
        submitted_at=act.at,
        state="submitted",
    )
    return _keep(session, act, "submit", None, made, key=key)


def check(session: Session, act: Act, key: BundleKey, terms: Terms, name: str) -> Submission:
    """The first officer has read it and found it in order."""
    before = read_submission(session, key, name)
    allow(SUBMISSION_TRANSITIONS, before.state, "checked", f"Rule package {name}")
    _still_allowed(before, terms)
    after = replace(before, state="checked", checked_by=act.actor, checked_at=act.at)
    return _keep(session, act, "check", before, after, key=key)


def approve(session: Session, act: Act, key: BundleKey, terms: Terms, name: str) -> Submission:
    """Another officer lets it decide, from the first day of its term on."""
    before = read_submission(session, key, name)
    allow(SUBMISSION_TRANSITIONS, before.state, "approved", f"Rule package {name}")
    if one_spelling(act.actor) == one_spelling(before.checked_by or ""):
        raise OperatorError(
            "rules.same_approver", f"{act.actor} checked this package; another person approves it."
        )
    if before.first < act.at.date():
        raise OperatorError(
            "rules.retroactive", f"Its term began on {before.first}; rules decide from today on."
        )
    _still_allowed(before, terms)
    after = replace(before, state="approved", approved_by=act.actor, approved_at=act.at)
    return _keep(session, act, "approve", before, after, key=key)


def end(session: Session, act: Act, key: BundleKey, name: str, state: str) -> Submission:
    """Refuse a package, or take one back: it decides no settlement from now on."""
    before = read_submission(session, key, name)
    allow(SUBMISSION_TRANSITIONS, before.state, state, f"Rule package {name}")
    if not act.reason.strip():
        raise OperatorError("rules.reason", "Say why (reason).")
    after = replace(before, state=state, reason=act.reason.strip())
    return _keep(session, act, state, before, after, key=key)


def in_force(
    session: Session, key: BundleKey, tenant: str, product: str, day: date
) -> Submission | None:
    """The version of a product that decides on settlements closed on this day."""
    own = read_submissions(session, key, tenant, product)
    found = (one for one in own if one.decides_on(day))
    return max(found, key=lambda one: (one.first, one.submitted_at), default=None)


def read_submissions(
    session: Session, key: BundleKey, tenant: str | None = None, product: str | None = None
) -> tuple[Submission, ...]:
    """All submissions, or an organisation's, or those of one product, newest first."""
    chosen = sa.select(RulePackageRow).order_by(
        RulePackageRow.submitted_at.desc(), RulePackageRow.package_id
    )
    if tenant is not None:
        chosen = chosen.where(RulePackageRow.tenant_id == tenant)
    if product is not None:
        chosen = chosen.where(RulePackageRow.product == product)
    return tuple(_opened(row, key) for row in session.scalars(chosen))


def read_submission(session: Session, key: BundleKey, name: str) -> Submission:
    """One submission."""
    row = session.get(RulePackageRow, name)
    if row is None:
        raise OperatorError("rules.unknown", f"There is no rule package {name}.")
    return _opened(row, key)


def _check(package: RulePackage, terms: Terms, own: Sequence[Submission], today: date) -> None:
    told = [vars(fault) for fault in faults(package, terms)]
    if package.effective.from_ < today:
        told.append(
            {
                "code": "rules_retroactive",
                "where": "effective.from",
                "sentence": "Rules decide from a day to come.",
            }
        )
    for one in own:
        alike = 0.0 if one.product == package.product else likeness(package, read_kept(one.signed))
        if alike > terms.bounds.likeness_max:
            told.append(
                {
                    "code": "rules_near_duplicate",
                    "where": f"{one.product} {one.version}",
                    "sentence": f"{alike:.0%} of the statements are those of this product; "
                    "products that differ so little are one package.",
                }
            )
    if len(own) >= MOST_LIVE:
        told.append(
            {
                "code": "rules_too_many",
                "where": "product",
                "sentence": f"{MOST_LIVE} packages are live already; withdraw some.",
            }
        )
    if told:
        raise Refused(
            "rules_refused",
            f"{told[0]['where']}: {told[0]['sentence']} [{told[0]['code']}]",
            "规则包不符合审查条件。",
            faults=told,
        )


def _still_allowed(one: Submission, terms: Terms) -> None:
    """The terms may have become stricter since it came."""
    found = faults(read_kept(one.signed), terms)
    if found:
        raise OperatorError(
            "rules.refused", f"{found[0].where}: {found[0].sentence} [{found[0].code}]"
        )


def _keep(
    session: Session,
    act: Act,
    action: str,
    before: Submission | None,
    after: Submission,
    *,
    key: BundleKey,
) -> Submission:
    row = session.get(RulePackageRow, after.id) or RulePackageRow(package_id=after.id)
    row.tenant_id, row.client_id = after.tenant, after.client
    row.product, row.version = after.product, after.version
    row.first_day, row.last_day, row.signed = after.first, after.last, after.signed
    row.submitted_at, row.state, row.reason = after.submitted_at, after.state, after.reason
    row.checked_by, row.checked_at = after.checked_by, after.checked_at
    row.approved_by, row.approved_at = after.approved_by, after.approved_at
    row.seal = key.sign(_account(after))
    entity = ("rule_package", after.id)
    keep_row(session, act, action, entity, row, before=before, after=after)
    return after


def _opened(row: RulePackageRow, key: BundleKey) -> Submission:
    one = Submission(
        id=row.package_id,
        tenant=row.tenant_id,
        client=row.client_id,
        product=row.product,
        version=row.version,
        first=row.first_day,
        last=row.last_day,
        signed=row.signed,
        submitted_at=row.submitted_at,
        state=row.state,
        checked_by=row.checked_by,
        checked_at=row.checked_at,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        reason=row.reason,
    )
    if key.signed(row.seal) != _account(one):
        raise OperatorError(
            "rules.tampered",
            f"The row of rule package {row.package_id} was altered, or sealed with another key; "
            "restore the database or the key folder.",
        )
    return one


def _account(one: Submission) -> bytes:
    return orjson.dumps({**one.document(), "signed": one.signed}, option=orjson.OPT_SORT_KEYS)
