"""Editions for tests: folders that differ in one visible place, brought as far as a test wants."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from gateway.db.engine import reading, writing
from gateway.editions import changes
from gateway.editions.model import EditionRecord
from gateway.editions.office import Outlook, PolicyOffice
from gateway.editions.store import read_record
from gateway.identity.record import Act
from gateway.policy.contents import PolicyFiles, gather
from gateway.settings import Settings

POLICIES = Settings().policies
PEOPLE = ("政策官甲", "政策官乙", "政策官丙")
NOW = datetime(2025, 6, 2, 4, tzinfo=UTC)
Json = dict[str, Any]


def variant(base: Path, folder: Path, changed: Callable[[Json], None], name: str = "SC01") -> Path:
    """A copy of a policies folder with one scenario changed."""
    shutil.copytree(base, folder)
    path = folder / "data" / "scenarios" / f"{name}.yaml"
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    changed(document[name])
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")
    return folder


def reworded(folder: Path, note: str) -> Path:
    """A copy of the project's policies that says the same in other words."""
    shutil.copytree(POLICIES, folder)
    path = folder / "data" / "policy.yaml"
    path.write_text(f"# {note}\n{path.read_text('utf-8')}", "utf-8")
    return folder


S02_PRICE = "- {ref: act.cost-structure/2026, valid_from: 2024-01-01, price_fen: 4000}"


def priced(folder: Path, *prices: str) -> Path:
    """A copy of the policies with other prices of S02."""
    path = reworded(folder, folder.name) / "catalogue" / "S02" / "service.yaml"
    text = path.read_text("utf-8")
    assert S02_PRICE in text
    path.write_text(text.replace(S02_PRICE, "\n  ".join(prices)), "utf-8")
    return folder


def short_memory(scenario: Json) -> None:
    """Questions about last year are refused: D504."""
    scenario["time"]["lookback_months"] = 1


def coarse_regions(base: Path, folder: Path) -> Path:
    """A copy in which the scenario shows regions no finer than the province."""
    shutil.copytree(base, folder)
    path = folder / "data" / "masks.yaml"
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    document["masks"]["by_scenario"]["SC01"] = {"geo": "gen_geo(prov)"}
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")
    return folder


@dataclass
class Press:
    """Brings editions as far as a test wants, by the acts of the office."""

    engine: sa.Engine
    office: PolicyOffice
    now: Callable[[], datetime] = lambda: NOW

    def act(self, person: int = 0, reason: str = "test") -> Act:
        return Act(PEOPLE[person], self.now(), reason)

    def push(self, folder: Path) -> str:
        """A tested edition of the folder; its name."""
        return self.keep(gather(folder))

    def keep(self, files: PolicyFiles, *, green: bool = True) -> str:
        with writing(self.engine) as session:
            record = changes.push(session, self.act(), files, "t", self.office.key, green=green)
        return record.name

    def approve(self, name: str, people: int = 2) -> None:
        for person in range(people):
            with writing(self.engine) as session:
                changes.approve(session, self.act(person), name, self.office.key)

    def shadow(self, name: str) -> None:
        fit = self.office.fit(self.engine, name, "shadow")
        with writing(self.engine) as session:
            self.office.shadow(session, self.act(), fit)

    def canary(self, name: str, *tenants: str) -> None:
        outlook = self.office.outlook(self.engine, name, "canary")
        with writing(self.engine) as session:
            self.office.canary(session, self.act(), outlook, tenants)

    def promote(self, name: str, **facts: Any) -> EditionRecord:
        return self.promote_by(self.office.outlook(self.engine, name, "live"), **facts)

    def promote_by(self, outlook: Outlook, **facts: Any) -> EditionRecord:
        """What an officer does who looked some time ago."""
        with writing(self.engine) as session:
            return self.office.promote(session, self.act(), outlook, **facts)

    def roll_back(self) -> EditionRecord:
        outlook = self.office.back(self.engine)
        with writing(self.engine) as session:
            return self.office.roll_back(session, self.act(), outlook)

    def withdraw(self, name: str) -> None:
        with writing(self.engine) as session:
            changes.withdraw(session, self.act(), name, self.office.key)

    def bring_live(self, folder: Path, tenant: str) -> str:
        """The whole way, step by step."""
        name = self.bring_canary(folder, tenant)
        self.promote(name)
        return name

    def bring_canary(self, folder: Path, tenant: str) -> str:
        """All of the way but the last step."""
        name = self.push(folder)
        self.approve(name)
        self.shadow(name)
        self.canary(name, tenant)
        return name

    def record(self, name: str) -> EditionRecord:
        with reading(self.engine) as session:
            return read_record(session, self.office.key, name)


def tiny(marks: Mapping[str, str] | None = None) -> PolicyFiles:
    """Files of the right form that decide nothing; for what does not look inside."""
    return PolicyFiles(
        {"data/policy.yaml": "policy: {version: t}\n", "a/a.rego": "package a\n"}
        | dict(marks or {})
    )
