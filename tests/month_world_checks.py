"""What must hold after every step of a simulated world: invariants I1–I15 by name.

Journals and books are read with plain SQL, new rows only; what was read once is kept and compared
by digest. I3, I8, I13 and I15 are also put to the test where something is tried that must fail
(`month_world_calls`, `month_world_money`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.month_world_auditor import Answer
from tests.month_world_node import Node
from tests.month_world_state import Broken, World

SHARED = ("tax", "operator_cost", "public_interest", "payable")
_USAGE = """
SELECT event_id, time, month, tenant, grant_id, service, release, price_ref, qty, billable_qty
FROM usage_event ORDER BY seq
"""
_LEDGER = """
SELECT e.number, e.kind, e.period, e.service_period, e.cause, e.corrects, p.account, p.fen
FROM ledger_entry e JOIN ledger_posting p USING (number) WHERE e.number > ? ORDER BY 1, p.account
"""
_OF_MONTH = {
    "ledger_entry": "SELECT * FROM ledger_entry WHERE period = ? ORDER BY number",
    "ledger_posting": "SELECT p.* FROM ledger_posting p JOIN ledger_entry e USING (number)"
    " WHERE e.period = ? ORDER BY number, account",
    "charge_line": "SELECT * FROM charge_line WHERE closing = ? ORDER BY line_id",
    "paper": "SELECT * FROM paper WHERE month = ? AND case_id IS NULL ORDER BY number",
    "billing_month": "SELECT * FROM billing_month WHERE month = ?",
}
_JOURNAL_TABLES = ("audit_event", "decision", "usage_event", "charged_cell")
_BOOK_TABLES = ("ledger_entry", "ledger_posting", "charge_line", "paper")


class Posted(NamedTuple):
    """One posting with what its entry says of it."""

    number: int
    kind: str
    period: str
    about: str
    cause: str
    corrects: str | None
    account: str
    fen: int


@dataclass
class Checks:
    """Follows one world. `check` after every step."""

    world: World
    posted: list[Posted] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    version: int = -1
    open: dict[Path, sqlite3.Connection] = field(default_factory=dict)

    def end(self) -> None:
        """Nothing is read any more."""
        for db in self.open.values():
            db.close()

    def db(self, path: Path) -> sqlite3.Connection:
        """A connection of somebody who looks at a file beside the product."""
        if path not in self.open:
            self.open[path] = sqlite3.connect(path, isolation_level=None)
        return self.open[path]

    def check(self) -> None:
        """Everything, in the order of what the rest builds on."""
        for node in self.world.nodes.values():
            self._journal(node)
        self._unchangeable()
        if self._new_postings():
            self._zero()
            self._lines()
            self._quotas()
            self._disputes()
            self._sheet()
        self._closed_months()

    def _journal(self, node: Node) -> None:
        """I1, I2, I6: what was acknowledged is there, once, at the time of the gateway's clock."""
        expected, db = self.world.recorded[node.name], self.db(node.path)
        (count,) = db.execute("SELECT count(*) FROM usage_event").fetchone()
        if count < len(expected):
            raise Broken("I1", f"{node.name} acknowledged {len(expected)}, {count} are there")
        if count > len(expected):
            raise Broken("I2", f"{node.name} holds {count} events of {len(expected)} answers")
        before = self.seen.get(node.name, 0)
        if count == before:
            return
        rows = db.execute(f"{_USAGE} LIMIT -1 OFFSET ?", (before,)).fetchall()
        self.seen[node.name] = count
        for event_id, row in zip(expected[before:], rows, strict=True):
            _same(self.world.auditor.answers[event_id], row)

    def _unchangeable(self) -> None:
        """I4: somebody tries to change or delete a row, as the application could."""
        chance = self.world.chance
        node = chance.choice(list(self.world.nodes.values()))
        for path, tables in (
            (node.path, _JOURNAL_TABLES),
            (self.world.site.database, _BOOK_TABLES),
        ):
            table = chance.choice(tables)
            verb = chance.choice((f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid"))
            if table in {"charged_cell"} or path == self.world.site.database:
                verb = f"DELETE FROM {table}"
            db = self.db(path)
            if db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() and _works(db, verb):
                raise Broken("I4", f"{verb} went through")

    def _new_postings(self) -> bool:
        last = self.posted[-1].number if self.posted else 0
        rows = self.db(self.world.site.database).execute(_LEDGER, (last,))
        new = [Posted(*row) for row in rows]
        self.posted += new
        return bool(new)

    def _zero(self) -> None:
        """I5: every entry adds up to zero, and so does everything together."""
        sums: dict[int, int] = {}
        for one in self.posted:
            sums[one.number] = sums.get(one.number, 0) + one.fen
        for number, fen in sums.items():
            if fen:
                raise Broken("I5", f"entry {number} adds up to {fen}")

    def _lines(self) -> None:
        """I10 in the month that was closed, I7 in earlier ones: what is booked of a line is what
        all events known by now come to, rounded once."""
        booked: dict[str, int] = {}
        for one in self.posted:
            if one.kind == "charge" and one.account.startswith("receivable:"):
                line_id = one.cause.rpartition("/")[0]
                booked[line_id] = booked.get(line_id, 0) + one.fen
        newest = max(self.world.auditor.closed_at, default="")
        for line, fen in self.world.auditor.charged.items():
            if booked.get(self.world.line_ids.get(line, ""), 0) != fen:
                invariant = "I10" if line.month == newest else "I7"
                got = booked.get(self.world.line_ids.get(line, ""), 0)
                raise Broken(invariant, f"{line} is booked at {got} fen, not {fen}")

    def _quotas(self) -> None:
        """I11: each share within a fen of its exact part, nothing for who weighs nothing. I7 where
        a month before the newest is shared otherwise than all events known by now say."""
        newest = max(self.world.auditor.closed_at, default="")
        shared: dict[tuple[str, str], int] = {}
        for one in self.posted:
            if one.kind == "share" and one.account.startswith("payable:"):
                key = (one.cause.rpartition("/")[0], one.account[8:])
                shared[key] = shared.get(key, 0) - one.fen
        for (service, month), division in self.world.auditor.divided.items():
            for name, quota in division.quotas.items():
                fen = shared.pop((f"{service}.{month}", name), 0)
                if abs(fen - quota) >= 1 or (not quota and fen):
                    invariant = "I11" if month == newest else "I7"
                    raise Broken(invariant, f"{name} gets {fen} of {service}.{month}, due {quota}")
        if any(shared.values()):
            raise Broken("I11", f"shared with who weighs nothing: {shared}")

    def _disputes(self) -> None:
        """I12: a case holds its amount until it is decided, and held + payable + paid + reversed
        is what was allocated."""
        sheet = self.sheet()
        for name, case in self.world.auditor.cases.items():
            held = -sheet.get(f"held:{name}", 0)
            if held != (case.fen if case.state == "held" else 0):
                raise Broken("I12", f"{name} is {case.state} and holds {held} of {case.fen}")
        allocated = -self._moved("share", SHARED)
        paid, back = self._moved("payout", SHARED), self._moved("credit_note", ("held",))
        stands = -sum(fen for name, fen in sheet.items() if _kind(name) in {*SHARED, "held"})
        if stands + paid + back != allocated:
            raise Broken("I12", f"{stands} stand, {paid} paid, {back} given back of {allocated}")

    def _moved(self, kind: str, kinds: tuple[str, ...]) -> int:
        return sum(
            one.fen for one in self.posted if one.kind == kind and _kind(one.account) in kinds
        )

    def _sheet(self) -> None:
        """I14: clients' lines are shares, fee, tax and fund, nothing in suspense; and every account
        stands where the auditor has it."""
        sheet, expected = self.sheet(), self.world.auditor.balances()
        charged = self._moved("charge", ("receivable",))
        if charged != -self._moved("share", SHARED) or sheet.get("suspense"):
            raise Broken("I14", f"{charged} charged, {sheet.get('suspense')} in suspense")
        if sheet != expected:
            wrong = {
                name
                for name, fen in {**sheet, **expected}.items()
                if (sheet.get(name), expected.get(name)) != (fen, fen)
            }
            told = [(name, sheet.get(name), expected.get(name)) for name in sorted(wrong)]
            raise Broken("I14", f"accounts differ (is, must be): {told}")

    def sheet(self) -> dict[str, int]:
        """What stands on every account."""
        sums: dict[str, int] = {}
        for one in self.posted:
            sums[one.account] = sums.get(one.account, 0) + one.fen
        return {account: fen for account, fen in sums.items() if fen}

    def _closed_months(self) -> None:
        """I9: nothing of a closed month changes, and what became known later says what it
        corrects."""
        db = self.db(self.world.site.database)
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version == self.version:
            return
        self.version = version
        for month in self.world.auditor.closed_at:
            digest = _digest(db, month)
            if self.digests.setdefault(month, digest) != digest:
                raise Broken("I9", f"{month} was closed and has changed")


def _same(answer: Answer, row: tuple[object, ...]) -> None:
    """The stored event is the answer, in the month of the gateway's own time."""
    event_id, time, month, *rest = row
    if (event_id, month) != (answer.event_id, answer.month) or not str(time).startswith(
        f"{answer.time:%Y-%m-%dT%H:%M:%S}"
    ):
        raise Broken("I6", f"stored as {event_id} at {time} in {month}: {answer}")
    asked = sum(chunk.count for chunk in answer.asked)
    billed = sum(chunk.count for chunk in answer.charged)
    whose = [answer.tenant, answer.grant, answer.service, answer.release, answer.price]
    if rest != [*whose, asked, billed]:
        raise Broken("I3", f"stored as {rest}: {answer}")


def _works(db: sqlite3.Connection, verb: str) -> bool:
    """Whether the database lets it happen. Nothing stays changed."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(verb)
    except sqlite3.DatabaseError:
        return False
    else:
        return True
    finally:
        db.execute("ROLLBACK")


def _digest(db: sqlite3.Connection, month: str) -> str:
    digest = hashlib.sha256()
    for query in _OF_MONTH.values():
        for row in db.execute(query, (month,)):
            digest.update(repr(row).encode())
    return digest.hexdigest()


def _kind(account: str) -> str:
    return account.partition(":")[0]
