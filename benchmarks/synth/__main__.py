"""`make bench-synth`: Sluice beside MST, SDV and mostlyai on public sets, in one run.

    python -m benchmarks.synth [--set NAME]... [--seeds N] [--peer NAME]...

Each method trains on 70 % of the persons, without being told what is evaluated, and is judged on
the same public bins and the same 30 %. The unit of privacy is a row (as MST's is); δ = 1e-6. SDV
and mostlyai are not private. Jobs that were done are kept below var/bench-synth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import duckdb
import numpy as np

from benchmarks.synth.jobs import SETS, Set, decoded, prepare, rows, run
from synthetic.evaluation.constraints import check
from synthetic.evaluation.learning import discriminator_auc, utility
from synthetic.evaluation.marginals import fidelity
from synthetic.evaluation.questions import question
from synthetic.evaluation.sides import add_side, coded, matrix

PEERS = ("sluice", "mst", "sdv", "mostlyai")
PRIVATE = ("sluice", "mst")
EPSILONS = (1.0, 3.0)
WORK = Path("var/bench-synth")


@dataclass(frozen=True)
class Row:
    """One method on one set at one ε, one seed."""

    figures: dict[str, float]
    said: str = ""


def judged(one: Set, base: Path, out: Path, cost: dict[str, float], seed: int) -> Row:
    """All figures of what a method made."""
    schema, name = one.schema, one.name
    train, test, made = (
        rows(one, path) for path in (base / "train.parquet", base / "test.parquet", out)
    )
    codes = [coded(schema, name, table) for table in (train, made, test)]
    learnt = [matrix(schema, name, table) for table in (train, made, test)]
    near = fidelity(*codes, seed)
    figures = {
        "TVD1": near.synthetic[1],
        "TVD2": near.synthetic[2],
        "TVD3": near.synthetic[3],
        "TVD2 independent": near.independent[2],
        "TVD2 other real": near.holdout[2],
        "told apart": discriminator_auc(learnt[0], learnt[1], seed),
    }
    for words in one.targets:
        found = utility(learnt[1], learnt[0], learnt[2], question(schema, words).target, seed)
        figures[f"{words} {found.measure}"] = found.synthetic
        figures[f"{words} real"] = found.real
    figures |= _identities(one, out)
    figures["fit CPU s"] = cost["fit_cpu"]
    figures["rows/CPU s"] = cost["rows"] / max(cost["sample_cpu"], 1e-9)
    return Row(figures)


def _identities(one: Set, out: Path) -> dict[str, float]:
    connection = duckdb.connect()
    add_side(connection, one.schema, "made", {one.name: [out]})
    found = [c for c in check(connection, one.schema, "made") if " = " in c.rule]
    return {"identities held": min(c.held for c in found)} if found else {}


def done(one: Set, peer: str, seed: int, epsilon: float | None) -> Row:
    """A job, judged; or why it is not."""
    base = WORK / one.name
    job = base / f"{peer}-{epsilon or 'none'}-{seed}"
    problem = run(peer, one, base, job, seed, epsilon)
    if problem:
        return Row({}, problem)
    kept = job / "figures.json"
    if not kept.exists():
        out = job / "out.parquet"
        if (job / "out_coded.parquet").exists():
            out = decoded(one, job / "out_coded.parquet", seed)
        cost = json.loads((job / "cost.json").read_text())
        kept.write_text(json.dumps(judged(one, base, out, cost, seed).figures))
    return Row(json.loads(kept.read_text()))


def table(one: Set, found: dict[str, list[Row]]) -> list[str]:
    """Methods by figures: mean ± standard deviation over the seeds."""
    names = list(dict.fromkeys(n for each in found.values() for row in each for n in row.figures))
    shown = [n for n in names if not n.endswith((" real", " independent"))]
    lines = [f"\n## {one.name}", "| method | " + " | ".join(shown) + " |"]
    lines.append("|" + " --- |" * (len(shown) + 1))
    for method, each in found.items():
        good = [row.figures for row in each if row.figures]
        if not good:
            lines.append(f"| {method} | {each[0].said} |")
            continue
        cells = [_cell([row[name] for row in good if name in row]) for name in shown]
        lines.append(f"| {method} (n={len(good)}) | " + " | ".join(cells) + " |")
    first = next((row.figures for each in found.values() for row in each if row.figures), {})
    floors = {n: v for n, v in first.items() if n.endswith((" real", " independent"))}
    lines.append("floors: " + ", ".join(f"{name} {value:.4f}" for name, value in floors.items()))
    return lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    middle = mean(values)
    form = f"{middle:.4f}" if abs(middle) < 10 else f"{middle:,.0f}"
    return form + (f" ± {stdev(values):.4f}" if len(values) > 1 and abs(middle) < 10 else "")


def main() -> None:
    """Install, prepare, run, judge, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--set", action="append", choices=list(SETS), dest="sets")
    asked.add_argument("--peer", action="append", choices=PEERS, dest="peers")
    asked.add_argument("--seeds", type=int, default=3)
    told = asked.parse_args()
    subprocess.run(["benchmarks/synth/peers.sh"], check=True)
    data = WORK / "data"
    if not (data / "lab_visit.parquet").exists():
        exporter = "var/peers/mst/bin/python"
        subprocess.run([exporter, "benchmarks/synth/data.py", str(data)], check=True)
    np.seterr(all="ignore")
    lines = []
    for name in told.sets or list(SETS):
        one = SETS[name]
        prepare(one, data, WORK / name)
        found: dict[str, list[Row]] = {}
        for peer in told.peers or PEERS:
            for epsilon in EPSILONS if peer in PRIVATE else (None,):
                label = f"{peer} ε={epsilon:g}" if epsilon else f"{peer} (not private)"
                found[label] = [done(one, peer, seed, epsilon) for seed in range(told.seeds)]
        lines += table(one, found)
        print("\n".join(lines[-len(table(one, found)) :]), flush=True)
    (WORK / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
