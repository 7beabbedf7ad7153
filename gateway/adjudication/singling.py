"""Whether the rows of a package can tell a few diagnoses or operations from all others.

Rows look at lists of codes, and the first that applies decides. What an insurer knows of a claim
(age, amounts, kind of care, the day) it can hold constant by the other conditions, so a row that
seems to stand behind another may be the only one left. Therefore no two codes may be told apart by
any rows, unless enough others lie with each: codes that are in exactly the same lists are one set,
and every set is counted. Counted are whole categories that occur as diagnoses and are read at all;
a narrower code, one that nobody has, and a sensitive one hide nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from string import ascii_uppercase

from gateway.adjudication.model import Row, RulePackage, When
from gateway.adjudication.terms import Terms

Codes = tuple[str, ...]
_CATEGORIES = tuple(f"{letter}{number:02}" for letter in ascii_uppercase for number in range(100))
_OPERATIONS = tuple(f"{number:02}" for number in range(100))
"""The first two digits of codes of operations (ICD-9-CM-3)."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a package: a stable code, where, and what to do."""

    code: str
    where: str
    sentence: str


@dataclass(frozen=True)
class _List:
    """Codes (prefixes) that rows look for, and where they stand."""

    codes: Codes
    where: str


def formula(row: Row) -> tuple[object, ...]:
    """What an answer by this row says, but for the amounts."""
    then = row.then
    return then.decision, tuple(sorted(then.reasons)), tuple(sorted(then.layers))


def singled_out(package: RulePackage, terms: Terms) -> Iterator[Fault]:
    """Every set of diagnoses or operations that is too small, or mostly sensitive."""
    diagnoses = [
        one
        for rows in _alike(package.rows)
        for one in _lists(rows, lambda when: (when.dx, when.dx_any))
    ]
    operations = [
        one for rows in _alike(package.rows) for one in _lists(rows, lambda when: (when.operation,))
    ]
    yield from _few(diagnoses, _CATEGORIES, "diagnosis", terms)
    yield from _few(operations, _OPERATIONS, "operation", terms)


def _alike(rows: Iterable[Row]) -> Iterator[list[tuple[int, Row]]]:
    """Neighbouring rows that differ in their main diagnoses alone: they are one list."""

    def same(numbered: tuple[int, Row]) -> object:
        _, row = numbered
        when = None if row.when is None else row.when.model_dump_json(exclude={"dx"})
        return formula(row), when

    for _, alike in groupby(enumerate(rows), same):
        yield list(alike)


def _lists(rows: list[tuple[int, Row]], of: Callable[[When], Iterable[Codes]]) -> Iterator[_List]:
    where = ", ".join(f"rows[{number}]" for number, _ in rows)
    told = [tuple(of(row.when)) for _, row in rows if row.when is not None]
    for columns in zip(*told, strict=True):
        if any(columns):
            yield _List(tuple(sorted({code for codes in columns for code in codes})), where)


def _few(lists: list[_List], whole: Codes, what: str, terms: Terms) -> Iterator[Fault]:
    if not lists:
        return
    bounds, counted = terms.bounds, {*whole} - terms.unseen
    for within, together in _told_apart(lists, whole).items():
        seen = counted & {*together}
        sensitive = {one for one in seen if what == "diagnosis" and terms.is_sensitive(one)}
        where = ", ".join(dict.fromkeys(lists[place].where for place in within))
        if len(seen) >= bounds.categories_min and len(sensitive) > bounds.sensitive_share_max * len(
            seen
        ):
            yield Fault(
                "rules_sensitive", where,
                f"{len(sensitive)} of {len(seen)} categories that are told are sensitive "
                f"diagnoses; at most {bounds.sensitive_share_max:.0%} may be.",
            )  # fmt: skip
        elif len(seen - sensitive) < bounds.categories_min:
            yield Fault(
                "rules_single_out", where or "rows",
                f"The rows tell {len(seen - sensitive)} whole categories of {what} from all "
                f"others; at least {bounds.categories_min}, not sensitive, must be decided alike.",
            )  # fmt: skip


def _told_apart(lists: list[_List], whole: Codes) -> dict[tuple[int, ...], list[str]]:
    """Sets of codes by the lists they are in. A narrower code stands for what begins with it and
    with no longer one, a whole category for the rest of it."""
    width = len(whole[0])
    narrow = {code for one in lists for code in one.codes if len(code) > width}
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for code in (*whole, *sorted(narrow)):
        found[tuple(n for n, one in enumerate(lists) if code.startswith(one.codes))].append(code)
    return found
