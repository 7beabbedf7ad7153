"""Operations on alarms: what detection raised, on which evidence, and lifting it with a reason."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.consent.subjects import audit_token_of
from gateway.detection import book
from gateway.detection.canaries import add_canary
from gateway.errors import BadRequest
from gateway.identity.entries import Entry


class CanaryForm(Entry):
    """A canary: a person's certificate number, or a code of an institution, drug or region."""

    kind: Literal["person", "code"]
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{2,64}$")]


class LiftForm(Entry):
    """From which value on the rule is to speak again about the same; null: as it has learnt."""

    usual: Annotated[float, Field(gt=0, le=10**9)] | None = None


def _list(call: Call) -> Answer:
    wanted = call.query.get("state", "open")
    if wanted not in {"open", "all"}:
        raise BadRequest("invalid_parameter", "state is `open` or `all`.", "state 取 open 或 all。")
    return [one.document() for one in book.read_alarms(call.session, everything=wanted == "all")]


def _show(call: Call) -> Answer:
    return book.read_alarm(call.session, call.at["alarm"]).document()


def _lift(call: Call) -> Answer:
    alarm = book.lift_alarm(call.session, call.act, call.at["alarm"], call.form.usual)
    return alarm.document()


def _plant(call: Call) -> Answer:
    form: CanaryForm = call.form
    value = form.value
    if form.kind == "person":
        value = audit_token_of(call.office.keys, value)
    add_canary(call.session, call.act, form.kind, value)
    return {"planted": form.kind}


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "alarm.list",
        "GET",
        "/alarms",
        _list,
        query={"state": "`open` (default) or `all`"},
        summary="告警列表 / Alarms of abuse detection",
    ),
    Endpoint(
        "alarm.show",
        "GET",
        "/alarms/{alarm}",
        _show,
        summary="一条告警及其证据 / One alarm with its evidence",
    ),
    Endpoint(
        "alarm.lift",
        "POST",
        "/alarms/{alarm}/lift",
        _lift,
        LiftForm,
        says_why=True,
        summary="解除告警及其措施；停用与暂停须两人 / Lift an alarm and what it did; where it "
        "stopped or suspended, two people do",
    ),
    Endpoint(
        "alarm.canary",
        "POST",
        "/canaries",
        _plant,
        CanaryForm,
        says_why=True,
        status=201,
        summary="登记诱饵人员或编码 / Enter a canary person or code",
    ),
)
