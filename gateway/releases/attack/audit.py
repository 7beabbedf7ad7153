"""Attack everything that was published as an outsider could: `sluice release audit`.

Reads manifests, cell files and contracts, never the warehouse. It shares no code with what hides
cells (`gateway.releases.sdc`): it is there to find that wrong.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from gateway.catalogue.model import Grain, Measure, Service
from gateway.privacy.terms import Terms
from gateway.releases.attack.finding import AttackReport, Finding, Part
from gateway.releases.attack.intervals import Season
from gateway.releases.attack.plain import differing, revised, subtractions
from gateway.releases.attack.program import Effort
from gateway.releases.attack.reading import Sheet, Told, read_sheet, spans_in, told
from gateway.releases.attack.restated import late_persons
from gateway.releases.attack.space import season_of, space_of
from gateway.releases.attack.tables import Rules, Tables, tables_of
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.shelf import Entry, entries

Progress = Callable[[str, float], None]
FILE = "AUDIT.json"


@dataclass(frozen=True)
class Issue:
    """A release as it lies on the shelf or is about to."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class Scope:
    """What to attack: services with all they are linked with, seasons by label; all if empty.

    `seconds` is the processor time granted; what is left by then is bounded by propagation or not
    begun, and counted. Components of more than `largest` unknowns are bounded by propagation
    whatever time there is: one programme on a large one takes minutes.
    """

    services: Collection[str] = ()
    periods: Collection[str] = ()
    seconds: float = float("inf")
    largest: float = float("inf")


class Exposed(ReleaseError):
    """A release may not be published: the attack found something."""


def audit(
    root: Path,
    services: Mapping[str, Service],
    scope: Scope,
    fresh: Sequence[Issue] = (),
    progress: Progress = lambda doing, share: None,
) -> AttackReport:
    """Attack what lies on the shelf together with what is about to be published."""
    began = time.monotonic()
    effort = Effort(time.process_time() + scope.seconds, scope.largest)
    issues = _issues(root, services, fresh)
    parts: list[Part] = []
    findings: list[Finding] = []
    insiders: list[Finding] = []
    not_begun: list[str] = []
    todo = [
        (group, season)
        for group in _groups(issues, services)
        if not scope.services or {*scope.services} & {*group}
        for season in reversed(_seasons(group, issues))
        if not scope.periods or season in scope.periods
    ]
    for done, (group, season) in enumerate(todo):
        progress(f"attack {group[0]} {season}", done / len(todo))
        effort.systems = sum(_systems(g, services) for g, _ in todo[done:])
        attack = _Attack({name: issues[name] for name in group}, services, season, effort)
        one = attack.run()
        parts += one.parts
        findings += one.findings
        insiders += one.insiders
        not_begun += attack.not_begun
    attacked = sorted({i.manifest.release_id for g, _ in todo for n in g for i in issues[n]})
    return AttackReport(
        releases=tuple(attacked),
        parts=tuple(parts),
        findings=tuple(dict.fromkeys(findings)),
        insiders=tuple(dict.fromkeys(insiders)),
        seconds=round(time.monotonic() - began, 2),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        not_begun=tuple(not_begun),
    )


def stopping(report: AttackReport) -> list[Finding]:
    """The findings for which nothing may be published: all but an amount that propagation alone
    finds, where the time was not enough for programmes. Nothing protects amounts by their intervals
    yet."""
    return [one for one in report.findings if one.exact or one.rule != "amount_known"]


def refuse(report: AttackReport) -> None:
    """Raise if the attack found anything; the error says what and by which equation."""
    found = stopping(report)
    if not found:
        return
    first, more = found[0], len(found) - 1
    proof = "; ".join(
        f"{' + '.join(s.left)} {s.relation} {' + '.join(s.right)}" for s in first.steps
    )
    raise Exposed(
        "release_exposed",
        f"Nothing was published: {first.sentence}{f' By {proof}.' if proof else ''}"
        f"{f' And {more} more findings.' if more else ''} `sluice release audit` explains each.",
        f"未发布：审计发现 {len(found)} 处可被推算的隐藏单元，首处为 {first.cells[0]}。",
    )


def record(root: Path, report: AttackReport) -> None:
    """Keep the report beside the releases."""
    fresh = root / f".{FILE}"
    fresh.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    fresh.replace(root / FILE)


