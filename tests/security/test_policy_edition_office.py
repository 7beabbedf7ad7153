"""Editions by the administration's API: roles, two people, hostile archives, races."""

from __future__ import annotations

import base64
import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.db.engine import reading
from gateway.editions.trial import run_to_end, try_out
from gateway.identity.record import DIRECTORY, read_entries
from gateway.policy.contents import PolicyFiles, gather
from tests.edition_factory import Press, reworded
from tests.factories_identity import tenant_entry
from tests.opa_server import until
from tests.staff_factory import Browser, Place, open_place

NAMED = "/policies/0123456789ab"
ENDLESS = """
test_slow if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	i * j < 0
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("editions") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def officers(place: Place) -> tuple[Browser, Browser]:
    one, two = (place.signed_in("policy_officer", name=name) for name in ("wang", "zhao"))
    tenant = tenant_entry("T-INS").model_dump(mode="json")
    assert one.post("/tenants", **tenant, reason="new partner").status_code == 201
    return one, two


def sent(folder: Path) -> str:
    return base64.b64encode(gather(folder).archive()).decode()


def push(officer: Browser, folder: Path) -> str:
    answer = officer.post("/policies", archive=sent(folder), reason="test")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["state"], answer.json()["findings"]) == ("tested", [])
    return str(answer.json()["edition"])


def test_an_edition_goes_live_and_back_by_two_people(
    officers: tuple[Browser, Browser], place: Place, tmp_path: Path
) -> None:
    one, two = officers
    name = push(one, reworded(tmp_path / "p", "once"))
    assert one.post(f"/policies/{name}/approve").status_code == 200
    again = one.post(f"/policies/{name}/approve")
    assert (again.status_code, again.json()["code"]) == (409, "edition.same_approver")
    assert one.post(f"/policies/{name}/shadow").json()["state"] == "shadow"
    early = one.post(f"/policies/{name}/canary", tenants=["T-INS"])
    assert (early.status_code, early.json()["code"]) == (422, "edition.approvals")
    assert two.post(f"/policies/{name}/approve").json()["approvals"] == ["wang", "zhao"]
    jumped = one.post(f"/policies/{name}/promote")
    assert (jumped.status_code, jumped.json()["code"]) == (409, "state.not_allowed")
    nobody = one.post(f"/policies/{name}/canary", tenants=["T-NOBODY"])
    assert (nobody.status_code, nobody.json()["code"]) == (404, "tenant.unknown")
    assert one.post(f"/policies/{name}/canary", tenants=["T-INS"]).json()["state"] == "canary"
    live = one.post(f"/policies/{name}/promote", reason="agreed").json()
    assert live["state"] == "live"
    listed = {each["edition"]: each["state"] for each in one.get("/policies").json()}
    assert listed == {name: "live", live["replaces"]: "retired"}
    gone = two.post(f"/policies/{name}/withdraw", reason="by mistake")
    assert (gone.status_code, gone.json()["code"]) == (409, "edition.state")
    old = two.post(f"/policies/{live['replaces']}/promote")
    assert (old.status_code, old.json()["code"]) == (409, "edition.state")
    assert one.post("/policies/rollback").status_code == 400  # says why
    back = two.post("/policies/rollback", reason="a complaint").json()
    assert (back["edition"], back["state"]) == (live["replaces"], "live")
    again = two.post(f"/policies/{name}/promote")
    assert (again.status_code, again.json()["code"]) == (409, "state.not_allowed")
    with reading(place.office.engine) as session:
        entries = [e for e in read_entries(session, DIRECTORY, 0, 999) if e["entity_id"] == name]
    steps = [(each["action"], each["actor"]) for each in entries]
    assert steps == [
        ("push", "wang"),
        ("test", "wang"),
        ("approve", "wang"),
        ("shadow", "wang"),
        ("approve", "zhao"),
        ("canary", "wang"),
        ("promote", "wang"),
        ("roll_back", "zhao"),
    ]


def test_a_red_edition_stays_a_draft_with_its_findings(
    officers: tuple[Browser, Browser], tmp_path: Path
) -> None:
    folder = reworded(tmp_path / "red", "red")
    rule = folder / "region_time" / "region_time_test.rego"
    rule.write_text(rule.read_text("utf-8") + "\ntest_that_is_red if 1 == 2\n", "utf-8")
    masks = folder / "data" / "masks.yaml"
    masks.write_text(
        masks.read_text("utf-8").replace("by_scenario: {}", "by_scenario: {SC01: {geo: round(0)}}")
    )
    answer = officers[0].post("/policies", archive=sent(folder)).json()
    assert answer["state"] == "draft"
    assert any("test_that_is_red failed" in each for each in answer["findings"])
    assert any("'round(0)' has wrong arguments" in each for each in answer["findings"])
    name = answer["edition"]
    for step in ("approve", "shadow", "promote"):
        refused = officers[1].post(f"/policies/{name}/{step}")
        assert refused.status_code == 409, refused.text
    assert (
        officers[0].post(f"/policies/{name}/withdraw", reason="red").json()["state"] == "withdrawn"
    )


def test_an_edition_that_lost_a_group_of_reasons_is_not_tested_green(
    officers: tuple[Browser, Browser], tmp_path: Path
) -> None:
    folder = reworded(tmp_path / "lost", "lost")
    shutil.rmtree(folder / "budget")
    answer = officers[0].post("/policies", archive=sent(folder)).json()
    assert answer["state"] == "draft"
    assert answer["findings"][0].startswith("package budget with its rule `deny` is missing")
    shadow = officers[0].post(f"/policies/{answer['edition']}/shadow")
    assert (shadow.status_code, shadow.json()["code"]) == (409, "state.not_allowed")


def test_rules_that_do_not_end_are_ended(tmp_path: Path) -> None:
    folder = reworded(tmp_path / "slow", "slow")
    rule = folder / "calendar" / "calendar_test.rego"
    rule.write_text(f"{rule.read_text('utf-8')}\n{ENDLESS}\n", "utf-8")
    trial = try_out(gather(folder), seconds=3.0)
    assert trial.findings == ("the tests did not end within 3 seconds",)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that nobody has collected yet does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


@pytest.mark.parametrize("ends", ["wait", "exit 3"])
def test_what_a_trial_started_is_over_when_it_is(tmp_path: Path, ends: str) -> None:
    told = tmp_path / "pid"
    command = ["/bin/sh", "-c", f"sleep 600 & echo $! > {told}; {ends}"]
    with tempfile.TemporaryFile() as report:
        if ends == "wait":
            with pytest.raises(subprocess.TimeoutExpired):
                run_to_end(command, report, 1.0)
        else:
            assert run_to_end(command, report, 60.0) == 3
    until(lambda: not is_running(int(told.read_text())))


def test_a_report_without_end_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' '['\nexit 4\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    trial = try_out(PolicyFiles({"a/a.rego": "package a"}))
    assert trial.findings == ("the trial ended early (exit code 4)",)


@pytest.mark.parametrize(
    ("archive", "status", "code"),
    [
        ("####", 422, "edition.archive"),
        ("\u00e9\u4e2d", 422, "edition.archive"),
        (base64.b64encode(b"no archive").decode(), 422, "edition.archive"),
        (base64.b64encode(gzip.compress(b"\0" * 90_000_000)).decode(), 422, "edition.too_large"),
        ("A" * 700_000, 400, "entry.invalid"),
        ("A" * 800_000, 413, "body_too_large"),
    ],
)
def test_hostile_archives_get_an_answer(
    officers: tuple[Browser, Browser], archive: str, status: int, code: str
) -> None:
    answer = officers[0].post("/policies", archive=archive)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_larger_body_is_for_this_address_alone(officers: tuple[Browser, Browser]) -> None:
    answer = officers[0].post("/tenants", id="A" * 100_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_of_two_promotions_at_once_one_is_done(
    officers: tuple[Browser, Browser], place: Place, tmp_path: Path
) -> None:
    press = Press(place.office.engine, place.office.editions)
    name = press.bring_canary(reworded(tmp_path / "p", "at once"), "T-INS")
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(each.post, f"/policies/{name}/promote") for each in officers]
        answers = [each.result() for each in asked]
    assert sorted(each.status_code for each in answers) == [200, 409]
    listed = officers[1].get("/policies").json()
    assert [each["edition"] for each in listed if each["state"] == "live"] == [name]


def test_an_approval_and_a_withdrawal_at_once_leave_no_approved_withdrawn_edition(
    officers: tuple[Browser, Browser], place: Place, tmp_path: Path
) -> None:
    one, two = officers
    name = Press(place.office.engine, place.office.editions).push(reworded(tmp_path / "r", "race"))
    with ThreadPoolExecutor(2) as threads:
        approving = threads.submit(one.post, f"/policies/{name}/approve")
        withdrawing = threads.submit(two.post, f"/policies/{name}/withdraw", reason="race")
        assert approving.result().status_code in {200, 409}
        assert withdrawing.result().status_code == 200
    (found,) = [each for each in one.get("/policies").json() if each["edition"] == name]
    assert (found["state"], found["approvals"]) == ("withdrawn", [])


def test_who_signed_in_long_ago_lets_no_edition_decide(place: Place) -> None:
    """The last test: time goes by for everybody."""
    officer = place.signed_in("policy_officer", name="qian")
    for path in (f"{NAMED}/approve", f"{NAMED}/shadow"):
        assert officer.post(path).json()["code"] == "edition.unknown"
    place.pass_time(minutes=16)
    for path in (f"{NAMED}/approve", f"{NAMED}/canary", f"{NAMED}/promote", "/policies/rollback"):
        answer = officer.post(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "staff_sign_in_again"), path
    assert officer.post(f"{NAMED}/shadow").json()["code"] == "edition.unknown"
