"""What a running server counts as spent is what the bill of the month will say."""

from __future__ import annotations

from pathlib import Path

from gateway.journal.spending import Payer
from tests.gateway_factory import COST, copy_home, copy_policies, serving

PLAIN = "price_fen: 4000}"
TIERED = "kind: graduated, tiers: [{up_to: 1, price_fen: 0}, {price_fen: 500}], minimum_fen: 700}"


def test_credit_is_counted_by_the_published_price_and_not_by_its_first_unit(
    answered_home: Path, tmp_path: Path
) -> None:
    policies = copy_policies(tmp_path / "policies")
    contract = policies / "catalogue" / "S02" / "service.yaml"
    contract.write_text(contract.read_text("utf-8").replace(PLAIN, TIERED), "utf-8")
    assert "graduated" in contract.read_text("utf-8")
    with serving(copy_home(answered_home, tmp_path / "home"), policies) as gateway:
        gateway.everything("S02", {**COST, "dims": ["benefit5"]})
        spending = gateway.app.state.desk.journal.counters.spending
        spent = spending.hold(Payer("T-INS", "G-T-INS"), 0, gateway.clock())
        (row,) = [r for r in gateway.get("/v1/usage").json()["usage"] if r["answers"]]
    assert spent.grant_fen == row["amount_fen"] == 700
