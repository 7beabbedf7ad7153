"""Waivers in the office: roles, two different people, sealed rows, a record of every act."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gateway.cli.quality_waiver import app
from gateway.db.engine import reading, writing
from gateway.db.quality_tables import WaiverRow
from gateway.errors import OperatorError
from gateway.identity.record import DIRECTORY, Act, broken_entries, read_entries
from gateway.quality import waivers
from tests.staff_factory import Browser, Place, open_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("waivers") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def manager(place: Place) -> Browser:
    return place.signed_in("catalogue_owner", name="liu")


@pytest.fixture(scope="module")
def officer(place: Place) -> Browser:
    return place.signed_in("policy_officer", name="wang")


@pytest.fixture(scope="module")
def both(place: Place) -> Browser:
    return place.signed_in("catalogue_owner", "policy_officer", name="zhao")


def form(place: Place, **changes: object) -> dict[str, object]:
    until = (place.clock() + timedelta(days=30)).date().isoformat()
    wanted = {"covers": ["completeness", "R04"], "first": "2024-01", "last": "2024-03"}
    return {**wanted, "until": until, "reason": "vendor is mending it", **changes}


def proposed(place: Place, who: Browser) -> str:
    answer = who.post("/quality/waivers", **form(place))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["waiver"])


def test_one_proposes_and_another_signs(place: Place, manager: Browser, officer: Browser) -> None:
    name = proposed(place, manager)
    answer = officer.post(f"/quality/waivers/{name}/sign")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["proposed_by"], told["signed_by"]) == ("signed", "liu", "wang")
    assert told["covers"] == ["completeness", "R04"]
    assert name in [one["waiver"] for one in officer.get("/quality/waivers").json()]
    again = officer.post(f"/quality/waivers/{name}/sign")
    assert (again.status_code, again.json()["code"]) == (409, "state.not_allowed")


def test_nobody_signs_what_they_proposed_whatever_their_roles(place: Place, both: Browser) -> None:
    name = proposed(place, both)
    answer = both.post(f"/quality/waivers/{name}/sign")
    assert (answer.status_code, answer.json()["code"]) == (409, "waiver.same_approver")


def test_the_roles_of_proposing_and_signing_are_apart(
    place: Place, manager: Browser, officer: Browser
) -> None:
    assert officer.post("/quality/waivers", **form(place)).status_code == 403
    name = proposed(place, manager)
    assert manager.post(f"/quality/waivers/{name}/sign").status_code == 403
    stranger = place.signed_in("billing_officer", name="sun")
    assert stranger.get("/quality/waivers").status_code == 403
    assert stranger.post(f"/quality/waivers/{name}/withdraw", reason="no").status_code == 403


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"covers": ["R26"]}, 422, "waiver.covers"),
        ({"covers": ["*"]}, 422, "waiver.covers"),
        ({"covers": []}, 400, "entry.invalid"),
        ({"first": "2024-04"}, 422, "waiver.periods"),
        ({"last": "2024-13"}, 400, "entry.invalid"),
        ({"until": "2020-01-01"}, 422, "waiver.until"),
        ({"until": "2999-01-01"}, 422, "waiver.until"),
        ({"reason": " "}, 400, "entry.invalid"),
        ({"signed_by": "wang"}, 400, "entry.invalid"),
        ({"state": "signed"}, 400, "entry.invalid"),
    ],
)
def test_a_waiver_is_bounded_and_cannot_be_entered_as_signed(
    place: Place, manager: Browser, changes: dict[str, object], status: int, code: str
) -> None:
    answer = manager.post("/quality/waivers", **form(place, **changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_withdrawn_waiver_is_signed_by_nobody(
    place: Place, manager: Browser, officer: Browser
) -> None:
    name = proposed(place, manager)
    gone = manager.post(f"/quality/waivers/{name}/withdraw", reason="mended")
    assert gone.json()["state"] == "withdrawn"
    assert officer.post(f"/quality/waivers/{name}/sign").status_code == 409
    assert officer.post("/quality/waivers/W-none/sign").status_code == 404


def test_a_signature_written_into_the_database_is_refused(place: Place, manager: Browser) -> None:
    name = proposed(place, manager)
    key = waivers.waiver_key(place.office.keys)
    forged = sa.update(WaiverRow).where(WaiverRow.waiver_id == name)
    with writing(place.office.engine) as session:
        session.execute(forged.values(state="signed", signed_by="wang", signed_at=place.clock()))
    with reading(place.office.engine) as session, pytest.raises(OperatorError) as refused:
        waivers.read_waivers(session, key)
    assert refused.value.code == "waiver.tampered"
    with writing(place.office.engine) as session:
        session.execute(sa.delete(WaiverRow).where(WaiverRow.waiver_id == name))


def test_every_act_is_in_the_record(place: Place, manager: Browser, officer: Browser) -> None:
    name = proposed(place, manager)
    officer.post(f"/quality/waivers/{name}/sign")
    with reading(place.office.engine) as session:
        entries = read_entries(session, DIRECTORY, 0, 1000)
        assert broken_entries(session) == ()
    own = [(one["action"], one["actor"]) for one in entries if one["entity_id"] == name]
    assert own == [("propose", "liu"), ("sign", "wang")]


def test_signing_wants_a_fresh_session(place: Place, manager: Browser) -> None:
    signer = place.signed_in("policy_officer", name="qian")
    place.pass_time(minutes=16)
    name = proposed(place, manager)
    answer = signer.post(f"/quality/waivers/{name}/sign")
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_sign_in_again")


def test_another_spelling_of_a_name_is_no_other_person(place: Place) -> None:
    key, now = waivers.waiver_key(place.office.keys), place.clock()
    with writing(place.office.engine) as session:
        made = waivers.propose(
            session,
            Act("Liu  Wei", now, "why"),
            key,
            covers=["R01"],
            periods=("2024-01", "2024-01"),
            until=now.date(),
        )
    with writing(place.office.engine) as session, pytest.raises(OperatorError, match="another"):
        waivers.sign(session, Act("liu wei", now), key, made.id)


def test_on_the_machine_two_names_are_wanted_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    run = CliRunner().invoke
    asked = ["propose", "R01", "--from", "2024-01", "--to", "2024-02", "--reason", "known"]
    asked += ["--until", "2999-01-01", "--actor", "liu", "--json"]
    assert run(app, asked).exception is not None
    asked[asked.index("2999-01-01")] = datetime.now(UTC).date().isoformat()
    made = json.loads(run(app, asked).stdout)
    own = run(app, ["sign", made["waiver"], "--actor", "LIU"])
    assert isinstance(own.exception, OperatorError)
    signed = run(app, ["sign", made["waiver"], "--actor", "wang", "--json"])
    assert json.loads(signed.stdout)["signed_by"] == "wang"
    (listed,) = json.loads(run(app, ["list", "--json"]).stdout)
    assert listed["state"] == "signed"
