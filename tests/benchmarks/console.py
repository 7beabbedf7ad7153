"""The console with ten thousand organisations and a million recorded calls: CPU of each page.

Pages are asked in process: the figures are the server's alone; wanted are 100 ms for 95 of 100.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from gateway.console.site import read_site
from gateway.db.engine import writing
from gateway.db.tables import GrantRow, TenantRow
from gateway.journal.sqlite import SqliteJournal
from tests.console_world import Window, console_place
from tests.staff_factory import OFFICER_ROLES, PASSWORD, Place

TENANTS, EVENTS, ROUNDS = 10_000, 1_000_000, 20
_ROW = "INSERT INTO audit_event (seq, request_id, body, prev_hash, hash) VALUES (?, ?, ?, x'', x'')"


def main() -> None:
    """Build, ask, print."""
    with tempfile.TemporaryDirectory() as folder, console_place(Path(folder) / "home") as place:
        _fill_directory(place)
        _fill_journal(Path(folder) / "home", place.clock())
        began = time.process_time()
        while not place.office.activity.catch_up(place.clock()):
            pass
        took = time.process_time() - began
        http = _signed_in(place)
        table = Table("page", "CPU ms, median", "95 of 100", title=f"counted in {took:.1f} CPU-s")
        names = [*read_site().pages, "tenants?q=9999", "tenants?after=T-05000", "grants/G-05000"]
        for name in names:
            taken = sorted(_cost(http, name) for _ in range(ROUNDS))
            table.add_row(name, f"{statistics.median(taken):.1f}", f"{taken[-2]:.1f}")
        Console().print(table)


def _cost(http: Window, name: str) -> float:
    """CPU milliseconds of a page."""
    began = time.process_time()
    answer: httpx.Response = http.get(f"/console/{name}")
    assert answer.status_code == 200, (name, answer.status_code)
    return (time.process_time() - began) * 1000


def _signed_in(place: Place) -> Window:
    person = place.hire("all-roles", *OFFICER_ROLES)
    http = Window(place)
    said = {"name": person.name, "password": PASSWORD, "code": place.code(person.secret)}
    assert http.post("/console/sign-in", data=said).status_code == 303
    return http


def _fill_directory(place: Place) -> None:
    now = place.clock()
    tenant = {
        "type": "insurer", "uscc": "", "status": "active", "env": "prod", "crypto": "intl",
        "data_security_officer": "", "qualifications": [], "source_ips": [], "cert_thumbprints": [],
        "contact": "", "cut_off_strategy": "historical", "created_at": now,
    }  # fmt: skip
    grant = {
        "scenario": "SC01", "product_name": "虚构", "purpose_text": "虚构", "regions": ["990100"],
        "services": ["S02"], "dims": ["*"], "measures": ["*"], "valid_from": now.date(),
        "valid_to": now.date() + timedelta(days=90), "approved_by": [], "providers": [],
        "price_plan": "p", "agreement_hash": "0" * 64, "status": "review", "entered_by": "x",
        "created_at": now,
    }  # fmt: skip
    ids = [f"{number:05}" for number in range(TENANTS)]
    with writing(place.office.engine) as session:
        session.execute(
            sa.insert(TenantRow),
            [{**tenant, "id": f"T-{each}", "name": f"虚构机构 {each}"} for each in ids],
        )
        session.execute(
            sa.insert(GrantRow),
            [{**grant, "id": f"G-{each}", "tenant_id": f"T-{each}"} for each in ids],
        )


def _fill_journal(home: Path, now: datetime) -> None:
    """A journal's file with calls of thirty days; its chain is of no interest here."""
    path = home / "journal.db"
    SqliteJournal.open(path, home / "keys", now).close()
    first = now.astimezone(UTC) - timedelta(days=30)
    with sqlite3.connect(path) as db:
        db.executemany(_ROW, (_event(number, first) for number in range(1, EVENTS + 1)))
    with closing(sqlite3.connect(path)) as db:  # as a serving journal keeps it: a short log
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _event(number: int, first: datetime) -> tuple[int, str, str]:
    at = (first + timedelta(seconds=number * 30 * 86400 / EVENTS)).isoformat()
    refused = number % 10 == 0
    result = '"refused", "deny_codes": ["D201"]' if refused else '"answered", "deny_codes": []'
    body = (
        f'{{"kind": "read", "result": {result}, "time": "{at}", "cells": 5,'
        f' "tenant": "T-{number % TENANTS:05}", "service": "S{number % 20:02}"}}'
    )
    return number, f"r{number}", body


if __name__ == "__main__":
    main()
