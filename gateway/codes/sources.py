"""The folder a bundle is built from: `lists.yaml` and its CSV files, read once and checked whole.

A list that may not be republished, or of which nobody has the codes, is named with the reason; its
codes are refused here, so that no later step could serve them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.codes.spelling import LONGEST_CODE, code_key, is_plain
from gateway.errors import OperatorError

SHIPPED = Path(__file__).with_name("lists")
FILE = "lists.yaml"
System: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Version: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Relationship: TypeAlias = Literal["equal", "equivalent", "wider", "narrower", "inexact"]
"""What the target is to the source, in the words of FHIR R4."""


class SourceError(OperatorError):
    """The folder cannot become a bundle; the message names file and line, and no code of a list."""


class Heading(Frozen):
    """What everybody may know of a list: whose it is, by which notice, how whole, for how long."""

    system: System
    version: Version
    title: Text
    standard: int | None = Field(default=None, ge=1, le=15)
    source: str = Field(min_length=1)
    notice: str = Field(min_length=1)
    issued: str | None = Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")
    republish: bool
    withheld: Text | None = None
    terms: Text | None = None
    invented: bool = False
    excerpt: int | None = Field(default=None, ge=1)
    partial: bool = False
    pattern: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class Declared(Heading):
    """A list as the folder declares it: its codes in a file or, if few, beside it."""

    file: str | None = None
    more: tuple[str, ...] = ()
    codes: dict[str, str] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        given = (self.file is not None) + (self.codes is not None)
        if self.withheld is None and not (self.republish and given == 1):
            raise ValueError("a served list has one of file and codes, and republish: true")
        if self.withheld is not None and given:
            raise ValueError("a withheld list has neither file nor codes")
        if self.pattern is not None:
            re.compile(self.pattern)
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("valid_from is after valid_to")
        return self


class DeclaredMap(Frozen):
    """A mapping as the folder declares it. A version left out means all versions of the list."""

    source: System
    target: System
    source_version: Version | None = None
    target_version: Version | None = None
    title: Text
    origin: str = Field(min_length=1)
    two_way: bool = False
    more: tuple[str, ...] = ()
    file: str


class Absent(Frozen):
    """A mapping people ask for and nobody has exact data of."""

    pair: tuple[System, System]
    reason: Text


class Declaration(Frozen):
    """The whole of `lists.yaml`."""

    lists: tuple[Declared, ...] = Field(min_length=1)
    maps: tuple[DeclaredMap, ...] = ()
    absent: tuple[Absent, ...] = ()


@dataclass(frozen=True)
class Concept:
    """One code of a list; an empty day means that none is known."""

    code: str
    title_zh: str
    title_en: str
    parent: str
    valid_from: str
    valid_to: str
    more: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """One line of a mapping. The weights of a source, if it has any, come to 1."""

    source: str
    target: str
    relationship: str
    weight: str
    more: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A folder, read and found in order."""

    declaration: Declaration
    concepts: tuple[tuple[Concept, ...], ...]  # in the order of the lists
    pairs: tuple[tuple[Pair, ...], ...]  # in the order of the maps


def read_source(folder: Path) -> Source:
    """The folder as values; raises `SourceError` at the first fault."""
    declaration = _declaration(folder / FILE)
    _check_lists(declaration)
    concepts = tuple(tuple(_concepts(folder, one)) for one in declaration.lists)
    pairs = tuple(tuple(_pairs(folder, one)) for one in declaration.maps)
    for one, codes in zip(declaration.lists, concepts, strict=True):
        _check_codes(one, codes)
    for each, lines in zip(declaration.maps, pairs, strict=True):
        _check_map(each, lines, declaration, concepts)
    return Source(declaration, concepts, pairs)


def _declaration(path: Path) -> Declaration:
    try:
        body: Any = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)  # validated next
        return Declaration.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SourceError("codes_invalid", f"{path}: {place}: {first['msg']}") from error
    except (OSError, yaml.YAMLError, re.error) as error:
        raise SourceError("codes_unreadable", f"{path}: cannot be read") from error


def _check_lists(declaration: Declaration) -> None:
    seen = set()
    for one in declaration.lists:
        if (one.system, one.version) in seen:
            raise SourceError("codes_twice", f"{one.system} {one.version} is declared twice")
        seen.add((one.system, one.version))


