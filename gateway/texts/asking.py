"""From a body to texts that are to be cleaned. A refusal repeats nothing of what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.errors import BadRequest, Unprocessable
from gateway.freetext.documents import Document
from gateway.freetext.folding import fold
from gateway.freetext.known import LONGEST as LONGEST_KNOWN
from gateway.freetext.known import SHORTEST as SHORTEST_KNOWN
from gateway.freetext.names import Profile

MOST_TEXTS: Final = 100
MOST_CHARACTERS: Final = 20_000
"""Of one call, so that it holds a core for half a second at most."""
MOST_KNOWN: Final = 20
LONGEST_ID: Final = 64
NAMES: Final = frozenset({"texts", "strict", "spans", "grant_id", "purpose"})
KIND: Final = re.compile(r"[A-Z][A-Z_]{1,31}", re.ASCII)
_TEXT: Final = frozenset({"id", "text", "known"})
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "grant_id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", re.ASCII),
    "purpose": re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII),
}


@dataclass(frozen=True)
class Question:
    """Texts to be cleaned, under the caller's own ids; no text is in its `repr`."""

    ids: tuple[str, ...] = field(repr=False)
    documents: tuple[Document, ...] = field(repr=False)
    strict: bool = False
    spans: bool = False
    grant_id: str | None = None
    purpose: str | None = None
    given: tuple[str, ...] = ()  # the names of what the caller gave

    @property
    def profile(self) -> Profile:
        return "strict" if self.strict else "default"

    @property
    def characters(self) -> int:
        """How many characters the texts have together."""
        return sum(len(each.text) for each in self.documents)


def read_body(body: bytes) -> Question:
    """The question in a body of JSON; raises `BadRequest` or `Unprocessable`."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("malformed_json", "") from None
    if not isinstance(told, dict) or not set(told) <= NAMES:
        raise _wrong(f"the body takes {', '.join(sorted(NAMES))}")
    texts = told.get("texts")
    if not isinstance(texts, list) or not texts:
        raise _wrong('texts must be a list of {"id", "text"}')
    if len(texts) > MOST_TEXTS:
        raise Unprocessable("text_too_large", "")
    read = [_document(each) for each in texts]
    question = Question(
        ids=tuple(name for name, _ in read),
        documents=tuple(document for _, document in read),
        strict=_choice(told, "strict"),
        spans=_choice(told, "spans"),
        grant_id=_name(told, "grant_id"),
        purpose=_name(told, "purpose"),
        given=tuple(sorted(name for name in told if told[name] is not None)),
    )
    if question.characters > MOST_CHARACTERS:
        raise Unprocessable("text_too_large", "")
    return question


def _wrong(what: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"Not a question about texts: {what}.")


def _document(told: Any) -> tuple[str, Document]:
    if not isinstance(told, dict) or not {"id", "text"} <= set(told) <= _TEXT:
        raise _wrong('each of texts must be {"id", "text"} and at most "known" beside them')
    name, text = told["id"], told["text"]
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        raise _wrong(f"id must be a string of 1 to {LONGEST_ID} characters")
    if not isinstance(text, str):
        raise _wrong("text must be a string")
    return name, Document(text, _known(told.get("known") or {}))


def _known(told: Any) -> dict[str, list[str]]:
    """The row's own values by kind, each long enough to be told from ordinary words."""
    if not isinstance(told, dict) or not all(KIND.fullmatch(kind) for kind in told):
        raise _wrong("known must map a kind (PERSON, CN_ID, PHONE, …) to a list of texts")
    values = [value for each in told.values() if isinstance(each, list) for value in each]
    if not all(isinstance(each, list) for each in told.values()) or len(values) > MOST_KNOWN:
        raise _wrong(f"known must map kinds to lists, of {MOST_KNOWN} values at most")
    if not all(isinstance(value, str) and _usable(value) for value in values):
        raise _wrong(f"known values must be texts of {SHORTEST_KNOWN} to {LONGEST_KNOWN} letters")
    return told


def _usable(value: str) -> bool:
    bare = re.sub(r"[\s\-]", "", fold(value[: 4 * LONGEST_KNOWN]).text)
    return len(value) <= 2 * LONGEST_KNOWN and SHORTEST_KNOWN <= len(bare) <= LONGEST_KNOWN


def _choice(told: Mapping[str, Any], name: str) -> bool:
    value = told.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(f"{name} must be true or false")
    return value


def _name(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    if value is None or (isinstance(value, str) and _FORMS[name].fullmatch(value)):
        return value
    raise _wrong(f"{name} is not of its form")
