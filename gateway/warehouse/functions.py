"""Functions and conversions of the mapping language, as DuckDB SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "date", "datetime", "bool", "null"]

# Text → value conversions; null when the text is not of that form. A macro repeats its argument
# in the plan wherever it names it, so none calls another on a compound argument.
MACROS = (
    r"""CREATE OR REPLACE MACRO sl_clean(x) AS CASE
  WHEN x[1] BETWEEN '!' AND '~' AND x[-1] BETWEEN '!' AND '~' THEN x
  ELSE nullif(trim(x, E' \t\r\n　'), '') END""",
    r"""CREATE OR REPLACE MACRO sl_digits(x) AS CASE
  WHEN regexp_full_match(x, '[-+]?[¥￥]?[-+]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?([eE][-+]?\d{1,3})?元?')
    THEN regexp_replace(x, '[¥￥,元]', '', 'g')
  WHEN regexp_full_match(x, '\((\d+|\d{1,3}(,\d{3})+)(\.\d*)?\)')
    THEN concat('-', regexp_replace(x, '[(),]', '', 'g')) END""",
    "CREATE OR REPLACE MACRO sl_number(x) AS "
    "coalesce(TRY_CAST(x AS DECIMAL(18,6)), TRY_CAST(sl_digits(x) AS DECIMAL(18,6)))",
    # The first arms are the common spellings, recognised without a regular expression.
    r"""CREATE OR REPLACE MACRO sl_datetime(x) AS CASE
  WHEN length(x) = 10 AND x[5] = '-' AND x[8] = '-' THEN TRY_CAST(x AS TIMESTAMP)
  WHEN length(x) = 19 AND x[5] = '-' AND x[8] = '-' AND x[14] = ':' AND x[17] = ':'
    THEN TRY_CAST(x AS TIMESTAMP)
  WHEN regexp_full_match(x, '\d{8}') THEN TRY_STRPTIME(x, '%Y%m%d')
  WHEN regexp_full_match(x, '\d{14}') THEN TRY_STRPTIME(x, '%Y%m%d%H%M%S')
  WHEN regexp_full_match(x, '\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?')
    THEN TRY_CAST(x AS TIMESTAMP)
  WHEN regexp_full_match(x, '\d{4}[-/.年].*') THEN TRY_STRPTIME(x, ['%Y/%m/%d', '%Y.%m.%d',
    '%Y年%m月%d日', '%Y/%m/%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y.%m.%d %H:%M:%S',
    '%Y年%m月%d日 %H:%M:%S', '%Y年%m月%d日 %H时%M分%S秒', '%Y年%m月%d日%H时%M分%S秒']) END""",
    "CREATE OR REPLACE MACRO sl_date(x) AS CAST(sl_datetime(x) AS DATE)",
)
_FROM_TEXT: Mapping[str, tuple[str, str]] = {
    "number": ("sl_number(sl_clean({0}))", "bad_number"),
    "date": ("sl_date(sl_clean({0}))", "bad_date"),
    "datetime": ("sl_datetime(sl_clean({0}))", "bad_date"),
}


def quoted(text: str) -> str:
    """The text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def coerce(sql: str, kind: Kind, wanted: Kind) -> tuple[str, str]:
    """SQL of a value of one kind as another, and the reason code if that can fail."""
    if kind in (wanted, "null") or wanted == "null":
        return sql, ""
    if kind == "text" and wanted in _FROM_TEXT:
        template, reason = _FROM_TEXT[wanted]
        return template.format(sql), reason
    if wanted == "text":
        return _as_text(sql, kind), ""
    if {kind, wanted} == {"date", "datetime"}:
        return f"CAST({sql} AS {'DATE' if wanted == 'date' else 'TIMESTAMP'})", ""
    raise ValueError(f"a {kind} is used where a {wanted} is needed")


def _as_text(sql: str, kind: Kind) -> str:
    if kind == "number":  # 3 and not 3.000000
        return f"regexp_replace(CAST({sql} AS VARCHAR), '\\.?0+$', '')"
    if kind == "bool":
        return f"CASE WHEN {sql} THEN '1' WHEN NOT {sql} THEN '0' END"
    return f"CAST({sql} AS VARCHAR)"


