"""From source text to the canonical type of a column, and why a text may be refused."""

from __future__ import annotations

from gateway.warehouse.functions import quoted
from synthetic.integrity.codes import CODES
from synthetic.warehouse.schema import Column

_INTEGER = r"[-+]?(\d+|\d{1,3}(,\d{3})+)(\.0*)?"
# Years outside these are typing errors, not dates.
_FIRST, _LAST = "TIMESTAMP '1900-01-01'", "TIMESTAMP '2100-01-01'"
_EPOCHS = {"epoch_s": "1", "epoch_ms": "1000"}


def cast_sql(column: Column, text: str, formats: tuple[str, ...], decimal: str) -> str:
    """SQL of the text as the column's type; null if it is not of that form."""
    match column.kind:
        case "decimal":
            return _number(text, decimal, f"DECIMAL({column.precision},{column.scale})")
        case "int":
            return (
                f"CASE WHEN regexp_full_match({text}, '{_INTEGER}') "
                f"THEN TRY_CAST(replace({text}, ',', '') AS INTEGER) END"
            )
        case "date":
            return f"CAST({_moment(text, formats)} AS DATE)"
        case "datetime":
            return _moment(text, formats)
    if column.name in CODES:
        return CODES[column.name].canonical_sql(text)
    return text


def _number(text: str, decimal: str, type_: str) -> str:
    if decimal == ",":
        text = f"replace(replace({text}, '.', ''), ',', '.')"
    # Plain numbers need no regular expression; only what is left goes through `sl_digits`.
    return f"coalesce(TRY_CAST({text} AS {type_}), TRY_CAST(sl_digits({text}) AS {type_}))"


def _moment(text: str, formats: tuple[str, ...]) -> str:
    if not formats:
        return f"sl_datetime({text})"
    tries = []
    for form in formats:
        if form in _EPOCHS:
            seconds = f"TRY_CAST({text} AS DOUBLE) / {_EPOCHS[form]}"
            tries.append(f"TRY_CAST(to_timestamp({seconds}) AS TIMESTAMP)")
        else:
            tries.append(f"TRY_STRPTIME({text}, {quoted(form)})")
    return f"coalesce({', '.join(tries)})"


def refusals(column: Column, text: str, value: str) -> list[tuple[str, str]]:
    """(SQL that is true when the value must be refused, reason), in order of precedence."""
    found = []
    if column.mandatory:
        found.append((f"{text} IS NULL", "missing_value"))
    if column.kind == "str":
        if column.name in CODES:
            valid = CODES[column.name].valid_sql(value)
            found.append((f"{value} IS NOT NULL AND NOT {valid}", "unknown_code"))
        else:
            found.append((f"length({value}) > {column.length}", "too_long"))
    else:
        dated = column.kind in ("date", "datetime")
        reason = "bad_date" if dated else "bad_number"
        found.append((f"{text} IS NOT NULL AND {value} IS NULL", reason))
        if dated:
            found.append((f"{value} < {_FIRST} OR {value} >= {_LAST}", reason))
    return found
