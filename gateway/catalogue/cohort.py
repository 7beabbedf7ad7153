"""What a service that counts cohorts is: lists of events to ask by, instead of cells to look up.

One folder, `policies/catalogue/<id>/`, with `cohort.yaml` (this model) and one query a list. What
every service has (who may ask, what it costs, how it is classified) is said in the same words, and
`as_service` gives it to whoever needs no more than that: policy, tariff, journal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from gateway.catalogue.faults import CatalogueError, invalid
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.kinds import Persons
from gateway.catalogue.model import (
    Dim,
    Disclosure,
    GeoLevel,
    Grain,
    Measure,
    Service,
    SqlFile,
    Text,
)
from gateway.catalogue.policy_view import policy_view
from gateway.catalogue.terms import Terms
from gateway.catalogue.views import OWN, read_views, shared_files
from gateway.catalogue.worked import Drawn, described

FILE = "cohort.yaml"
WORKED = "worked_cohort.yaml"
_AXIS = "cohort"


class Asked(Frozen):
    """Something a criterion can ask about, and its classification item of SPEC §4.1."""

    title: Text
    item: str = Field(pattern=r"^C(0[1-9]|1[0-2])-\d\d$")
    level: Literal["L1", "L2"] = "L2"
    sensitive: bool = True  # codes are held against data/sensitive.yaml


class Coarser(Asked):
    """A coarser list: `columns` of the query hold its codes, one column a level."""

    columns: tuple[str, ...] = Field(min_length=1)


class EventList(Asked):
    """A list of codes of dated events.

    Its query has one row an event: `psn_no`, `day`, `code`, `geo_city` (where the person was
    insured) and `age10` then, and the columns of the coarser lists `above` it.
    """

    query: SqlFile
    above: dict[str, Coarser] = Field(default_factory=dict)


class CohortContract(Terms):
    """The contract of one service that counts cohorts.

    `persons` gives `psn_no`, `gend`; `insured` gives `psn_no`, `period_m` for every month with
    insured days; `providers` gives `year`, `geo_city`, `provider`, `persons`: whose records the
    index is made from, for the sharing of fees. `shares` are services whose own views these
    queries read too. `months` bounds what may be asked of enrolment, `days` of a relation.
    """

    grain: Literal["cohort"]
    output_level: Literal["L1", "L2"]
    geo: tuple[GeoLevel, ...]
    persons: SqlFile
    insured: SqlFile
    providers: SqlFile
    shares: tuple[str, ...] = ()
    lists: dict[str, EventList] = Field(min_length=1)
    attributes: dict[Literal["age10", "gend", "index_year", "enrolled"], Asked]
    values: dict[Literal["age10", "gend"], tuple[str, ...]]
    months: int = Field(ge=1, le=120)
    days: int = Field(ge=1, le=3650)
    quartiles_from: int = Field(ge=4)
    example: dict[str, object]

    @property
    def kinds(self) -> dict[str, Asked]:
        """Everything that can be asked about, by name."""
        above = {name: one for each in self.lists.values() for name, one in each.above.items()}
        own: dict[str, Asked] = {str(name): one for name, one in self.attributes.items()}
        return {**own, **self.lists, **above}

    @property
    def queries(self) -> tuple[str, ...]:
        """The files of its SQL."""
        lists = (each.query for each in self.lists.values())
        return (self.persons, self.insured, self.providers, *lists)

    def as_service(self) -> Service:
        """What it has in common with every service; there are no cells behind it."""
        dims = tuple(
            Dim(
                name=name,
                title=one.title,
                item=one.item,
                level=one.level,
                axis=_AXIS,
                sensitive=None,
            )
            for name, one in self.kinds.items()
        )
        persons = Measure(
            name="persons",
            title=Text(zh="人数（分档）", en="Persons, as a band"),
            item="C02-01",
            level="L2",
            unit="band",
            define=Persons(kind="persons", fact="index"),
        )
        return Service(
            **self.model_dump(include=_COMMON),
            grain="aggregate",
            tariff=self.tariff,
            periods=(Grain.YEAR,),
            dims=dims,
            measures=(persons,),
            facts={},
            disclosure=Disclosure(),
        )

    def policy_view(self) -> dict[str, object]:
        """What the policy may know of it."""
        return policy_view(self.as_service()) | {"grain": self.grain}


_COMMON = {
    "id", "code", "version", "title", "summary", "consumers", "output_level", "sdc", "scenarios",
    "min_lag_days", "free_for", "geo", "notes", "example",
}  # fmt: skip


class CohortExample(Drawn):
    """A worked example: records, a question as JSON, and the answer as a drawn table."""

    ask: str
    answer: str


def load_cohorts(root: Path) -> dict[str, CohortContract]:
    """Every service of the catalogue that counts cohorts; raises `CatalogueError`."""
    return {
        path.parent.name: _contract(path, root) for path in sorted(root.glob(f"S[0-9][0-9]/{FILE}"))
    }


def _contract(path: Path, root: Path) -> CohortContract:
    try:
        contract = CohortContract.model_validate(_read(path))
    except ValidationError as error:
        raise invalid(path, error) from error
    for fault in _faults(contract, path.parent, root):
        raise CatalogueError("catalogue_reference", f"{path}: {fault}")
    return contract


def _faults(contract: CohortContract, folder: Path, root: Path) -> list[str]:
    found = []
    if contract.id != folder.name:
        found.append(f"id {contract.id} is not its folder's")
    found += [f"{q} does not exist" for q in contract.queries if not (folder / q).is_file()]
    found += [
        f"shares: {other} has no {OWN}"
        for other in contract.shares
        if not (root / other / OWN).is_file()
    ]
    names = [*contract.attributes, *contract.lists]
    names += [name for each in contract.lists.values() for name in each.above]
    if len(set(names)) < len(names):
        found.append("lists: a name appears twice")
    return found


def _read(
    path: Path, loader: type = yaml.CSafeLoader
) -> Any:  # whatever YAML holds; validated by the caller
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both loaders are safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError("catalogue_unreadable", f"{path}: {error}") from error


def cohort_views(root: Path, contract: CohortContract) -> str:
    """The macros and views its queries build on."""
    own = [root / name / OWN for name in (*contract.shares, contract.id)]
    return read_views([*shared_files(root), *(path for path in own if path.is_file())])


def cohort_sql(root: Path, contract: CohortContract, query: str) -> str:
    """The text of one of its queries."""
    return (root / contract.id / query).read_text(encoding="utf-8").strip().rstrip(";")


def cohort_digest(root: Path, contract: CohortContract) -> str:
    """SHA-256 over everything that defines who is counted; not its prices."""
    digest = hashlib.sha256(cohort_views(root, contract).encode())
    digest.update(contract.model_dump_json(exclude={"tariff"}).encode())
    for query in contract.queries:
        digest.update(cohort_sql(root, contract, query).encode())
    return digest.hexdigest()


def cohort_example(root: Path, contract: CohortContract) -> CohortExample | None:
    """Its worked example, if it has one."""
    path = root / contract.id / WORKED
    if not path.is_file():
        return None
    try:
        return CohortExample.model_validate(_read(path, yaml.CBaseLoader))
    except ValidationError as error:
        raise invalid(path, error) from error


def described_cohort(
    contract: CohortContract, example: CohortExample | None, prices: Iterable[str]
) -> str:
    """The section of the service on the reference page; `prices` are told as sentences."""
    lines = [
        f"## {contract.id} `{contract.code}` {contract.title.zh}",
        "",
        f"{contract.title.en}. {contract.summary.en}",
        "",
        contract.summary.zh,
        "",
        f"- Version {contract.version}; geography: {', '.join(one.level for one in contract.geo)}",
        f"- Consumers: {', '.join(contract.consumers)}; scenarios: {', '.join(contract.scenarios)}",
        f"- Disclosure profile {contract.sdc}; output level {contract.output_level}; "
        f"at least {contract.min_lag_days} days after the period",
        *(f"- Tariff: {price}" for price in prices),
        *(f"- Note: {note.en} {note.zh}" for note in contract.notes),
        "",
        "| kind | 内容 | meaning | item | asked as |",
        "|---|---|---|---|---|",
        *(_kind(contract, name, one) for name, one in contract.kinds.items()),
        "",
        *((*described(example, example.ask), "") if example else ()),
    ]
    return "\n".join(lines)


def _kind(contract: CohortContract, name: str, one: Asked) -> str:
    values: Mapping[str, tuple[str, ...]] = {str(k): v for k, v in contract.values.items()}
    asked = {
        "enrolled": f"months before and after, at most {contract.months} each",
        "index_year": "calendar years of the period",
    }.get(name, ", ".join(values.get(name, ("codes of the release's list",))))
    return f"| `{name}` | {one.title.zh} | {one.title.en} | {one.item} | {asked} |"
