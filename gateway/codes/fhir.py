"""Look-ups in the words of FHIR R4: $lookup, $validate-code and $translate as Parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.codes.model import Json, Operation
from gateway.errors import BadRequest

MEDIA: Final = "application/fhir+json"
SPOKEN: Final[tuple[Operation, ...]] = ("lookup", "validate-code", "translate")
"""The operations that have a form in FHIR."""
URN: Final = "urn:sluice:codes:"
_NAMES: Final[Mapping[str, str]] = {
    "url": "system",
    "targetsystem": "target",
    "systemVersion": "version",
}
_KINDS: Final = frozenset({"valueCode", "valueUri", "valueString", "valueDateTime", "valueDate"})
_DAY: Final = 10


def named_values(told: object, operation: Operation) -> dict[str, Any]:
    """The names and values in a Parameters resource; a coding stands for its parts."""
    if operation not in SPOKEN:
        raise BadRequest("fhir_operation", "")
    if not isinstance(told, dict) or told.get("resourceType") != "Parameters":
        raise _wrong("is no Parameters resource")
    values: dict[str, Any] = {}
    for name, value in _each(told.get("parameter")):
        plain = _NAMES.get(name, name)
        if plain in values:
            raise _wrong("names something twice")
        values[plain] = value[:_DAY] if plain == "date" and isinstance(value, str) else value
    return values


def _each(parameters: object) -> Iterator[tuple[str, object]]:
    if not isinstance(parameters, list):
        raise _wrong("has no list of parameters")
    for one in parameters:
        if not isinstance(one, dict) or not isinstance(name := one.get("name"), str):
            raise _wrong("has a parameter without a name")
        if name == "coding" and isinstance(coding := one.get("valueCoding"), dict):
            known = ("system", "version", "code", "display")
            yield from ((part, coding[part]) for part in known if part in coding)
        elif len(kinds := [kind for kind in _KINDS if kind in one]) == 1:
            yield name, one[kinds[0]]
        else:
            raise _wrong("has a parameter without a value of a kind known here")


def _wrong(what: str) -> BadRequest:
    return BadRequest("invalid_parameter", f"The body {what}.")


def outcome(severity: str, code: str, text: str) -> Json:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def spoken(operation: Operation, told: Json) -> tuple[int, Json]:
    """The answer as FHIR, with its status: an unknown code of $lookup is an outcome, 404."""
    if operation == "lookup" and not told["found"]:
        return 404, outcome("error", "not-found", f"No such code in this list: {told['reason']}.")
    make = {"lookup": _lookup, "validate-code": _validate, "translate": _translate}[operation]
    return 200, {"resourceType": "Parameters", "parameter": list(make(told))}


def _text(name: str, value: object) -> Json:
    return {"name": name, "valueString": str(value)}


def _flag(name: str, value: object) -> Json:
    return {"name": name, "valueBoolean": bool(value)}


def _property(code: str, value: Mapping[str, Any]) -> Json:
    return {"name": "property", "part": [{"name": "code", "valueCode": code}, dict(value)]}


def _lookup(told: Json) -> Iterator[Json]:
    concept = told["concept"]
    yield _text("name", told["list"]["title"]["zh"])
    yield _text("version", concept["version"])
    yield _text("display", concept["display"])
    if concept["display_en"]:
        parts = [{"name": "language", "valueCode": "en"}, _text("value", concept["display_en"])]
        yield {"name": "designation", "part": parts}
    for code, name in (("parent", "parent"), ("effective", "valid_from"), ("retired", "valid_to")):
        if concept[name]:
            kind = "valueCode" if code == "parent" else "valueDateTime"
            yield _property(code, {"name": "value", kind: concept[name]})
    yield _property("status", {"name": "value", "valueCode": concept["status"]})
    yield _property("inactive", _flag("value", concept["status"] != "valid"))
    yield _property("invented", _flag("value", concept["invented"]))
    for code, value in concept["properties"].items():
        yield _property(code, _text("value", value))


def _validate(told: Json) -> Iterator[Json]:
    yield _flag("result", told["result"])
    if not told["result"]:
        yield _text("message", told["verdict"])
    if "display" in told:
        yield _text("display", told["display"])


def _translate(told: Json) -> Iterator[Json]:
    yield _flag("result", told["result"])
    if "reason" in told:
        yield _text("message", told["reason"])
    for match in told["matches"]:
        concept = match["concept"]
        coding = {
            "system": f"{URN}{concept['system']}",
            "version": concept["version"],
            "code": concept["code"],
            "display": concept["display"],
        }
        products = {"weight": match["weight"], **match["properties"]}
        parts = [
            {"name": "equivalence", "valueCode": match["relationship"]},
            {"name": "concept", "valueCoding": coding},
            *(_product(name, value) for name, value in products.items() if value is not None),
        ]
        yield {"name": "match", "part": parts}


def _product(name: str, value: object) -> Json:
    element = {"name": "element", "valueUri": f"{URN}property:{name}"}
    concept = {"name": "concept", "valueCoding": {"code": str(value)}}
    return {"name": "product", "part": [element, concept]}
