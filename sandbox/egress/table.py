"""An aggregate table: every row of k persons or more, rounded, of few dimensions.

Its columns: dimensions first, then `n_person`, then figures. `top1_share`, where it stands, is
the largest contributor's share of the row (0 to 1).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

from sandbox.egress import text
from sandbox.egress.findings import ROWS, Finding, Rules, look, stop

COUNT: Final = "n_person"
SHARE: Final = "top1_share"
_TELLING: Final = 0.5
"""Of the rows; where the dimensions tell so many apart with the least count, rows are persons."""


def examined(content: bytes, rules: Rules) -> list[Finding]:
    """Findings on a CSV table."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return [stop("not_csv", "file", "It is not CSV in UTF-8.")]
    if not rows or COUNT not in rows[0]:
        return [stop("no_count", "header", f"A table tells how many persons a row is: {COUNT}.")]
    head, body = rows[0], rows[1:]
    return [*_whole(head, body, rules), *_cells(head, body, rules)]


def _whole(head: list[str], body: list[list[str]], rules: Rules) -> Iterator[Finding]:
    dimensions = head.index(COUNT)
    if len(set(head)) != len(head):
        yield stop("form", "header", "A column stands twice.")
    if dimensions > rules.max_dims:
        yield stop("too_many_dims", "header", f"It has more than {rules.max_dims} dimensions.")
    if len(body) > ROWS:
        yield stop("too_many_rows", "file", f"A table has {ROWS} rows at most.")
    keys = [tuple(row[:dimensions]) for row in body]
    if len(set(keys)) != len(keys):
        yield stop("rows_alike", "file", "Rows have the same dimensions: they are no cells.")
    counts = [row[dimensions] for row in body if len(row) == len(head)]
    least = counts.count(str(-(-rules.k_person // rules.count_round) * rules.count_round))
    if len(counts) > 20 and least > _TELLING * len(counts):
        yield look("made_to_fit", "file", "Most rows count just what the rule asks for.")


def _cells(head: list[str], body: list[list[str]], rules: Rules) -> Iterator[Finding]:
    dimensions = head.index(COUNT)
    for number, row in enumerate(body, 1):
        where = f"row {number}"
        if len(row) != len(head):
            yield stop("form", where, "It has another number of values than the header.")
            continue
        for value in row[:dimensions]:
            yield from (stop(f.code, where, f.sentence) for f in text.examined(value, 100))
        yield from _figures(
            where, dict(zip(head[dimensions:], row[dimensions:], strict=True)), rules
        )


def _figures(where: str, row: dict[str, str], rules: Rules) -> Iterator[Finding]:
    hidden = row[COUNT] == ""
    count = Decimal(0) if hidden else _number(row[COUNT])
    if count is None or count != count.to_integral_value():
        yield stop("form", where, f"{COUNT} is no whole number.")
    elif not hidden and count < rules.k_person:
        yield stop("small_count", where, f"It is of fewer than {rules.k_person} persons.")
    elif count % rules.count_round:
        yield stop("not_rounded", where, f"Counts are rounded to {rules.count_round}.")
    for name, value in row.items():
        if name == COUNT or not value:
            continue
        if hidden:
            yield stop("beside_hidden", where, "A row without its count has no figures either.")
        figure = _number(value)
        if figure is None:
            yield stop("form", where, "A figure is no number.")
        elif len(figure.normalize().as_tuple().digits) > rules.amount_sig_digits:
            yield stop(
                "too_precise", where, f"Figures have {rules.amount_sig_digits} significant digits."
            )
        elif name == SHARE and figure > Decimal(str(rules.top1_share_max)):
            yield stop("dominated", where, "One contributor has too large a share of it.")


def _number(value: str) -> Decimal | None:
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
