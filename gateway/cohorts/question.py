"""The closed language of cohort questions: one canonical form, whatever order it was written in.

Everything that can be asked is a field here; nothing is a text to be run. Codes and values are
sets; criteria are a list, for the steps are told in their order. A cohort itself is a set of
criteria: `key` names it, so that who asks the same criteria in another order is known to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Ident: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$")]
Code: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,64}$")]
Year: TypeAlias = Annotated[str, Field(pattern=r"^(19|20|21)[0-9]{2}$")]
Region: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Codes: TypeAlias = Annotated[tuple[Code, ...], Field(min_length=1, max_length=100)]

MOST_CRITERIA: Final = 32
"""Longer lists are no questions; how many a caller may ask is the profile's to say."""
_VALUES: Final = frozenset({"age10", "gend", "index_year"})


class _Form(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class _Coded(_Form):
    codes: Codes

    @field_validator("codes")
    @classmethod
    def _as_set(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(codes)))


class Period(_Form):
    """The calendar years that are looked at, both included."""

    first: Year = Field(alias="from")
    last: Year = Field(alias="to")

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if not self.first <= self.last <= str(int(self.first) + 19):
            raise ValueError("runs backwards or is longer than 20 years")
        return self

    @property
    def years(self) -> tuple[str, ...]:
        """Every year of it."""
        return tuple(str(year) for year in range(int(self.first), int(self.last) + 1))


class IndexEvent(_Coded):
    """What makes a person a member: the first event of these codes in the period."""

    kind: Name


class ValueCriterion(_Form):
    """The member is of one of these groups on the index day."""

    kind: Literal["age10", "gend", "index_year"]
    values: Codes

    @field_validator("values")
    @classmethod
    def _as_set(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(values)))


class EnrolledCriterion(_Form):
    """The member was insured without a gap for so many months before and after the index month."""

    kind: Literal["enrolled"]
    before: Annotated[int, Field(ge=0, le=240)] = 0
    after: Annotated[int, Field(ge=0, le=240)] = 0


class Within(_Form):
    """An event within so many days of the index day, that day not included."""

    relation: Literal["before", "after"]
    days: Annotated[int, Field(ge=1, le=36500)]


class EventCriterion(_Coded):
    """The member has, or if `exclude` has not, an event of these codes."""

    kind: Name
    exclude: bool = False
    within: Within | None = None


def _tag(value: Any) -> str:  # a body's dict or a criterion
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    if isinstance(kind, str) and kind in _VALUES:
        return "values"
    return "enrolled" if kind == "enrolled" else "events"


Criterion: TypeAlias = Annotated[
    Annotated[ValueCriterion, Tag("values")]
    | Annotated[EnrolledCriterion, Tag("enrolled")]
    | Annotated[EventCriterion, Tag("events")],
    Discriminator(_tag),
]


class CohortQuestion(_Form):
    """Who is to be counted."""

    period: Period
    geo: Annotated[tuple[Region, ...], Field(min_length=1, max_length=200)]
    index: IndexEvent
    criteria: Annotated[tuple[Criterion, ...], Field(max_length=MOST_CRITERIA)] = ()

    @field_validator("geo")
    @classmethod
    def _as_set(cls, geo: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(geo)))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if len(set(self.criteria)) < len(self.criteria):
            raise ValueError("a criterion appears twice")
        if sum(1 for each in self.events() if each.within is not None) > 1:
            raise ValueError("one criterion of a question may have a relation in time (`within`)")
        return self

    def events(self) -> Iterator[EventCriterion]:
        """The criteria about events."""
        return (each for each in self.criteria if isinstance(each, EventCriterion))

    def asked_codes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every list that is asked by, with the codes."""
        yield self.index.kind, self.index.codes
        yield from ((each.kind, each.codes) for each in self.events())

    @property
    def kinds(self) -> tuple[str, ...]:
        """Everything asked about, each once."""
        found = dict.fromkeys([self.index.kind, *(each.kind for each in self.criteria)])
        return tuple(sorted(found))

    @property
    def text(self) -> str:
        """The canonical question as JSON."""
        plain = CohortQuestion.model_dump(self, include=set(CohortQuestion.model_fields))
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()

    @property
    def digest(self) -> str:
        """What makes two questions the same one, steps included."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def key(self, criteria: Iterable[Criterion]) -> str:
        """The name of the cohort that is left after these criteria, in whatever order."""
        told = sorted(
            orjson.dumps(each.model_dump(), option=orjson.OPT_SORT_KEYS) for each in criteria
        )
        head = self.model_dump(include={"period", "geo", "index"})
        body = orjson.dumps([head, [each.decode() for each in told]], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(body).hexdigest()

    def of_year(self, year: str) -> ValueCriterion:
        """The criterion that leaves the members of one index year."""
        return ValueCriterion(kind="index_year", values=(year,))


class CohortAsk(CohortQuestion):
    """The body of a query: the question, what it is for, and under which grant and release."""

    purpose: Name
    grant_id: Ident | None = None
    release: Ident | None = None


def field_names() -> frozenset[str]:
    """Every name the language knows."""
    forms: tuple[type[BaseModel], ...] = (
        CohortAsk, Period, IndexEvent, ValueCriterion, EnrolledCriterion, EventCriterion, Within,
    )  # fmt: skip
    return frozenset(
        field.alias or name for form in forms for name, field in form.model_fields.items()
    )
