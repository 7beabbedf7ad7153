"""Cells about no person, from the warehouse to the answer: an open service, two ledgers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gateway.audit.reconcile import reconcile
from gateway.catalogue.load import load_catalogue
from gateway.releases.build import Order, build
from gateway.releases.contributions import FILE
from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore
from gateway.releases.verify import verify
from gateway.settings import Settings
from tests.gateway_factory import TODAY, Gateway, copy_policies, serving
from tests.impersonal_services import LEDGER, OPEN, add
from tests.ledger_warehouse import INSURED, LEAVING, build_ledger_warehouse, ledger
from tests.waivers import INVENTED

LEAST = 100  # insured, by DC2
OUTLOOK = ("income_forecast", "income_low80", "income_high80", "income_low95", "income_high95")
ASKED: dict[str, Any] = {
    "purpose": "actuarial_pricing_and_reserving",
    "period": {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["insutype2", "flow"],
}
FUND: dict[str, Any] = {
    "purpose": "public_information",
    "period": {"from": "2024Q3", "to": "2025Q4", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["insutype2"],
    "measures": ["income", *OUTLOOK, "reserve_months", "gap_share"],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("impersonal")
    policies = add(add(copy_policies(folder / "policies"), OPEN), LEDGER)
    home = folder / "home"
    build_ledger_warehouse(home)
    settings = Settings(home=home, policies=policies)
    build(settings, Order(("S25", "S29", "S31"), waivers=INVENTED), TODAY)
    with serving(home, policies) as running:
        running.admit("open-app", "T-29", "insurer", "SC01", services=["S29", "S31"])
        running.admit("fund-app", "T-25", "public", "SC11", services=["S25"])
        yield running


def cells(gateway: Gateway, service: str) -> tuple[Manifest, list[Listed]]:
    """Everything the one profile of a service publishes."""
    releases = gateway.settings.releases
    manifest = ReleaseStore(releases).latest(service)
    assert manifest is not None
    folder = releases / service / manifest.release_id
    return manifest, list(listing(folder, manifest, min(manifest.profiles)))


def booked(period: str, geo: str, where: dict[str, str]) -> list[float]:
    """The ledger's entries of a cell, straight from the rows."""
    schemes = {"310": "employee", "390": "resident"}
    quarter = {"03": "Q1", "06": "Q2", "09": "Q3", "12": "Q4"}
    found = []
    for row in ledger():
        ym, county = row["ym"], row["insu_admdvs"]
        last = f"{(int(ym[4:]) + 2) // 3 * 3:02d}"
        spans = {f"{ym[:4]}-{ym[4:]}", f"{ym[:4]}{quarter[last]}"}
        own = {"insutype2": schemes[row["insutype"]], "flow": row["flow"]}
        there = geo in {county, f"{county[:4]}00"}
        if period in spans and there and where.items() <= own.items():
            found.append(float(row["amt"]))
    return found


def test_what_is_open_is_shown_as_it_is(gateway: Gateway) -> None:
    reply = gateway.ask("S29", ASKED, client="open-app")
    assert reply.status_code == 200, reply.text
    rows = reply.json()["data"]
    assert len(rows) == 6
    for row in (row for row in rows if row["flow"] != "subsidy"):
        own = booked("2024Q1", "990100", {"insutype2": row["insutype2"], "flow": row["flow"]})
        assert row["entries"] == {"value": len(own), "flag": "ok"}
        assert row["amount"] == {"value": f"{sum(own):.2f}", "flag": "ok"}
        assert row["mean"]["flag"] == "ok"
        assert float(row["mean"]["value"]) == pytest.approx(sum(own) / len(own), abs=0.01)


def test_of_a_place_without_entries_nought_is_told_and_nothing_is_suppressed(
    gateway: Gateway,
) -> None:
    """Nobody pays a subsidy here: that is no secret."""
    rows = gateway.everything("S29", {**ASKED, "dims": ["flow"]}, client="open-app")
    assert len(rows) == 3
    for row in rows:
        none = row["flow"] == "subsidy"
        assert {row["amount"]["flag"], row["mean"]["flag"]} == {"z" if none else "ok"}
        if none:
            assert row["amount"]["value"] == "0.00"
            assert row["mean"]["value"] is None
    _, found = cells(gateway, "S29")
    assert {mark for cell in found for mark in cell.marks} == {"o"}


def test_answers_about_no_person_are_metered_and_cost_nothing(gateway: Gateway) -> None:
    meta = gateway.ask("S29", ASKED, client="open-app").json()["meta"]
    assert meta["charge"]["unit"] == "free"
    assert meta["charge"]["cells"] == 12  # what is nought for want of entries is no cell
    used = gateway.get("/v1/usage", client="open-app").json()["usage"]
    assert {row["service"] for row in used} >= {"S29"}


