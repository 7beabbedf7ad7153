"""`release verify --all` knows every way to subtract up to three figures: one planted of each.

The figures are those of the releases in force; one count of S09 (or S02) is set so that a few
persons are left, as a build without that form in mind would have published it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.across import nests
from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore
from gateway.releases.subtraction import Published, alone, between, by_season
from gateway.settings import Settings
from tests.release_warehouse import Built

QUARTER, CITY, FEW, SOME = "2024Q2", "990100", 5, 60
Cell = tuple[str, ...]
"""A service and its dim values, as `gend=1`."""


@pytest.fixture(scope="module")
def services() -> Mapping[str, Service]:
    return load_catalogue(Settings().policies).services


@pytest.fixture(scope="module")
def figures(built: Built, services: Mapping[str, Service]) -> Figures:
    """What was built; take a `fresh` one to change it."""
    return Figures(services, {name: _released(built, name) for name in ("S02", "S09")})


Released = tuple[Manifest, tuple[Listed, ...]]


def _released(built: Built, service: str) -> Released:
    """The release in force and its cells of the quarter."""
    root = built.settings.releases
    manifest = ReleaseStore(root).latest(service)
    assert manifest is not None
    (key,) = manifest.profiles
    rows = listing(root / service / manifest.release_id, manifest, key)
    return manifest, tuple(row for row in rows if row.period == QUARTER)


class Figures:
    """The person counts of a quarter, of which some are set anew."""

    def __init__(self, services: Mapping[str, Service], released: Mapping[str, Released]) -> None:
        self._services = services
        self._released = released
        self._manifests = {service: manifest for service, (manifest, _) in released.items()}
        self._rows = {service: list(rows) for service, (_, rows) in released.items()}

    def fresh(self) -> Figures:
        """The same as they were built."""
        return Figures(self._services, self._released)

    def _at(self, service: str) -> int:
        manifest = self._manifests[service]
        return [m.name for m in manifest.measures].index(str(manifest.person_measure))

    def _place(self, cell: Cell) -> int:
        """The cell's row; a new one where the build shows none."""
        service, *values = cell
        order = list(self._manifests[service].levels)
        wanted = sorted((tuple(v.split("=")) for v in values), key=lambda v: order.index(v[0]))
        rows = self._rows[service]
        for i, row in enumerate(rows):
            if row.geo == CITY and list(row.values) == wanted:
                return i
        blank = replace(rows[0], geo=CITY, values=tuple((name, value) for name, value in wanted))
        rows.append(replace(blank, marks="s" * len(blank.marks)))
        return len(rows) - 1

    def __getitem__(self, cell: Cell) -> int:
        row = self._rows[cell[0]][self._place(cell)]
        if row.marks[self._at(cell[0])] != "r":
            self[cell] = SOME
        return int(str(self._rows[cell[0]][self._place(cell)].figures[self._at(cell[0])]))

    def __setitem__(self, cell: Cell, count: int) -> None:
        place, at = self._place(cell), self._at(cell[0])
        row = self._rows[cell[0]][place]
        figures = (*row.figures[:at], count, *row.figures[at + 1 :])
        marks = f"{row.marks[:at]}r{row.marks[at + 1 :]}"
        self._rows[cell[0]][place] = replace(row, figures=figures, marks=marks)

    def _published(self, service: str) -> Published:
        of = self._services[service]
        rows = self._rows[service]
        return by_season(self._manifests[service], rows, 11, Grain.QUARTER, of)[QUARTER]

    def told(self) -> set[str]:
        """What is found between the two services and inside each, in words without the place."""
        pair = ("S09", "S02")
        (nest,) = (n for n in nests(self._services) if (n.inner, n.outer) == pair)
        outer, inner = self._published("S02"), self._published("S09")
        found = set(between(nest, self._services, outer, inner))
        found |= {f"S02 alone: {text}" for text in alone(outer)}
        found |= {f"S09 alone: {text}" for text in alone(inner)}
        return {text.replace(f"quarter={QUARTER}/{CITY}", "").replace(" /", " ") for text in found}


def test_nothing_is_found_in_what_was_built(figures: Figures) -> None:
    assert figures.told() == set()


FORMS: dict[str, tuple[Cell, tuple[Cell, ...], tuple[Cell, ...]]] = {
    # name: the figure that is set, those that are added, those that are subtracted
    "with a drug": (("S09",), (("S02",),), (("S09",),)),
    "two bands of five years less one of ten": (
        ("S09", "age10=60-69"),
        (("S02", "age5=60-64"), ("S02", "age5=65-69")),
        (("S09", "age10=60-69"),),
    ),
    "women and men with a drug less all with it": (
        ("S09", "gend=1"),
        (("S02", "gend=2"), ("S09", "gend=1")),
        (("S09",),),
    ),
    "everybody less men less women with a drug": (
        ("S09", "gend=2"),
        (("S02",),),
        (("S02", "gend=1"), ("S09", "gend=2")),
    ),
    "employees and residents less all with a drug": (
        ("S09",),
        (("S02", "insutype2=employee"), ("S02", "insutype2=resident")),
        (("S09",),),
    ),
    "all with a drug less its men and women": (
        ("S09", "gend=2"),
        (("S09",),),
        (("S09", "gend=1"), ("S09", "gend=2")),
    ),
    "everybody less two levels of care with a drug": (
        ("S09", "hosp_lv4=S"),
        (("S02",),),
        (("S09", "hosp_lv4=S"), ("S09", "hosp_lv4=P")),
    ),
    "women less retired women less women of another scheme": (
        ("S02", "insutype2=resident", "gend=2"),
        (("S02", "gend=2"),),
        (("S02", "insutype2=resident", "gend=2"), ("S02", "psn_group6=retired", "gend=2")),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_leak_of_each_form_is_named(figures: Figures, form: str) -> None:
    changed, plus, minus = FORMS[form]
    figures = figures.fresh()
    before = sum(figures[c] for c in plus) - sum(figures[c] for c in minus)
    sign = 1 if changed in minus else -1
    figures[changed] = figures[changed] + sign * (before - FEW)
    assert sum(figures[c] for c in plus) - sum(figures[c] for c in minus) == FEW
    wanted = {(frozenset(map(words, plus)), frozenset(map(words, minus)))}
    assert wanted <= {parsed(text) for text in figures.told()}


def words(cell: Cell) -> frozenset[str]:
    return frozenset(cell)


def parsed(text: str) -> tuple[frozenset[frozenset[str]], frozenset[frozenset[str]]]:
    """A sentence as cells added and cells subtracted."""
    where, _, rest = text.rpartition(" alone: ")
    plus, _, minus = rest.partition(" less ")

    def cells(part: str, glue: str) -> frozenset[frozenset[str]]:
        names = [f"{where} {one}" if where else one for one in part.split(glue)]
        return frozenset(frozenset(n.replace("/", " ").split()) for n in names)

    return cells(plus, " plus "), cells(minus, " and ")
