"""What is told of a person's rows: fields under their masks, comparisons as words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from gateway.catalogue.person import Block, PersonContract, Told
from gateway.claims.asking import Eligibility, Verification
from gateway.claims.proving import sha256
from gateway.claims.reading import KEY
from gateway.masking.plan import apply, plan
from gateway.persons.port import Row, Rows

Document: TypeAlias = dict[str, Any]  # a JSON object
Reference: TypeAlias = Callable[[str], str]
"""The reference of a settlement for one receiver and consent."""
Digest: TypeAlias = Callable[[str], str]
"""A digest in hex, by the suite of the receiver."""
Agreed: TypeAlias = tuple[date, date]
"""First and last day of the data that a consent opens."""


@dataclass(frozen=True)
class Said:
    """An answer's `data`, and what the books keep of it: settlements by number, total in fen.
    `repeats` is the event under which this very answer was first given."""

    data: Document
    settlements: tuple[str, ...] = ()
    refunded: frozenset[str] = frozenset()
    amount_fen: int = 0
    repeats: str | None = None


@dataclass(frozen=True)
class Naming:
    """How settlements and invoices are called for one receiver."""

    reference: Reference
    digest: Digest = sha256

    def of(self, number: str) -> _Named:
        """The names that belong to one settlement."""
        return _Named(self.reference(number), self.digest)


@dataclass(frozen=True)
class _Named:
    token: str
    digest: Digest


_NAMELESS = _Named("", sha256)
"""Of rows that are no settlement's."""


def eligibility(
    ask: Eligibility, contract: PersonContract, masks: Mapping[str, str], rows: Rows, match: bool
) -> Said:
    """S18: nothing but `match` where the name is not the person's."""
    if not match:
        return Said({"match": False, "covered": None, "coverage": None})
    block = contract.blocks["coverage"]
    spells = [row for row in rows if _covers(row, ask.date)]
    spells.sort(key=lambda row: row[f"{KEY}crt_insu_date"], reverse=True)
    told = _fields(spells[0], block, masks) if spells else None
    return Said({"match": True, "covered": bool(spells), "coverage": told})


def _covers(row: Row, day: date) -> bool:
    ended = row[f"{KEY}paus_insu_date"]
    return bool(row[f"{KEY}crt_insu_date"] <= day and (ended is None or ended > day))


def verification(
    ask: Verification,
    contract: PersonContract,
    masks: Mapping[str, str],
    rows: Mapping[str, Rows],
    naming: Naming,
    *,
    withheld: bool,
    agreed: Agreed,
) -> Said:
    """S19: settlements of the window with what belongs to each; without SETL the parts alone.
    `withheld`: of the family asked about nothing may be said. `agreed`: the days consented to."""
    data: Document = {"claim_ref": ask.claim_ref}
    settled = rows.get("settlement")
    numbers: tuple[str, ...] = ()
    undone: frozenset[str] = frozenset()
    total = 0
    if settled is not None:
        claimed = sorted(
            (row for row in settled if _within(row, ask)),
            key=lambda row: (row["begndate"], row[f"{KEY}setl_id"]),
        )
        numbers = tuple(str(row[f"{KEY}setl_id"]) for row in claimed)
        undone = frozenset(
            str(row[f"{KEY}setl_id"]) for row in claimed if row.get("refd_setl_flag") == "1"
        )
        total = sum(_fen(row.get("medfee_sumamt")) for row in claimed)
        data |= {
            "found": len(claimed),
            "settlements": [_settlement(row, contract, masks, rows, naming) for row in claimed],
            "match": _match(ask.submitted, claimed, contract, masks),
        }
    else:
        for name, key, at in _PARTS:
            if name in rows:
                inside = tuple(row for row in rows[name] if _on(row[f"{KEY}{at}"], ask))
                data[key] = _listed(inside, contract.blocks[name], masks)
    if "history" in rows:
        data["history"] = _history(ask, None if withheld else rows["history"], masks, agreed)
    return Said(data, numbers, undone, total)


def records(
    contract: PersonContract,
    masks: Mapping[str, str],
    rows: Mapping[str, Rows],
    naming: Naming,
) -> Document:
    """S21: every spell of insurance and every settlement, newest first, with what belongs to it."""
    data: Document = {}
    if "coverage" in rows:
        block = contract.blocks["coverage"]
        spells = sorted(rows["coverage"], key=lambda row: row[f"{KEY}crt_insu_date"], reverse=True)
        data["coverage"] = [_fields(row, block, masks) for row in spells]
    if "settlement" in rows:
        settled = sorted(
            rows["settlement"],
            key=lambda row: (row["begndate"], row[f"{KEY}setl_id"]),
            reverse=True,
        )
        told = [_settlement(row, contract, masks, rows, naming) for row in settled]
        data["settlements"] = told
    return data


