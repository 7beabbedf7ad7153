"""The small parts resources are made of: concepts, identifiers, references, money, periods."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]
Told: TypeAlias = Mapping[str, Any]

HL7: Final = "http://terminology.hl7.org/CodeSystem/"
CODES: Final = "urn:sluice:codes:"
"""Before the name of a list that S27 looks up."""
FIELDS: Final = "urn:sluice:field:"
"""Before a national field name, where FHIR has no element for it."""
_ABSENT: Final = f"{HL7}data-absent-reason"


def concept(system: str, code: str | None, display: str | None = None) -> Json:
    """A coded value; one that was not told is `masked`."""
    if code is None:
        return {"coding": [{"system": _ABSENT, "code": "masked", "display": "Masked"}]}
    return {"coding": [without_none(system=system, code=code, display=display)]}


def plain(system: str, code: str) -> Json:
    """A coded value of HL7's own or another fixed list."""
    return {"coding": [{"system": system, "code": code}]}


def identifier(name: str, value: str) -> Json:
    """An identifier of the bureau's, under the national field or resource it is of."""
    return {"system": f"urn:sluice:{name}", "value": value}


def known_as(kind: str, name: str, value: str | None, display: str | None = None) -> Json:
    """A reference to what is known by an identifier only; one not told is masked."""
    if value is None:
        return {"type": kind, "display": display or "masked"}
    return without_none(type=kind, identifier=identifier(name, value), display=display)


def money(amount: object) -> Json:
    """Yuan; an amount as the answer tells it, text or number, exact to the fen."""
    return {"value": float(Decimal(str(amount))), "currency": "CNY"}


def span(start: object, end: object) -> Json | None:
    """A period of days; None where neither end was told."""
    return without_none(start=start, end=end) or None


def without_none(**elements: Any) -> Json:
    """FHIR knows no null and no empty list: what is not there is left out."""
    return {name: value for name, value in elements.items() if value not in (None, [], {})}


def further(field: str, **value: Any) -> Json:
    """An extension that carries a national field as it is."""
    return {"url": f"{FIELDS}{field}", **value}
