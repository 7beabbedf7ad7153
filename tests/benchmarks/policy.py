"""What a decision costs: by the embedded engine, from memory, by an OPA server, in one run; how its
cost follows the number of grants; how long a directory takes to load; what recording it adds.

Wall-clock figures belong to the machine and the moment; compare the ratios. The directory holds one
organisation per scenario and further ones, each with a grant.
Run: `python -m tests.benchmarks policy`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from uuid_utils import uuid7

from gateway.journal.entry import Entry
from gateway.journal.spool import Spool
from gateway.policy.cache import CachedPolicy
from gateway.policy.decision_log import brief, event
from gateway.policy.port import Decision, Policy, PolicyInput
from metering.usage import time_text
from tests.journal_factory import NOON, event_id
from tests.opa_server import opa_policy
from tests.policy_factory import Json, ask
from tests.policy_scenarios import embedded_world, golden, services, world

FEW, MANY = 500, 50_000
QUESTIONS = 400
RECORDED, BATCH = 10_000, 128
ASKED = ("SC01", "SC02", "SC05", "SC09")
CACHED_AT_MOST = 1 / 20
"""What a remembered decision may cost of one that is made."""


@dataclass(frozen=True)
class Cost:
    """Microseconds a decision takes: waiting for it, and of this process's CPU."""

    p50: float
    p99: float
    cpu: float


def questions() -> list[PolicyInput]:
    """Sound questions of several scenarios."""
    return [ask(golden(name)) for name in ASKED]


def crowded(grants: int) -> Json:
    """The world with many more organisations, each with a grant."""
    documents = world()
    tenant, granted = documents["tenants"]["insurer-1"], documents["grants"]["insurer-1"]
    for number in range(grants):
        documents["tenants"][f"crowd-{number}"] = tenant
        documents["grants"][f"crowd-{number}"] = granted
    return documents


async def _drive(policy: Policy, asked: list[PolicyInput], number: int) -> Cost:
    for question in asked * 5:
        await policy.decide_soon(question)
    waited = []
    used = time.process_time()
    for question in islice(cycle(asked), number):
        began = time.perf_counter()
        decision: Decision = await policy.decide_soon(question)
        waited.append(time.perf_counter() - began)
        assert decision.allow
    cpu = (time.process_time() - used) / number
    ranked = sorted(waited)
    return Cost(ranked[number // 2] * 1e6, ranked[number * 99 // 100] * 1e6, cpu * 1e6)


def measure(policy: Policy, number: int = QUESTIONS) -> Cost:
    return asyncio.run(_drive(policy, questions(), number))


def _embedded(grants: int, wrap: Callable[[Policy], Policy] = lambda policy: policy) -> Cost:
    with closing(embedded_world(crowded(grants))) as policy:
        return measure(wrap(policy))


def _opa(grants: int) -> Cost:
    with opa_policy(crowded(grants), services=services()) as policy:
        return measure(policy)


def _loading(grants: int) -> tuple[float, float]:
    """Seconds until a directory of so many grants decides in the place of another: waited, CPU."""
    documents = crowded(grants)
    with closing(embedded_world(documents)) as policy:
        began, used = time.perf_counter(), time.process_time()
        policy.load(documents)
        return time.perf_counter() - began, time.process_time() - used


def _recording() -> dict[str, tuple[float, float, float]]:
    """What one decision costs to write down, short and whole: microseconds of CPU to make the
    document, microseconds to store it in the journal, bytes of the journal."""
    (question, *_), listed = questions(), {"gend": ("1", "2")}
    with closing(embedded_world(world())) as policy:
        decision = policy.decide(question)
    forms: dict[str, Callable[[Decision], Json]] = {
        "short form": brief,
        "OPA event, question and result": lambda each: event(question, each, listed),
    }
    found = {}
    for name, write in forms.items():
        began = time.process_time()
        documents = [write(replace(decision, decision_id=str(uuid7()))) for _ in range(RECORDED)]
        made = (time.process_time() - began) / RECORDED * 1e6
        found[name] = (made, *_stored(documents))
    return found


def _stored(documents: list[Json]) -> tuple[float, float]:
    """Microseconds of CPU and bytes for each decision in a journal, in batches of one commit."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "journal.db", event_id(0), time_text(NOON))
        audit = {"kind": "read", "result": "failed"}
        used = 0.0
        for first in range(0, len(documents), BATCH):
            entries = [
                Entry(f"r{number}", event_id(number), NOON, document, audit, None)
                for number, document in enumerate(documents[first : first + BATCH], first)
            ]
            began = time.process_time()
            refused = [each for each in spool.append(entries) if each]
            used += time.process_time() - began
            assert not refused
        spool.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return used / len(documents) * 1e6, size / len(documents)


def _print_costs(rows: Mapping[str, Cost], base: Cost) -> None:
    out = sys.stdout.write
    heads = ("p50 µs", "÷ first", "p99 µs", "CPU µs", "÷ first")
    out(" " * 34 + "".join(f"{head:>10}" for head in heads) + "\n")
    for name, cost in rows.items():
        out(f"{name:34}{cost.p50:10.0f}{cost.p50 / base.p50:10.3f}{cost.p99:10.0f}")
        out(f"{cost.cpu:10.0f}{cost.cpu / base.cpu:10.3f}\n")


def main() -> None:
    """Print the tables."""
    few, many = f"embedded, uncached, {FEW} grants", f"the same, {MANY} grants"
    rows = {few: _embedded(FEW), many: _embedded(MANY)}
    rows["embedded, cached"] = _embedded(FEW, CachedPolicy)  # type: ignore[arg-type]  # it is embedded
    if shutil.which("opa"):
        rows[f"OPA server, {FEW} grants"] = _opa(FEW)
    base, out = rows[few], sys.stdout.write
    _print_costs(rows, base)
    cached = rows["embedded, cached"].p50 / base.p50
    verdict = "holds" if cached <= CACHED_AT_MOST else "MISSED"
    out(f"cached ÷ uncached {cached:.4f}, at most {CACHED_AT_MOST}: {verdict}\n")
    out(f"{MANY} ÷ {FEW} grants: p50 {rows[many].p50 / base.p50:.2f}, ")
    out(f"CPU {rows[many].cpu / base.cpu:.2f}\n")
    for grants in (FEW, MANY):
        waited, used = _loading(grants)
        out(f"loading {grants} grants: {waited:.2f} s, {used:.2f} s of CPU\n")
    for name, (made, kept, size) in _recording().items():
        out(f"recording, {name}: {made:.1f} µs of CPU to make, {kept:.1f} µs to store, ")
        out(f"{size:.0f} bytes; ÷ an uncached decision {(made + kept) / base.cpu:.3f}\n")


if __name__ == "__main__":
    main()
