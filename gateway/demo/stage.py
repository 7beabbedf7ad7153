"""Set the stage: every step is a `sluice` verb, run as its operator would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from gateway.demo.participants import (
    CLAIMS_APP,
    INSURER,
    PHARMA,
    claims_grant,
    claims_standing,
    claims_terms,
    grants,
    tenants,
)
from gateway.demo.show import Screen

SLUICE = Path(sys.executable).with_name("sluice")
RELEASED = ("S02", "S04", "S06", "S09")  # what the tour asks for; more would take minutes
SINCE = "2024-01"  # likewise: of the four years of the warehouse the later two
OFFICERS = ("policy.officer.a", "policy.officer.b")


class StageError(Exception):
    """A step of the set-up failed; the message is what it printed."""


@dataclass(frozen=True)
class Stage:
    """Where the demonstration lives and how its verbs are called."""

    home: Path
    port: int
    screen: Screen

    @property
    def environment(self) -> Mapping[str, str]:
        """The caller's environment, with this stage's home and port."""
        return {
            **os.environ,
            "SLUICE_HOME": str(self.home),
            "SLUICE_PORT": str(self.port),
            "SLUICE_PERSON_LOGIN": "simulated",  # invented people; this machine only
        }

    def run(self, *verb: str) -> str:
        """Run one verb and show it; raises `StageError` with its words when it fails."""
        shown = " ".join(word.removeprefix(f"{self.home}/") for word in verb)
        self.screen.line(f"[bold]$ sluice {shown}[/]")
        watched = sys.stderr.isatty()  # then a long step draws its progress here itself
        done = subprocess.run(  # noqa: S603 - our own program with words of this module
            [str(SLUICE), *verb],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=None if watched else subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StageError(f"sluice {' '.join(verb)}: {done.stderr or done.stdout}")
        return done.stdout

    def prepare(self, size: str, seed: int, day: date) -> None:
        """Warehouse, releases and participants."""
        steps: dict[str, Callable[[], object]] = {
            "warehouse": lambda: self.run(
                "warehouse", "simulate", "--size", size, "--seed", str(seed)
            ),
            "check": lambda: self.run("warehouse", "check"),
            "releases": lambda: self.run("release", "build", *RELEASED, "--alone", "--from", SINCE),
            "codes": lambda: self.run("codes", "build"),
            "participants": lambda: self._register(day),
            "claims": lambda: self._register_claims(day),
        }
        self.keep(steps, "sluice demo --fresh")

    def keep(self, steps: Mapping[str, Callable[[], object]], anew: str) -> None:
        """Take each step in order; what an earlier run made is kept, and said so."""
        made = self.home / "made"
        made.mkdir(parents=True, exist_ok=True)
        kept = [name for name in steps if (made / name).exists()]
        if kept:
            self.screen.line(
                f"  沿用先前的准备 kept from an earlier run: {', '.join(kept)}"
                f"  [dim]({anew} begins anew)[/]"
            )
        for name, step in steps.items():
            if name not in kept:
                step()
                (made / name).touch()

    def key_file(self, client: str) -> Path:
        """Private key of a participant's client; in life it never reaches the data office."""
        return self.home / "participants" / f"{client}.jwk.json"

    def _register(self, day: date) -> None:
        folder = self.home / "participants"
        folder.mkdir(exist_ok=True)
        for entry in tenants(day):
            self.run("tenant", "add", self.write(folder / f"{entry['id']}.yaml", entry))
        for tenant in (INSURER, PHARMA):
            key = str(self.key_file(tenant))
            client = f"{tenant}-app"
            self.run("client", "add", client, "--tenant", tenant, "--generate", key)
        for entry in grants(day):
            self.license_(entry)

    def license_(self, entry: Mapping[str, object]) -> None:
        """Enter a grant and have two officers approve it."""
        file = self.home / "participants" / f"{entry['id']}.yaml"
        self.run("grant", "add", self.write(file, entry))
        for officer in OFFICERS:
            self.run("grant", "approve", str(entry["id"]), "--actor", officer)

    def _register_claims(self, day: date) -> None:
        folder = self.home / "participants"
        standing = self.write(folder / f"{INSURER}.claims.yaml", claims_standing(day))
        self.run("tenant", "update", INSURER, standing, "--reason", "opens a claims desk")
        self.license_(claims_grant(day))
        terms = self.write(folder / f"{CLAIMS_APP}.yaml", claims_terms())
        key = str(self.key_file(CLAIMS_APP))
        verb = ("client", "add", CLAIMS_APP, "--tenant", INSURER)
        self.run(*verb, "--generate", key, "--terms", terms)

    @staticmethod
    def write(path: Path, entry: Mapping[str, object]) -> str:
        """An entry as a file that a verb takes; its name."""
        text = yaml.safe_dump(json.loads(json.dumps(entry)), allow_unicode=True, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return str(path)
