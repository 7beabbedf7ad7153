"""Data with light and with heavy defects, as a participant is told of them over HTTP by S26.

`light` keeps the limits of all four figures in every quarter; `heavy` breaks those of completeness
and consistency, and is told with rules and, on the office's page, with feeders. What rules count
agrees with a second implementation (`tests/second/s26.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.quality import app
from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from synthetic.bureau.settings import Defects
from tests.gateway_factory import TODAY, Gateway, copy_policies, serving
from tests.second import s26

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PURPOSE = "regional_market_and_access_analysis"
PROFILES: tuple[Defects, ...] = ("light", "heavy")
LIMITS = {
    "completeness": (0.98, True), "consistency": (0.96, True),
    "timeliness": (10, False), "accuracy": (0.005, False),
}  # fmt: skip
"""SPEC 9.1: at least so much, or at most so many minutes and so much difference."""
QUARTER_COUNT = 12
QUARTERS = {"from": "2022Q2", "to": "2025Q1", "grain": "quarter"}


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    """A gateway for each profile, of a city of two thousand."""
    with ExitStack() as stack:
        yield {profile: _gateway(stack, tmp_path_factory, profile) for profile in PROFILES}


def _gateway(stack: ExitStack, factory: pytest.TempPathFactory, defects: Defects) -> Gateway:
    folder = factory.mktemp(defects)
    settings = Settings(home=folder / "home")
    root = settings.warehouse
    root.mkdir(parents=True)
    with store.draft(root) as scratch:
        tables = scratch / "tables"
        tables.mkdir()
        simulate(tables, "mini", 5, defects=defects)
        store.publish(root, tables, {"kind": "simulate", "defects": defects}, TODAY)
    build(settings, Order(("S26",), alone=True), TODAY)
    policies = copy_policies(folder / "policies", lookback_months=600)
    running = stack.enter_context(serving(settings.home, policies))
    running.admit("dq-app", "T-DQ", "pharma", "SC05", services=["S26"])
    return running


def ask(gateway: Gateway, **asked: Any) -> list[dict[str, Any]]:
    body = {"purpose": PURPOSE, "period": QUARTERS, "geo": ["990100"], "page_size": 5000, **asked}
    reply = gateway.ask("S26", body, client="dq-app")
    assert reply.status_code == 200, reply.text
    assert reply.json()["next_cursor"] is None
    return list(reply.json()["data"])


def broken(gateway: Gateway) -> dict[str, set[str]]:
    """Which of the four figures break their limit in which quarters, as the answer's meta says."""
    body = {"purpose": PURPOSE, "period": QUARTERS, "geo": ["990100"], "dims": ["kpi4"]}
    told = gateway.ask("S26", body, client="dq-app").json()
    assert len(told["meta"]["quality"]) == QUARTER_COUNT
    found: dict[str, set[str]] = {name: set() for name in LIMITS}
    for quarter, figures in told["meta"]["quality"].items():
        for name, (limit, least) in LIMITS.items():
            value = figures[name]
            if value is not None and (value < limit if least else value > limit):
                found[name].add(quarter)
    return found


def failing(gateway: Gateway) -> dict[str, float]:
    """Records that break each rule over all quarters, of all that rules were told of."""
    found: dict[str, float] = {}
    for row in ask(gateway, dims=["dq_table", "rule"], measures=["failed", "amount_affected"]):
        if row["failed"]["value"]:
            found[row["rule"]] = found.get(row["rule"], 0) + row["failed"]["value"]
            assert row["amount_affected"]["value"] is not None
    return found


def test_light_defects_keep_the_limits_of_all_four_figures(gateways: dict[str, Gateway]) -> None:
    assert broken(gateways["light"]) == {name: set() for name in LIMITS}


def test_heavy_defects_break_completeness_and_consistency(gateways: dict[str, Gateway]) -> None:
    """Lines, on which most rules look, begin in 2023."""
    found = broken(gateways["heavy"])
    assert found["completeness"]
    assert found["consistency"] >= {f"{y}Q{q}" for y in (2023, 2024) for q in (1, 2, 3, 4)}


def test_the_rules_that_fail_are_told_with_their_money(gateways: dict[str, Gateway]) -> None:
    light, heavy = failing(gateways["light"]), failing(gateways["heavy"])
    assert {"R01", "R19"} <= heavy.keys()
    assert sum(heavy.values()) > 3 * sum(light.values())


@pytest.mark.parametrize("profile", PROFILES)
def test_what_rules_count_agrees_with_a_second_implementation(
    gateways: dict[str, Gateway], profile: str
) -> None:
    gateway = gateways[profile]
    second = s26.Checked(Path(store.current(gateway.settings.warehouse)))
    compared = faults = 0
    for table, rule in s26.RULES:
        rows = ask(
            gateway, period={"from": "2023-01", "to": "2025-03", "grain": "month"},
            dims=["dq_table"], where={"rule": rule, "dq_table": table},
            measures=["checked", "failed", "amount_affected"],
        )  # fmt: skip
        for row in rows:
            checked, failed, money = second.found(table, rule, row["period"], "990100")
            assert (row["checked"]["value"], row["failed"]["value"]) == (checked, failed), row
            assert float(row["amount_affected"]["value"]) == pytest.approx(money, abs=0.01), row
            compared, faults = compared + 1, faults + failed
    assert compared == 27 * len(s26.RULES)
    assert faults > 0


def test_the_page_names_feeder_and_rule_of_heavy_defects(
    gateways: dict[str, Gateway], tmp_path: Path
) -> None:
    """The office's page; participants are told no feeder but their own."""
    page = tmp_path / "report.html"
    env = {"SLUICE_HOME": str(gateways["heavy"].settings.home)}
    result = CliRunner().invoke(app, ["report", "--html", str(page)], env=env)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    for wanted in ("完整性", "一致性", "R19", "H99011100001", "来源 × 月份"):
        assert wanted in text
