"""An entry of a chained record as an audit event (SPEC §8.2): its kind, result and organisation.

Every entry becomes one event of the office journal, in the same transaction. The table is by what
an entry is about; where one thing is done to it that is of another kind, by thing and action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.identity.model import Document

OF_ENTITY: Final[Mapping[str, str]] = {
    "grant": "grant-change",
    "policy_edition": "policy-change",
    "rule_package": "policy-change",
    "quality_waiver": "policy-change",
    "quality_audit": "dq-run",
    "quality_run": "dq-run",
    "signing_key": "key-use",
    "data_key": "key-use",
    "token": "break-glass",
    "subject": "break-glass",
    "alarm": "alarm",
    "job": "job",
    "output": "egress-review",
    "billing_month": "write",
    "dispute": "write",
    "payment": "write",
    "payout": "write",
    "consent": "write",
    "decision": "read",
    "edition": "read",
    "audit": "read",
    "lookup": "read",
    "trace": "read",
}
OF_ACT: Final[Mapping[tuple[str, str], str]] = {
    ("prices", "change"): "price-change",
    ("releases", "publish"): "release-publish",
    ("release", "publish"): "release-publish",
    ("release", "withdraw"): "release-withdraw",
    ("operation", "read"): "read",
    ("operation", "refused"): "decision",
    ("rotate", "watermark"): "key-use",
    ("watermark", "rotate"): "key-use",
    ("watermark", "trace"): "read",
    ("watermark", "lookup"): "read",
    ("staff", "sign_in"): "login",
    ("staff", "sign_in_refused"): "login",
    ("staff", "sign_out"): "login",
}
_REFUSALS: Final = frozenset({"refused", "sign_in_refused"})


def kind_of(entity: str, action: str) -> str:
    """The kind of an entry. Everything else is a change of who and what there is: `config`."""
    return OF_ACT.get((entity, action)) or OF_ENTITY.get(entity, "config")


def result_of(action: str) -> str:
    """Whether it was done or refused."""
    return "refused" if action in _REFUSALS else "done"


def tenant_in(
    entity: tuple[str, str], before: Document | None, after: Document | None
) -> str | None:
    """The organisation an entry concerns, where it is about one."""
    if entity[0] == "tenant":
        return entity[1]
    told = after or before or {}
    found = told.get("tenant_id") or told.get("tenant")
    return found if isinstance(found, str) else None
