"""The closed language of rule packages: a decision table, layers of payment, exclusions.

Nothing in it computes: a package names facts, codes and amounts, and the engine knows what they
mean. There is no text that could leave, no expression, no loop (SPEC S20, scenario SC04).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

BASES = ("in_scope", "preself", "ownpay", "overlmt")
"""Parts of what a person paid: the share inside the catalogue's scope (`inscp_amt` less funds),
first-part self-payment, items outside the catalogue, amounts above the limit price."""

Basis: TypeAlias = Literal["in_scope", "preself", "ownpay", "overlmt"]
Code: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.]{1,27}$")]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
ReasonCode: TypeAlias = Annotated[str, StringConstraints(pattern=r"^R\d\d$")]


def _scaled(value: object, places: int, what: str) -> int:
    try:
        exact = Decimal(str(value)).scaleb(places)
    except InvalidOperation:
        raise ValueError(f"is not {what}") from None
    if isinstance(value, bool) or not exact.is_finite() or exact != exact.to_integral_value():
        raise ValueError(f"is not {what} with at most {places} decimal places")
    return int(exact)


def _fen(value: object) -> int:
    return _scaled(value, 2, "an amount in yuan")


def _ratio(value: object) -> int:
    return _scaled(value, 4, "a ratio")


Fen: TypeAlias = Annotated[int, BeforeValidator(_fen), Field(ge=0, le=10**13)]
"""Written in yuan (`15000.00`), held in fen."""
Ratio: TypeAlias = Annotated[int, BeforeValidator(_ratio), Field(ge=0, le=10_000)]
"""Written as a fraction (`0.8`), held in ten-thousandths."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Closed):
    """Of the year's amount above the deductible: up to `to`, `pay` of it."""

    to: Fen | None = None
    pay: Ratio


class Layer(_Closed):
    """A part of what the person paid, from a yearly deductible up to a yearly cap."""

    name: Name
    basis: tuple[Basis, ...] = Field(min_length=1)
    deductible: Fen
    bands: tuple[Band, ...] = Field(min_length=1, max_length=8)
    cap: Fen

    @model_validator(mode="after")
    def _ascending(self) -> Layer:
        edges = [band.to for band in self.bands]
        inner = [edge for edge in edges[:-1] if edge is not None]
        if edges[-1] is not None or len(inner) != len(edges) - 1 or inner != sorted(set(inner)):
            raise ValueError("bands rise by `to`, and the last has none")
        return self


class Between(_Closed):
    """Whole years, both included."""

    from_: int = Field(0, alias="from", ge=0, le=150)
    to: int = Field(150, ge=0, le=150)


class Over(_Closed):
    """More than so much of an amount of the settlement."""

    of: Literal["medfee_sumamt", "psn_pay", "inscp_amt"]
    over: Fen


class When(_Closed):
    """Conditions that must all hold; codes are prefixes, and one of a list is enough."""

    dx: tuple[Code, ...] = ()
    dx_any: tuple[Code, ...] = ()
    operation: tuple[Code, ...] = ()
    med_type: tuple[Code, ...] = ()
    hosp_lv: tuple[Code, ...] = ()
    insutype: tuple[Code, ...] = ()
    institution: tuple[Code, ...] = ()
    age: Between | None = None
    amount: Over | None = None
    waiting: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> When:
        if self == When.model_construct():
            raise ValueError("names no condition; the last row is the one without `when`")
        return self

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """Prefixes of diagnoses the row depends on."""
        return self.dx + self.dx_any


class Then(_Closed):
    """What a row decides; `layers` are those that pay."""

    decision: Literal["pay", "deny", "manual"]
    reasons: tuple[ReasonCode, ...] = ()
    layers: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Then:
        if (self.decision == "pay") != bool(self.layers):
            raise ValueError("`pay` names its layers, and nothing else does")
        if self.decision == "deny" and not self.reasons:
            raise ValueError("a denial gives a reason")
        if len({*self.reasons}) < len(self.reasons):
            raise ValueError("a reason is given once")
        return self


class Row(_Closed):
    """A row of the decision table; the first that applies decides."""

    when: When | None = None
    then: Then


class Exclusion(_Closed):
    """Fee lines that are not paid for, by prefixes of their national code."""

    codes: tuple[Code, ...] = Field(min_length=1)
    reason: ReasonCode


class Term(_Closed):
    """From a day on, and before another."""

    from_: date = Field(alias="from")
    to: date

    @model_validator(mode="after")
    def _forwards(self) -> Term:
        if self.from_ >= self.to:
            raise ValueError("ends before it begins")
        return self


class RulePackage(_Closed):
    """A product's rules, for settlements closed in the term `effective`."""

    form: Literal["sluice-rules-1"]
    product: Name
    version: Name
    effective: Term
    waiting_days: int = Field(0, ge=0, le=365)
    layers: tuple[Layer, ...] = Field(min_length=1)
    exclusions: tuple[Exclusion, ...] = ()
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> RulePackage:
        names = [layer.name for layer in self.layers]
        if len({*names}) < len(names):
            raise ValueError("two layers have one name")
        *rules, last = self.rows
        if last.when is not None or any(row.when is None for row in rules):
            raise ValueError("the last row, and no other, has no `when`: it decides all the rest")
        for row in self.rows:
            self._check_layers(row, names)
        return self

    def _check_layers(self, row: Row, names: list[str]) -> None:
        unknown = [name for name in row.then.layers if name not in names]
        if unknown:
            raise ValueError(f"no layer {unknown[0]!r}; there are {', '.join(names)}")
        used = [part for layer in self.paying(row) for part in layer.basis]
        if len({*used}) < len(used):
            raise ValueError("two layers of a row pay for the same part of the bill")

    def paying(self, row: Row) -> list[Layer]:
        """The layers of a row, in the package's order."""
        return [layer for layer in self.layers if layer.name in row.then.layers]
