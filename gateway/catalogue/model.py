"""What a data service is: the one declaration that build, policy, API, docs and metering read.

One folder per service under `policies/catalogue/<id>/`: `service.yaml` (this model) and the SQL
of its facts. Adding a service is adding a folder; nothing here knows any service by name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gateway.catalogue.frozen import Frozen
from gateway.catalogue.kinds import Definition
from gateway.catalogue.tariff import Tariff

SqlFile: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9_]+\.sql$")]
"""A file in the service's own folder."""


Unit: TypeAlias = Literal[
    "count", "person_years", "CNY", "ratio", "days", "DDD", "band", "units", "RW",
    "index", "per_1000", "score", "months", "percent", "code",
]  # fmt: skip
"""Money is text with two decimals, counts are whole, bands and codes are texts, others numbers."""


class Text(Frozen):
    """A text for people: Chinese first, English beside."""

    zh: str
    en: str


class Grain(StrEnum):
    """Length of one period."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class GeoLevel(Frozen):
    """A geography released. How many dims a cell may name is the profile's to say."""

    level: Literal["city", "county"]


class Column(Frozen):
    """What dims and measures share: a name, texts and a classification item of SPEC §4.1."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    item: str = Field(pattern=r"^C(0[1-9]|1[0-2])-\d\d$")
    level: Literal["L1", "L2", "L3", "L4", "L5"]
    mask: str = "none"


class Listed(Frozen):
    """One code of a list that comes with the catalogue; `more` is what else the list says."""

    code: str = Field(pattern=r"^[^\x00-\x1f]{1,64}$")
    title_zh: str
    title_en: str
    parent: str
    more: dict[str, str] = Field(default_factory=dict)


class Dim(Column):
    """A lattice dimension: a closed list of values, or codes with a hierarchy.

    `axis` groups dims that are levels of one hierarchy (mdc > adrg > drg): a query may name several
    levels of one axis, the finest decides the cell. `parent` is the next coarser dim of that axis.
    A dim with `levels` is itself several levels, coarse to fine, each a column of the facts (`atc`:
    atc1…atc4); a query names the dim and picks one by number, the last by default.
    `partition` is true where one record belongs to one value *and* one person does too within a
    period (gend, age): person counts then add up over the values. A `pivot` dim is never asked for:
    it joins cells as one axis more, is protected like any other, and measures take their value
    `at` one of its values (the stays of 4 to 7 days of a cell). `sensitive` says what the codes
    of a dim are that policies/data/sensitive.yaml does not know: diagnoses, or codes that begin
    like those of that list of prefixes. `lists` are the code lists, by
    column, that came as `codes_<name>.csv` with the catalogue; it is never written in a contract.
    """

    axis: str
    parent: str | None = None
    levels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    code_list: str | None = Field(default=None, pattern=r"^[a-z0-9_]+$")
    partition: bool = False
    pivot: bool = False
    sensitive: Literal["dx", "atc", "generic", "mdc", "adrg"] | None = None
    lists: dict[str, tuple[Listed, ...]] = Field(default_factory=dict)

    def list_of(self, column: str) -> str:
        """The name of a column's code list."""
        return column if self.levels else (self.code_list or column)


class Measure(Column):
    """A published figure. `only_with` (any of) / `never_with`: dims the cell must / must not name.

    `at` fixes a pivot dim: value and flag are those of the cell with that value. `internal`
    measures are parts of others and not answered.
    """

    unit: Unit
    define: Definition
    only_with: tuple[str, ...] = ()
    never_with: tuple[str, ...] = ()
    at: dict[str, str] = Field(default_factory=dict)
    internal: bool = False


class Fact(Frozen):
    """One SQL that yields atoms: rows at the finest key the lattice needs.

    Required columns: `period_m` ('YYYY-MM'), `geo_county`, `geo_city` (admdvs), each dim it lists,
    `psn_no`, `fixmedins_code` (null in an exposure fact), `counting` (does the row make its person
    count), `magnitude` (the amount dominance is judged on), optional `maker`; then value columns.
    A null value contributes nothing. Macros and views (`views_*.sql`, then the folder's own
    `views.sql`) are run before every query. Of several queries the rows are put together, by the
    names of the columns. The values of a `stock` are of the end of each month (balances): a longer
    period has those of its last month. Where the subject is not persons, a fact has no `psn_no`,
    `fixmedins_code`, `counting`, `magnitude` or `maker`.
    """

    query: SqlFile | Annotated[tuple[SqlFile, ...], Field(min_length=1)]
    dims: tuple[str, ...]
    requires_any: tuple[str, ...] = ()
    stock: bool = False

    @property
    def queries(self) -> tuple[str, ...]:
        """The files of its SQL."""
        return (self.query,) if isinstance(self.query, str) else self.query


