"""What a bundle answers, in the form asked for: JSON with its meta, FHIR, or the bundle itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, TypeAlias

import orjson

from gateway.codes.asking import cursor_of
from gateway.codes.fhir import MEDIA as FHIR
from gateway.codes.fhir import spoken
from gateway.codes.model import Json, Operation, Question
from gateway.codes.reading import Reader
from gateway.codes.shelf import Manifest, Shelf, manifests
from gateway.serving.accept import JSON
from gateway.serving.plain import Finish

SQLITE: Final = "application/vnd.sqlite3"
FORMATS: Final = {JSON: "json", FHIR: "json", SQLITE: "sqlite"}
Teller: TypeAlias = Callable[[Reader, Question, date], Json]


def tell(shelf: Shelf, bundle: str, question: Question, today: date, media: str) -> Finish:
    """Read the answer, for the day asked about or today; nothing of it leaves yet."""
    reader = shelf.reader(bundle)
    if media == SQLITE:
        content = (shelf.folder / f"{bundle}.sqlite").read_bytes()
        return lambda meta: (200, content)
    told = answer_of(reader, question, today, shelf)
    if media == FHIR:
        status, resource = spoken(question.operation, told)
        return lambda meta: (status, orjson.dumps(resource))
    return lambda meta: (200, orjson.dumps({"result": told, "meta": meta}))


def answer_of(reader: Reader, question: Question, today: date, shelf: Shelf) -> Json:
    """The answer as plain values."""
    if question.operation == "bundles":
        return _bundles(reader, shelf)
    return _TELLERS[question.operation](reader, question, question.on or today)


def _search(reader: Reader, question: Question, on: date) -> Json:
    told = reader.search(question, on)
    following = cursor_of(reader.name, told.pop("next_offset"))
    return {**told, "next_cursor": following}


_TELLERS: Final[Mapping[Operation, Teller]] = {
    "search": _search,
    "lookup": Reader.lookup,
    "validate-code": Reader.validate,
    "validate-list": Reader.validate_list,
    "translate": Reader.translate,
}


def _bundles(reader: Reader, shelf: Shelf) -> Json:
    """Every bundle there is, and the lists of the current one."""
    return {
        "current": reader.name,
        "bundles": [_bundle(one) for one in manifests(shelf.folder)],
        "lists": [one.told() for one in reader.lists],
    }


def _bundle(one: Manifest) -> Json:
    return {
        "bundle": one.name,
        "content": one.content,
        "sha256": one.sha256,
        "bytes": one.bytes,
        "built": one.built,
        "lists": one.lists,
        "codes": one.codes,
    }
