"""S26 over HTTP: the quality of the data under all releases, open and free; waivers in meta."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from gateway.warehouse.store import current
from tests.gateway_factory import Gateway

PURPOSE = "regional_market_and_access_analysis"
MONTHS = {"from": "2024-01", "to": "2024-03", "grain": "month"}


@pytest.fixture
def asker(gateway: Gateway) -> str:
    return gateway.admit("dq-app", "T-DQ", "pharma", "SC05", services=["S26"])


def ask(gateway: Gateway, client: str, **asked: Any) -> dict[str, Any]:
    body = {"purpose": PURPOSE, "period": MONTHS, "geo": ["990100"], **asked}
    reply = gateway.ask("S26", body, client=client)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_the_four_figures_are_parts_of_what_was_measured(gateway: Gateway, asker: str) -> None:
    told = ask(gateway, asker, dims=["kpi4"], measures=["measured", "met", "value"])
    shown = [row for row in told["data"] if row["value"]["value"] is not None]
    assert {row["kpi4"] for row in shown} >= {"completeness", "consistency"}
    for row in shown:
        part = row["met"]["value"] / row["measured"]["value"]
        assert row["value"]["value"] == pytest.approx(part, abs=0.00005)
        assert row["value"]["flag"] == "ok"


def test_what_is_open_is_neither_rounded_nor_hidden_and_costs_nothing(
    gateway: Gateway, asker: str
) -> None:
    told = ask(gateway, asker, dims=["dq_table", "rule"], measures=["checked", "failed"])
    flags = {row[name]["flag"] for row in told["data"] for name in ("checked", "failed")}
    assert flags <= {"ok", "z"}
    assert told["meta"]["charge"]["unit"] == "free"
    small = [row["failed"]["value"] for row in told["data"] if row["failed"]["value"]]
    assert any(0 < value < 11 for value in small)


def test_a_rule_looked_at_what_lies_in_the_warehouse(
    gateway: Gateway, asker: str, released_home: Path
) -> None:
    told = ask(
        gateway, asker, dims=["dq_table"], where={"rule": "R18", "dq_table": "setl_d"},
        measures=["checked", "failed", "rate"],
    )  # fmt: skip
    folder = current(released_home / "warehouse")
    rows = duckdb.sql(f"""SELECT strftime(setl_time, '%Y-%m') AS month, count(*),
        count_if((left(s.med_type, 2) = '41') <> (left(s.fixmedins_code, 1) = 'P'))
      FROM '{folder}/setl_d.parquet' AS s JOIN '{folder}/fixmedins_b.parquet' AS f
        ON f.fixmedins_code = s.fixmedins_code
      WHERE left(f.fix_blng_admdvs, 4) = '9901' AND month BETWEEN '2024-01' AND '2024-03'
      GROUP BY 1 ORDER BY 1""").fetchall()
    assert len(rows) == 3
    got = [(r["period"], r["checked"]["value"], r["failed"]["value"]) for r in told["data"]]
    assert got == rows
    assert sum(failed for _, _, failed in rows) > 0


def test_an_answer_shows_the_waiver_that_its_release_rests_on(gateway: Gateway) -> None:
    body = {
        "purpose": "actuarial_pricing_and_reserving",
        "period": {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"},
        "geo": ["990100"],
        "dims": ["insutype2"],
        "measures": ["medfee"],
    }
    (waiver,) = gateway.ask("S02", body).json()["meta"]["waivers"]
    assert waiver["reason"] == "invented records"
    assert len(waiver["signed_by"]) == 2
    assert {"completeness", "R04"} <= set(waiver["covers"])
    assert (waiver["first"], waiver["last"], waiver["until"]) == (
        "2000-01",
        "2099-12",
        "2099-12-31",
    )