@dataclass(frozen=True)
class Function:
    """A function: argument kinds, optional tail, result, and its SQL with {0}, {1}… or {all}.

    `same` arguments take the kind of the first argument that has one.
    """

    arguments: tuple[str, ...]
    result: Literal["text", "number", "date", "datetime", "bool", "same"]
    template: str
    least: int = 0
    many: bool = False

    def fits(self, count: int) -> bool:
        """Whether that many arguments are allowed."""
        low = self.least or len(self.arguments)
        return count >= low and (self.many or count <= len(self.arguments))

    def kinds(self, given: Sequence[Kind]) -> list[Kind]:
        """The kind each argument is converted to."""
        shared: Kind = next((kind for kind in given if kind not in ("null", "text")), "text")
        wanted: list[Kind] = []
        for position in range(len(given)):
            name = self.arguments[min(position, len(self.arguments) - 1)]
            wanted.append(shared if name == "same" else _kind(name))
        return wanted

    def sql(self, arguments: Sequence[str]) -> str:
        """The call in SQL."""
        listed = ", ".join(arguments)
        return self.template.format(*arguments, all=listed)


def _kind(name: str) -> Kind:
    kinds: dict[str, Kind] = {
        "text": "text",
        "number": "number",
        "date": "date",
        "datetime": "datetime",
        "bool": "bool",
    }
    return kinds[name]


_T, _N, _D, _S = "text", "number", "date", "same"
_INT = "CAST({1} AS INTEGER)"
_YEARS = "CAST(date_sub('year', {0}, {1}) AS DECIMAL(18,6))"

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "coalesce": Function((_S,), "same", "coalesce({all})", many=True),
        "nullif": Function((_S, _S), "same", "nullif({0}, {1})"),
        "greatest": Function((_S,), "same", "greatest({all})", many=True),
        "least": Function((_S,), "same", "least({all})", many=True),
        "concat": Function((_T,), "text", "concat({all})", many=True),
        "substring": Function(
            (_T, _N, _N), "text", f"substring({{0}}, {_INT}, CAST({{2}} AS INTEGER))"
        ),
        "left": Function((_T, _N), "text", f"left({{0}}, {_INT})"),
        "right": Function((_T, _N), "text", f"right({{0}}, {_INT})"),
        "split": Function(
            (_T, _T, _N), "text", "nullif(split_part({0}, {1}, CAST({2} AS INTEGER)), '')"
        ),
        "upper": Function((_T,), "text", "upper({0})"),
        "lower": Function((_T,), "text", "lower({0})"),
        "trim": Function((_T,), "text", "trim({0})"),
        "replace": Function((_T, _T, _T), "text", "replace({0}, {1}, {2})"),
        "lpad": Function((_T, _N, _T), "text", f"lpad({{0}}, {_INT}, {{2}})"),
        "length": Function((_T,), "number", "CAST(length({0}) AS DECIMAL(18,6))"),
        "starts_with": Function((_T, _T), "bool", "starts_with({0}, {1})"),
        "contains": Function((_T, _T), "bool", "contains({0}, {1})"),
        "number": Function((_N,), "number", "{0}"),
        "text": Function((_T,), "text", "{0}"),
        "date": Function((_D,), "date", "{0}"),
        "datetime": Function(("datetime",), "datetime", "{0}"),
        "round": Function((_N, _N), "number", f"CAST(round({{0}}, {_INT}) AS DECIMAL(18,6))"),
        "floor": Function((_N,), "number", "CAST(floor({0}) AS DECIMAL(18,6))"),
        "abs": Function((_N,), "number", "abs({0})"),
        "sign": Function((_N,), "number", "CAST(sign({0}) AS DECIMAL(18,6))"),
        "year": Function((_D,), "number", "CAST(year({0}) AS DECIMAL(18,6))"),
        "month": Function((_D,), "number", "CAST(month({0}) AS DECIMAL(18,6))"),
        "day": Function((_D,), "number", "CAST(day({0}) AS DECIMAL(18,6))"),
        "days_between": Function(
            (_D, _D), "number", "CAST(date_diff('day', {0}, {1}) AS DECIMAL(18,6))"
        ),
        "years_between": Function((_D, _D), "number", _YEARS),
        "age": Function(
            (_D, _D), "number", "CAST(date_diff('day', {0}, {1}) / 365.25 AS DECIMAL(18,6))"
        ),
        "add_days": Function((_D, _N), "date", f"CAST({{0}} + {_INT} AS DATE)"),
    }
)
