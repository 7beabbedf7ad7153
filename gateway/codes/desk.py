"""A look-up as a question without cells, answered from one bundle of code lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.codes.model import Question
from gateway.codes.shelf import BundleError, Shelf
from gateway.codes.telling import FORMATS, tell
from gateway.errors import NotFound
from gateway.serving.answer import Desk
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.plain import Asked, PlainDesk, Told, today

PURPOSE: Final = "code_lookup"


@dataclass(frozen=True)
class LookupDesk:
    """What answers look-ups: the desk of all services, and the shelf of bundles."""

    desk: Desk
    shelf: Shelf

    async def answer(self, call: Call, read: Callable[[], Question], media: str) -> Told | Refusal:
        """Answer the question that `read` makes of the call, or refuse it; either is on record."""

        def asked(case: Case) -> Asked:
            return self._asked(read(), case, media)

        return await PlainDesk(self.desk).answer(
            call, lambda edition: edition.catalogue.reference(call.service), asked
        )

    def _asked(self, question: Question, case: Case, media: str) -> Asked:
        bundle = self._bundle(question)
        return Asked(
            source_name="bundle",
            source=bundle,
            op="lookup",
            purpose=question.purpose or PURPOSE,
            grant_id=question.grant_id,
            given=question.given,
            shape={
                "operation": question.operation,
                "system": question.system,
                "given": list(question.given),
                "codes": len(question.codes),
            },
            format=FORMATS[media],
            media_type=media,
            tell=partial(tell, self.shelf, bundle, question, today(case), media),
            charge={},
        )

    def _bundle(self, question: Question) -> str:
        """The bundle named, or the current one."""
        try:
            name = question.bundle or self.shelf.current()
            if name is not None:
                self.shelf.reader(name)
                return name
        except BundleError as error:
            raise NotFound("code_bundle_unknown", "") from error
        raise NotFound("service_not_open", "")
