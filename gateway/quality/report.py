"""What the quality report says: trends, feeders by month, failing rules with owner and due date.

Made of an appraisal and the duties of the installation; `page` makes it readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from gateway.quality.duties import Duties, Owner, Weight
from gateway.quality.told import Office
from synthetic.integrity.appraisal import Appraisal
from synthetic.integrity.findings import Finding
from synthetic.integrity.further import Further
from synthetic.integrity.kpis import ALL, LIMIT, NAMES, Kpi, Name
from synthetic.integrity.rules import RULE

Json = dict[str, object]


@dataclass(frozen=True)
class Fault:
    """A rule or figure that fails at one feeder: where, how much, who mends it until when."""

    name: str
    title_zh: str
    title_en: str
    weight: Weight
    table: str
    feeder: str
    first: str
    last: str
    failed: int
    checked: int
    amount_affected: Decimal
    owner: Owner
    due: date
    overdue: bool = False

    def as_dict(self) -> Json:
        """The fault for machines."""
        return {
            "name": self.name,
            "title_zh": self.title_zh,
            "title_en": self.title_en,
            "severity": self.weight,
            "table": self.table,
            "feeder": self.feeder,
            "from": self.first,
            "to": self.last,
            "failed": self.failed,
            "checked": self.checked,
            "amount_affected": str(self.amount_affected),
            "owner": {"zh": self.owner.zh, "en": self.owner.en},
            "due": self.due.isoformat(),
            "overdue": self.overdue,
        }


@dataclass(frozen=True)
class Report:
    """The report of one warehouse version."""

    version: str
    made: date
    public: bool
    synthetic: bool
    appraisal: Appraisal
    faults: tuple[Fault, ...]
    office: Office | None = None

    @property
    def feeders(self) -> tuple[Kpi, ...]:
        """The figures of each feeder and month, all its tables together."""
        kpis = self.appraisal.kpis
        return tuple(one for one in kpis if one.feeder != ALL and one.table == ALL)

    @property
    def further(self) -> tuple[Further, ...]:
        """The figures beside the four."""
        return self.appraisal.further

    def as_dict(self) -> Json:
        """The report for machines: no record's key is in it; in public, no institution's either."""
        return {
            "warehouse": self.version,
            "made": self.made.isoformat(),
            "synthetic": self.synthetic,
            "view": "public" if self.public else "office",
            "limits": dict(LIMIT),
            "region": [one.as_dict() for one in self.appraisal.regional],
            "figures": [one.as_dict() for one in self.appraisal.kpis],
            "further": [one.as_dict() for one in self.further],
            "days": [one.as_dict() for one in self.appraisal.days],
            "punctuality": [one.as_dict() for one in self.appraisal.punctuality],
            **self._office(),
            "faults": [one.as_dict() for one in self.faults],
            "findings": [one.as_dict() for one in self.appraisal.findings],
        }

    def _office(self) -> Json:
        """Audits and repairs; in public without the names of the coders."""
        if self.office is None:
            return {"audits": [], "repairs": None}
        audits = [one.as_dict() for one in self.office.audits]
        if self.public:
            for one in audits:
                one.pop("coders", None)
        return {"audits": audits, "repairs": self.office.repairs.as_dict()}


_KPI_TITLES: Mapping[str, tuple[str, str]] = {
    "completeness": ("完整性", "Completeness"),
    "consistency": ("一致性", "Consistency"),
    "timeliness": ("时效性", "Timeliness"),
    "accuracy": ("准确性", "Accuracy"),
}


def title_of(name: str) -> tuple[str, str]:
    """A figure or rule in Chinese and English."""
    if name in _KPI_TITLES:
        return _KPI_TITLES[name]
    return RULE[name].title_zh, RULE[name].title_en


def make_report(
    appraisal: Appraisal,
    version: str,
    duties: Duties,
    today: date,
    *,
    since: date,
    public: bool,
    synthetic: bool,
    office: Office | None = None,
) -> Report:
    """The report of an appraisal, as of a day; what costs most first.

    Due dates count from `since`, the day of the warehouse: asking again does not move them.
    """
    found = [*_rules(appraisal.findings, duties, since), *_figures(appraisal.kpis, duties, since)]
    order = {"block": 0, "kpi": 1, "warn": 2, "info": 3}
    faults = sorted(
        found,
        key=lambda one: (
            -one.amount_affected,
            order[one.weight],
            -one.failed,
            one.name,
            one.feeder,
        ),
    )
    late = tuple(replace(one, overdue=one.due < today) for one in faults)
    return Report(version, today, public, synthetic, appraisal, late, office)


def _rules(findings: Iterable[Finding], duties: Duties, since: date) -> list[Fault]:
    held: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        held.setdefault((one.rule, one.table, one.feeder), []).append(one)
    return [
        Fault(
            rule,
            RULE[rule].title_zh,
            RULE[rule].title_en,
            RULE[rule].severity.value,
            table,
            feeder,
            min(one.period for one in own),
            max(one.period for one in own),
            sum(one.failed for one in own),
            sum(one.checked for one in own),
            sum((one.amount_affected for one in own), Decimal(0)),
            duties.owner(table),
            duties.due(RULE[rule].severity.value, since),
        )
        for (rule, table, feeder), own in held.items()
    ]


def _figures(kpis: Sequence[Kpi], duties: Duties, since: date) -> list[Fault]:
    """Figures that fail at a feeder; `failed` and `checked` are months."""
    held: dict[tuple[Name, str], list[Kpi]] = {}
    for one in kpis:
        if one.feeder != ALL and one.table == ALL:
            for name in NAMES:
                if one.value(name) is not None:
                    held.setdefault((name, one.feeder), []).append(one)
    faults = []
    owner, due = duties.owner(ALL), duties.due("kpi", since)
    for (name, feeder), own in held.items():
        bad = [one.period for one in own if name in one.failed]
        if bad:
            zh, en = title_of(name)
            where = (ALL, feeder, min(bad), max(bad), len(bad), len(own), Decimal(0))
            faults.append(Fault(name, zh, en, "kpi", *where, owner, due))
    return faults
