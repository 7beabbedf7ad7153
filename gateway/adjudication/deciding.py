"""One claim under one package: which row applies, what is paid, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from gateway.adjudication.claim import Claim, Decision, Outcome
from gateway.adjudication.model import BASES, Row, RulePackage, When
from gateway.adjudication.paying import Payment, pay
from gateway.errors import Unprocessable

OUTSIDE, BELOW, LIMIT, NOTHING = "R01", "R02", "R03", "R04"


class NotAdjudicable(Unprocessable):
    """The settlement is not one this package decides on."""

    title = "Not decided by this rule package"


def adjudicate(
    package: RulePackage, claim: Claim, used: Mapping[str, int], reasons_max: int
) -> Outcome:
    """Decide a claim; `used` is what each layer counted earlier in the year of cover, in fen.

    Every claim of the package's term gets exactly one outcome. Raises `NotAdjudicable`
    (`rules_not_in_force`) for a settlement closed outside that term.
    """
    term = package.effective
    if not term.from_ <= claim.setl_date < term.to:
        raise NotAdjudicable(
            "rules_not_in_force",
            f"Version {package.version} decides on settlements closed from {term.from_} and before "
            f"{term.to}; name the version in force on that day.",
            "结算日期不在该规则版本的有效期内。",
        )
    if not claim.policy_from <= claim.begndate < claim.policy_to:
        return _unpaid(package, "deny", (OUTSIDE,))
    row = next(row for row in package.rows if _applies(row, claim, package.waiting_days))
    if row.then.decision != "pay":
        return _unpaid(package, row.then.decision, _told(row.then.reasons, reasons_max))
    return _paid(package, row, claim, used, reasons_max)


def undone(package: RulePackage, reason: str) -> Outcome:
    """The outcome for a settlement that stands no more."""
    return _unpaid(package, "deny", (reason,))


def _unpaid(package: RulePackage, decision: Decision, reasons: tuple[str, ...]) -> Outcome:
    """All that is not paid looks alike: no amount, no layer."""
    return Outcome(decision, 0, 0, None, reasons, package.version)


def _told(reasons: Iterable[str], most: int) -> tuple[str, ...]:
    """Each once, in the order of their numbers: a package's own order would be a code too."""
    return tuple(sorted({*reasons}))[:most]


def _paid(
    package: RulePackage, row: Row, claim: Claim, used: Mapping[str, int], reasons_max: int
) -> Outcome:
    parts, struck = _eligible(package, claim)
    left, payments = max(0, claim.psn_pay), []
    for layer in package.paying(row):
        payment = pay(layer, sum(parts[part] for part in layer.basis), used.get(layer.name, 0))
        payment = payment.at_most(left)  # never more than the person paid
        left -= payment.payable
        payments.append(payment)
    payable = sum(one.payable for one in payments)
    reasons = (*_by_amount(payments, payable), *row.then.reasons, *struck)
    told, counted = _told(reasons, reasons_max), _counted(payments)
    if not payable and not any(one.deductible for one in payments):
        return replace(_unpaid(package, "deny", told), eligible=counted)
    reduced = bool(struck) or any(one.capped for one in payments) or not payable
    return Outcome(
        "partial" if reduced else "pay",
        payable,
        sum(one.deductible for one in payments),
        next((one.layer for one in reversed(payments) if one.payable), None),
        told,
        package.version,
        counted,
    )


def _counted(payments: list[Payment]) -> dict[str, int]:
    return {one.layer: one.eligible for one in payments}


def _by_amount(payments: list[Payment], payable: int) -> Iterable[str]:
    if any(one.capped for one in payments):
        yield LIMIT
    elif not any(one.eligible for one in payments):
        yield NOTHING
    elif not payable:
        yield BELOW


def _eligible(package: RulePackage, claim: Claim) -> tuple[dict[str, int], list[str]]:
    """The parts of the bill without the excluded lines, and the reasons for what was left out.

    A line bears the funds' payment in proportion to its share of the amount in scope.
    """
    parts, struck = dict(claim.parts), []
    in_scope, scope, left = parts["in_scope"], max(claim.inscp_amt, 1), [*claim.lines]
    for exclusion in package.exclusions:
        lines = [one for one in left if one.med_list_codg.startswith(exclusion.codes)]
        if not lines:
            continue
        left = [one for one in left if one not in lines]
        struck.append(exclusion.reason)
        off = {
            "in_scope": in_scope * sum(one.inscp_amt for one in lines) // scope,
            "preself": sum(one.preselfpay_amt for one in lines),
            "ownpay": sum(one.fulamt_ownpay_amt for one in lines),
            "overlmt": sum(one.overlmt_selfpay for one in lines),
        }
        parts = {part: max(0, parts[part] - off[part]) for part in BASES}
    return parts, struck


def _applies(row: Row, claim: Claim, waiting_days: int) -> bool:
    return row.when is None or all(_conditions(row.when, claim, waiting_days))


def _conditions(when: When, claim: Claim, waiting_days: int) -> Iterable[bool]:
    told = (
        (when.dx, (claim.main_diagnosis,)),
        (when.dx_any, (claim.main_diagnosis, *claim.diagnoses)),
        (when.operation, (claim.operation,)),
        (when.med_type, (claim.med_type,)),
        (when.hosp_lv, (claim.hosp_lv,)),
        (when.insutype, (claim.insutype,)),
        (when.institution, (claim.fixmedins_code,)),
    )
    for prefixes, values in told:
        if prefixes:
            yield any(value.startswith(prefixes) for value in values)
    if when.age is not None:
        yield when.age.from_ <= claim.age <= when.age.to
    if when.amount is not None:
        yield getattr(claim, when.amount.of) > when.amount.over
    if when.waiting is not None:
        waits = claim.begndate < claim.policy_from + timedelta(days=waiting_days)
        yield waits == when.waiting