class Link(Frozen):
    """Cells of `service` with `where` fixed count the same records as this service's cells over
    the dims the two have in common: `dims` maps this service's names to the other's, `parts` those
    whose values (ranges) are unions of the other's values."""

    service: str
    where: dict[str, str] = Field(default_factory=dict)
    dims: dict[str, str]
    parts: dict[str, str] = Field(default_factory=dict)


class Disclosure(Frozen):
    """How the rules of SPEC §4.3 read this service's facts.

    A cell's persons, institutions and shares come from the fact that covers it: the first in the
    order of `facts` whose dims contain the cell's (and whose `requires_any` is met when it has
    one); facts in `side` (exposure, per-record values) never do. Exposure comes from the fact named
    `exposure`, projected on the dims that fact has. `forbid_together`: dims never in one cell.
    `linked`: cells of another service that count the same records and so
    must share the same flags (SPEC §4.3.9). `within`: another service whose persons these are
    among: its cells over the same dims contain this service's, so no rest may be small.
    `records`: a query of the records that this service and those linked with it count, one row
    each, with all their dims: which cells lie inside each other though no roll-up says so.

    `subject`: what the cells are about. `persons` is protected by all rules. `ledger`: accounts of
    a fund, rounded, and shown where enough are insured. `open`: figures about data, shown as they
    are. The facts of the latter two reach no table with a person, a settlement or an institution;
    `reconciles` names those of a ledger that add up settlements to hold against it. `own`: there
    are no cells at all, only one institution's own rows.
    """

    subject: Literal["persons", "ledger", "open", "own"] = "persons"
    reconciles: tuple[str, ...] = ()
    person_measure: str | None = None
    side: tuple[str, ...] = ()
    forbid_together: tuple[tuple[str, str], ...] = ()
    makers_for: tuple[str, ...] = ()
    sensitive_dims: tuple[str, ...] = ()
    structural_zeros: tuple[dict[str, tuple[str, ...]], ...] = ()
    linked: tuple[Link, ...] = ()
    within: tuple[Link, ...] = ()
    records: SqlFile | None = None


class OwnMeasure(Column):
    """A figure or a word about one's own data: a column of the view's query, a quantile of the
    peers' figures, or the band that one's own figure lies in among these quantiles."""

    unit: Unit


class Quantile(Frozen):
    """A quantile of what the peers have in column `of`."""

    of: str
    p: int = Field(gt=0, lt=100)


class Band(Frozen):
    """Between which of the quantiles that it is told of its peers an institution's own `of` lies;
    it is made of nothing else, so that it tells nobody more than they do (SPEC 5.2, S24)."""

    of: str


class Peers(Frozen):
    """With whom an institution is compared: with all that have a row of the same period, place and
    dims, itself left out. `persons` and `magnitude` are columns of the query that are judged and
    not told: persons of its own (nobody counted twice over all institutions), and the amount by
    which one institution may dominate the others."""

    persons: str
    magnitude: str
    quantiles: dict[str, Quantile] = Field(min_length=1)
    bands: dict[str, Band] = Field(default_factory=dict)


class OwnView(Frozen):
    """Rows about one institution each, that only this institution may read: `query` gives
    `period_m`, `fixmedins_code`, the `dims` and the measures; it may read the service's facts as
    `fact_<name>` and what each institution delivered as `delivered_quality`."""

    query: SqlFile
    dims: tuple[str, ...]
    measures: tuple[OwnMeasure, ...] = Field(min_length=1)
    peers: Peers | None = None


class Own(Frozen):
    """What a service tells an institution of its own data. `dims` are named by a question besides
    those of the service; which of the views answers follows from all dims a question names."""

    dims: tuple[Dim, ...]
    views: tuple[OwnView, ...] = Field(min_length=1)


class Service(Frozen):
    """The contract of one data service. `notes` are what every reader of its figures must know."""

    id: str = Field(pattern=r"^S\d\d$")
    code: str
    version: str
    title: Text
    summary: Text
    consumers: tuple[str, ...]
    grain: Literal["aggregate"]
    output_level: Literal["L1", "L2", "L3"]
    sdc: str
    scenarios: tuple[str, ...]
    min_lag_days: int = Field(ge=0)
    tariff: Tariff
    free_for: tuple[str, ...] = ()
    periods: tuple[Grain, ...]
    geo: tuple[GeoLevel, ...]
    dims: tuple[Dim, ...] = ()
    measures: tuple[Measure, ...] = ()
    own: Own | None = None
    notes: tuple[Text, ...] = ()
    facts: dict[str, Fact] = Field(default_factory=dict)
    disclosure: Disclosure
    example: dict[str, object]
