"""Alarms in the office: what they do to the directory, who lifts them, and what then ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gateway.cli.alarm import app
from gateway.db.detection_tables import AlarmRow, DetectionCanaryRow, DetectionStateRow
from gateway.db.engine import reading, writing
from gateway.db.tables import GrantRow, StopRow
from gateway.detection.book import Alarm, raise_alarm
from gateway.detection.engine import Finding
from gateway.errors import OperatorError
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import lift_stop
from gateway.identity.record import Act, broken_entries
from gateway.settings import Settings
from tests.detection_trial import RULES
from tests.factories_identity import add_grant, add_tenant
from tests.staff_factory import Browser, Place, open_place

THROTTLE = next(rule for rule in RULES if rule.id == "scope_probing")
DENY = next(rule for rule in RULES if rule.id == "enumeration")
STOP = next(rule for rule in RULES if rule.id == "two_places")
SERVICE = next(rule for rule in RULES if rule.id == "suppression_fall")
TELL = next(rule for rule in RULES if rule.id == "strange_network")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("alarms") / "home") as opened:
        bounds, today = load_boundaries(Settings().policies), opened.clock().date()
        add_tenant(opened.identity, "T-1")
        for grant in ("G-1", "G-2"):
            term = {"valid_from": today - timedelta(days=1), "valid_to": today + timedelta(days=90)}
            add_grant(opened.identity, bounds, grant_id=grant, tenant_id="T-1", **term)
        yield opened


@pytest.fixture(scope="module")
def guard(place: Place) -> Browser:
    return place.signed_in("security_officer", name="guo")


@pytest.fixture(scope="module")
def officer(place: Place) -> Browser:
    return place.signed_in("policy_officer", name="wang")


_NUMBERS = iter(range(1000))


def finding(place: Place, rule: object = THROTTLE, who: str = "T-1", **changes: object) -> Finding:
    made = Finding(
        rule=rule,  # type: ignore[arg-type]  # one of the rules above
        who=who,
        at=place.clock().timestamp(),
        value=21.0,
        threshold=12.0,
        evidence=("e1", f"e-{next(_NUMBERS)}"),
        grants=(),
        tenants=(who,),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # test data


def raised(place: Place, rule: object = THROTTLE, *, acts: bool = True, **changes: object) -> Alarm:
    with writing(place.office.engine) as session:
        alarm = raise_alarm(session, finding(place, rule, **changes), place.clock(), acts=acts)
    assert alarm is not None
    return alarm


def stands(place: Place) -> tuple[set[tuple[str, str]], dict[str, str]]:
    """Stops that are on, and the states of grants."""
    with reading(place.office.engine) as session:
        stops = {(row.kind, row.target) for row in session.scalars(sa.select(StopRow))}
        grants = {row.id: row.status for row in session.scalars(sa.select(GrantRow))}
    return stops, grants


def lift(who: Browser, alarm: Alarm, **body: object) -> tuple[int, str]:
    answer = who.post(f"/alarms/{alarm.id}/lift", **{"reason": "as agreed", **body})
    told = answer.json()
    return answer.status_code, str(told.get("state") or told.get("code"))


FREE = (set[tuple[str, str]](), {"G-1": "active", "G-2": "active"})


def test_a_throttle_is_a_brake_that_one_officer_lifts(place: Place, guard: Browser) -> None:
    alarm = raised(place)
    assert stands(place) == ({("brake", "T-1")}, FREE[1])
    listed = guard.get("/alarms").json()
    assert [one["effects"] for one in listed if one["id"] == alarm.id] == [["brake:T-1"]]
    assert guard.get(f"/alarms/{alarm.id}").json()["evidence"] == list(alarm.evidence)
    assert lift(guard, alarm) == (200, "lifted")
    assert stands(place) == FREE
    assert lift(guard, alarm) == (409, "alarm.state")
    assert alarm.id not in [one["id"] for one in guard.get("/alarms").json()]
    assert alarm.id in [one["id"] for one in guard.get("/alarms?state=all").json()]


def test_a_stop_is_lifted_by_two_people(place: Place, guard: Browser, officer: Browser) -> None:
    alarm = raised(place, STOP)
    assert stands(place)[0] == {("tenant", "T-1")}
    assert lift(guard, alarm) == (200, "lifting")
    assert stands(place)[0] == {("tenant", "T-1")}
    assert lift(guard, alarm) == (409, "alarm.same_approver")
    assert stands(place)[0] == {("tenant", "T-1")}
    assert lift(officer, alarm) == (200, "lifted")
    assert stands(place) == FREE


def test_nobody_gets_round_the_second_person_by_lifting_the_stop(
    place: Place, guard: Browser, officer: Browser
) -> None:
    alarm = raised(place, STOP)
    answer = officer.post("/stops/lift", kind="tenant", target="T-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "stop.state")
    assert stands(place)[0] == {("tenant", "T-1")}
    assert lift(guard, alarm)[1] == "lifting"
    assert lift(officer, alarm)[1] == "lifted"


def test_a_denial_suspends_the_grants_of_the_evidence(
    place: Place, guard: Browser, officer: Browser
) -> None:
    alarm = raised(place, DENY, grants=("G-2", "G-9"))
    assert stands(place)[1] == {"G-1": "active", "G-2": "suspended"}
    other = raised(place, replace_id(DENY, "person_sweep"))  # names none: all that are active
    assert stands(place)[1] == {"G-1": "suspended", "G-2": "suspended"}
    assert (lift(guard, alarm)[1], lift(officer, alarm)[1]) == ("lifting", "lifted")
    assert stands(place)[1] == {"G-1": "suspended", "G-2": "active"}
    assert (lift(officer, other)[1], lift(guard, other)[1]) == ("lifting", "lifted")
    assert stands(place) == FREE


def replace_id(rule: object, name: str) -> object:
    return rule.model_copy(update={"id": name})  # type: ignore[attr-defined]  # a rule


def test_what_another_open_alarm_asks_for_stays(place: Place, guard: Browser) -> None:
    first, second = raised(place), raised(place, replace_id(THROTTLE, "lattice_walk"))
    assert lift(guard, first)[1] == "lifted"
    assert stands(place)[0] == {("brake", "T-1")}
    assert lift(guard, second)[1] == "lifted"
    assert stands(place) == FREE


def test_an_officers_own_stop_outlives_the_alarm(
    place: Place, guard: Browser, officer: Browser
) -> None:
    assert (
        officer.post("/stops/raise", kind="brake", target="T-1", reason="asked").status_code == 200
    )
    alarm = raised(place)
    assert lift(guard, alarm)[1] == "lifted"
    assert stands(place)[0] == {("brake", "T-1")}
    assert officer.post("/stops/lift", kind="brake", target="T-1").status_code == 200


def test_a_service_is_stopped_whole(place: Place, guard: Browser, officer: Browser) -> None:
    alarm = raised(place, SERVICE, who="S02")
    assert stands(place)[0] == {("service", "S02")}
    assert (lift(guard, alarm)[1], lift(officer, alarm)[1]) == ("lifting", "lifted")


def test_one_event_raises_one_alarm_and_one_rule_one_at_a_time(
    place: Place, guard: Browser
) -> None:
    found = finding(place)
    with writing(place.office.engine) as session:
        alarm = raise_alarm(session, found, place.clock(), acts=True)
        assert alarm is not None
        assert raise_alarm(session, found, place.clock(), acts=True) is None
        assert raise_alarm(session, finding(place), place.clock(), acts=True) is None
    assert lift(guard, alarm)[1] == "lifted"
    with writing(place.office.engine) as session:
        assert raise_alarm(session, found, place.clock(), acts=True) is None


def test_what_is_told_only_does_nothing_and_hides_nothing(place: Place, guard: Browser) -> None:
    told = raised(place, acts=False)
    assert stands(place) == FREE
    acting = raised(place)
    assert stands(place)[0] == {("brake", "T-1")}
    assert (lift(guard, told)[1], lift(guard, acting)[1]) == ("lifted", "lifted")
    assert stands(place) == FREE


def test_what_an_officer_calls_usual_reaches_the_rule(place: Place, guard: Browser) -> None:
    alarm = raised(place, TELL)
    assert lift(guard, alarm, usual=0)[0] == 400
    assert lift(guard, alarm, usual=80) == (200, "lifted")
    with reading(place.office.engine) as session:
        kept = session.get(DetectionStateRow, ("tenant", "T-1"))
        assert kept is not None
        assert orjson.loads(kept.state)[TELL.id]["usual"] == 80


def test_a_reason_is_given_and_roles_are_kept_apart(place: Place, guard: Browser) -> None:
    alarm = raised(place)
    assert lift(guard, alarm, reason=" ") == (400, "entry.invalid")
    auditor = place.signed_in("auditor", name="sun")
    assert auditor.get(f"/alarms/{alarm.id}").status_code == 200
    assert lift(auditor, alarm) == (403, "staff_role")
    biller = place.signed_in("billing_officer", name="qian")
    assert biller.get("/alarms").status_code == 403
    assert place.browser().get("/alarms").status_code == 401
    assert guard.get("/alarms/al-none").status_code == 404
    assert lift(guard, alarm) == (200, "lifted")


def test_a_canary_is_kept_as_a_pseudonym_and_told_to_nobody(place: Place, guard: Browser) -> None:
    number = "990101199001011234"
    planted = guard.post("/canaries", kind="person", value=number, reason="pack 7")
    assert planted.status_code == 201, planted.text
    again = guard.post("/canaries", kind="person", value=number, reason="pack 7")
    assert again.json()["code"] == "canary.exists"
    with reading(place.office.engine) as session:
        values = session.scalars(sa.select(DetectionCanaryRow.value)).all()
    assert len(values) == 1
    assert values[0].startswith("a")
    assert number not in values[0]
    auditor = place.signed_in("auditor", name="zhou")
    assert auditor.post("/canaries", kind="code", value="YP1", reason="x").status_code == 403


def test_every_act_is_in_the_record(place: Place) -> None:
    with reading(place.office.engine) as session:
        assert broken_entries(session) == ()
        left = session.scalars(sa.select(AlarmRow).where(AlarmRow.state != "lifted")).all()
    assert not left


def test_the_command_line_does_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alarm = raised(place, STOP)
    monkeypatch.setenv("SLUICE_HOME", str(Path(str(place.office.engine.url.database)).parent))
    run = CliRunner()
    listed = orjson.loads(run.invoke(app, ["list", "--json"]).stdout)
    assert [one["id"] for one in listed] == [alarm.id]
    shown = run.invoke(app, ["show", alarm.id])
    assert shown.exit_code == 0
    assert "tenant:T-1" in shown.stdout
    words = ["lift", alarm.id, "--reason", "moved", "--actor"]
    assert "another person" in run.invoke(app, [*words, "ann"]).stdout
    assert isinstance(run.invoke(app, [*words, "ann"]).exception, OperatorError)
    assert "is lifted" in run.invoke(app, [*words, "bob"]).stdout
    planted = run.invoke(app, ["canary", "code"], input="YP9900\n")
    assert planted.exit_code == 0
    assert stands(place) == FREE
    with writing(place.office.engine) as session, pytest.raises(OperatorError, match="not stopped"):
        lift_stop(session, Act("ann", place.clock()), "tenant", "T-1")
