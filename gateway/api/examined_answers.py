"""What the suite answers in the gateway's place: the same codes, headers and forms as its own."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Scope

from gateway.api.problems import of_error, problem
from gateway.conformance.book import Run
from gateway.conformance.seen import Seen, Trial
from gateway.conformance.trials import BUSY_SECONDS
from gateway.identity.challenge import Challenge
from gateway.identity.desk import Identity
from gateway.identity.dpop import ASKS_FOR_NONCE, ProofRefused
from gateway.identity.metadata import resource_metadata_url
from gateway.serving.accept import JSON

_WAIT: Final = {"Retry-After": str(BUSY_SECONDS)}
_ENDED: Final = {"rejected": "D602", "expired": "D605", "revoked": "D602"}


def answer_to(put: Trial, asked: Seen, run: Run, scope: Scope, now: datetime) -> Response:
    """The answer that is a challenge."""
    request_id = str(scope["state"]["request_id"])
    identity: Identity = scope["app"].state.identity
    challenge = Challenge(resource_metadata_url(identity.issuer))
    match put:
        case Trial.NONCE:
            answer = of_error(challenge.proof(ProofRefused(ASKS_FOR_NONCE)), request_id)
        case Trial.ENDED:
            scheme = "DPoP" if run.terms.binding == "dpop" else "Bearer"
            answer = of_error(challenge.token("token_revoked", scheme=scheme), request_id)
        case Trial.BUSY:
            answer = problem("refused", request_id, status=429, deny=["D801"], headers=_WAIT)
        case Trial.DOWN:
            answer = _down(request_id)
        case Trial.REFUSED:
            states = {one: state for state, one in run.terms.consents.items()}
            answer = problem("refused", request_id, deny=[_ENDED[states[asked.item]]])
        case Trial.WORKING:
            answer = Response(status_code=202, headers={"X-Progress": "preparing", **_WAIT})
        case _:
            answer = _consent(put, run, now)
    return answer


def _down(request_id: str) -> Response:
    """As a proxy answers that has nobody behind it: no word of when."""
    answer = problem("release_unavailable", request_id)
    del answer.headers["Retry-After"]
    return answer


def _consent(put: Trial, run: Run, now: datetime) -> Response:
    waiting = put is Trial.PENDING
    told = {
        "consent_id": run.terms.consents["waiting"],
        "state": "AWAITING_PERSON" if waiting else "AUTHORISED",
        "created_at": run.started_at.isoformat(),
        "valid_from": None if waiting else now.isoformat(),
    }
    return Response(orjson.dumps(told), headers=_WAIT if waiting else None, media_type=JSON)
