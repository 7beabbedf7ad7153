"""Operations on waivers of data quality: proposed by one person, signed by another."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.identity.entries import Entry, Line
from gateway.policy.packing import BundleKey
from gateway.quality import waivers


class WaiverForm(Entry):
    """Which figures and rules, of which months, until which day."""

    covers: Annotated[tuple[Line, ...], Field(min_length=1, max_length=40)]
    first: Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
    last: Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
    until: date


def _key(call: Call) -> BundleKey:
    return waivers.waiver_key(call.office.keys)


def _list(call: Call) -> Answer:
    return [one.document() for one in waivers.read_waivers(call.session, _key(call))]


def _propose(call: Call) -> Answer:
    form: WaiverForm = call.form
    made = waivers.propose(
        call.session,
        call.act,
        _key(call),
        covers=form.covers,
        periods=(form.first, form.last),
        until=form.until,
    )
    return made.document()


def _sign(call: Call) -> Answer:
    return waivers.sign(call.session, call.act, _key(call), call.at["waiver"]).document()


def _withdraw(call: Call) -> Answer:
    return waivers.withdraw(call.session, call.act, _key(call), call.at["waiver"]).document()


_ONE = "/quality/waivers/{waiver}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "waiver.list",
        "GET",
        "/quality/waivers",
        _list,
        summary="质量豁免列表 / Waivers of data quality",
    ),
    Endpoint(
        "waiver.propose",
        "POST",
        "/quality/waivers",
        _propose,
        WaiverForm,
        says_why=True,
        status=201,
        summary="提出质量豁免，待另一人签署 / Propose a waiver; another person signs it",
    ),
    Endpoint(
        "waiver.sign",
        "POST",
        f"{_ONE}/sign",
        _sign,
        summary="签署他人提出的质量豁免 / Sign a waiver that somebody else proposed",
    ),
    Endpoint(
        "waiver.withdraw",
        "POST",
        f"{_ONE}/withdraw",
        _withdraw,
        says_why=True,
        summary="撤回质量豁免 / Take a waiver back",
    ),
)
