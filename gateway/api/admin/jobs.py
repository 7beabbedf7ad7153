"""Operations on validation runs: two officers let one run, two reviewers let an output leave."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.admin.endpoint import Answer, Call, Endpoint, File
from gateway.api.admin.office import Office
from gateway.identity.entries import Entry
from gateway.identity.record import record_change


def _found(office: Office, at: Mapping[str, str], _form: Entry | None) -> object:
    """What the checks say, outside the transaction: they read whole files."""
    return office.airlock.findings(at["job"])


def _at(call: Call) -> tuple[str, str]:
    return call.at["job"], call.at["name"]


def _list(call: Call) -> Answer:
    return call.office.airlock.proposals(call.session.connection())


def _show(call: Call) -> Answer:
    return call.office.airlock.shown(call.at["job"])


def _code(call: Call) -> Answer:
    job = call.at["job"]
    return File(f"{job}.zip", "application/zip", call.office.airlock.code(job))


def _check(call: Call) -> Answer:
    call.office.airlock.check(call.session.connection(), call.act, call.at["job"])
    return _noted(call, "check")


def _approve(call: Call) -> Answer:
    call.office.airlock.approve(call.session.connection(), call.act, call.at["job"])
    return _noted(call, "approve")


def _decline(call: Call) -> Answer:
    call.office.airlock.decline(call.session.connection(), call.act, call.at["job"])
    return _noted(call, "decline")


def _noted(call: Call, action: str) -> Answer:
    job = call.at["job"]
    record_change(call.session, call.act, action, ("job", job), before=None, after=None)
    return {"job_id": job, "done": action}


def _outputs(call: Call) -> Answer:
    return call.office.airlock.waiting(call.session.connection())


def _output(call: Call) -> Answer:
    return call.office.airlock.output(call.session.connection(), *_at(call), call.found)


def _pass(call: Call) -> Answer:
    call.office.airlock.pass_on(call.session.connection(), call.act, _at(call), call.found)
    return _decided(call, "pass")


def _release(call: Call) -> Answer:
    call.office.airlock.release(call.session.connection(), call.act, _at(call), call.found)
    return _decided(call, "release")


def _refuse(call: Call) -> Answer:
    call.office.airlock.refuse(call.session.connection(), call.act, _at(call))
    return _decided(call, "refuse")


def _decided(call: Call, action: str) -> Answer:
    told = call.office.airlock.reviewed(call.session.connection(), _at(call))
    entity = ("output", "/".join(_at(call)))
    record_change(call.session, call.act, action, entity, before=None, after=told)
    return told


_ALL = "/jobs"
_ONE = f"{_ALL}/{{job}}"
_OUTPUT = "/outputs/{job}/{name}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("job.list", "GET", _ALL, _list, summary="待审批的验证运行 / Proposed validation runs"),
    Endpoint("job.show", "GET", _ONE, _show, summary="验证运行详情 / One validation run"),
    Endpoint("job.code", "GET", f"{_ONE}/code", _code, summary="作业代码 / The code of a run"),
    Endpoint(
        "job.check",
        "POST",
        f"{_ONE}/check",
        _check,
        summary="初审验证运行 / Check a proposed run; another person approves it",
    ),
    Endpoint(
        "job.approve",
        "POST",
        f"{_ONE}/approve",
        _approve,
        summary="复核批准验证运行 / Let a run that somebody else checked run",
    ),
    Endpoint(
        "job.decline",
        "POST",
        f"{_ONE}/decline",
        _decline,
        says_why=True,
        summary="退回验证运行 / Decline a proposed run",
    ),
    Endpoint(
        "output.list",
        "GET",
        "/outputs",
        _outputs,
        summary="待审核的出域文件 / Outputs under review",
    ),
    Endpoint(
        "output.show",
        "GET",
        _OUTPUT,
        _output,
        finds=_found,
        summary="出域文件与检查结果 / An output with its findings and its difference",
    ),
    Endpoint(
        "output.pass",
        "POST",
        f"{_OUTPUT}/pass",
        _pass,
        finds=_found,
        summary="初审通过出域文件 / Pass an output; another person releases it",
    ),
    Endpoint(
        "output.release",
        "POST",
        f"{_OUTPUT}/release",
        _release,
        finds=_found,
        summary="复核放行出域文件 / Release an output that somebody else passed",
    ),
    Endpoint(
        "output.refuse",
        "POST",
        f"{_OUTPUT}/refuse",
        _refuse,
        says_why=True,
        summary="拒绝出域 / Keep an output in",
    ),
)
