"""How much a package could tell by its coded answers, worked out from its text alone.

An insurer that writes one row per diagnosis would read the diagnosis off the answer. So distinct
coded outcomes are counted (at most 2^bits), and behind each that depends on a diagnosis there must
stand several diagnoses, not mostly sensitive ones. Amounts are not bounded here: SPEC S20 grants
them; which formula was applied is, since each set of layers counts as an outcome of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import comb, log2

from gateway.adjudication.model import Row, RulePackage
from gateway.adjudication.singling import Fault, formula, singled_out
from gateway.adjudication.terms import Terms

_ENGINE = 4
"""Outcomes the amounts add to a paying row: below the deductible, limit reached, nothing, none."""

_ALWAYS = 2
"""Outcomes of every package: outside the period of cover, and left to people."""

_BROAD = 4
"""A prefix of a national item code no longer than this names a whole class of items."""


def outcomes(package: RulePackage, reasons_max: int) -> int:
    """No fewer than the distinct coded outcomes the package can give."""
    distinct = {formula(row): row for row in package.rows}
    return _ALWAYS + sum(_of_row(package, row, reasons_max) for row in distinct.values())


def bits(package: RulePackage, reasons_max: int) -> float:
    """log2 of `outcomes`: what one answer can tell beside its amounts."""
    return log2(outcomes(package, reasons_max))


def faults(package: RulePackage, terms: Terms) -> list[Fault]:
    """Everything for which the bureau's terms refuse the package; none if it may be reviewed."""
    return [
        *_sizes(package, terms),
        *_reasons(package, terms),
        *_too_telling(package, terms),
        *singled_out(package, terms),
        *_items_singled_out(package, terms),
        *_unreachable(package),
    ]


def _of_row(package: RulePackage, row: Row, reasons_max: int) -> int:
    if row.then.decision != "pay":
        return 1
    choices = len({exclusion.reason for exclusion in package.exclusions})
    struck = sum(comb(choices, n) for n in range(min(choices, reasons_max) + 1))
    return (len(row.then.layers) + 1) * _ENGINE * struck


def _sizes(package: RulePackage, terms: Terms) -> Iterator[Fault]:
    bounds = terms.bounds
    codes = sum(len(one.codes) for one in package.exclusions) + sum(
        len(row.when.diagnoses) + len(row.when.operation) + len(row.when.institution)
        for row in package.rows if row.when
    )  # fmt: skip
    for what, has, most in (
        ("rows", len(package.rows), bounds.rows_max),
        ("layers", len(package.layers), bounds.layers_max),
        ("codes", codes, bounds.codes_max),
    ):
        if has > most:
            yield Fault("rules_too_large", what, f"{has} {what}; at most {most} are reviewed.")


def _reasons(package: RulePackage, terms: Terms) -> Iterator[Fault]:
    given = [(f"rows[{n}]", row.then.reasons) for n, row in enumerate(package.rows)]
    given += [(f"exclusions[{n}]", (one.reason,)) for n, one in enumerate(package.exclusions)]
    for where, reasons in given:
        if len(reasons) > terms.bounds.reasons_max:
            most = terms.bounds.reasons_max
            yield Fault("rules_reasons", where, f"{len(reasons)} reasons; at most {most} are told.")
        for code in reasons:
            known = terms.reasons.get(code)
            if known is None:
                yield Fault("rules_reason_unknown", where, f"{code} is not in the list of reasons.")
            elif known.given_by != "rules":
                yield Fault("rules_reason_reserved", where, f"{code} is given by the engine alone.")


def _too_telling(package: RulePackage, terms: Terms) -> Iterator[Fault]:
    has = bits(package, terms.bounds.reasons_max)
    if has > terms.bounds.bits:
        yield Fault(
            "rules_too_telling",
            "rows",
            f"The answers could carry {has:.1f} bits; at most {terms.bounds.bits} are allowed. "
            "Use fewer rows, layers or reasons of exclusions.",
        )


def _items_singled_out(package: RulePackage, terms: Terms) -> Iterator[Fault]:
    """An exclusion's reason says that the person was given one of its items."""
    codes: dict[str, set[str]] = defaultdict(set)
    for exclusion in package.exclusions:
        codes[exclusion.reason] |= {*exclusion.codes}
    bounds = terms.bounds
    for reason, told in codes.items():
        where = f"exclusions {reason}"
        sensitive = sum(one.startswith(terms.sensitive_drugs) for one in told)
        narrow = sum(len(one) > _BROAD for one in told)
        if 0 < narrow - sensitive < bounds.categories_min:
            yield Fault(
                "rules_single_out", where,
                f"The reason tells {narrow - sensitive} narrow codes; at least "
                f"{bounds.categories_min}, or none longer than {_BROAD} characters, must share it.",
            )  # fmt: skip
        elif sensitive > bounds.sensitive_share_max * len(told):
            yield Fault(
                "rules_sensitive", where,
                f"{sensitive} of {len(told)} codes are drugs that give a sensitive diagnosis away; "
                f"at most {bounds.sensitive_share_max:.0%} may be.",
            )  # fmt: skip


def _unreachable(package: RulePackage) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, row in enumerate(package.rows):
        key = row.when.model_dump_json() if row.when else ""
        if key in seen:
            yield Fault(
                "rules_unreachable",
                f"rows[{number}]",
                f"The same conditions stand in rows[{seen[key]}] before it; it never decides.",
            )
        seen.setdefault(key, number)
