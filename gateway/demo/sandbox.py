"""A sandbox from nothing: every step is a `sluice` verb, run as its operator would run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from gateway.demo.participants import CLAIMS_NEEDS, PRICING_NEEDS, Document, grant, tenant
from gateway.demo.stage import SINCE, Stage

RELEASED = ("S02", "S04", "S06", "S09")
GRANTS = (
    ("G-SANDBOX-01", "SC12", (*RELEASED, "S23", "S26", "S27", "S28")),
    ("G-SANDBOX-02", "SC03", ("S18", "S19")),
)
OWNER = "SBX-OWNER"
CALLBACK = "https://app.sandbox.example/callback"
"""Where the owner's client has persons sent back; nothing listens there."""


@dataclass(frozen=True)
class Sandbox(Stage):
    """Where it lives; what an earlier run made is kept."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The caller's environment, with this sandbox's world, home, port and owner."""
        return {
            **super().environment,
            "SLUICE_ENV": "sandbox",
            "SLUICE_SANDBOX_OWNER": OWNER,
        }

    @property
    def client(self) -> str:
        """The owner's client."""
        return f"{OWNER}-app"

    @property
    def key(self) -> Path:
        """Its private key."""
        return self.key_file(self.client)

    def prepare(self, size: str, seed: int, day: date) -> None:
        """Warehouse, releases, code lists, persons, people, and the owner with a client."""
        steps: dict[str, Callable[[], object]] = {
            "warehouse": lambda: self.run(
                "warehouse", "simulate", "--size", size, "--seed", str(seed)
            ),
            "releases": lambda: self.run("release", "build", *RELEASED, "--alone", "--from", SINCE),
            "codes": lambda: self.run("codes", "build"),
            "persons": lambda: self.run("person", "load"),
            "people": lambda: self.run("sandbox", "people"),
            "owner": lambda: self._owner(day),
        }
        self.keep(steps, "sluice sandbox up --fresh")

    def _owner(self, day: date) -> None:
        folder = self.home / "participants"
        folder.mkdir(exist_ok=True)
        self.run("tenant", "add", self.write(folder / f"{OWNER}.yaml", _owner(day)))
        for name, scenario, services in GRANTS:
            self.license_(grant(name, OWNER, scenario, list(services), day))
        terms = {
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        }
        told = self.write(folder / f"{self.client}.yaml", terms)
        verb = ("client", "add", self.client, "--tenant", OWNER)
        self.run(*verb, "--generate", str(self.key), "--terms", told)


def _owner(day: date) -> Document:
    """An insurer: it may try both the cells and the claims of persons."""
    until = day + timedelta(days=730)
    needs = [*PRICING_NEEDS, *CLAIMS_NEEDS, "account"]
    name, code = "沙箱测试机构（虚构）", "91990100MA0000001G"
    told = tenant(OWNER, "insurer", name, uscc=code, qualifications=needs, until=until)
    return told | {"env": "sandbox", "contact": "客服 400-000-0001（虚构）"}
