"""The table, the machine it was measured on, and a chart."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from math import log10
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.path.load import middle
from tests.benchmarks.path.run import Plan, Way


def ratio(way: Way, ways: Sequence[Way]) -> float | None:
    """How many times as many requests per CPU as its peer; None without one."""
    peer = next((one for one in ways if one.name == way.against), None)
    return None if peer is None else middle(peer.loads).cpu_us / middle(way.loads).cpu_us


def print_table(ways: Sequence[Way], skipped: dict[str, str]) -> None:
    """Figures of each way: medians, and the spread of CPU over the rounds."""
    table = Table(title="The request path beside its peers")
    names = ("way", "CPU µs", "least … most", "p50 ms", "p99 ms", "× peer", "target", "peer")
    for name in names:
        table.add_column(name, justify="left" if name in {"way", "peer"} else "right")
    for way in ways:
        found, cpu = middle(way.loads), sorted(one.cpu_us for one in way.loads)
        times, target = ratio(way, ways), f"{way.target:.2f}" if way.against else ""
        table.add_row(
            way.name,
            f"{found.cpu_us:,.0f}",
            f"{cpu[0]:,.0f} … {cpu[-1]:,.0f}",
            f"{found.p50_ms:.2f}",
            f"{found.p99_ms:.2f}",
            "" if times is None else f"{times:.2f}",
            target,
            way.against,
        )
    console = Console(width=130)
    console.print(table)
    for name, reason in skipped.items():
        console.print(f"not measured: {name} ({reason})")


def facts(plan: Plan) -> dict[str, object]:
    """The machine, the commit, and how much was asked."""
    return machine_facts() | asdict(plan)


def machine_facts() -> dict[str, object]:
    """The machine, its load, and the commit."""
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], check=False).returncode != 0
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() + ("+changes" if changed else ""),
        "cpu": cpu[0] if cpu else "unknown",
        "cores": len(cpu),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
    }


def write(
    file: Path, ways: Sequence[Way], skipped: dict[str, str], machine: dict[str, object]
) -> None:
    """Everything as JSON, every round included."""
    told = [
        {
            "way": way.name,
            "against": way.against or None,
            "target": way.target or None,
            "ratio": ratio(way, ways),
            "median": _plain(middle(way.loads)),
            "rounds": [_plain(one) for one in way.loads],
        }
        for way in ways
    ]
    whole = {"machine": machine, "ways": told, "not_measured": skipped}
    file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _plain(load: object) -> dict[str, object]:
    return {name: value for name, value in vars(load).items() if name != "bodies"}


def draw(ways: Sequence[Way]) -> str:
    """CPU per request as bars on a scale of powers of ten."""
    rows = []
    for at, way in enumerate(ways):
        cpu, y = middle(way.loads).cpu_us, 30 + at * 26
        width = max(1.0, log10(max(cpu, 1.0)) * 110)
        colour = "#1f6f8b" if way.is_ours else "#b8b8b8"
        rows.append(
            f'<text x="215" y="{y + 13}" text-anchor="end">{escape(way.name)}</text>'
            f'<rect x="225" y="{y}" width="{width:.0f}" height="18" fill="{colour}"/>'
            f'<text x="{230 + width:.0f}" y="{y + 13}">{cpu:,.0f} µs</text>'
        )
    height = 40 + len(ways) * 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}"'
        ' font-family="sans-serif" font-size="12">'
        '<text x="10" y="18">CPU per request, µs (logarithmic)</text>' + "".join(rows) + "</svg>\n"
    )
