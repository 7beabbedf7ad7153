"""A gateway with training jobs over HTTP: developers, packs, views, a controller and an office."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.api.admin.office import open_office
from gateway.cli.sandbox import _executor, _inputs
from gateway.jobs.book import open_book
from sandbox.jobs.code import CodeStore
from sandbox.jobs.controller import Controller
from tests.gateway_factory import Gateway, copy_home, serving
from tests.job_world import require_bubblewrap
from tests.jobs_bureau import pilot_policies
from tests.staff_factory import CHEAP, Place

PURPOSE = {"purpose": "joint_model_development"}
CANARY = 918273
"""Stands in the view alone: whoever sees it has seen a row."""
CODE = """
import json, os, pathlib, sys
rows = pathlib.Path(os.environ["SLUICE_INPUT"], "cohort", "size.txt").read_text()
print("saw", rows)
out = pathlib.Path(os.environ["SLUICE_OUTPUT"])
(out / "metrics.json").write_text(json.dumps({"auc": 0.5 + len(rows) / 100}))
(out / "leak.json").write_text(json.dumps({"n_patients": int(rows) % 7}))
"""
SPEC: dict[str, Any] = {
    "name": "readmission", "entry": ["train.py"], "inputs": ["cohort"],
    "outputs": ["metrics.json", "leak.json"],
    "limits": {"wall_seconds": 60, "cpu_seconds": 30, "memory_mib": 128},
}  # fmt: skip


def archive(spec: object = SPEC, code: str = CODE, **more: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name, text in {"job.yaml": json.dumps(spec), "train.py": code, **more}.items():
            out.writestr(name, text)
    return made.getvalue()


@dataclass
class World:
    gateway: Gateway
    place: Place
    controller: Controller

    def submit(self, body: bytes, client: str = "lab", **asked: Any) -> httpx.Response:
        headers = {"content-type": "application/zip", **asked.pop("headers", {})}
        params = {**PURPOSE, **asked}
        auth = self.gateway.auth(client)
        return self.gateway.http.post(
            "/v1/jobs", content=body, headers=headers, params=params, auth=auth
        )

    def done(self, code: str = CODE, **spec: object) -> str:
        """A job that ran on the pack."""
        reply = self.submit(archive({**SPEC, **spec}, code))
        assert reply.status_code == 201, reply.text
        self.work()
        return str(reply.json()["result"]["job_id"])

    def work(self) -> None:
        while self.controller.step():
            pass

    def get(self, path: str, client: str = "lab") -> httpx.Response:
        return self.gateway.http.get(path, params=PURPOSE, auth=self.gateway.auth(client))

    def propose(self, job: str, client: str = "lab") -> httpx.Response:
        auth = self.gateway.auth(client)
        return self.gateway.http.post(f"/v1/jobs/{job}/validations", params=PURPOSE, auth=auth)


def lay(folder: Path, rows: int, card: object = None) -> None:
    """A pack, or with a card a view, of one table and a text."""
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"age10": ["30-39"], "fee": [1.0]}), folder / "stay.parquet")
    (folder / "size.txt").write_text(str(rows))
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))


VIEW = {
    "name": "cohort", "regions": ["990100"], "first": "2024-01", "last": "2024-12",
    "verdict": "release",
}  # fmt: skip


@contextmanager
def jobs_site(released: Path, folder: Path) -> Iterator[World]:
    """A gateway over a home with packs and views, two developers, and the controller of jobs."""
    require_bubblewrap()
    policies = pilot_policies(folder / "policies")
    home = copy_home(released, folder / "home")
    lay(home / "packs" / "cohort", 17)
    lay(home / "packs" / "closed", 17)
    lay(home / "views" / "cohort", CANARY, VIEW)
    lay(home / "views" / "closed", CANARY, VIEW | {"verdict": "withhold"})
    with serving(home, policies) as gateway:
        for client in ("lab", "lab2"):
            services = ["S17", "S28"] if client == "lab" else ["S28"]
            facts = {"services": services, "valid_to": "2025-06-20"}
            gateway.admit(client, f"T-{client.upper()}", "research", "SC08", **facts)
        identity = gateway.app.state.identity
        office = open_office(gateway.settings, identity, hasher=CHEAP)
        place = Place(identity, office, gateway.app, gateway.clock)
        book = open_book(identity.engine, "controller", gateway.clock)
        root = gateway.settings.home / "sandbox"
        executor = _executor(gateway.settings)(root / "runs")
        controller = Controller(
            book, executor, CodeStore(root / "code"), _inputs(gateway.settings), root / "results"
        )
        yield World(gateway, place, controller)
