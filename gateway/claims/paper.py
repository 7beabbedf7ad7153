"""A person's own records as a PDF: titles of the contract, values as data, never markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.billing.pdf.render import set_pages
from gateway.catalogue.person import PersonContract
from gateway.claims.own import Own
from gateway.claims.telling import Document

MEDIA: Final = "application/pdf"
_LAYOUT: Final = Path(__file__).resolve().parent / "pdf" / "records.typ"
_TITLE: Final = {"zh": "个人医保档案", "en": "Own insurance records"}
_PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "coverage": {"zh": "参保", "en": "Enrolment"},
    "settlements": {"zh": "结算", "en": "Settlement"},
}
_IN_FULL: Final[Mapping[str, Mapping[str, str]]] = {
    "invono": {"zh": "票据号码", "en": "Invoice number"},
    "dscg_maindiag_code": {"zh": "出院主要诊断代码", "en": "Main diagnosis, code"},
}
"""Titles of what only the person reads unshortened."""
_LINES: Final = "lines"


def paper(own: Own, contract: PersonContract, made: datetime, notes: Sequence[str] = ()) -> bytes:
    """The records on pages; `notes` stand under the title (for whom, for what)."""
    titles: dict[str, Mapping[str, str]] = {
        name: {"zh": told.title.zh, "en": told.title.en}
        for block in contract.blocks.values()
        for name, told in block.fields.items()
    }
    titles.update(_IN_FULL)
    told = {
        "title": _TITLE,
        "made": f"{made.isoformat(timespec='seconds')} · {own.load}",
        "notes": list(notes),
        "parts": [
            _part(_PARTS[kind], each, titles)
            for kind in _PARTS
            for each in _listed(own.data.get(kind))
        ],
    }
    return set_pages(_LAYOUT, {"body": orjson.dumps(told).decode()}, made)


def _part(
    title: Mapping[str, str], said: Document, titles: Mapping[str, Mapping[str, str]]
) -> Document:
    lines = list(_listed(said.get(_LINES)))
    names = list(lines[0]) if lines else []
    return {
        "title": title,
        "pairs": [
            {"title": titles[name], "value": _text(value)}
            for name, value in said.items()
            if name in titles and not isinstance(value, list | dict)
        ],
        "head": [titles[name] for name in names],
        "rows": [[_text(line[name]) for name in names] for line in lines],
    }


def _listed(found: object) -> Iterator[dict[str, Any]]:
    yield from found if isinstance(found, list) else ()


def _text(value: object) -> str:
    if value is None:
        return "—"
    return {True: "是 yes", False: "否 no"}[value] if isinstance(value, bool) else str(value)
