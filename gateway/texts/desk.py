"""Clean texts as a question without cells.

Without the name model, or where a recogniser fails, nothing is answered: no text passes half
cleaned. The journal keeps how much was sent, never a text or an id of one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from gateway.errors import OperatorError, Unavailable
from gateway.freetext.documents import find, replace
from gateway.freetext.names import WEIGHTS
from gateway.serving.answer import Desk
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.plain import Asked, Finish, Json, PlainDesk, Told
from gateway.texts.asking import Question

JSON: Final = "application/json"
PURPOSE: Final = "text_deidentification"
_DONE: Final = 200


@dataclass(frozen=True)
class TextDesk:
    """What cleans texts, at the desk of all services."""

    desk: Desk

    async def answer(self, call: Call, read: Callable[[], Question]) -> Told | Refusal:
        """Clean the texts that `read` finds in the call, or refuse; either is on record."""

        def asked(_case: Case) -> Asked:
            return _asked(read())

        return await PlainDesk(self.desk).answer(
            call, lambda edition: next(iter(edition.catalogue.texts.values()), None), asked
        )


def _asked(question: Question) -> Asked:
    return Asked(
        source_name="weights",
        source=weights(),
        op="deidentify",
        purpose=question.purpose or PURPOSE,
        grant_id=question.grant_id,
        given=question.given,
        shape={
            "operation": "deidentify",
            "given": list(question.given),
            "texts": len(question.documents),
            "characters": question.characters,
        },
        format="json",
        media_type=JSON,
        tell=lambda: _finish(cleaned(question)),
        charge={"characters": question.characters},
    )


def _finish(told: Json) -> Finish:
    return lambda meta: (_DONE, orjson.dumps({"result": told, "meta": meta}))


def cleaned(question: Question) -> Json:
    """The texts without what was found in them, and how much of each kind that was.

    Raises:
        Unavailable: the name model is not there. What else fails carries no text either.
    """
    try:
        found = find(question.documents, question.profile)
    except OperatorError as error:
        raise Unavailable("text_recogniser_missing", "") from error
    texts: list[Json] = []
    for name, document, spans in zip(question.ids, question.documents, found, strict=True):
        told: Json = {"id": name, "text": replace(document.text, spans)}
        if question.spans:
            told["spans"] = [[span.start, span.end, span.kind] for span in spans]
        texts.append(told)
    counts = Counter(span.kind for spans in found for span in spans)
    return {"texts": texts, "counts": dict(sorted(counts.items()))}


@lru_cache(maxsize=1)
def weights() -> str:
    """Which weights find the names: the start of their digest."""
    return f"names-{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}"
