"""What a decision costs: by the embedded engine, from memory, and by an OPA server, in one run.

Wall-clock figures belong to the machine and the moment; compare the ratios. The directory holds one
organisation per scenario and `GRANTS` further ones, to show that the cost does not follow their
number. Run: `python -m tests.benchmarks policy`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice

from gateway.policy.cache import CachedPolicy
from gateway.policy.port import Decision, Policy, PolicyInput
from tests.opa_server import opa_policy
from tests.policy_factory import Json, ask
from tests.policy_scenarios import embedded_world, golden, services, world

GRANTS = 2_000
QUESTIONS = 400
ASKED = ("SC01", "SC02", "SC05", "SC09")


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


def _embedded(grants: int, wrap: Callable[[Policy], Policy]) -> Cost:
    with closing(embedded_world(crowded(grants))) as policy:
        return measure(wrap(policy))


def _opa(grants: int) -> Cost:
    with opa_policy(crowded(grants), services=services()) as policy:
        return measure(policy)


def main() -> None:
    """Print the table."""
    rows = {
        "embedded, uncached": _embedded(0, lambda policy: policy),
        f"the same, {GRANTS} grants more": _embedded(GRANTS, lambda policy: policy),
        "embedded, cached": _embedded(0, CachedPolicy),  # type: ignore[arg-type]  # it is embedded
    }
    if shutil.which("opa"):
        rows["OPA server"] = _opa(0)
        rows[f"the same, {GRANTS} grants more "] = _opa(GRANTS)
    base = rows["embedded, uncached"]
    out = sys.stdout.write
    heads = ("p50 µs", "÷ first", "p99 µs", "CPU µs", "÷ first")
    out(" " * 28 + "".join(f"{head:>10}" for head in heads) + "\n")
    for name, cost in rows.items():
        out(f"{name:28}{cost.p50:10.0f}{cost.p50 / base.p50:10.3f}{cost.p99:10.0f}")
        out(f"{cost.cpu:10.0f}{cost.cpu / base.cpu:10.3f}\n")


if __name__ == "__main__":
    main()