_PARTS = (("diagnosis", "diagnoses", "begntime"), ("lines", "lines", "fee_ocur_time"))
"""Blocks told by themselves where the settlement is not, and the moment by which they are in."""


def _on(moment: datetime, ask: Verification) -> bool:
    return ask.window.start <= _day(moment) <= ask.window.to


def _within(row: Row, ask: Verification) -> bool:
    return bool(ask.window.start <= row["begndate"] and row["enddate"] <= ask.window.to)


def _settlement(
    row: Row,
    contract: PersonContract,
    masks: Mapping[str, str],
    rows: Mapping[str, Rows],
    naming: Naming,
) -> Document:
    told = _fields(row, contract.blocks["settlement"], masks, naming.of(row[f"{KEY}setl_id"]))
    for name, key in (("institution", "fixmedins_code"), ("diagnosis", "mdtrt_id")):
        if name in rows:
            block = contract.blocks[name]
            found = _belonging(rows[name], key, row)
            told |= _fields(found[0], block, masks) if found else _nothing(block, masks)
    if "lines" in rows:
        found = _belonging(rows["lines"], "setl_id", row)
        told["lines"] = _listed(found, contract.blocks["lines"], masks)
    return told


def _belonging(rows: Rows, key: str, row: Row) -> Rows:
    return tuple(one for one in rows if one[f"{KEY}{key}"] == row[f"{KEY}{key}"])


def _listed(rows: Rows, block: Block, masks: Mapping[str, str]) -> list[Document]:
    told = [_fields(row, block, masks) for row in rows]
    return sorted(told, key=lambda one: [str(value) for value in one.values()])


def _nothing(block: Block, masks: Mapping[str, str]) -> Document:
    return {name: None for name in block.fields if name in masks}


def _fields(row: Row, block: Block, masks: Mapping[str, str], own: _Named = _NAMELESS) -> Document:
    """The fields of a row that may leave; `own` names its settlement."""
    return {
        name: _value(row[name], told, masks[name], own)
        for name, told in block.fields.items()
        if name in masks
    }


def _value(value: Any, told: Told, mask: str, own: _Named) -> object:
    if told.form == "token":
        return own.token
    if told.form == "flag":
        return value == "1"
    return None if value is None else _FORMS[told.form](value, mask, own)


_ONE = "value"


def _masked(text: str, mask: str) -> object:
    """The value under a mask that needs no key; one that does is another service's."""
    return apply(plan({_ONE: mask}), {_ONE: [text]})[_ONE][0]


_FORMS: Mapping[str, Callable[[Any, str, _Named], object]] = {
    "text": lambda value, mask, _: _masked(value, mask),
    "day": lambda value, mask, _: _masked(_day(value).isoformat(), mask),
    "amount": lambda value, _, __: f"{Decimal(value):.2f}",
    "number": lambda value, _, __: f"{Decimal(value).normalize():f}",
    "hash": lambda value, _, own: own.digest(f"{own.token}.{value}"),
    "year": lambda value, _, __: _day(value).year,
}


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _match(
    submitted: Mapping[str, str],
    inside: Iterable[Row],
    contract: PersonContract,
    masks: Mapping[str, str],
) -> dict[str, str] | None:
    """Whether each amount is what was settled, over all settlements together that were not undone;
    never by how much."""
    fields, rows = contract.blocks["settlement"].fields, tuple(inside)
    known = {
        name: text
        for name, text in submitted.items()
        if name in masks and name in fields and fields[name].form == "amount"
    }
    if not rows or not known:
        return None
    standing = [row for row in rows if row.get("refd_setl_flag") != "1"]
    sums = {name: sum(_fen(row[name]) for row in standing) for name in known}
    return {n: "equal" if _fen(text) == sums[n] else "diff" for n, text in known.items()}


def _history(
    ask: Verification, rows: Rows | None, masks: Mapping[str, str], agreed: Agreed
) -> Document:
    """Yes or no; neither where days that were asked about are not opened and hold the answer."""
    since = ask.history_from or ask.window.start
    read = rows is not None and agreed[0] <= since and ask.window.to <= agreed[1]
    days = [_day(row["first_seen_year"]) for row in rows or () if row["first_seen_year"]]
    years = [day.year for day in days if since <= day <= ask.window.to]
    told = {
        "prior_diagnosis_flag": bool(years) if read or years else None,
        "first_seen_year": min(years, default=None),
    }
    return {"dx_family": ask.dx_family, **{n: v for n, v in told.items() if n in masks}}


def _fen(text: str | None) -> int:
    return int(Decimal(text or "0") * 100)