@pytest.mark.parametrize("service", ["S25", "S29", "S31"])
def test_the_bureau_of_the_region_is_who_contributes(gateway: Gateway, service: str) -> None:
    manifest, found = cells(gateway, service)
    path = gateway.settings.releases / service / manifest.release_id / FILE
    rows = pq.read_table(path).to_pylist()
    known = {row["provider"] for row in rows}
    assert known <= {f"others({place})" for place in manifest.geo}
    assert {(row["share"], row["persons"], row["unique"]) for row in rows} == {(1.0, 0, True)}
    data = {(c.grain, c.period) for c in found} - {
        (grain, label) for grain, labels in manifest.estimated.items() for label in labels
    }
    shown = sum(c.shown and (c.grain, c.period) in data for c in found)
    assert len({(row["block"], row["cell"], row["profile"]) for row in rows}) == len(rows)
    assert len(rows) >= shown


@pytest.mark.parametrize("service", ["S25", "S29", "S31"])
def test_the_release_is_as_its_manifest_says(gateway: Gateway, service: str) -> None:
    manifest, _ = cells(gateway, service)
    services = load_catalogue(gateway.settings.policies).services
    (report,) = verify(gateway.settings.releases, [manifest.release_id], services)
    assert report.ok, report.faults


def test_a_ledger_is_rounded_and_shown_where_enough_are_insured(gateway: Gateway) -> None:
    _, found = cells(gateway, "S31")
    shown = [cell for cell in found if cell.shown]
    assert shown
    for cell in shown:
        own = booked(cell.period, cell.geo, dict(cell.values))
        told = dict(zip(("amount", "entries", "mean"), cell.figures, strict=True))
        assert float(str(told["amount"])) == pytest.approx(sum(own), rel=5e-4)
        assert abs(int(str(told["entries"])) - len(own)) < 5
        assert insured(cell) >= LEAST, cell


def insured(cell: Listed) -> int:
    """The fewest insured in any month of a cell's period."""
    scheme = dict(cell.values).get("insutype2")
    total = 0
    for county, (employees, residents) in INSURED.items():
        if cell.geo in {county, f"{county[:4]}00"}:
            late = cell.period >= ("2024Q2" if cell.grain == "quarter" else "2024-05")
            gone = LEAVING[1] if county == LEAVING[0] and late else 0
            total += {"employee": employees, "resident": residents - gone}.get(
                scheme or "", employees + residents - gone
            )
    return total


def test_of_few_insured_nothing_is_found_by_subtraction(gateway: Gateway) -> None:
    """Every shown amount is an equation over the entries of a month, county, scheme and flow. What
    is hidden for want of insured must not follow from all of them together."""
    _, found = cells(gateway, "S31")
    atoms = {
        (row["ym"], row["insu_admdvs"], row["insutype"], row["flow"])
        for row in ledger()
        if row["ym"] >= "202401"
    }
    for city in ("9901", "9902", "9903"):
        own = sorted(atom for atom in atoms if atom[1].startswith(city))
        shown = [c for c in found if c.shown and c.geo[:4] == city and c.period >= "2024"]
        known = np.array([[covers(c, atom) for atom in own] for c in shown])
        rank = np.linalg.matrix_rank(known)
        for secret in secrets(city):
            row = np.array([[covers(secret, atom) for atom in own]])
            if row.any():
                assert np.linalg.matrix_rank(np.vstack([known, row])) == rank + 1, secret


def covers(cell: Listed, atom: tuple[str, str, str, str]) -> float:
    ym, county, scheme, flow = atom
    month = f"{ym[:4]}-{ym[4:]}"
    quarter = f"{ym[:4]}Q{(int(ym[4:]) + 2) // 3}"
    own = {"insutype2": {"310": "employee", "390": "resident"}[scheme], "flow": flow}
    there = cell.geo in {county, f"{county[:4]}00"} and cell.period in {month, quarter}
    return float(there and dict(cell.values).items() <= own.items())


def secrets(city: str) -> Iterator[Listed]:
    """The cells in which fewer are insured than the threshold."""
    places = [f"{city}00", *(county for county in INSURED if county.startswith(city))]
    months = [f"2024-{month:02d}" for month in range(1, 13)]
    for place, month, scheme in product(places, months, ("employee", "resident", None)):
        values = (("insutype2", scheme),) if scheme else ()
        cell = Listed("month", month, place, values, (), "")
        if insured(cell) < LEAST:
            yield cell


