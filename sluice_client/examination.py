"""A conformance run of the sandbox, done by this library: every task, then the signed report.

Programs of one's own do the same tasks with their own code: see `docs/portal.md`.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sluice_client.errors import Refused
from sluice_client.exports import DamagedFile
from sluice_client.sluice import Sluice

_RUNS: Final = "/v1/conformance/runs"
_PERSON: Final = {"certno": "990100199001010000", "name": "测试", "date": "2025-01-01"}
"""Nobody's: the sandbox refuses before it looks."""


class Examination:
    """One run for a client; each task is a method."""

    def __init__(self, sluice: Sluice) -> None:
        self.sluice = sluice
        told = sluice.call("POST", _RUNS, headers=_once()).json()
        self.run = f"{_RUNS}/{told['run_id']}"
        self.tasks: dict[str, Mapping[str, Any]] = {each["name"]: each for each in told["tasks"]}

    def pages(self) -> int:
        """Ask the paged question to its last page; how many rows there were."""
        return len(list(self.sluice.rows("S02", self.tasks["pages"]["body"])))

    def refused(self) -> None:
        """Ask what is refused, once."""
        with contextlib.suppress(Refused):
            self.sluice.query("S02", self.tasks["refused"]["body"])

    def export(self, name: str = "export") -> None:
        """Export, and say what became of every file."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                asked = self.tasks[name]["body"]
                told = self.sluice.export("S02", asked, Path(folder), since="none")
            except DamagedFile as damaged:
                self.say(damaged.url, "refused")
                return
        for file in told["output"]:
            self.say(str(file["url"]), "taken")

    def consents(self) -> None:
        """Follow the waiting consent, and ask under each of those that ended."""
        self.sluice.consent(str(self.tasks["wait"]["path"]).rpartition("/")[2])
        for consent_id in self.tasks["ended"]["body"]["consent_id"]:
            asked = {"purpose": "development_and_testing", "consent_id": consent_id, **_PERSON}
            with contextlib.suppress(Refused):
                self.sluice.verify("S18", asked)

    def events(self, took: Iterable[str] = ()) -> None:
        """Have events pushed to the registered receiver, and say which it took: ids that
        `took` gives after the push, each as often as it was taken."""
        self.sluice.call("POST", f"{self.run}/events", headers=_once())
        for jti in took:
            self.say(jti, "taken")

    def say(self, item: str, outcome: str) -> None:
        """Say what became of a file or an event."""
        said = {"item": item, "outcome": outcome}
        self.sluice.call("POST", f"{self.run}/acknowledgements", json=said, headers=_once())

    def end(self) -> Mapping[str, Any]:
        """End the run; its checks, and whether all were passed."""
        told: Mapping[str, Any] = self.sluice.call(
            "POST", f"{self.run}/end", headers=_once()
        ).json()
        return told

    def report(self) -> str:
        """The signed report, for the data office."""
        return self.sluice.call("GET", f"{self.run}/report").text


def _once() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}