def recorded(root: Path) -> AttackReport | None:
    """The report on what was published last; None where none was made."""
    try:
        return AttackReport.model_validate_json((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _issues(
    root: Path, services: Mapping[str, Service], fresh: Sequence[Issue]
) -> dict[str, list[Issue]]:
    """The releases about persons, by service; the one in force (or about to be) last."""
    found: dict[str, list[Issue]] = {}
    order = {"withdrawn": 0, "kept": 1, "in force": 2}

    def age(entry: Entry) -> tuple[int, float]:
        return order[entry.state], entry.manifest.created.timestamp()

    shelf = [Issue(e.folder, e.manifest) for e in sorted(entries(root), key=age)]
    for issue in (*shelf, *fresh):
        name = issue.manifest.service
        service = services.get(name)
        if service is None or service.disclosure.subject != "persons" or not issue.manifest.shapes:
            continue
        others = [
            i for i in found.get(name, []) if i.manifest.release_id != issue.manifest.release_id
        ]
        found[name] = [*others, issue]
    return found


def _groups(
    issues: Mapping[str, object], services: Mapping[str, Service]
) -> Iterator[tuple[str, ...]]:
    """The services in sets that share records or persons."""
    left = sorted(issues)
    while left:
        group = [left[0]]
        for name in group:
            for other in left:
                if other not in group and (
                    other in _near(services[name]) or name in _near(services[other])
                ):
                    group.append(other)
        left = [name for name in left if name not in group]
        yield tuple(sorted(group))


def _near(service: Service) -> set[str]:
    return {link.service for link in (*service.disclosure.linked, *service.disclosure.within)}


def _systems(group: Sequence[str], services: Mapping[str, Service]) -> int:
    """How many systems a season of a group has: one per sum, and that of the persons."""
    names = {
        m.name for n in group for kind in ("amount", "count") for m in _firsts(services[n], kind)
    }
    return len(names) + 1


def _longest(group: Sequence[str], issues: Mapping[str, Sequence[Issue]]) -> Grain:
    order = list(Grain)
    grains = [
        Grain(g) for n in group for i in issues[n] for g, held in i.manifest.periods.items() if held
    ]
    return max(grains, key=order.index, default=Grain.MONTH)


def _seasons(group: Sequence[str], issues: Mapping[str, Sequence[Issue]]) -> list[str]:
    longest = _longest(group, issues)
    blocks = {block for n in group for i in issues[n] for block in i.manifest.blocks}
    return sorted({season_of(grain, label, longest) for grain, label in blocks})


class _Attack:
    """The attack on linked services in one season."""

    def __init__(
        self,
        issues: Mapping[str, Sequence[Issue]],
        services: Mapping[str, Service],
        season: str,
        effort: Effort,
    ) -> None:
        self._issues, self._services, self._season = issues, services, season
        self._longest = _longest(list(issues), issues)
        self._spaces = {
            name: space_of(services[name], season, self._longest, [i.manifest for i in own])
            for name, own in issues.items()
        }
        share = 1 - max(
            (float(p.get("top1_share_max", 0.8)) for own in issues.values()
             for i in own for p in i.manifest.profiles.values()), default=0.8,
        )  # fmt: skip
        self._work = Season(season, effort, share)
        self.not_begun: list[str] = []

    def run(self) -> Season:
        """Contradictions and subtractions, then amounts, counts of records, persons; each is begun
        only while there is time."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("revisions", self._restated),
            ("subtractions", self._subtracted),
        ]
        for kind in ("amount", "count"):
            steps += [(one, partial(self._summed, kind, one)) for one in self._sums_of(kind)]
        for name, step in [*steps, ("persons", self._counted)]:
            if self._work.effort.over:
                self.not_begun.append(f"{'+'.join(self._issues)} {self._season} {name}")
            else:
                step()
        return self._work

    def _restated(self) -> None:
        for name in self._issues:
            self._work.findings += self._revisions(name)

    def _subtracted(self) -> None:
        tables, given = self._persons
        self._work.findings += differing(tables, given)
        self._work.findings += subtractions(tables)
        # A finer figure may hide the rest that a coarser one leaves: each rounding by itself, too.
        for base in sorted({one.base for own in given.values() for one in own}):
            self._work.findings += subtractions([_of_base(one, given, base) for one in tables])

    def _summed(self, kind: str, name: str) -> None:
        tables, given = self._by_name(kind, name)
        self._work.findings += differing(tables, given)
        (self._work.amounts if kind == "amount" else self._work.persons)(tables)

    def _counted(self) -> None:
        tables, _ = self._persons
        if tables:
            self._work.persons(tables)

    @cached_property
    def _persons(self) -> tuple[list[Tables], dict[str, list[Told]]]:
        chosen = {
            name: measure
            for name in self._issues
            for measure in self._services[name].measures
            if measure.name == self._services[name].disclosure.person_measure
            and not measure.internal
        }
        return self._tables(chosen)

    def _sums_of(self, kind: str) -> list[str]:
        """Sums of one kind: the first of each fact."""
        found = (m.name for name in self._issues for m in _firsts(self._services[name], kind))
        return list(dict.fromkeys(found))

    def _by_name(self, kind: str, wanted: str) -> tuple[list[Tables], dict[str, list[Told]]]:
        """One sum in all linked services that have it."""
        chosen = {
            name: measure
            for name in self._issues
            for measure in _sums(self._services[name], kind)
            if measure.name == wanted
        }
        return self._tables(chosen)

    def _tables(self, chosen: Mapping[str, Measure]) -> tuple[list[Tables], dict[str, list[Told]]]:
        tables, given = [], {}
        for name, measure in chosen.items():
            newest = self._issues[name][-1]
            alike = [i for i in self._issues[name] if i.manifest.inputs == newest.manifest.inputs]
            given[name] = [one for issue in alike for one in self._told(name, issue, measure)]
            rules = min((_rules(p) for p in newest.manifest.profiles.values()), key=_strictness)
            tables.append(tables_of(self._spaces[name], measure, given[name], rules))
        return tables, given

    def _told(self, name: str, issue: Issue, measure: Measure) -> Iterator[Told]:
        space = self._spaces[name]
        for key in sorted(_exact(issue.manifest)):
            if measure.name in {shown.name for shown in issue.manifest.measures}:
                sheet = self._sheet(issue, key, measure)
                yield told(sheet, issue.manifest, space, measure, self._longest)

    def _sheet(self, issue: Issue, key: str, measure: Measure) -> Sheet:
        spans = spans_in(issue.manifest, self._season, self._longest)
        return read_sheet(issue.folder, issue.manifest, key, (measure.name,), spans)

    def _revisions(self, name: str) -> Iterator[Finding]:
        """Each older release with other inputs against the newest, person counts only. What the
        newest carries over is no figure of its state of the warehouse."""
        service, (*older, newest) = self._services[name], self._issues[name]
        chosen = [m for m in service.measures if m.name == service.disclosure.person_measure]
        for measure in (m for m in chosen if not m.internal):
            for old in (i for i in older if i.manifest.inputs != newest.manifest.inputs):
                for key in sorted(_exact(old.manifest) & _exact(newest.manifest)):
                    rules, space = _rules(newest.manifest.profiles[key]), self._spaces[name]
                    before, after = (
                        told(
                            self._sheet(i, key, measure), i.manifest, space, measure, self._longest
                        )
                        for i in (old, newest)
                    )
                    yield from revised(space, measure.name, before, after, rules.k)
                    yield from late_persons(space, measure, before, after, rules)


def _of_base(tables: Tables, given: Mapping[str, Sequence[Told]], base: int) -> Tables:
    """The same cells with the figures of one rounding alone."""
    alike = [one for one in given[tables.space.service.id] if one.base == base]
    return tables_of(tables.space, tables.measure, alike, tables.rules)


def _exact(manifest: Manifest) -> set[str]:
    """Profiles without noise: what is worked out from noised counts is about nobody."""
    return {key for key, profile in manifest.profiles.items() if Terms.of(profile) is None}


def _rules(profile: Mapping[str, object]) -> Rules:
    def limit(name: str) -> float:
        return float(str(profile.get(name) or 0))

    return Rules(
        int(limit("k_person")), limit("min_institutions"), limit("min_exposure"),
        limit("min_manufacturers"),
    )  # fmt: skip


def _strictness(rules: Rules) -> tuple[float, ...]:
    return rules.k, rules.institutions, rules.exposure, rules.makers


def _sums(service: Service, kind: str) -> list[Measure]:
    return [
        m
        for m in service.measures
        if m.define.kind == "sum"
        and not m.internal
        and not m.at
        and getattr(m.define, "style", "") == kind
        and (kind != "amount" or m.unit == "CNY")
    ]


def _firsts(service: Service, kind: str) -> list[Measure]:
    """The first sum of each fact that decides persons; counts only where no persons are told."""
    if (
        kind == "count"
        and service.disclosure.person_measure is not None
        and any(
            m.name == service.disclosure.person_measure and not m.internal for m in service.measures
        )
    ):
        return []
    found: dict[str, Measure] = {}
    for measure in _sums(service, kind):
        fact = str(measure.define.source)
        if fact not in service.disclosure.side:
            found.setdefault(fact, measure)
    return list(found.values())
