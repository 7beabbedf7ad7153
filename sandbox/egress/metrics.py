"""A file of metrics: few named figures, of few digits, none of them a small count of persons."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from sandbox.egress import text
from sandbox.egress.figures import digits
from sandbox.egress.findings import DIGITS, FIGURES, Finding, Rules, look, stop

_NAME: Final = re.compile(r"^[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9_.%@/ \u4e00-\u9fff-]{0,59}$")
_COUNTS: Final = re.compile(
    r"(^|_|\b)(n|count|counts|rows|persons|people|patients|support|num)(_|\b|$)|人数|例数|计数",
    re.I,
)
_LIST: Final = 50
_DEPTH: Final = 6
_WORDS: Final = 60


def examined(content: bytes, rules: Rules) -> list[Finding]:
    """Findings on a JSON document of metrics."""
    try:
        document = json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return [stop("not_json", "file", "It is not JSON.")]
    leaves = list(_leaves(document, ()))
    found = [] if isinstance(document, dict) else [stop("form", "file", "It is no object.")]
    figures = [leaf for leaf in leaves if isinstance(leaf[1], int | float)]
    if len(figures) > FIGURES:
        found.append(stop("too_many_figures", "file", f"It has more than {FIGURES} figures."))
    if sum(isinstance(value, str) for _, value in leaves) > _WORDS:
        found.append(stop("too_many_words", "file", f"It has more than {_WORDS} texts."))
    for number, (path, value) in enumerate(leaves, 1):
        found += _leaf(f"value {number}", path, value, rules)
    return found


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(path) > _DEPTH:
        yield path[:_DEPTH], ...
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        if len(value) > _LIST:
            yield (*path, "list"), [None]
        for inner in value:
            yield from _leaves(inner, (*path, "each"))
    elif not isinstance(value, bool) and value is not None:
        yield path, value


def _leaf(where: str, path: tuple[str, ...], value: Any, rules: Rules) -> Iterator[Finding]:
    if not all(_NAME.match(name) for name in path):
        yield stop("name", where, "A name has 60 plain characters at most.")
    elif any(text.examined(name) for name in path):
        yield stop("name", where, "A name reads as encoded or as an identifier.")
    if value is ...:
        yield stop("too_deep", where, f"Metrics lie {_DEPTH} levels deep at most.")
    elif isinstance(value, list):
        yield stop("long_list", where, f"A list has {_LIST} values at most; it reads as rows.")
    elif isinstance(value, str):
        if len(value) > 200:
            yield stop("long_text", where, "A text in it has 200 characters at most.")
        yield from (stop(f.code, where, f.sentence) for f in text.examined(value))
    elif digits(value) > DIGITS or not math.isfinite(value):
        yield stop("too_precise", where, f"A figure has {DIGITS} significant digits at most.")
    elif isinstance(value, int) and 0 < value < rules.k_person:
        if _COUNTS.search(path[-1] if path[-1] != "each" else "_".join(path)):
            yield stop("small_count", where, f"It counts fewer than {rules.k_person}.")
        else:
            yield look("small_number", where, "A small whole number: if it counts persons, stop.")
