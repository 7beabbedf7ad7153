"""The conformance suite: the library passes, each planted fault fails with what to fix."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import httpx
import pytest

from gateway.billing.opening import statement_sealer
from gateway.billing.seal import Sealer
from gateway.conformance import accepting
from gateway.conformance.judging import RULES
from gateway.conformance.report import TYPE, opened
from gateway.conformance.verdicts import texts
from gateway.db.engine import writing
from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.record import Act
from gateway.settings import Settings
from tests import conformance_marks
from tests.conformance_faults import BROKEN
from tests.conformance_world import Program, sandbox
from tests.gateway_factory import USCC
from tests.portal_world import CLIENT, OTHER, admit

RUNS = "/v1/conformance/runs"


@pytest.fixture(scope="module")
def world(released_home, tmp_path_factory):
    with sandbox(released_home, tmp_path_factory.mktemp("conformance")) as made:
        admit(made[0], "T-DEV2", OTHER)
        yield made


@pytest.fixture(scope="module")
def passed(world):
    """A run of the library, its last answer and its report."""
    program = Program(*world)
    told = program.examined()
    report = world[0].get(f"{program.exam.run}/report", CLIENT)
    return told, report.text


@pytest.fixture(scope="module")
def keys(world):
    return world[0].http.get("/v1/conformance/keys").json()["keys"]


def failed(told):
    return {each["id"]: each for each in told["checks"] if each["result"] == "failed"}


def test_the_library_passes_every_check(passed):
    told, _ = passed
    assert {each["id"]: each["result"] for each in told["checks"]} == dict.fromkeys(RULES, "passed")
    assert told["passed"]
    assert told["state"] == "ended"


@pytest.mark.slow  # the rules alone are tried by `conformance_marks`
@pytest.mark.parametrize("check", RULES)
def test_a_client_with_a_planted_fault_is_told_what_to_fix(world, check):
    told = BROKEN[check](*world).examined()
    assert not told["passed"]
    found = failed(told)
    assert check in found, told["checks"]
    fix = texts()["checks"][check]["fix"]
    assert (found[check]["message"], found[check]["message_zh"]) == (fix["en"], fix["zh"])


def test_each_rule_sees_its_own_fault_in_a_run_that_passed(world, passed):
    book = world[0].app.state.conformance
    run = book.find(CLIENT, passed[0]["run_id"])
    seen = book.seen(run.id)
    for name, rule in RULES.items():
        assert rule(seen, run.terms) is True, name
        assert rule(conformance_marks.BROKEN[name](seen), run.terms) is False, name
        assert rule([], run.terms) is None, name


def test_every_check_has_its_sentences_and_its_broken_client():
    assert set(RULES) == set(texts()["checks"]) == set(BROKEN)
    assert {name.partition(".")[0] for name in RULES} == set(texts()["groups"])


def test_the_report_says_whose_client_passed_what(passed, keys):
    told = opened(passed[1], keys)
    assert told["passed"]
    assert told["client"]["id"] == CLIENT
    assert [each["id"] for each in told["checks"]] == list(RULES)


def altered(report):
    head, body, signature = report.split(".")
    told = json.loads(base64.urlsafe_b64decode(body + "=="))
    told["organisation"]["uscc"] = "0" * 18
    other = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


def test_what_no_known_sandbox_signed_is_no_report(passed, keys):
    with pytest.raises(OperatorError, match="no report signed"):
        opened(altered(passed[1]), keys)
    with pytest.raises(OperatorError, match="no report signed"):
        opened(passed[1], [])


def test_a_statement_of_the_same_key_stands_for_no_report(world, passed, keys):
    told = opened(passed[1], keys)
    sealer = statement_sealer(world[0].settings)
    assert sealer.jwk["kid"] in {each["kid"] for each in keys}
    with pytest.raises(OperatorError, match="no report signed"):
        opened(sealer.seal(told), keys)


def sealed(gateway, told):
    """A report the sandbox would sign."""
    return Sealer(statement_sealer(gateway.settings).key, TYPE).seal(told)


def test_the_office_accepts_a_report_once_and_then_approves(world, passed, keys):
    gateway, _ = world
    act = Act("测试己一", gateway.clock(), "test")
    engine = gateway.app.state.identity.engine
    with writing(engine) as session:
        with pytest.raises(OperatorError) as refused:
            accepting.check_ready(session, "G-T-DEV2", act.at)
        assert refused.value.code == "grant.conformance"
        tenant = session.get_one(TenantRow, "T-DEV")
        nobodys = sealed(gateway, {**opened(passed[1], keys), "organisation": {"uscc": ""}})
        for number, report in (("91990100MA0000002K", passed[1]), ("", passed[1]), ("", nobodys)):
            tenant.uscc = number
            with pytest.raises(OperatorError) as whose:
                accepting.accept(session, act, "T-DEV", report, keys)
            assert whose.value.code == "conformance.organisation"
        tenant.uscc = USCC
        assert accepting.accept(session, act, "T-DEV", passed[1], keys)["tenant"] == "T-DEV"
        accepting.check_ready(session, "G-T-DEV", act.at)
        with pytest.raises(OperatorError, match="accepted already"):
            accepting.accept(session, act, "T-DEV", passed[1], keys)
        with pytest.raises(OperatorError) as late:
            accepting.check_ready(session, "G-T-DEV", act.at + timedelta(days=366))
        assert late.value.code == "grant.conformance"


def test_a_report_with_a_check_that_failed_is_not_accepted(world, keys):
    gateway, _ = world
    run = gateway.http.post(RUNS, auth=gateway.auth(OTHER)).json()["run_id"]
    told = gateway.http.post(f"{RUNS}/{run}/end", auth=gateway.auth(OTHER)).json()
    assert not told["passed"]
    report = gateway.get(f"{RUNS}/{run}/report", OTHER).text
    act = Act("测试己一", gateway.clock(), "test")
    with (
        writing(gateway.app.state.identity.engine) as session,
        pytest.raises(OperatorError, match="Not passed: auth"),
    ):
        accepting.accept(session, act, "T-DEV2", report, keys)
    again = gateway.http.post(f"{RUNS}/{run}/end", auth=gateway.auth(OTHER))
    assert (again.status_code, again.json()["code"]) == (409, "conformance_ended")


CALLS = [
    ("POST", RUNS, None),
    ("GET", RUNS, None),
    ("GET", f"{RUNS}/RUN", None),
    ("POST", f"{RUNS}/RUN/acknowledgements", {"item": "x", "outcome": "taken"}),
    ("POST", f"{RUNS}/RUN/events", None),
    ("POST", f"{RUNS}/RUN/end", None),
    ("GET", f"{RUNS}/RUN/report", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_nobody_but_its_client_reaches_a_run(world, method, path, body):
    gateway, _ = world
    mine = gateway.http.post(RUNS, auth=gateway.auth(CLIENT)).json()["run_id"]
    address = path.replace("RUN", mine)
    assert gateway.http.request(method, address, json=body).status_code == 401
    if "RUN" in path:
        told = gateway.http.request(method, address, json=body, auth=gateway.auth(OTHER))
        assert (told.status_code, told.json()["code"]) == (404, "unknown_run")
    listed = gateway.get(RUNS, OTHER).json()["runs"]
    assert mine not in {each["run_id"] for each in listed}


def test_requests_of_others_leave_no_trace_in_a_run(world):
    gateway, _ = world
    run = gateway.http.post(RUNS, auth=gateway.auth(CLIENT)).json()["run_id"]
    token = gateway.token(CLIENT)
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[:-4]}AAAA"
    gateway.get("/v1/services", OTHER)
    for shown in (forged, "nonsense"):
        asked = {"Authorization": f"DPoP {shown}"}
        assert httpx.get(f"{gateway.settings.base_url}/v1/services", headers=asked).is_error
    assert gateway.app.state.conformance.seen(run) == []
    gateway.get("/v1/services", CLIENT)
    assert len(gateway.app.state.conformance.seen(run)) == 1


def test_only_the_sandbox_examines(gateway):
    for path in ("/v1/conformance/keys", RUNS):
        reply = gateway.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "sandbox_only")
    assert Settings().conformance_keys is None
