"""`POST /v1/reconciliations`: an insurer sends what it settled of a day's decisions (S20) and is
told claim by claim whether that is what was decided.

Whoever may submit rule packages may send; only own decisions are compared, and no amount is told.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.api.consent_forms import answers
from gateway.api.rule_packages import Sender
from gateway.claims.reconciling import EQUAL, Compared, Reconciliation
from gateway.errors import BadRequest
from metering.calendar import day_of

MOST = 500
router = APIRouter(prefix="/v1/reconciliations", tags=["rule packages"])
Amount = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,2})?$")]
Product = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
ClaimRef = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/+@-]{1,100}$")]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SettledClaim(_Form):
    """A claim as the insurer settled it: yuan, all settlements under that number together."""

    product: Product
    claim_ref: ClaimRef
    payable_amt: Amount


class SettledDay(_Form):
    """What was settled of the decisions of one day (UTC+8); sent again, the last word counts."""

    day: date
    claims: Annotated[list[SettledClaim], Field(max_length=MOST)]


class ComparedClaim(_Form):
    """One claim: 000000 equal, 000103 the amount differs, 000102 missing on one side."""

    product: str
    claim_ref: str
    code: Literal["000000", "000103", "000102"]


class ComparedDay(_Form):
    """The whole day: the gravest code, how many claims have each, and those that are not equal."""

    day: date
    code: Literal["000000", "000103", "000102"]
    decided: int
    sent: int
    counts: dict[str, int]
    unequal: list[ComparedClaim]


@router.post("", operation_id="reconcile_day", response_model=ComparedDay, responses=answers())
async def reconcile(request: Request, sender: Sender, settled: SettledDay) -> ComparedDay:
    """Send what was settled of a day and learn what is not equal; no amount is told."""
    now = request.app.state.clock()
    if settled.day > date.fromisoformat(day_of(now)):
        raise BadRequest("invalid_parameter", "day: it has not begun yet.")
    sums = {(one.product, one.claim_ref): _fen(one.payable_amt) for one in settled.claims}
    if len(sums) < len(settled.claims):
        raise BadRequest("invalid_parameter", "claims: a claim stands twice; send its sum.")
    books: Reconciliation = request.app.state.reconciliation
    return told(await run_in_threadpool(books.send, sender.tenant_id, settled.day, sums, now))


def told(one: Compared) -> ComparedDay:
    """A day as its insurer sees it."""
    return ComparedDay.model_validate(
        {
            "day": one.day,
            "code": one.code,
            "decided": one.decided,
            "sent": one.sent,
            "counts": dict(sorted(one.counted.items())),
            "unequal": [
                {"product": product, "claim_ref": claim_ref, "code": code}
                for (product, claim_ref), code in one.claims.items()
                if code != EQUAL
            ],
        }
    )


def install(app: FastAPI) -> None:
    """Add the route; identity and the desk of rules are there already."""
    app.state.reconciliation = Reconciliation(app.state.identity.engine)
    app.include_router(router)


def _fen(yuan: str) -> int:
    return int(Decimal(yuan) * 100)
