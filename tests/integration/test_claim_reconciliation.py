"""What rules decided on a day against what the insurer settled: planted differences are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.claims.reconciling import DIFFERENT, EQUAL, MISSING, compare
from gateway.cli import assemble
from gateway.db.claim_tables import ClaimDecisionRow
from gateway.db.engine import writing
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving

DAY = "2025-06-01"
PATH = "/v1/reconciliations"
NIGHT = datetime(2025, 5, 31, 16, tzinfo=UTC)  # midnight of 1 June in China


@pytest.fixture(scope="module")
def office(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("reconciled")
    policies = copy_policies(folder / "policies")
    with serving(copy_home(released_home, folder / "home"), policies) as running:
        for client, tenant in (("claims-app", "T-CLM"), ("rival-app", "T-RIV")):
            running.admit(client, tenant, "insurer", "SC04", services=("S20",))
        with writing(running.app.state.identity.engine) as session:
            for number, (tenant, claim_ref, fen, hour) in enumerate(_DECIDED):
                session.add(_row(number, tenant, claim_ref, fen, hour))
        yield running


_DECIDED = [
    ("T-CLM", "A", 40_000, 0),
    ("T-CLM", "B", 0, 5),
    ("T-CLM", "C", 12_345, 12),
    ("T-CLM", "C", 655, 13),  # a second settlement under the same number
    ("T-CLM", "D", 100, 23),
    ("T-CLM", "late", 1, 24),  # of the next day
    ("T-RIV", "A", 77, 3),
]


def _row(number: int, tenant: str, claim_ref: str, fen: int, hour: int) -> ClaimDecisionRow:
    at = NIGHT.replace(day=31 if hour < 8 else 1, month=5 if hour < 8 else 6, hour=(16 + hour) % 24)
    return ClaimDecisionRow(
        event_id=f"e-{number}", tenant_id=tenant, product="huimin", settlement=f"h-{number}",
        subject="h", consent_id="c", package_id="RP-1", claim_ref=claim_ref,
        policy_from=at.date(), told="{}", eligible="{}", payable_fen=fen, bits_milli=1000,
        decided_at=at, refunded_at=None,
    )  # fmt: skip


def send(office: Gateway, claims: dict[str, str], client: str = "claims-app", **more: Any) -> Any:
    listed = [
        {"product": "huimin", "claim_ref": name, "payable_amt": yuan}
        for name, yuan in claims.items()
    ]
    body = {"day": DAY, "claims": listed, **more}
    return office.http.post(PATH, json=body, auth=office.auth(client))


def shown(reply: httpx.Response) -> dict[str, str]:
    assert reply.status_code == 200, reply.text
    return {one["claim_ref"]: one["code"] for one in reply.json()["unequal"]}


def test_each_claim_of_either_side_has_one_code() -> None:
    one, other = {("p", "a"): 1, ("p", "b"): 2, ("p", "c"): 0}, {("p", "b"): 3, ("q", "a"): 1}
    assert compare({**one, ("p", "d"): 4}, {**other, ("p", "d"): 4}) == {
        ("p", "a"): MISSING,
        ("p", "b"): DIFFERENT,
        ("p", "c"): MISSING,
        ("p", "d"): EQUAL,
        ("q", "a"): MISSING,
    }


def test_planted_differences_are_found_and_the_last_word_counts(office: Gateway) -> None:
    reply = send(office, {"A": "400.00", "C": "130.00", "D": "1.01", "X": "5"})
    assert shown(reply) == {"B": MISSING, "D": DIFFERENT, "X": MISSING}
    told = reply.json()
    assert (told["code"], told["decided"], told["sent"]) == (MISSING, 5, 4)
    assert told["counts"] == {EQUAL: 2, MISSING: 2, DIFFERENT: 1}
    assert not any(amount in reply.text for amount in ("400", "130", "123.45", "77"))
    assert shown(send(office, {"D": "1.00", "B": "0"})) == {"X": MISSING}
    assert shown(send(office, {"A": "0.77"}, "rival-app")) == {}


def test_the_night_tells_each_insurer_and_fails_where_one_is_unequal(
    office: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(office, {"A": "0.78"}, "rival-app")
    monkeypatch.setenv("SLUICE_HOME", str(office.settings.home))
    asked = ["claims", "reconcile", "--day", DAY, "--json"]
    run = CliRunner().invoke(assemble(("claims",)), asked)
    assert run.exit_code == 1, run.output
    ours, rival = json.loads(run.output)
    assert (ours["tenant"], ours["decided"], ours["payable_amt"]) == ("T-CLM", 5, "531.00")
    assert (rival["code"], rival["payable_amt"], rival["sent_amt"]) == (DIFFERENT, "0.77", "0.78")
    send(office, {"A": "0.77"}, "rival-app")
    again = json.loads(CliRunner().invoke(assemble(("claims",)), asked).output)[1]
    assert (again["code"], again["unequal"]) == (EQUAL, [])
    quiet = CliRunner().invoke(assemble(("claims",)), [*asked[:3], "2025-04-01"])
    assert (quiet.exit_code, "nothing" in quiet.output) == (0, True)


def test_only_an_insurer_with_a_grant_may_send(office: Gateway) -> None:
    assert office.http.post(PATH, json={"day": DAY, "claims": []}).status_code == 401
    refused = send(office, {"A": "1"}, "ins-app")
    assert (refused.status_code, refused.json()["code"]) == (403, "rules_not_granted")
    assert office.http.get(PATH, auth=office.auth("claims-app")).status_code == 405
    twice = [{"product": "p", "claim_ref": "a", "payable_amt": "1"}] * 2
    for body in (
        {"day": "2025-06-09", "claims": []},
        {"day": DAY, "claims": twice},
        {"day": DAY, "claims": [{"product": "p", "claim_ref": "a", "payable_amt": "-1"}]},
        {"day": DAY, "claims": [], "tenant": "T-RIV"},
    ):
        reply = office.http.post(PATH, json=body, auth=office.auth("claims-app"))
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_parameter"), reply.text
