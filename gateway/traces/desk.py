"""One pack checked as a question without cells: counted, looked up, told, recorded.

The journal keeps that a code was checked, never the code nor what became of the pack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.errors import Unavailable
from gateway.serving.answer import Desk
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.plain import Asked, Finish, Json, PlainDesk, Told, today
from gateway.traces.asking import Question
from gateway.traces.guard import Guard
from gateway.traces.source import Looked, TraceSource
from gateway.traces.standing import has_expired, status_of

JSON: Final = "application/json"
PURPOSE: Final = "code_lookup"
NO_LOAD: Final = "none"
_DONE: Final = 200


@dataclass(frozen=True)
class TraceDesk:
    """What answers checks of packs, at the desk of all services."""

    desk: Desk
    source: TraceSource
    guard: Guard

    async def answer(self, call: Call, read: Callable[[], Question]) -> Told | Refusal:
        """Answer the question that `read` makes of the call, or refuse it; either is on record."""

        def asked(case: Case) -> Asked:
            return self._asked(read(), case)

        return await PlainDesk(self.desk).answer(
            call, lambda edition: edition.catalogue.trace(call.service), asked
        )

    def _asked(self, question: Question, case: Case) -> Asked:
        load = self._load()
        return Asked(
            source_name="load",
            source=load,
            op="lookup",
            purpose=question.purpose or PURPOSE,
            grant_id=question.grant_id,
            given=question.given,
            shape={
                "operation": "verify",
                "kind": question.code.kind,
                "given": list(question.given),
            },
            format="json",
            media_type=JSON,
            tell=lambda: self._tell(question, case, load),
            charge={},
        )

    def _load(self) -> str:
        """The load that is read now. Where there is none the policy is asked all the same, so that
        only who may ask learns of it."""
        try:
            return self.source.load()
        except Unavailable:
            return NO_LOAD

    def _tell(self, question: Question, case: Case, load: str) -> Finish:
        self.guard.admit(case, question.device)
        looked = self.source.look(question.code)
        if looked.load != load:
            raise Unavailable("trace_source_unavailable", "")  # a new load came in between
        if looked.pack is None:
            self.guard.missed(case)
        told = told_of(question, looked, case)
        return lambda meta: (_DONE, orjson.dumps({"result": told, "meta": meta}))


def told_of(question: Question, looked: Looked, case: Case) -> Json:
    """What anybody may know of a pack: which product, which status, in which month first sold."""
    pack, product, day = looked.pack, looked.product, today(case)
    wanted = question.catalogue_code
    known = None if product is None else product["med_list_codg"]
    return {
        "kind": question.code.kind,
        "status": status_of(pack, day),
        "first_sale_month": None if pack is None else pack.month,
        "expired": None if pack is None or pack.expires is None else has_expired(pack, day),
        "product": None if product is None else dict(product),
        "catalogue_code_matches": None if wanted is None or known is None else wanted == known,
    }
