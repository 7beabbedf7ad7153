"""Books as they were kept before revision 0012: one journal without a name, papers in one form.

The papers are written here as they were then, not by the code that reads them now.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import command

from gateway.billing.closing import close
from gateway.billing.office import Office
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import sqlite_url
from gateway.db.upgrade import alembic_config, upgrade
from tests.billing_factory import AFTER, MONTH, books_at, issued

_OTHERWISE = {"billing_month", "statement", "alembic_version"}
_LINE = (
    *("line_id", "grant", "service", "unit", "price_ref", "unit_price_cny", "answers"),
    *("cells_delivered", "cells_charged", "cells_repeated", "units", "amount_fen"),
)
_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def formerly_closed(office: Office) -> Office:
    """Close the month, put its books back to revision 0011, and migrate them again."""
    close(office, MONTH, AFTER, "billing")
    papers = list(issued(office).values())
    office.engine.dispose()
    home = office.archive.parent
    (home / "sluice.db").rename(home / "later.db")
    before = sa.create_engine(sqlite_url(home / "sluice.db"))
    with before.connect() as connection:
        command.upgrade(alembic_config(connection), "0011")
        connection.commit()
    before.dispose()
    with closing(sqlite3.connect(home / "sluice.db")) as db:
        _filled(db, home / "later.db")
        _closed(db, home / "later.db")
        db.executemany(
            "INSERT INTO statement (month, kind, party, body, sha256, signature)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [_statement(office, paper) for paper in papers],
        )
        db.commit()
    upgrade(sqlite_url(home / "sluice.db"))
    return books_at(home)


def _filled(db: sqlite3.Connection, later: Path) -> None:
    """Every table that has changed by columns at most, row by row."""
    db.execute("ATTACH ? AS later", (str(later),))
    named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (table,) in db.execute(named).fetchall():
        if table not in _OTHERWISE:
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            db.execute(
                f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM later.{table}"
            )


def _closed(db: sqlite3.Connection, later: Path) -> None:
    """The closed month, which knew one journal by its number and hash alone."""
    names = "month, closed_at, closed_by, terms, tariffs, ledger_head"
    (heads,) = db.execute("SELECT heads FROM later.billing_month").fetchone()
    ((seq, link),) = orjson.loads(heads).values()
    db.execute(
        f"INSERT INTO billing_month ({names}, journal_head, journal_seq)"
        f" SELECT {names}, ?, ? FROM later.billing_month",
        (link, seq),
    )
    (kept,) = db.execute("SELECT tariffs FROM billing_month").fetchone()
    db.execute("DROP TRIGGER IF EXISTS billing_month_no_update")
    db.execute("UPDATE billing_month SET tariffs = ?", (orjson.dumps(orjson.loads(kept)["now"]),))


def _statement(office: Office, paper: PaperRow) -> tuple[object, ...]:
    body = orjson.dumps(_document(orjson.loads(paper.body)), option=_INDENTED)
    signature = base64.b64encode(office.sealer.key.sign(body)).decode()
    digest = hashlib.sha256(body).hexdigest()
    return paper.month, paper.kind, paper.party, body, digest, signature


def _document(paper: Mapping[str, Any]) -> dict[str, object]:
    client = paper["kind"] == "client"
    told: dict[str, object] = {
        "statement": f"{paper['month']}/{paper['kind']}/{paper['party']}",
        "kind": paper["kind"],
        "month": paper["month"],
        "party": paper["party"],
        "currency": "CNY",
        "issued_at": paper["issued_at"],
        "lines": [_used(line) if client else _shared(line) for line in paper["lines"]],
        "movements": [
            {name: one[name] for name in ("kind", "cause", "service_period", "fen")}
            for one in paper["movements"]
        ],
        "opening_balance_fen": paper["opening_balance_fen"],
        "closing_balance_fen": paper["closing_balance_fen"],
    }
    return {**told, "lines_fen": paper["lines_fen"]} if client else told


def _used(line: Mapping[str, Any]) -> dict[str, object]:
    return {name: line[name] for name in _LINE}


def _shared(line: Mapping[str, Any]) -> dict[str, object]:
    return {
        "service": line["service"],
        "pool_fen_about": line["pool_fen_about"],
        "part_fen": line["amount_fen"],
        "own_weight": line["own_weight"],
    }
