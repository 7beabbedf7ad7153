"""Rows a second and core of keyed masks, beside Python's own `hmac` called row by row.

CPU time of this process, the best of three rounds; polars is held to one thread.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from gateway.masking.keys import Context, KeyMaterial, MaskingKeys, Suite
from gateway.masking.plan import apply_arrow, plan
from gateway.masking.risk.frequencies import frequencies
from gateway.masking.risk.suda import suda_scores

os.environ.setdefault("POLARS_MAX_THREADS", "1")
ROWS, ROUNDS = 1_000_000, 3
SLOW_ROWS = 100_000
ROW_MASK = {
    "psn_no": "pseud",
    "begndate": "gen_date(month)",
    "age": "gen_age(5)",
    "insu_admdvs": "gen_geo(city)",
}


def view(persons: int) -> pa.Table:
    """A million rows of `persons` persons, sorted by person as facts are."""
    draw = np.random.default_rng(1)
    who = np.arange(ROWS) if persons == ROWS else np.sort(draw.integers(0, persons, ROWS))
    days = np.datetime64("2023-01-01") + draw.integers(0, 1096, ROWS)
    return pa.table(
        {
            "psn_no": [f"{number:018d}" for number in who],
            "begndate": pa.array(days),
            "age": pa.array(draw.integers(0, 100, ROWS).astype(np.int32)),
            "insu_admdvs": [f"99{number:04d}" for number in draw.integers(100, 400, ROWS)],
        }
    )


def keys(suite: Suite) -> MaskingKeys:
    return MaskingKeys(KeyMaterial(os.urandom(32), "bench", suite), Context("bench", "SC08"))


def speed(rows: int, work: Callable[[], object]) -> float:
    """Rows for a second of CPU."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return rows / best


def plain(rows: pa.Table, algorithm: str) -> float:
    """`hmac.digest` for every row."""
    texts = rows.column("psn_no").slice(0, SLOW_ROWS).to_pylist()
    key = os.urandom(32)
    return speed(
        SLOW_ROWS, lambda: [hmac.digest(key, each.encode(), algorithm).hex() for each in texts]
    )


def main() -> None:
    distinct, repeated = view(ROWS), view(80_000)
    shown = Table("what", "rows per CPU second", "× hmac.digest", title="masks")
    base = {"international": plain(distinct, "sha256"), "gm": plain(distinct, "sm3")}
    suites: tuple[tuple[Suite, str], ...] = (("international", "SHA-256"), ("gm", "SM3"))

    def line(what: str, suite: Suite, masks: dict[str, str], rows: pa.Table) -> None:
        bound = plan(masks, keys(suite))
        found = speed(ROWS, lambda: apply_arrow(bound, rows))
        shown.add_row(what, f"{found:,.0f}", f"{found / base[suite]:.1f}")

    for suite, name in suites:
        line(f"pseudonyms {name}, all distinct", suite, {"psn_no": "pseud"}, distinct)
        line(f"pseudonyms {name}, 80 000 persons", suite, {"psn_no": "pseud"}, repeated)
        line(f"full row {name}, all distinct", suite, ROW_MASK, distinct)
        line(f"full row {name}, 80 000 persons", suite, ROW_MASK, repeated)
    line("FF1, 18 digits", "international", {"psn_no": "fpe"}, distinct)
    columns = {name: repeated.column(name).slice(0, SLOW_ROWS).to_pylist() for name in ROW_MASK}
    del columns["psn_no"]
    shown.add_row("k of 3 columns", f"{speed(SLOW_ROWS, lambda: frequencies(columns)):,.0f}", "")
    shown.add_row("SUDA of 3 columns", f"{speed(SLOW_ROWS, lambda: suda_scores(columns)):,.0f}", "")
    Console().print(shown)
