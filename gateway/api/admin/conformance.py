"""Operations on conformance reports: an organisation's client passed the suite of a sandbox."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.conformance import accepting
from gateway.conformance.report import read_keys
from gateway.errors import OperatorError
from gateway.identity.entries import Entry, Id


class ReportForm(Entry):
    """The report as the sandbox signed it, and the organisation it is accepted for."""

    tenant: Id
    report: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$", max_length=20_000)
    ]


def _list(call: Call) -> Answer:
    return accepting.accepted(call.session)


def _accept(call: Call) -> Answer:
    form: ReportForm = call.form
    path = call.office.conformance_keys
    if path is None:
        raise OperatorError(
            "conformance.keys", "No sandbox's key is known here: set SLUICE_CONFORMANCE_KEYS."
        )
    return accepting.accept(call.session, call.act, form.tenant, form.report, read_keys(path))


_ALL = "/conformance-reports"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "conformance.list",
        "GET",
        _ALL,
        _list,
        summary="已接受的联调测试报告 / Conformance reports that were accepted",
    ),
    Endpoint(
        "conformance.accept",
        "POST",
        _ALL,
        _accept,
        ReportForm,
        status=201,
        summary="接受联调测试报告 / Accept a sandbox's signed report for an organisation",
    ),
)