def _rows(path: Path, head: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The lines of a CSV file that has at least these columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("codes_unreadable", f"{path}: is no readable UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = set(head).difference(reader.fieldnames or ())
    if missing:
        raise SourceError("codes_columns", f"{path}: has no column {', '.join(sorted(missing))}")
    try:
        for row in reader:
            if None in row or None in row.values():
                raise SourceError("codes_columns", f"{path}: line {reader.line_num}: columns")
            yield row
    except csv.Error as error:
        raise SourceError("codes_columns", f"{path}: line {reader.line_num}: {error}") from error


def _concepts(folder: Path, one: Declared) -> Iterator[Concept]:
    for code, title in (one.codes or {}).items():
        yield Concept(code, title, "", "", "", "", {})
    if one.file is None:
        return
    for row in _rows(folder / one.file, ("code", "title_zh", "title_en", "parent", *one.more)):
        more = {name: row[name] for name in one.more if row[name]}
        days = row.get("valid_from", ""), row.get("valid_to", "")
        yield Concept(row["code"], row["title_zh"], row["title_en"], row["parent"], *days, more)


def _check_codes(one: Declared, codes: tuple[Concept, ...]) -> None:
    """Every code once, of the declared form, with titles of one line and days in order."""
    place, seen = f"{one.system} {one.version}", set()
    for number, concept in enumerate(codes, 1):
        key = code_key(concept.code)
        texts = (concept.code, concept.title_zh, concept.title_en, concept.parent)
        if not key or len(concept.code) > LONGEST_CODE or not all(map(is_plain, texts)):
            raise SourceError("codes_malformed", f"{place}: code {number} is no plain text")
        if key in seen:
            raise SourceError("codes_twice", f"{place}: code {number} is there already")
        if one.pattern is not None and not re.fullmatch(one.pattern, concept.code, re.ASCII):
            raise SourceError("codes_malformed", f"{place}: code {number} is not of the pattern")
        if not _in_order(concept.valid_from, concept.valid_to):
            raise SourceError("codes_days", f"{place}: code {number}: valid_from, valid_to")
        seen.add(key)
    if one.withheld is None and not codes:
        raise SourceError("codes_empty", f"{place}: has no codes")


def _in_order(first: str, last: str) -> bool:
    """Whether these are days, or none, and the first is not after the last."""
    try:
        days = [date.fromisoformat(text).isoformat() for text in (first, last) if text]
    except ValueError:
        return False
    return days == sorted(days) and all(len(text) in (0, 10) for text in (first, last))


def _pairs(folder: Path, one: DeclaredMap) -> Iterator[Pair]:
    head = ("source", "target", "relationship", "weight", *one.more)
    for row in _rows(folder / one.file, head):
        more = {name: row[name] for name in one.more if row[name]}
        yield Pair(row["source"], row["target"], row["relationship"], row["weight"], more)


def _check_map(
    one: DeclaredMap,
    lines: tuple[Pair, ...],
    declaration: Declaration,
    concepts: tuple[tuple[Concept, ...], ...],
) -> None:
    """Both ends are listed, no pair is there twice, and weights of a source come to 1."""
    place = f"{one.source} to {one.target}"
    sources, targets = (
        _codes_of(declaration, concepts, *end)
        for end in ((one.source, one.source_version), (one.target, one.target_version))
    )
    seen: set[tuple[str, str]] = set()
    for number, pair in enumerate(lines, 1):
        if pair.source not in sources or pair.target not in targets:
            raise SourceError("map_unlisted", f"{place}: line {number}: a code is in no list")
        if (pair.source, pair.target) in seen or pair.relationship not in get_args(Relationship):
            raise SourceError("map_malformed", f"{place}: line {number}: twice, or no relationship")
        seen.add((pair.source, pair.target))
    _check_weights(place, lines)


def _codes_of(
    declaration: Declaration,
    concepts: tuple[tuple[Concept, ...], ...],
    system: str,
    version: str | None,
) -> set[str]:
    return {
        concept.code
        for one, codes in zip(declaration.lists, concepts, strict=True)
        if one.system == system and version in (None, one.version)
        for concept in codes
    }


def _check_weights(place: str, lines: tuple[Pair, ...]) -> None:
    sums: dict[str, list[Decimal | None]] = {}
    for number, pair in enumerate(lines, 1):
        try:
            weight = Decimal(pair.weight) if pair.weight else None
        except InvalidOperation as error:
            raise SourceError("map_weight", f"{place}: line {number}: weight") from error
        if weight is not None and not (weight.is_finite() and 0 < weight <= 1):
            raise SourceError("map_weight", f"{place}: line {number}: weight")
        sums.setdefault(pair.source, []).append(weight)
    for weights in sums.values():
        told = [weight for weight in weights if weight is not None]
        if told and (len(told) < len(weights) or sum(told) != 1):
            raise SourceError("map_weight", f"{place}: the weights of a code do not come to 1")
