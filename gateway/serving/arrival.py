"""The first steps of a request: who asks, of which service, in which form."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.errors import BadRequest, NotFound, Unauthenticated
from gateway.identity.caller import Caller
from gateway.journal.entry import login_failed
from gateway.journal.failures import FailureBudget
from gateway.journal.stamp import Stamp
from gateway.serving.accept import JSON, choose
from gateway.serving.model import Call
from gateway.serving.ports import Books, Identity
from gateway.serving.questions import Question, SdcParameter, read_question, sets_disclosure
from gateway.serving.reasons import UnsupportedMedia


@dataclass(frozen=True)
class Doorkeeper:
    """Lets proven callers in; failed proofs are recorded, many alike as one."""

    identity: Identity
    journal: Books
    failures: FailureBudget

    async def identify(self, authorization: str | None, ip: str, stamp: Stamp) -> Caller:
        """The proven caller; raises `Unauthenticated`."""
        try:
            return self.identity.verify(authorization, ip, stamp.time)
        except Unauthenticated as error:
            if count := self.failures.take(error.code, ip, stamp.time):
                event = login_failed(stamp.event_id, stamp.time, error.code, ip, count)
                await self.journal.record(event)
            raise


def find_service(catalogue: Catalogue, key: str) -> Service:
    """The service by id or code; the only thing that can be unknown by address."""
    service = catalogue.get(key)
    if service is None:
        raise NotFound("unknown_service", "")
    return service


def read_call(service: Service, call: Call) -> tuple[str, Question]:
    """The format to answer in and the canonical question."""
    if sets_disclosure(call.query):
        raise SdcParameter
    if call.query:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    media = choose(call.accept)
    if (call.content_type or "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return media, read_question(service, call.body)
