"""Precision and recall of every rule of detection on labelled traffic, and false alarms per month.

Thresholds were set with the profiles `SEEN` and seeds below 10; all other figures are of profiles
and seeds that were not looked at then.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.detection_traffic import SEEN, UNSEEN, growth, steady_insurer
from tests.detection_trial import RULES, Outcome, attacked, normal

DAYS, BEFORE = 90, 28
SEEDS = (101, 102)


def main() -> None:
    """Print the table."""
    began = time.process_time()
    with TemporaryDirectory() as folder:
        quiet = {
            name: [normal(Path(folder), profiles, DAYS, seed) for seed in SEEDS]
            for name, profiles in (("profiles seen", SEEN), ("profiles not seen", UNSEEN))
        }
        attacks = [
            attacked(Path(folder) / base.__name__, BEFORE, seed, base=base)
            for seed in SEEDS
            for base in (steady_insurer, growth)
        ]
    every = [*attacks, *(one for outcomes in quiet.values() for one in outcomes)]
    console = Console()
    console.print(_rules(every))
    for name, outcomes in quiet.items():
        months = len(SEEN if name == "profiles seen" else UNSEEN) * DAYS // 30 * len(SEEDS)
        false = sum((one.false for one in outcomes), Counter[str]())
        told = f"{name}: {false.total()} false alarms in {months} tenant-months"
        console.print(told, dict(false))
    found, missed = sum(len(o.found) for o in attacks), [m for o in attacks for m in o.missed]
    console.print(f"attacks found in time: {found} of {found + len(missed)}; missed: {missed}")
    events, spent = sum(one.events for one in every), time.process_time() - began
    console.print(f"{events} events, {1e6 * spent / events:.0f} us of CPU each, making included")


def _rules(outcomes: list[Outcome]) -> Table:
    """True and false alarms of each rule, and how many attacks it was the first to find."""
    true = sum((one.true for one in outcomes), Counter[str]())
    false = sum((one.false for one in outcomes), Counter[str]())
    first = Counter(rules[0] for one in outcomes for rules in one.found.values())
    table = Table("rule", "true", "false", "precision", "first to find")
    for rule in RULES:
        told = true[rule.id] + false[rule.id]
        precision = f"{true[rule.id] / told:.2f}" if told else "-"
        figures = (true[rule.id], false[rule.id], precision, first[rule.id])
        table.add_row(rule.id, *map(str, figures))
    return table
