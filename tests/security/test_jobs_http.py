"""Training jobs over HTTP: who may submit and fetch, and that real data's results leave by two."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.db.engine import reading
from gateway.identity.record import DIRECTORY, broken_entries
from gateway.jobs.airlock import egress_rules
from sluice_client import Refused, Sluice
from tests.jobs_site import CANARY, CODE, PURPOSE, SPEC, World, archive, jobs_site, lay
from tests.staff_factory import Browser


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with jobs_site(released_home, tmp_path_factory.mktemp("jobs")) as opened:
        yield opened


@pytest.fixture(scope="module")
def staff(world: World) -> dict[str, Browser]:
    return {
        "checker": world.place.signed_in("catalogue_owner", name="liu"),
        "approver": world.place.signed_in("policy_officer", name="wang"),
        "first": world.place.signed_in("output_reviewer", name="chen"),
        "second": world.place.signed_in("output_reviewer", name="zhou"),
    }


def test_a_job_runs_on_a_pack_and_its_developer_fetches_what_it_left(world: World) -> None:
    job = world.done()
    told = world.get(f"/v1/jobs/{job}").json()
    assert (told["state"], told["attempts"][0]["exit_code"]) == ("succeeded", 0)
    assert world.get(f"/v1/jobs/{job}/log").text == "saw 17\n"
    fetched = world.get(f"/v1/jobs/{job}/outputs/metrics.json")
    assert fetched.json() == {"auc": 0.52}
    assert json.loads(fetched.headers["sluice-meta"])["service"]["id"] == "S28"
    assert world.get(f"/v1/jobs/{job}/outputs/other.json").status_code == 404
    assert job in {one["job_id"] for one in world.get("/v1/jobs").json()["jobs"]}


def test_a_validation_run_leaves_by_four_people_and_tells_nothing_before(
    world: World, staff: dict[str, Browser]
) -> None:
    job = world.done()
    asked = world.propose(job)
    assert asked.status_code == 201, asked.text
    run = asked.json()["result"]["validation_id"]
    path, own = f"/jobs/{run}", f"/v1/validations/{run}"
    world.work()
    assert world.get(own).json()["state"] == "proposed", "nothing runs before two people agree"
    assert staff["approver"].post(f"{path}/approve").status_code == 409, "not checked yet"
    assert staff["checker"].post(f"{path}/check").status_code == 200
    listed = staff["approver"].get("/jobs").json()
    assert [one["views"][0]["regions"] for one in listed if one["job_id"] == run] == [["990100"]]
    code = zipfile.ZipFile(io.BytesIO(staff["approver"].get(f"{path}/code").content))
    assert code.read("train.py").decode() == CODE
    assert staff["approver"].post(f"{path}/approve").status_code == 200
    world.work()
    before = world.get(own).json()
    assert (before["state"], before["outputs"]) == ("in_domain", [])
    assert not {"attempts", "changed_at", "exit_code"} & before.keys()
    for hidden in (f"/v1/jobs/{run}", f"/v1/jobs/{run}/log", f"{own}/outputs/metrics.json"):
        assert world.get(hidden).status_code == 404, hidden
    good, bad = f"/outputs/{run}/metrics.json", f"/outputs/{run}/leak.json"
    seen = staff["first"].get(good).json()
    assert seen["findings"] == []
    assert '+{"auc": 0.56}' in seen["difference"]
    assert "small_count" in str(staff["first"].get(bad).json()["findings"])
    stopped = staff["first"].post(f"{bad}/pass")
    assert (stopped.status_code, stopped.json()["code"]) == (422, "job.stopped")
    assert staff["second"].post(f"{good}/release").status_code == 409, "nobody passed it"
    assert staff["first"].post(f"{good}/pass").status_code == 200
    assert staff["first"].post(f"{good}/release").json()["code"] == "job.same_approver"
    assert staff["second"].post(f"{good}/release").status_code == 200
    assert world.get(f"{own}/outputs/metrics.json").status_code == 404, "one is not decided yet"
    assert staff["second"].post(f"{bad}/refuse", reason="a count of few").status_code == 200
    after = world.get(own).json()
    assert {one["name"]: one["state"] for one in after["outputs"]} == {
        "metrics.json": "released", "leak.json": "refused",
    }  # fmt: skip
    fetched = world.get(f"{own}/outputs/metrics.json")
    assert fetched.json() == {"auc": 0.56}
    assert json.loads(fetched.headers["sluice-meta"])["service"]["id"] == "S17"
    assert world.get(f"{own}/outputs/leak.json").status_code == 404
    everything = (
        world.get(own).text + world.get("/v1/validations").text + world.get("/v1/jobs").text
    )
    assert str(CANARY) not in everything
    with reading(world.gateway.app.state.identity.engine) as session:
        assert broken_entries(session, DIRECTORY) == ()


def test_the_client_library_submits_waits_and_fetches(world: World, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(json.dumps(SPEC))
    (tmp_path / "train.py").write_text(CODE)
    (purpose,) = PURPOSE.values()
    machine, clock = world.gateway.machines["lab"], world.gateway.clock
    with Sluice(world.gateway.settings.base_url, "lab", key=machine.key, clock=clock) as sluice:
        job = sluice.submit(tmp_path, purpose)["job_id"]
        world.work()
        assert sluice.finished(job)["state"] == "succeeded"
        assert json.loads(sluice.output(job, "metrics.json", purpose)) == {"auc": 0.52}
        run = sluice.propose(job, purpose)
        assert (run["job_id"], run["state"]) == (job, "proposed")
        with pytest.raises(Refused, match="unknown_output"):
            sluice.output(run["validation_id"], "metrics.json", purpose, validation=True)


def test_a_pack_is_taken_away_with_its_card(world: World) -> None:
    folder = world.gateway.settings.home / "packs" / "open"
    lay(folder, 3)
    file = folder / "stay.parquet"
    card = {
        "name": "open", "title": {"zh": "示例", "en": "Example"}, "note": "nobody's",
        "source": {"kind": "simulate"}, "rows": 1, "left_out": 0, "k": 5, "columns": {},
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest()},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    assert "open" in world.get("/v1/packs").json()["packs"]
    assert world.get("/v1/packs/open").json() == {**card, "synthetic": True}
    fetched = world.get("/v1/packs/open/files/stay.parquet")
    assert fetched.content == file.read_bytes()
    for path in ("open/files/card.json", "open/files/..%2fcard.json", "cohort", "none"):
        assert world.get(f"/v1/packs/{path}").status_code == 404, path
    assert world.get("/v1/packs/open/files/stay.parquet", "ins-app").json()["deny"] == ["D201"]
    assert world.gateway.http.get("/v1/packs/open/files/stay.parquet").status_code == 401
    assert world.gateway.http.get("/v1/packs").status_code == 401
    file.write_bytes(b"other")
    assert world.get("/v1/packs/open/files/stay.parquet").json()["code"] == "output_damaged"


def test_what_a_job_left_is_gone_after_a_week(world: World) -> None:
    job = world.done()
    world.controller.sweep(world.gateway.clock() + timedelta(days=6))
    assert world.get(f"/v1/jobs/{job}/outputs/metrics.json").status_code == 200
    world.controller.sweep(world.gateway.clock() + timedelta(days=8))
    gone = world.get(f"/v1/jobs/{job}/outputs/metrics.json")
    assert (gone.status_code, gone.json()["code"]) == (410, "output_expired")
    assert world.get(f"/v1/jobs/{job}").json()["outputs"], "the book still knows it"


def test_an_altered_output_is_neither_released_nor_served(
    world: World, staff: dict[str, Browser]
) -> None:
    job = world.done()
    path = world.gateway.settings.home / "sandbox" / "results" / job / "outputs" / "metrics.json"
    path.write_text('{"auc": 0.99}')
    reply = world.get(f"/v1/jobs/{job}/outputs/metrics.json")
    assert (reply.status_code, reply.json()["code"]) == (503, "output_damaged")


def test_a_run_that_failed_says_so_when_its_time_is_over(
    world: World, staff: dict[str, Browser]
) -> None:
    code = CODE + f"\nsys.exit(int(int(rows) == {CANARY}))"
    run = world.propose(world.done(code)).json()["result"]["validation_id"]
    staff["checker"].post(f"/jobs/{run}/check")
    staff["approver"].post(f"/jobs/{run}/approve")
    world.work()
    assert world.get(f"/v1/validations/{run}").json()["state"] == "in_domain"
    world.place.pass_time(seconds=3 * 60)
    assert world.get(f"/v1/validations/{run}").json()["state"] == "failed"


def test_who_may_not(world: World, staff: dict[str, Browser]) -> None:
    job = world.done()
    assert world.gateway.http.post("/v1/jobs", content=archive(), params=PURPOSE).status_code in {
        401, 415,
    }  # fmt: skip
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/log", f"/v1/jobs/{job}/outputs/metrics.json"):
        assert world.gateway.http.get(path, params=PURPOSE).status_code == 401
        assert world.get(path, "lab2").status_code == 404, "another's job is as unknown as none"
    assert world.propose(job, "lab2").status_code == 404
    own = world.submit(archive(), "lab2").json()["result"]["job_id"]
    world.work()
    refused = world.propose(own, "lab2")
    assert (refused.status_code, refused.json()["deny"]) == (403, ["D201"]), "no grant for S17"
    nobody = world.submit(archive(), "ins-app")
    assert (nobody.status_code, nobody.json()["deny"]) == (403, ["D201"])
    marketing = world.submit(archive(), purpose="marketing")
    assert (marketing.status_code, marketing.json()["deny"]) == (403, ["D301"])


@pytest.mark.parametrize("step", ["check", "approve", "decline"])
def test_other_roles_do_none_of_it(world: World, step: str) -> None:
    other = world.place.signed_in("billing_officer", name=f"qian-{step}")
    assert other.post(f"/jobs/x/{step}", reason="x").status_code == 403
    assert other.get("/jobs").status_code == 403
    assert other.get("/outputs/x/metrics.json").status_code == 403
    assert other.post("/outputs/x/metrics.json/release").status_code == 403


def test_a_declined_run_says_why_and_never_runs(world: World, staff: dict[str, Browser]) -> None:
    run = world.propose(world.done()).json()["result"]["validation_id"]
    assert staff["checker"].post(f"/jobs/{run}/decline", reason="unclear aim").status_code == 200
    world.work()
    told = world.get(f"/v1/validations/{run}").json()
    assert (told["state"], told["reason"]) == ("declined", "unclear aim")
    assert staff["approver"].post(f"/jobs/{run}/approve").status_code == 409


def test_only_a_view_that_may_be_released_and_of_the_packs_layout_is_read(world: World) -> None:
    code = CODE.replace('"cohort"', '"closed"')
    withheld = world.propose(world.done(code, inputs=["closed"]))
    assert (withheld.status_code, withheld.json()["code"]) == (422, "no_view")
    job = world.done()
    table = world.gateway.settings.home / "views" / "cohort" / "stay.parquet"
    kept = table.read_bytes()
    pq.write_table(pa.table({"age10": ["30-39"], "name": ["x"]}), table)
    try:
        assert world.propose(job).json()["code"] == "no_view"
    finally:
        table.write_bytes(kept)


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (422, "bad_code", b"rubbish"),
        (422, "bad_code", archive().replace(b"job.yaml", b"job.yml_")),
        (422, "bad_code", archive(**{"../out.py": ""})),
        (422, "bad_job", archive({**SPEC, "image": "x"})),
        (422, "job_too_large", archive({**SPEC, "limits": {"memory_mib": 60_000}})),
        (422, "unknown_pack", archive({**SPEC, "inputs": ["setl_d"]})),
        (413, "body_too_large", b"0" * 800_000),
    ],
)
def test_what_cannot_run_is_told(world: World, status: int, code: str, body: bytes) -> None:
    reply = world.submit(body)
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text


def test_the_same_request_again_is_the_same_job(world: World) -> None:
    headers = {"idempotency-key": "once-and-again"}
    first, again = (world.submit(archive(), headers=headers) for _ in range(2))
    assert first.json()["result"]["job_id"] == again.json()["result"]["job_id"]
    other = world.submit(archive(code=CODE + "\n"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "job_key_reused")


def test_it_is_in_the_catalogue(world: World) -> None:
    told = world.get("/v1/services/S17").json()
    assert told["address"] == "/v1/jobs/{job_id}/validations"
    assert egress_rules(world.gateway.settings.policies).k_person == 11
    assert timedelta(seconds=told["limits"]["wall_seconds"]) == timedelta(hours=1)
