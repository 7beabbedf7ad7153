"""The part of SQL that gives the same rows on every engine: what facts and views may be made of.

DuckDB understands more, and some of it means something else elsewhere: a difference in years counts
boundaries here and anniversaries there, a tie is broken at random, a sum of floats depends on the
order of its rows. What is listed here is refused before anything is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

_FORMATS = frozenset({"%Y", "%m", "%d", "%Y-%m", "%Y%m", "%m%d", "%Y-%m-%d", "%Y%m%d"})
_UNITS = frozenset({"DAY"})
_FLOATS = (exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT)
_LISTS = (
    exp.Unnest, exp.Array, exp.ArrayAgg, exp.List, exp.Lambda, exp.Struct, exp.Explode,
    exp.GenerateSeries, exp.Map, exp.Bracket,
)  # fmt: skip
_BY_CHANCE = (
    exp.Rand, exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.Uuid, exp.AnyValue,
)  # fmt: skip
_PATTERNS = (
    exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace, exp.RegexpSplit, exp.SimilarTo,
)  # fmt: skip
_RANKS = (
    exp.RowNumber, exp.Lead, exp.Lag, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Ntile,
)  # fmt: skip
_KNOWN = (
    exp.Abs, exp.And, exp.Case, exp.Cast, exp.Ceil, exp.Coalesce, exp.Concat, exp.Count, exp.Day,
    exp.DateDiff, exp.DenseRank, exp.Exists, exp.Extract, exp.Floor, exp.Greatest, exp.Hour,
    exp.If, exp.Lag, exp.Lead, exp.Least, exp.Left, exp.Length, exp.LogicalAnd, exp.LogicalOr,
    exp.Lower, exp.Max, exp.Min, exp.Month, exp.Nullif, exp.Or, exp.PercentRank, exp.Quarter,
    exp.Rank, exp.Right, exp.Round, exp.RowNumber, exp.Sign, exp.StartsWith, exp.Substring,
    exp.Sum, exp.TimeToStr, exp.TimestampTrunc, exp.DateTrunc, exp.Trim, exp.Upper, exp.Year,
)  # fmt: skip
"""Functions known to give the same everywhere; whatever else there is waits to be looked at."""

_QUANTILES = (exp.Quantile, exp.ApproxQuantile, exp.PercentileDisc, exp.PercentileCont, exp.Median)
_PASSING = (
    exp.Alias, exp.Paren, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Abs, exp.Round, exp.Coalesce,
    exp.Nullif, exp.Greatest, exp.Least, exp.Sum, exp.Min, exp.Max,
)  # fmt: skip
"""What is a double if something in it is one."""

_SHAPES = (exp.Pivot, exp.Lateral, exp.TableSample)


def faults(tree: exp.Expr, own: frozenset[str] = frozenset()) -> Iterator[str]:
    """Each construct of a statement that is outside the portable part, as a few words.

    `own` are the names of the catalogue's macros.
    """
    for node in tree.walk():
        found = [text for rule in _RULES if (text := rule(node))]
        yield from found
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in own:
                yield f"function {node.name}"
        elif isinstance(node, exp.Func) and not isinstance(node, _KNOWN) and not found:
            yield f"function {node.sql_name()}"


def _grouped(node: exp.Expr) -> str:
    return "GROUP BY ALL" if isinstance(node, exp.Group) and node.args.get("all") else ""


def _ordered(node: exp.Expr) -> str:
    if isinstance(node, exp.Ordered) and isinstance(node.this, exp.Var):
        return "ORDER BY ALL"
    return "LIMIT" if isinstance(node, (exp.Limit, exp.Offset, exp.Fetch)) else ""


def _difference(node: exp.Expr) -> str:
    if not isinstance(node, (exp.DateDiff, exp.TimestampDiff, exp.DatetimeDiff)):
        return ""
    unit = node.args.get("unit")
    name = unit.name.upper() if unit is not None else "DAY"
    return "" if name in _UNITS else f"date_diff in {name.lower()}s (subtract year numbers)"


def _recursive(node: exp.Expr) -> str:
    found = isinstance(node, exp.With) and node.recursive
    return "WITH RECURSIVE" if found else ""


def _float(node: exp.Expr) -> str:
    found = isinstance(node, exp.DataType) and node.this in _FLOATS
    return "DOUBLE or FLOAT (use decimals)" if found else ""


def _tie(node: exp.Expr) -> str:
    found = isinstance(node, (exp.ArgMax, exp.ArgMin))
    return "max_by or min_by (rank with row_number and a total order)" if found else ""


def _window(node: exp.Expr) -> str:
    ranked = isinstance(node, exp.Window) and isinstance(node.this, _RANKS)
    return "a rank over rows without ORDER BY" if ranked and not node.args.get("order") else ""


def _format(node: exp.Expr) -> str:
    if not isinstance(node, (exp.TimeToStr, exp.StrToTime, exp.StrToDate)):
        return ""
    text = node.args.get("format")
    plain = isinstance(text, exp.Literal) and text.name in _FORMATS
    return "" if plain else "a date format other than year, month and day"


def _star(node: exp.Expr) -> str:
    picky = isinstance(node, exp.Star) and any(node.args.get(k) for k in ("except_", "replace"))
    return "* EXCLUDE or REPLACE" if picky or isinstance(node, exp.Columns) else ""


def _quotient(node: exp.Expr) -> str:
    """DuckDB's quotient is a double; what is handed on or added up must be a decimal by then."""
    handed_on = isinstance(node, exp.Select) and any(map(is_double, node.expressions))
    added_up = isinstance(node, (exp.Sum, exp.Min, exp.Max)) and is_double(node.this)
    return (
        "a quotient that is no decimal (CAST it where it stands)" if handed_on or added_up else ""
    )


def is_double(node: exp.Expr | None) -> bool:
    """Whether an expression is a quotient, or made of one, and not yet a decimal or a whole number.

    Columns are not: a quotient is made a decimal before it gets a name.
    """
    if isinstance(node, exp.Div):
        return True
    if isinstance(node, exp.Case):
        return any(
            map(is_double, [*(i.args["true"] for i in node.args["ifs"]), node.args.get("default")])
        )
    if isinstance(node, exp.Window):
        return is_double(node.this)
    if not isinstance(node, _PASSING):
        return False
    return any(is_double(part) for part in node.iter_expressions())


def _kind(kinds: tuple[type[exp.Expr], ...], words: str) -> Callable[[exp.Expr], str]:
    return lambda node: words if isinstance(node, kinds) else ""


_RULES = (
    _grouped,
    _ordered,
    _difference,
    _recursive,
    _float,
    _tie,
    _window,
    _format,
    _star,
    _quotient,
    _kind(_LISTS, "lists, structs or maps"),
    _kind(_BY_CHANCE, "a value by chance or by the clock"),
    _kind(_PATTERNS, "a regular expression"),
    _kind(_QUANTILES, "a quantile (measures have them)"),
    _kind(_SHAPES, "PIVOT, LATERAL or a sample"),
)
