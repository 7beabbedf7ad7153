"""Operations on insurers' rule packages: one officer checks, another approves."""

from __future__ import annotations

from gateway.adjudication.capacity import bits
from gateway.adjudication.terms import Terms
from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.policy.packing import BundleKey
from gateway.rules import submissions
from gateway.rules.signed import read_kept


def _key(call: Call) -> BundleKey:
    return submissions.rules_key(call.office.keys)


def _terms(call: Call) -> Terms:
    return call.office.rule_terms()


def _list(call: Call) -> Answer:
    return [one.document() for one in submissions.read_submissions(call.session, _key(call))]


def _show(call: Call) -> Answer:
    found = submissions.read_submission(call.session, _key(call), call.at["package"])
    rules, most = read_kept(found.signed), _terms(call).bounds.reasons_max
    told = rules.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**found.document(), "rules": told, "bits": round(bits(rules, most), 2)}


def _check(call: Call) -> Answer:
    name = call.at["package"]
    return submissions.check(call.session, call.act, _key(call), _terms(call), name).document()


def _approve(call: Call) -> Answer:
    name = call.at["package"]
    return submissions.approve(call.session, call.act, _key(call), _terms(call), name).document()


def _refuse(call: Call) -> Answer:
    name = call.at["package"]
    return submissions.end(call.session, call.act, _key(call), name, "refused").document()


def _withdraw(call: Call) -> Answer:
    name = call.at["package"]
    return submissions.end(call.session, call.act, _key(call), name, "withdrawn").document()


_ALL = "/rule-packages"
_ONE = f"{_ALL}/{{package}}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "rule_package.list",
        "GET",
        _ALL,
        _list,
        summary="规则包列表 / Insurers' rule packages",
    ),
    Endpoint(
        "rule_package.show",
        "GET",
        _ONE,
        _show,
        summary="规则包全文 / One rule package with its rules",
    ),
    Endpoint(
        "rule_package.check",
        "POST",
        f"{_ONE}/check",
        _check,
        summary="初审规则包 / Check a rule package; another person approves it",
    ),
    Endpoint(
        "rule_package.approve",
        "POST",
        f"{_ONE}/approve",
        _approve,
        summary="复核批准规则包 / Approve a package that somebody else checked",
    ),
    Endpoint(
        "rule_package.refuse",
        "POST",
        f"{_ONE}/refuse",
        _refuse,
        says_why=True,
        summary="退回规则包 / Refuse a rule package",
    ),
    Endpoint(
        "rule_package.withdraw",
        "POST",
        f"{_ONE}/withdraw",
        _withdraw,
        says_why=True,
        summary="停用规则包 / Take a rule package out of force",
    ),
)
