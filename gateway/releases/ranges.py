"""The rows of a query: which cells, in which order, found by arithmetic instead of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from gateway.errors import BadRequest, Unprocessable
from gateway.releases.manifest import Level, Manifest


@dataclass(frozen=True)
class Part:
    """A stretch of rows inside one block."""

    block: int
    period: str
    geo: str
    rows: slice


@dataclass(frozen=True)
class Range:
    """All rows of a query. Each (period, place) is a block with the same combinations inside:
    `codes` ascending, with `labels` per dim and whether the combination is `impossible`."""

    blocks: tuple[tuple[int, str, str], ...]
    codes: tuple[int, ...]
    labels: Mapping[str, list[str]]
    impossible: tuple[bool, ...]
    zeros_of: Mapping[str, str | int | None]

    @property
    def names(self) -> tuple[str, ...]:
        """The dims of the rows, contract order."""
        return tuple(self.labels)

    @property
    def total(self) -> int:
        return len(self.blocks) * len(self.codes)

    def letters(self, measures: Iterable[str]) -> list[int]:
        """Where the marks of a cell hold each measure."""
        place = {name: i for i, name in enumerate(self.zeros_of)}
        return [place[name] for name in measures]

    def parts(self, offset: int, limit: int) -> Iterator[Part]:
        """The stretches that rows `offset` to `offset + limit` are made of."""
        width = len(self.codes)
        row, last = max(0, offset), min(self.total, max(0, offset) + max(0, limit))
        while row < last:
            number, first = divmod(row, width)
            count = min(width - first, last - row)
            block, period, geo = self.blocks[number]
            yield Part(block, period, geo, slice(first, first + count))
            row += count


@dataclass(frozen=True)
class Query:
    """What a query ranges over; sorted, so that equal questions are equal values."""

    grain: str
    periods: tuple[str, ...]
    geo: tuple[str, ...]
    dims: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    levels: tuple[tuple[str, int], ...]


def ranges(manifest: Manifest, query: Query) -> Range:
    """The rows of a query, whatever order it was written in; refuses what is not released."""
    where = dict(query.where)
    column_of = _columns(manifest, {*query.dims, *where}, dict(query.levels))
    finest = _finest(manifest, list(column_of.values()))
    if finest not in manifest.shapes:
        raise Unprocessable("dims_not_released", "These dims are not released together.")
    digits = [_allowed(manifest, column, column_of, where) for column in finest]
    combinations = list(product(*digits))
    sizes = [len(manifest.levels[column].values) for column in finest]
    labels = {
        dim: [_label(manifest, column, finest, combination) for combination in combinations]
        for dim, column in column_of.items()
    }
    return Range(
        tuple(_blocks(manifest, manifest.shapes.index(finest), query)),
        tuple(_code(combination, sizes) for combination in combinations),
        labels,
        tuple(_impossible(manifest, labels, len(combinations))),
        {measure.name: measure.zero for measure in manifest.measures},
    )


def _columns(manifest: Manifest, named: set[str], levels: Mapping[str, int]) -> dict[str, str]:
    """The lattice column of each dim asked for, in contract order."""
    steps: dict[str, list[str]] = {}
    for column, level in manifest.levels.items():
        steps.setdefault(level.dim, []).append(column)
    if not named <= steps.keys():
        raise BadRequest("unknown_dim", "A dim is not one of the service's.")
    chosen = {}
    for dim, columns in steps.items():
        if dim in named:
            number = levels.get(dim, len(columns))
            if not 1 <= number <= len(columns):
                raise BadRequest("unknown_level", f"{dim} has levels 1 to {len(columns)}.")
            chosen[dim] = columns[number - 1]
    return chosen


def _above(manifest: Manifest, column: str) -> list[str]:
    """A column and all coarser ones of its axis."""
    up = manifest.levels[column].coarser
    return [column] if up is None else [column, *_above(manifest, up)]


def _finest(manifest: Manifest, columns: list[str]) -> tuple[str, ...]:
    """The columns that decide the cell: those no other one lies below."""
    return tuple(
        column
        for column in columns
        if not any(column in _above(manifest, other)[1:] for other in columns)
    )


def _ancestor(manifest: Manifest, column: str, digit: int, onto: str) -> int:
    """The code of a coarser column that a code rolls up to."""
    while column != onto:
        level = manifest.levels[column]
        digit, column = level.parents[digit], str(level.coarser)
    return digit


def _allowed(
    manifest: Manifest, column: str, column_of: Mapping[str, str], where: Mapping[str, str]
) -> list[int]:
    """The codes of a finest column that pass the equalities on it and on what lies above it."""
    line = _above(manifest, column)
    allowed = list(range(len(manifest.levels[column].values)))
    for dim, value in where.items():
        if column_of[dim] in line:
            onto = _holding(manifest, _above(manifest, column_of[dim]), dim, value)
            place = manifest.levels[onto].values.index(value)
            allowed = [d for d in allowed if _ancestor(manifest, column, d, onto) == place]
    return allowed


def _holding(manifest: Manifest, line: Iterable[str], dim: str, value: str) -> str:
    """The level of the dim in whose list the value is."""
    for column in line:
        level: Level = manifest.levels[column]
        if level.dim == dim and value in level.values:
            return column
    raise BadRequest("value_not_listed", f"`where`: not a listed value of {dim}.")


def _label(
    manifest: Manifest, column: str, finest: tuple[str, ...], combination: tuple[int, ...]
) -> str:
    below = next(c for c in finest if column in _above(manifest, c))
    digit = _ancestor(manifest, below, combination[finest.index(below)], column)
    return manifest.levels[column].values[digit]


def _code(combination: tuple[int, ...], sizes: list[int]) -> int:
    code = 0
    for digit, size in zip(combination, sizes, strict=True):
        code = code * size + digit
    return code


def _impossible(manifest: Manifest, labels: Mapping[str, list[str]], count: int) -> Iterator[bool]:
    rules = [rule for rule in manifest.structural_zeros if rule.keys() <= labels.keys()]
    for i in range(count):
        yield any(all(labels[d][i] in values for d, values in rule.items()) for rule in rules)


def _blocks(manifest: Manifest, shape: int, query: Query) -> Iterator[tuple[int, str, str]]:
    every = manifest.blocks
    places = {place: i for i, place in enumerate(manifest.geo)}
    asked = [(query.grain, period) for period in query.periods]
    if not set(asked) <= set(every):
        raise BadRequest("period_not_released", "A period is not in this release.")
    if not set(query.geo) <= places.keys():
        raise BadRequest("geo_not_released", "A place is not in this release.")
    for number in sorted(every.index(one) for one in asked):
        for place in sorted(query.geo, key=places.__getitem__):
            block = (shape * len(every) + number) * len(places) + places[place]
            yield block, every[number][1], place
