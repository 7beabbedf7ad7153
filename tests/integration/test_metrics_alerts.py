"""The shipped alert rules: valid, about metrics that exist, explained, firing when they should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.metrics import findings
from gateway.metrics.meters import Meters

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "sluice-alerts.yaml"
PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in DOCUMENT["groups"] for rule in group["rules"]]
OURS = re.compile(
    r"\b(?:gateway|meter|journal|spool|quota|ledger|reconciliation|billing|watermark|rollup|revenue)_[a-z_]+"
)


def known() -> set[str]:
    """Every series that a process or a look at the books can tell."""
    meters = Meters(CollectorRegistry())
    names = set(findings.names())
    for family in meters.registry.collect():
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "gauge": ("",),
        }
        names |= {family.name + suffix for suffix in suffixes[family.type]}
    return names


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool") or shutil.which("promtool", path=ROOT / ".tools" / "bin")
    if found is None:
        assert "SLUICE_CI" not in os.environ, "promtool is missing: `make services`"
        pytest.skip("promtool is not installed: `make services` fetches it")
    return found


def told(promtool: str, verb: str, file: Path) -> str:
    done = subprocess.run(
        [promtool, verb, "rules", file], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_is_about_metrics_that_exist_and_says_what_to_do(alert: dict[str, Any]) -> None:
    named = set(OURS.findall(alert["expr"]))
    assert named or "up{" in alert["expr"]
    assert named <= known()
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    notes = alert["annotations"]
    assert notes.keys() == {"summary", "summary_zh", "runbook"}
    assert re.search(r"[一-鿿]", notes["summary_zh"])
    name = alert["alert"]
    assert notes["runbook"] == f"docs/alerts.md#{name.lower()}"
    section = PAGE.split(f"### {name}\n")[1]
    assert section.startswith(f"*{alert['labels']['severity']} · ")


def test_the_page_explains_no_alert_that_is_gone_and_every_metric() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, flags=re.M) == [alert["alert"] for alert in ALERTS]
    table = PAGE.split("| metric | |")[1].split("## What to do")[0]
    shown = set(re.findall(r"`([a-z_…]+)(?:\{[a-z,]+\})?`", table))
    written = {name.replace("…", "meter_events_") for name in shown}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known()}
    assert families <= written
    for name in set(OURS.findall(PAGE)) - {"meter_events_"}:
        assert name in families, name


def test_the_rules_are_valid(promtool: str) -> None:
    assert f"{len(ALERTS)} rules found" in told(promtool, "check", RULES)


CASES: list[tuple[str, dict[str, str], str]] = [
    ("SluiceNotReady", {"gateway_ready": "0x10"}, "3m"),
    ("SluiceJournalRefuses", {"meter_events_unacked_total": "0+1x20"}, "10m"),
    ("SluiceNodeCounting", {"journal_counted": "0x10"}, "3m"),
    ("SluiceSpoolAgeing", {"spool_oldest_seconds": "901+60x20", "spool_depth": "5x20"}, "10m"),
    ("SluiceQuarantine", {"meter_events_quarantined_total": "0 0 0 0 0 1 1 1 1 1"}, "8m"),
    ("SluiceQuarantine", {"journal_quarantine": "1x10"}, "1m"),
    ("SluiceReconciliationDiffers", {"reconciliation_difference": "1x5"}, "1m"),
    ("SluiceLedgerImbalance", {"ledger_imbalance": "-1x5", "ledger_faults": "0x5"}, "1m"),
    ("SluiceLedgerImbalance", {"ledger_imbalance": "0x5", "ledger_faults": "1x5"}, "1m"),
    ("SluiceRevenueNearCap", {"revenue_cap_used_ratio": "0.8x5"}, "1m"),
    ("SluiceRevenueAtCap", {"revenue_cap_used_ratio": "0.95x5"}, "1m"),
    (
        "SluiceJournalIdle",
        {
            'gateway_metered_calls_total{outcome="answered"}': "0+9x40",
            "meter_events_acked_total": "7x40",
        },
        "30m",
    ),
    (
        "SluiceCallsFail",
        {
            'gateway_metered_calls_total{outcome="failed"}': "0+2x40",
            'gateway_metered_calls_total{outcome="answered"}': "0+98x40",
        },
        "30m",
    ),
    (
        "SluiceBudgetBurnsFast",
        {
            'gateway_metered_calls_total{outcome="failed"}': "0+2x90",
            'gateway_metered_calls_total{outcome="answered"}': "0+98x90",
        },
        "80m",
    ),
    (
        "SluiceBudgetBurns",
        {
            'gateway_metered_calls_total{outcome="failed"}': "0+0.2x5000",
            'gateway_metered_calls_total{outcome="answered"}': "0+99.8x5000",
        },
        "80h",
    ),
    (
        "SluiceSlownessBurns",
        {
            'gateway_request_seconds_bucket{le="1.0"}': "0+80x90",
            "gateway_request_seconds_count": "0+100x90",
        },
        "80m",
    ),
]
QUIET: dict[str, str] = {
    "gateway_ready": "1x60",
    'gateway_request_seconds_bucket{le="1.0"}': "0+99x60",
    "gateway_request_seconds_count": "0+100x60",
    'gateway_metered_calls_total{outcome="answered"}': "0+100x60",
    'gateway_metered_calls_total{outcome="failed"}': "0x60",
    "meter_events_acked_total": "0+100x60",
    "meter_events_unacked_total": "0x60",
    "meter_events_quarantined_total": "3x60",
    "spool_depth": "40x60",
    "spool_oldest_seconds": "1x60",
    "reconciliation_difference": "0x60",
    "ledger_imbalance": "0x60",
    "ledger_faults": "0x60",
    "billing_unclosed_days": "3x60",
    "revenue_cap_used_ratio": "0.79x60",
    "meter_checked_timestamp_seconds": "0+60x60",
    'meter_check_failed{part="ledger"}': "0x60",
}


def rule_test(series: dict[str, str], at: str, alert: str, fires: bool) -> dict[str, Any]:
    """One case as promtool takes it; which labels and words an alert carries is not its matter."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    asked = [{"expr": expr, "eval_time": at, "exp_samples": samples}]
    return {"interval": "1m", "input_series": given, "promql_expr_test": asked}


def test_alerts_fire_when_they_should_and_not_on_a_quiet_day(promtool: str, tmp_path: Path) -> None:
    fired = [rule_test(series, at, alert, fires=True) for alert, series, at in CASES]
    quiet = [rule_test(QUIET, "55m", alert["alert"], fires=False) for alert in ALERTS]
    file = tmp_path / "cases.yaml"
    cases = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [*fired, *quiet]}
    file.write_text(yaml.safe_dump(cases), encoding="utf-8")
    assert "SUCCESS" in told(promtool, "test", file)
