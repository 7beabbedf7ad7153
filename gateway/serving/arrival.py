"""The first steps of a request: who asks, of which service, in which form."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.errors import BadRequest, NotFound, Unauthenticated
from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.identity.dpop import ASKS_FOR_NONCE
from gateway.identity.signatures import ASKS_FOR_NONCE as SIGNATURE_NONCE
from gateway.journal.entry import login_failed
from gateway.journal.failures import FailureBudget
from gateway.journal.stamp import Stamp
from gateway.serving.accept import JSON, choose
from gateway.serving.model import Call
from gateway.serving.places import admit
from gateway.serving.ports import Books, Identity
from gateway.serving.questions import Question, Questions, SdcParameter, sets_disclosure
from gateway.serving.reasons import UnsupportedMedia

_NO_FAILURE = frozenset({ASKS_FOR_NONCE, SIGNATURE_NONCE})


@dataclass(frozen=True)
class Doorkeeper:
    """Lets proven callers in; failed proofs are recorded, many alike as one."""

    identity: Identity
    journal: Books
    failures: FailureBudget

    async def identify(
        self, authorization: str | None, presented: Presented, stamp: Stamp
    ) -> Caller:
        """The proven caller, who has a place now; raises `Unauthenticated`, or `Busy`."""
        try:
            caller = self.identity.verify(authorization, presented, stamp.time)
        except Unauthenticated as error:
            # Asking for a nonce is how every DPoP conversation begins, no failure.
            ip, code = presented.ip, error.code
            if code not in _NO_FAILURE and (count := self.failures.take(code, ip, stamp.time)):
                event = login_failed(stamp.event_id, stamp.time, code, ip, count)
                await self.journal.record(event)
            raise
        admit(caller.tenant_id)
        return caller


def find_service(catalogue: Catalogue, key: str) -> Service:
    """The service by id or code; the only thing that can be unknown by address."""
    service = catalogue.get(key)
    if service is None:
        raise NotFound("unknown_service", "")
    return service


def read_call(service: Service, call: Call, questions: Questions) -> tuple[str, Question]:
    """The format to answer in and the canonical question."""
    if sets_disclosure(call.query):
        raise SdcParameter
    if call.query:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    media = choose(call.accept)
    if (call.content_type or "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return media, questions.read(service, call.body)
