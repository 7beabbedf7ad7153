"""`sluice meter` as a billing officer types it: rate, share, close, statement, dispute, replay."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.billing.closing import Office
from gateway.cli import main
from tests.billing_factory import MONTH


@pytest.fixture
def home(office: Office) -> Path:
    """The folder of the books."""
    return office.archive.parent


class Said(NamedTuple):
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def meter(home: Path, *words: str) -> Said:
    """As typed, in this process: what a process needs to begin is paid once."""
    out, err, code = StringIO(), StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("SLUICE_HOME", str(home))
        patch.setattr(sys, "argv", ["sluice", "meter", *words])
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def told(home: Path, *words: str) -> object:
    done = meter(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_billing_officer_closes_a_month_and_answers_an_objection(home):
    lines = told(home, "rate", MONTH)
    fees = sum(line["amount_fen"] for line in lines)
    assert sum(part["amount_fen"] for part in told(home, "share", MONTH)) == fees > 0

    early = meter(home, "close", MONTH, "--actor", "wang")
    assert (early.returncode, "[closing.state]" in early.stderr) == (1, True)
    told(home, "propose", MONTH, "--actor", "Wang")
    alone = meter(home, "close", MONTH, "--actor", "wang")
    assert (alone.returncode, "[closing.same_approver]" in alone.stderr) == (1, True)
    closed = told(home, "close", MONTH, "--actor", "li")
    assert (closed["fees_fen"], closed["lines"]) == (fees, len(lines))
    own = json.loads(meter(home, "statement", MONTH, "T-INS").stdout)
    assert own["closing_balance_fen"] == own["lines_fen"] > 0
    assert own["lines"][0]["line_id"] in meter(home, "statement", MONTH, "T-INS", "--csv").stdout
    assert told(home, "replay", MONTH) == {"ok": True, "differences": []}

    years = {row["year"]: row for row in told(home, "cap")}
    assert (years[2025]["earned"], years[2025]["level"]) == (f"{fees / 100:.2f}", "ok")

    line = own["lines"][0]["line_id"]
    opened = meter(home, "dispute", "open", line, "--reason", "not ours", "--actor", "wang")
    assert opened.stdout == f"D-{line}: its amount is held\n"
    same = meter(home, "dispute", "uphold", f"D-{line}", "--actor", "wang")
    assert (same.returncode, "[second_person]" in same.stderr) == (1, True)
    upheld = meter(home, "dispute", "uphold", f"D-{line}", "--actor", "li")
    assert upheld.returncode == 0, upheld.stderr
    assert [case["state"] for case in told(home, "dispute", "list")] == ["upheld"]
    balances = {row["account"]: row["fen"] for row in told(home, "balances")}
    assert sum(balances.values()) == 0
    left = own["lines_fen"] - own["lines"][0]["amount_fen"]
    assert balances.get("receivable:T-INS", 0) == left
    assert told(home, "replay", MONTH)["ok"]


def test_payments_are_booked_once_and_never_beyond_what_is_owed(home):
    told(home, "propose", MONTH, "--actor", "wang")
    told(home, "close", MONTH, "--actor", "li")
    owed = {row["account"]: row["fen"] for row in told(home, "balances")}
    paid = meter(home, "receive", "T-PHA", "40", "--receipt", "R-1")
    assert paid.stdout == "R-1: booked; T-PHA owes ¥0.00\n"
    provider, due = min((name, fen) for name, fen in owed.items() if name.startswith("payable:"))
    name = provider.partition(":")[2]
    part = meter(home, "payout", name, "0.01", "--order", "O-1")
    assert part.stdout == f"O-1: booked; {name} is owed ¥{(-due - 1) / 100:.2f}\n"
    for words, code in {
        ("receive", "T-PHA", "40", "--receipt", "R-1"): "booked_before",
        ("receive", "T-NOBODY", "40", "--receipt", "R-2"): "account_unknown",
        ("receive", "T-PHA", "0.00", "--receipt", "R-3"): "amount",
        ("receive", "T-PHA", "1.005", "--receipt", "R-4"): "amount",
        ("payout", name, "99999", "--order", "O-2"): "payout_too_much",
    }.items():
        done = meter(home, *words)
        assert (done.returncode, f"[{code}]" in done.stderr) == (1, True), done.stderr
    after = {row["account"]: row["fen"] for row in told(home, "balances")}
    assert after["cash"] == 4000 - 1
    assert sum(after.values()) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("close", "2025-13"), "month"),
        (("close", "2099-01"), "cannot_close"),
        (("replay", MONTH), "month_open"),
        (("statement", MONTH, "T-INS"), "no_statement"),
        (("dispute", "reject", "D-1"), "dispute_unknown"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_with_a_code(home, words, code):
    done = meter(home, *words)
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_answered_nothing_says_so(tmp_path):
    done = meter(tmp_path, "rate", MONTH)
    assert "[no_journal]" in done.stderr
