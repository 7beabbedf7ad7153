"""`sluice meter metrics`: what a look at the books finds, healthy, damaged and unreadable."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.billing.closing import close
from gateway.billing.office import Office
from gateway.metrics.findings import PARTS, names
from tests.billing_factory import AFTER, MONTH, journal_of


def look(office: Office, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()", "meter", "metrics", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SLUICE_HOME": str(office.archive.parent)},
    )
    return done.returncode, done.stdout, done.stderr


def figures(text: str) -> dict[str, float]:
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_healthy_books_are_balanced_whole_and_said_to_have_been_looked_at(
    office: Office, tmp_path: Path
) -> None:
    close(office, MONTH, AFTER, "billing")
    out = tmp_path / "sluice.prom"
    code, shown, complained = look(office, "--out", str(out))
    assert (code, shown, complained) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".prom"] == [out.name]
    found = figures(out.read_text())
    assert {part: found[f"meter_check_failed/{part}"] for part in PARTS} == dict.fromkeys(PARTS, 0)
    for name in ("reconciliation_difference", "ledger_imbalance", "ledger_faults"):
        assert found[name] == 0
    assert found["billing_unclosed_days"] == found["meter_events_late_total"] == 0
    assert found["meter_checked_timestamp_seconds"] > 0
    assert "spool_unshipped" not in found  # there is no central store: not nought, but unknown
    assert {name.split("/")[0] for name in found} <= names()


def test_a_month_left_open_grows_old(office: Office) -> None:
    close(office, MONTH, AFTER, "billing")  # adds the month up
    with closing(sqlite3.connect(office.archive.parent / "sluice.db")) as db, db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'billing_month'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM billing_month")
    code, shown, _ = look(office)
    assert code == 0
    assert figures(shown)["billing_unclosed_days"] > 300  # June 2025, seen from any later year


def test_a_journal_or_ledger_that_was_changed_shows(office: Office) -> None:
    close(office, MONTH, AFTER, "billing")
    for path, table, change in (
        (
            journal_of(office),
            "usage_event",
            "UPDATE usage_event SET qty = qty + 1 WHERE seq IN (SELECT min(seq) FROM usage_event)",
        ),
        (
            office.archive.parent / "sluice.db",
            "ledger_posting",
            "UPDATE ledger_posting SET fen = fen + 1 WHERE rowid IN"
            " (SELECT min(rowid) FROM ledger_posting)",
        ),
    ):
        with closing(sqlite3.connect(path)) as db, db:
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            ).fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute(change)
    code, shown, _ = look(office)
    found = figures(shown)
    assert code == 0
    assert found["reconciliation_difference"] > 0
    assert found["ledger_imbalance"] == 1
    assert found["ledger_faults"] > 0


@pytest.mark.parametrize("broken", ["archive", "dsn"])
def test_what_cannot_be_looked_at_is_said_and_the_rest_is_told(
    office: Office, broken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if broken == "archive":
        office.archive.mkdir(exist_ok=True)
        (office.archive / "index.db").unlink(missing_ok=True)
        (office.archive / "index.db").mkdir()  # one that is merely damaged is made anew
    else:
        monkeypatch.setenv("SLUICE_POSTGRES_DSN_FILE", str(tmp_path / "missing"))
    code, shown, complained = look(office)
    found = figures(shown)
    failed = {part for part in PARTS if found[f"meter_check_failed/{part}"]}
    assert code == 1
    assert failed == ({"months", "rollup"} if broken == "archive" else {"reconciliation", "spools"})
    assert all(f"{part}: " in complained for part in failed)
    assert "Traceback" not in complained
    assert found["ledger_imbalance"] == 0
    assert ("reconciliation_difference" in found) == (broken == "archive")
