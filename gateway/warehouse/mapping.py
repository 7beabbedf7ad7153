"""The mapping document: which source feeds which canonical table, column by column.

Pydantic checks its form here; `gateway.warehouse.plan` checks it against the schema and sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.errors import OperatorError, wrong_places
from synthetic.integrity.model import Severity
from synthetic.integrity.rules import RULE
from synthetic.warehouse.schema import TABLES

Dialect: TypeAlias = Literal["warehouse", "interface"]
Strategy: TypeAlias = Literal["from_settlements", "shipped", "from_codes_seen"]

# Which tables can be made from others, and how; docs/import.md explains each.
STRATEGIES: dict[str, tuple[str, ...]] = {
    "setl_fund_d": ("from_settlements",),
    "mdtrt_d": ("from_settlements",),
    "psn_info_b": ("from_settlements",),
    "fixmedins_b": ("from_settlements",),
    "admdvs_b": ("shipped", "from_codes_seen"),
}


class MappingError(OperatorError):
    """The mapping cannot be used; the message names the place in the file."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


def _text(value: object) -> object:
    """YAML reads 310 and 01 as numbers where a code is meant."""
    if isinstance(value, bool):
        raise ValueError("write the code in quotes: YAML reads yes/no/on/off as true or false")
    return str(value) if isinstance(value, int | float) else value


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Code: TypeAlias = Annotated[str, BeforeValidator(_text)]


class Source(_Strict):
    """Files of one layout."""

    files: Texts = Field(description="Paths or globs, relative to the mapping file.")
    format: Literal["csv", "parquet"] | None = Field(None, description="Default: by file name.")
    encoding: Literal["utf-8", "gb18030", "gbk", "utf-16"] = "utf-8"
    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: Literal['"', "'", "none"] = '"'
    header: bool = True
    columns: tuple[str, ...] = Field((), description="Column names of files without header.")
    null_values: Texts = Field(
        ("", "NULL", "null", "\\N"), description="Texts that mean: no value."
    )
    max_record_lines: int = Field(20, ge=1, le=1000, description="Longest record, in lines.")

    @model_validator(mode="after")
    def _names(self) -> Source:
        if not self.header and not self.columns and self.format != "parquet":
            raise ValueError("a source without header needs `columns: [name, …]`")
        if ord(self.delimiter) > 127 or self.delimiter in '\r\n"':
            raise ValueError('the delimiter must be one ASCII character such as "," "|" or "\\t"')
        return self


class Lookup(_Strict):
    """Take the value from another canonical table, by its key."""

    table: str
    key: str = Field(description="Source column that holds the other table's key.")
    column: str


class ColumnRule(_Strict):
    """Where one canonical column comes from; exactly one of from, const, derive, lookup."""

    source: str | None = Field(None, alias="from")
    const: Code | None = None
    derive: str | None = None
    lookup: Lookup | None = None
    codes: dict[Code, Code | None] | None = None
    default: Code | None = Field(
        None, description="For values not in `codes`: reject (default), keep, or a code."
    )
    format: Texts = Field((), description="strptime formats of dates, tried in order.")
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnRule:
        given = [x is not None for x in (self.source, self.const, self.derive, self.lookup)]
        if sum(given) != 1:
            raise ValueError("give exactly one of from, const, derive, lookup")
        if self.default is not None and self.codes is None:
            raise ValueError("`default` belongs to `codes`")
        if self.format and self.source is None:
            raise ValueError("`format` belongs to `from`")
        return self


def _column(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


class Load(_Strict):
    """One source feeding one table."""

    source: str
    dialect: Dialect | None = None
    where: str | None = None
    columns: dict[str, Annotated[ColumnRule, BeforeValidator(_column)]] = Field(
        default_factory=dict
    )
    refund_amounts: Literal["negative", "positive"] = "negative"


class Derived(_Strict):
    """A table the sources do not have, made from the tables they have."""

    derive_table: Strategy


class Empty(_Strict):
    """A table the sources do not have, left empty."""

    empty: Literal[True]


Feed: TypeAlias = Load | Derived | Empty


def _feeds(value: object) -> object:
    if value == "empty":
        return [{"empty": True}]
    return [value] if isinstance(value, dict) else value


def _which(value: object) -> object:
    """Choose the kind of feed by its keyword, so that errors speak of one kind only."""
    if not isinstance(value, dict):
        return value
    if "derive_table" in value:
        return Derived.model_validate(value)
    if "empty" in value:
        return Empty.model_validate(value)
    return Load.model_validate(value)


class AnnualCap(_Strict):
    """The most a fund pays one person of an insurance type in a year (rule R22)."""

    insutype: Code
    field: Literal["hifp_pay", "act_pay_dedc", "hifmi_pay", "hifob_pay"]
    cap: Annotated[str, BeforeValidator(_text), Field(pattern=r"^\d+(\.\d{1,2})?$")]


class ImportMapping(_Strict):
    """The whole document."""

    version: Literal[1] = 1
    dialect: Dialect | None = None
    max_rejected_share: float = Field(0.10, ge=0, le=1)
    max_dependant_share: float = Field(0.50, ge=0, le=1)
    incomplete_settlements: Literal["reject", "keep"] = "reject"
    tolerate: tuple[str, ...] = ()
    annual_caps: tuple[AnnualCap, ...] = ()
    sources: dict[str, Source]
    tables: dict[
        str,
        Annotated[
            tuple[Annotated[Any, BeforeValidator(_which)], ...],  # Any: `_which` returns a Feed
            BeforeValidator(_feeds),
        ],
    ]

    @model_validator(mode="after")
    def _names(self) -> ImportMapping:
        blocking = [id_ for id_, rule in RULE.items() if rule.severity is Severity.BLOCK]
        for rule in self.tolerate:
            if rule not in blocking:
                raise ValueError(f"tolerate: {rule} is not one of {', '.join(blocking)}")
        for table, feeds in self.tables.items():
            _check_feeds(table, feeds, self.sources)
        return self


def _check_feeds(table: str, feeds: tuple[Feed, ...], sources: dict[str, Source]) -> None:
    if table not in TABLES:
        raise ValueError(f"tables.{table}: no such table; known: {', '.join(TABLES)}")
    for feed in feeds:
        if isinstance(feed, Load) and feed.source not in sources:
            raise ValueError(
                f"tables.{table}.source: no source {feed.source!r}; known: {', '.join(sources)}"
            )
        if not isinstance(feed, Load) and len(feeds) > 1:
            raise ValueError(f"tables.{table}: a derived or empty table has no second feed")
        if isinstance(feed, Derived) and feed.derive_table not in STRATEGIES.get(table, ()):
            known = ", ".join(STRATEGIES.get(table, ())) or "none"
            raise ValueError(f"tables.{table}.derive_table: possible here: {known}")


def read_mapping(file: Path) -> ImportMapping:
    """The mapping of a YAML file; MappingError names every wrong place in it."""
    try:
        # The slower loader: it tells people the place of a fault better.
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(
            "mapping.unreadable", f"{file.name} cannot be read as UTF-8 text.", "映射文件无法读取。"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MappingError(
            "mapping.not_yaml",
            f"{file.name} is not valid YAML{where}.",
            "映射文件不是有效的 YAML。",
        ) from error
    try:
        return ImportMapping.model_validate(document)
    except ValidationError as error:
        raise MappingError(
            "mapping.invalid", wrong_places(file.name, error), "映射文件有误。"
        ) from error