def test_both_kinds_of_trouble_are_there_and_hide_no_more_than_they_must(
    gateway: Gateway,
) -> None:
    _, found = cells(gateway, "S31")
    shown = {(c.period, c.geo, c.values) for c in found if c.shown}
    resident = (("insutype2", "resident"),)
    assert ("2024-02", "990100", resident) in shown
    assert ("2024-02", "990101", resident) not in shown  # beside the county of few
    assert ("2024-02", "990300", ()) in shown
    assert ("2024-02", "990300", resident) not in shown
    assert ("2023-02", "990200", resident) in shown
    assert ("2024-03", "990200", resident) in shown
    assert ("2024-04", "990200", resident) not in shown  # the quarter has a month of few


def test_forecast_rows_follow_the_last_period_and_have_the_flag_e(gateway: Gateway) -> None:
    rows = gateway.everything("S25", FUND, client="fund-app")
    assert len(rows) == 12
    for row in rows:
        ahead = row["period"] >= "2025"
        assert row["income"]["flag"] == ("s" if ahead else "r")
        assert {row[name]["flag"] for name in OUTLOOK} == {"e" if ahead else "s"}
        if ahead:
            value = {name: float(row[name]["value"]) for name in OUTLOOK}
            assert value["income_low95"] <= value["income_low80"] <= value["income_forecast"]
            assert value["income_forecast"] <= value["income_high80"] <= value["income_high95"]


def test_how_far_ledger_and_settlements_are_apart_is_told_up_to_one_per_cent(
    gateway: Gateway,
) -> None:
    """A month's settlements of a county are missing, a ninth of what its scheme paid."""
    rows = gateway.everything("S25", FUND, client="fund-app")
    told = {(row["period"], row["insutype2"]): row["gap_share"] for row in rows}
    assert told["2024Q3", "resident"] == {"value": 0.0, "flag": "r"}
    assert told["2024Q4", "employee"] == {"value": 0.0, "flag": "r"}
    assert told["2024Q4", "resident"] == {"value": -0.01, "flag": "r"}


def test_a_forecast_looks_at_data_so_the_lag_is_that_of_the_data(gateway: Gateway) -> None:
    """The second half of 2025 lies ahead of the day that is asked on; the data end in 2024."""
    later = {**FUND, "period": {"from": "2025Q3", "to": "2025Q4", "grain": "quarter"}}
    assert gateway.ask("S25", later, client="fund-app").status_code == 200
    beyond = {**FUND, "period": {"from": "2026Q1", "to": "2026Q1", "grain": "quarter"}}
    reply = gateway.ask("S25", beyond, client="fund-app")
    assert reply.status_code >= 400
    finer = {**FUND, "period": {"from": "2025-03", "to": "2025-04", "grain": "month"}}
    assert gateway.ask("S25", finer, client="fund-app").status_code == 403


def test_estimates_are_counted_as_delivered(gateway: Gateway) -> None:
    one = {**FUND, "period": {"from": "2025Q1", "to": "2025Q1", "grain": "quarter"}}
    meta = gateway.ask("S25", one, client="fund-app").json()["meta"]
    assert meta["charge"]["cells"] == 2 * len(OUTLOOK)


def test_the_flag_is_told_in_csv_and_in_arrow(gateway: Gateway) -> None:
    one = {**FUND, "dims": [], "period": {"from": "2025Q1", "to": "2025Q1", "grain": "quarter"}}
    text = gateway.ask("S25", one, client="fund-app", headers={"Accept": "text/csv"})
    assert text.status_code == 200, text.text
    (row,) = list(csv.DictReader(io.StringIO(text.text.lstrip("\ufeff"))))
    assert row["income_forecast_flag"] == "e"
    assert float(row["income_forecast"]) > 0
    assert row["income_flag"] == "s"


def test_a_release_from_before_there_were_forecasts_keeps_its_id(gateway: Gateway) -> None:
    manifest, _ = cells(gateway, "S31")
    document = manifest.model_dump(mode="json")
    del document["estimated"]
    assert Manifest.model_validate(document).content_id() == manifest.release_id
    with_forecasts, _ = cells(gateway, "S25")
    assert with_forecasts.content_id() == with_forecasts.release_id
    changed = with_forecasts.model_copy(update={"estimated": {"year": ("2025",)}})
    assert changed.content_id() != with_forecasts.release_id


def test_what_was_asked_of_them_is_reconciled(gateway: Gateway) -> None:
    gateway.everything("S25", FUND, client="fund-app")
    gateway.ask("S29", ASKED, client="open-app")
    result = reconcile(gateway.settings.home / "journal.db")
    assert result.answers > 1
    assert not result.differences


def test_the_contract_tells_of_the_flag_and_of_the_periods(gateway: Gateway) -> None:
    contract = gateway.get("/v1/services/S25", client="fund-app").json()
    assert contract["flags"]["e"] == "estimated"
    assert contract["estimated"]["year"] == ["2025"]
    assert contract["periods"]["year"][-2:] == ["2024", "2025"]
    manifest, _ = cells(gateway, "S31")
    assert manifest.estimated == {}
