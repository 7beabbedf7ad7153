"""Forms made of the operations' own entry models, and posted fields made into their bodies.

A page has no form of its own: what `/admin/v1` takes is what its screen asks for, so neither can
know a field that the other does not. Amounts are typed in yuan and sent in fen; lists are typed one
line each; what is deeper than that is typed as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.errors import OperatorError
from gateway.identity.entries import Entry
from gateway.pages.browser import Fields, one
from gateway.pages.words import Words

Kind: TypeAlias = Literal[
    "line", "text", "number", "money", "tick", "choice", "lines", "many", "json", "date", "file"
]
Known: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Values to choose from by the name of the field, each with its title."""
_LONG = 300
_YUAN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,2})?")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Option:
    """One value to choose."""

    value: str
    title: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One input: `name` is its place in the body, parts of objects after a point."""

    name: str
    label: str
    hint: str
    kind: Kind
    value: str
    required: bool
    options: Sequence[Option] = ()


def fields_of(
    form: type[Entry],
    words: Words,
    given: Mapping[str, object],
    known: Known,
) -> list[Field]:
    """The inputs of a form, filled with what is given; `known` are values to choose from."""
    return [
        _field(name, info, words, given, known)
        for name, info in _leaves(form, "")
        if not _says(info, "filename")
    ]


def _leaves(form: type[BaseModel], before: str) -> list[tuple[str, FieldInfo]]:
    """Every input with its place; the fields of an object stand in the object's stead."""
    found: list[tuple[str, FieldInfo]] = []
    for name, info in form.model_fields.items():
        inner = _bare(info.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += _leaves(inner, f"{before}{name}.")
        else:
            found.append((before + name, info))
    return found


def _says(info: FieldInfo, what: str) -> bool:
    """Whether an entry declares a field to be a file's content, in base64, or a file's name."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(what))


def _bare(annotation: Any) -> Any:  # Any: a type as the language writes it
    """The type without its constraints and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        parts = [each for each in get_args(annotation) if each is not NoneType]
        return _bare(parts[0])
    return annotation


def kind_of(name: str, info: FieldInfo) -> Kind:
    """How a field is typed in."""
    if _says(info, "file"):
        return "file"
    inner = _bare(info.annotation)
    if get_origin(inner) is tuple:
        item = _bare(get_args(inner)[0])
        return "json" if isinstance(item, type) and issubclass(item, BaseModel) else "lines"
    if get_origin(inner) is Literal:
        return "choice"
    simple: dict[object, Kind] = {bool: "tick", date: "date"}
    if inner is int:
        return "money" if name.endswith("fen") else "number"
    if inner is str:
        longest = max((getattr(each, "max_length", 0) or 0 for each in info.metadata), default=0)
        return "text" if longest > _LONG else "line"
    return simple.get(inner, "json")


def _field(
    name: str,
    info: FieldInfo,
    words: Words,
    given: Mapping[str, object],
    known: Known,
) -> Field:
    last = name.rpartition(".")[2]
    usual = None if info.is_required() else info.get_default(call_default_factory=True)
    value = given.get(name, usual)
    choices = known.get(last) or [
        (each, words.of(f"value_{each}", each)) for each in _choices(info)
    ]
    kind = _chosen_from(kind_of(name, info)) if choices else kind_of(name, info)
    chosen = {str(each) for each in value} if isinstance(value, list | tuple) else {str(value)}
    options = [Option(each, title, each in chosen) for each, title in choices]
    if kind == "choice" and not info.is_required():
        options.insert(0, Option("", "—", value is None))
    return Field(
        name=name,
        label=words.of(f"field_{last}", last),
        hint=words.of(f"hint_{last}", ""),
        kind=kind,
        value=_typed(kind, value),
        required=info.is_required() and kind != "tick",
        options=options,
    )


def _chosen_from(kind: Kind) -> Kind:
    """How it is typed where the values are known."""
    chosen: dict[Kind, Kind] = {"lines": "many", "line": "choice"}
    return chosen.get(kind, kind)


def _choices(info: FieldInfo) -> Sequence[str]:
    inner = _bare(info.annotation)
    if get_origin(inner) is tuple:
        inner = _bare(get_args(inner)[0])
    return [str(each) for each in get_args(inner)] if get_origin(inner) is Literal else ()


def _typed(kind: Kind, value: object) -> str:
    """A value as somebody would type it."""
    if value is None:
        return ""
    if kind == "tick":
        return "on" if value else ""
    if kind == "money" and isinstance(value, int):
        return f"{Decimal(value) / 100:.2f}"
    if kind in {"lines", "many"} and isinstance(value, list | tuple):
        return "\n".join(str(each) for each in value)
    if kind == "json":
        return (
            ""
            if value in ([], (), {})
            else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        )
    return str(value)


def body_of(form: type[Entry] | None, said: Fields) -> dict[str, object]:
    """The JSON body that the posted fields mean; what is left empty is left out.

    Raises `OperatorError` (`entry.invalid`) for a number, amount or JSON that cannot be read; all
    else is judged by the operation itself.
    """
    body: dict[str, object] = {}
    for name, info in _leaves(form, "") if form is not None else []:
        value = _read(name, kind_of(name, info), said)
        if value is None:
            continue
        at, parts = body, name.split(".")
        for part in parts[:-1]:
            at = at.setdefault(part, {})  # type: ignore[assignment]  # objects hold objects here
        at[parts[-1]] = value
    return body


def _read(name: str, kind: Kind, said: Fields) -> object:
    if kind == "tick":
        return one(said, name) == "on"
    if kind == "lines":
        typed = [part.strip() for each in said.get(name, []) for part in each.splitlines()]
        return [each for each in typed if each] if name in said else None
    text = one(said, name).strip() if kind != "text" else one(said, name).replace("\r\n", "\n")
    if not text:
        return None
    try:
        return _number(kind, text)
    except ValueError as error:
        raise OperatorError(
            "entry.invalid",
            f"{name} cannot be read: {text[:40]!r} is no {kind}.",
            f"{name} 的内容无法识别，请检查格式。",
        ) from error


def _number(kind: Kind, text: str) -> object:
    if kind == "json":
        return orjson.loads(text)
    if kind == "number":
        if not _WHOLE.fullmatch(text):
            raise ValueError("not a whole number")
        return int(text)
    if kind == "money":
        amount = text.replace(",", "")
        if not _YUAN.fullmatch(amount):  # no exponents, no Infinity, nothing below a fen
            raise ValueError("not an amount of yuan")
        return int(Decimal(amount) * 100)
    return text
