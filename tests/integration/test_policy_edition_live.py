"""A gateway in use while editions of its policy come and go: no request is lost or mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.db.engine import reading
from gateway.editions.differences import read_differences
from gateway.editions.stage import Stage
from gateway.errors import OperatorError
from gateway.identity.record import broken_entries
from gateway.policy.contents import read_folder
from tests.edition_factory import variant
from tests.edition_site import Site, coarse, edition_in, short, site_of, swap_under_load
from tests.gateway_factory import copy_home, copy_policies, serving
from tests.opa_server import until


@pytest.fixture
def site(released_home: Path, tmp_path: Path) -> Iterator[Site]:
    policies = copy_policies(tmp_path / "policies")
    with serving(copy_home(released_home, tmp_path / "home"), policies) as gateway:
        yield site_of(gateway, tmp_path)


def test_editions_take_turns_and_no_answer_is_lost_or_mixed(site: Site) -> None:
    crowd = swap_under_load(site, clients=3, swaps=4)
    assert len(crowd.replies) > 50


@pytest.mark.slow  # a hundred clients, fifty swaps: minutes
@pytest.mark.timeout(1200)
def test_a_hundred_clients_and_fifty_swaps(site: Site) -> None:
    crowd = swap_under_load(site, clients=100, swaps=50)
    assert len(crowd.replies) > 1000, len(crowd.replies)


def test_what_is_served_follows_the_live_edition(site: Site) -> None:
    gateway = site.gateway
    before = gateway.http.get("/openapi.json").json()
    folder = short(site)
    service = folder / "catalogue" / "S02" / "service.yaml"
    service.write_text(service.read_text("utf-8").replace("费用结构", "费用构成"), "utf-8")

    terms = folder / "data" / "scenarios" / "SC03.yaml"
    assert "max_days: 90" in terms.read_text("utf-8")
    terms.write_text(terms.read_text("utf-8").replace("max_days: 90", "max_days: 60"), "utf-8")

    site.bring_live(folder)

    assert gateway.app.state.consents.rules_for("T-INS").scenarios["SC03"].max_days == 60
    after = gateway.http.get("/openapi.json").json()
    assert "费用结构" in orjson.dumps(before).decode()
    assert "费用结构" not in orjson.dumps(after["paths"]).decode()
    assert "费用构成" in gateway.get("/v1/services/S02").text
    site.press.roll_back()
    until(lambda: gateway.http.get("/openapi.json").json() == before)


def test_a_canary_decides_for_its_tenants_and_nobody_else(site: Site) -> None:
    gateway, press = site.gateway, site.press
    live = site.stage.live.name
    name = press.push(short(site))
    press.approve(name)
    press.shadow(name)
    press.canary(name, "T-INS2")
    until(lambda: gateway.ask(client="ins2-app").status_code == 403)
    assert gateway.ask(client="ins2-app").json()["deny"] == ["D504"]
    mine = gateway.ask()
    assert (mine.status_code, edition_in(mine)) == (200, live)
    press.canary(name, "T-INS")
    until(lambda: gateway.ask().status_code == 403)
    assert gateway.ask(client="ins2-app").status_code == 200
    press.withdraw(name)
    until(lambda: gateway.ask().status_code == 200)


def test_prices_and_consent_terms_are_those_of_the_edition_that_decides(site: Site) -> None:
    gateway, press = site.gateway, site.press
    folder = copy_policies(site.folder / "dearer")
    service = folder / "catalogue" / "S02" / "service.yaml"
    first = "- {ref: act.cost-structure/2026, valid_from: 2024-01-01, price_fen: 4000}"
    assert first in service.read_text("utf-8")
    later = first[2:-1].replace("2026, valid_from: 2024-01-01", "2027, valid_from: 2025-06-01")
    ended = first.replace("price_fen", "valid_to: 2025-05-31, price_fen")
    both = f"{ended}\n  - {later}, minimum_fen: 4007}}"
    service.write_text(service.read_text("utf-8").replace(first, both), "utf-8")
    terms = folder / "data" / "scenarios" / "SC03.yaml"
    terms.write_text(terms.read_text("utf-8").replace("max_days: 90", "max_days: 60"), "utf-8")

    name = press.bring_canary(folder, "T-INS2")

    until(lambda: site.stage.cast.for_tenant("T-INS2").name == name)
    consents = gateway.app.state.consents
    days = {each: consents.rules_for(each).scenarios["SC03"].max_days for each in TENANTS}
    assert days == {"T-INS": 90, "T-INS2": 60}
    owed = {}
    for tenant, client in TENANTS.items():
        assert gateway.ask(client=client).status_code == 200
        (row,) = gateway.get("/v1/usage", client).json()["usage"]
        owed[tenant] = (row["price_ref"], row["amount_fen"])
    assert owed["T-INS2"] == ("act.cost-structure/2027", 4007)  # the minimum
    assert owed["T-INS"] == ("act.cost-structure/2026", 4000)  # one unit, begun


TENANTS = {"T-INS": "ins-app", "T-INS2": "ins2-app"}


def test_a_shadow_changes_no_answer_and_counts_what_it_would_have_said(site: Site) -> None:
    gateway, press = site.gateway, site.press
    name = press.push(short(site))
    press.shadow(name)
    until(lambda: site.stage.cast.shadow is not None)
    assert {gateway.ask().status_code for _ in range(3)} == {200}
    assert gateway.ask("S09", {**DRUG_QUESTION}, client="pha-app").status_code == 200

    def found() -> dict[str, Any]:
        with reading(press.engine) as session:
            return read_differences(session, name)

    until(lambda: found()["compared"] == 4)
    report = found()
    assert (report["same"], report["different"], report["failed"]) == (1, 3, 0)
    (way,) = report["differences"]
    assert (way["live"], way["shadow"], way["service"]) == ("allow", "deny D504", "S02")
    assert "T-INS" not in str(report)
    assert "G-T-INS" not in str(report)


DRUG_QUESTION: dict[str, Any] = {
    "purpose": "regional_market_and_access_analysis",
    "period": {"from": "2024-01", "to": "2024-03", "grain": "month"},
    "geo": ["990100"],
    "dims": ["atc"],
    "levels": {"atc": 1},
}


def test_a_tampered_row_is_refused_and_what_was_live_stays(site: Site) -> None:
    live = site.bring_live(coarse(site))
    name = site.press.push(short(site))
    site.press.approve(name)
    site.press.shadow(name)
    site.press.canary(name, "T-INS2")
    until(lambda: site.stage.cast.canary is not None)

    site.execute("UPDATE policy_edition SET state = 'retired' WHERE name = ?", live)
    site.execute("UPDATE policy_edition SET state = 'live' WHERE name = ?", name)

    until(lambda: site.stage.cast.canary is None)
    assert site.stage.live.name == live
    assert site.gateway.ask().status_code == 200


def test_files_that_were_altered_are_refused_and_stop_a_start(site: Site) -> None:
    first = site.bring_live(coarse(site))
    second = site.press.push(short(site))
    site.press.approve(second)
    site.press.shadow(second)
    site.press.canary(second, "T-INS2")
    until(lambda: site.stage.cast.canary is not None)
    forged = read_folder(site.policies).packed()
    site.execute("UPDATE policy_edition SET content = ? WHERE name = ?", forged, first)
    settings, identity = site.gateway.settings, site.gateway.app.state.identity
    with pytest.raises(OperatorError, match="cannot be used") as refused:
        Stage(settings, identity.engine, identity.directory, site.gateway.clock)
    assert refused.value.code == "edition.live"
    with pytest.raises(OperatorError, match="were altered"):
        site.press.promote(second)  # reads what the live one bounds grants by


def test_grants_follow_the_live_editions_scenarios(site: Site) -> None:
    """A scenario that grants S02 no more leaves the grants that name it out; that must be meant."""
    folder = variant(
        site.policies, site.folder / "narrow", lambda scenario: scenario["services"].pop("S02")
    )
    service = folder / "catalogue" / "S02" / "service.yaml"
    service.write_text(service.read_text("utf-8").replace("SC01, ", ""), "utf-8")
    press = site.press
    name = press.push(folder)
    press.approve(name)
    press.shadow(name)
    press.canary(name, "T-INS2")
    with pytest.raises(OperatorError, match="G-T-INS"):
        press.promote(name)
    press.promote(name, accept_lost_grants=True)
    site.reaches(name)
    until(lambda: site.gateway.ask().status_code == 403)
    directory = site.gateway.app.state.identity.directory
    until(lambda: "G-T-INS" in directory.snapshot.rejected)
    site.press.roll_back()
    until(lambda: site.gateway.ask().status_code == 200)
    assert "G-T-INS" not in directory.snapshot.rejected
    with reading(press.engine) as session:
        assert broken_entries(session) == ()
