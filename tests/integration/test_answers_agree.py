"""One question, one answer: however it is put, paged, packed, and whoever of the scenario asks.

Every service and every dim of the catalogue takes part; tests/integration/test_api_queries.py looks
closer at S02.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.serving.accept import ARROW
from tests.gateway_factory import COST, DRUGS, Gateway

PERIOD = {
    "quarter": {"from": "2024Q2", "to": "2024Q3", "grain": "quarter"},
    "month": {"from": "2024-04", "to": "2024-05", "grain": "month"},
}


@dataclass(frozen=True)
class Frame:
    """A service, who may ask it, the dims of a question, and one of them with a value to fix."""

    service: str
    kind: str
    grain: str
    dims: tuple[str, ...]
    fixed: tuple[str, str]

    def question(self, dims: Sequence[str] = (), **more: Any) -> dict[str, Any]:
        """A question the kind of firm is allowed, by these dims or all."""
        return question(self.kind, self.grain, list(dims or self.dims), **more)

    def whole(self, gateway: Gateway) -> list[Any]:
        """The answer to the plain question, from the first who may ask."""
        return gateway.everything(self.service, self.question(), client=ASKERS[self.kind][0])


FRAMES = [
    Frame("S02", "insurer", "quarter", ("insutype2", "benefit5", "gend"), ("benefit5", "IP")),
    Frame("S04", "insurer", "quarter", ("hosp_lv4", "insutype2", "gend"), ("gend", "1")),
    Frame("S06", "insurer", "quarter", ("mdc", "insutype2"), ("insutype2", "employee")),
    Frame("S06", "pharma", "quarter", ("adrg", "hosp_lv4"), ("hosp_lv4", "T")),
    Frame("S09", "pharma", "month", ("atc", "benefit5", "gend"), ("benefit5", "OP")),
]
DIMS = {"period", "geo"} | {dim for frame in FRAMES for dim in frame.dims}
EACH = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: f"{frame.service} {frame.kind}")
ASKERS = {"insurer": ("ins-app", "ins-batch", "ins2-app"), "pharma": ("pha-app", "pha2-app")}
DENIED = {"S06": ("drg",)}  # by both scenarios
SLOWLY = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def asked(gateway: Gateway) -> Gateway:
    """The common gateway with a second pharma firm, so that each scenario has two tenants."""
    gateway.admit("pha2-app", "T-PHA2", "pharma", "SC05")
    return gateway


def question(kind: str, grain: str, dims: list[str], **more: Any) -> dict[str, Any]:
    """A question the kind of firm is allowed."""
    body = {
        "purpose": (COST if kind == "insurer" else DRUGS)["purpose"],
        "period": PERIOD[grain],
        "geo": ["990100"],
        "dims": dims,
        **more,
    }
    return body | ({"levels": {"atc": 2}} if "atc" in dims else {})


def cells(rows: list[Any]) -> set[str]:
    """Cells as values that do not depend on the order of rows or columns."""
    return {json.dumps(row, sort_keys=True) for row in rows}


@SLOWLY
@given(data=st.data())
@EACH
def test_order_page_size_client_and_tenant_change_no_cell(
    asked: Gateway, frame: Frame, data: st.DataObject
) -> None:
    whole = frame.whole(asked)
    pages = data.draw(st.sampled_from([17, 64, 5000]))
    other = frame.question(data.draw(st.permutations(frame.dims)), page_size=pages)
    turned = {name: other[name] for name in data.draw(st.permutations(list(other)))}

    client = data.draw(st.sampled_from(ASKERS[frame.kind]))
    found = asked.everything(frame.service, turned, client=client)

    assert cells(found) == cells(whole)
    assert len(found) == len(whole) == len(cells(whole))


@EACH
def test_a_fixed_dim_shows_the_cells_of_the_whole_question(asked: Gateway, frame: Frame) -> None:
    name, value = frame.fixed
    wanted = cells([row for row in frame.whole(asked) if row[name] == value])
    rest = [dim for dim in frame.dims if dim != name]
    for listed in (rest, frame.dims):
        part = frame.question(listed, where={name: value})
        found = asked.everything(frame.service, part, client=ASKERS[frame.kind][-1])
        assert cells(found) == wanted


@EACH
def test_every_format_says_the_same(asked: Gateway, frame: Frame) -> None:
    body = frame.question(page_size=5000)
    first, *others = ASKERS[frame.kind]
    plain = asked.ask(frame.service, body, client=first)
    assert plain.status_code == 200, plain.text
    rows = [flat(row) for row in plain.json()["data"]]
    for client in others:
        as_csv = asked.ask(frame.service, body, client=client, headers={"Accept": "text/csv"})
        as_arrow = asked.ask(frame.service, body, client=client, headers={"Accept": ARROW})
        assert from_csv(as_csv) == rows
        assert from_arrow(as_arrow) == rows


def flat(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as CSV has it: a column of values and one of flags for each measure."""
    out = {}
    for name, cell in row.items():
        if isinstance(cell, str):
            out[name] = cell
        else:
            out[name] = plainly(cell["value"])
            out[f"{name}_flag"] = cell["flag"]
    return out


def plainly(value: object) -> str:
    """A value however the format writes it: 5, 5.0 and 5.00 are one number."""
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value or "")


def from_csv(reply: httpx.Response) -> list[dict[str, str]]:
    assert reply.status_code == 200, reply.text
    rows = csv.DictReader(io.StringIO(reply.text))
    return [
        {name: value if name in DIMS else plainly(value) for name, value in row.items()}
        for row in rows
    ]


def from_arrow(reply: httpx.Response) -> list[dict[str, str]]:
    assert reply.status_code == 200, reply.text
    table = pa.ipc.open_stream(reply.content).read_all()
    return [told(row) for row in table.to_pylist()]


def told(row: Mapping[str, Any]) -> dict[str, str]:
    """A row with its numbers written plainly; codes stay as they are."""
    return {name: value if name in DIMS else plainly(value) for name, value in row.items()}


@pytest.mark.parametrize("service", ["S02", "S04", "S06", "S09"])
def test_every_dim_of_the_contract_is_answered_at_every_level(asked: Gateway, service: str) -> None:
    kind = "pharma" if service == "S09" else "insurer"
    refused = DENIED.get(service, ())
    for dim in asked.app.state.desk.catalogue.services[service].dims:
        for level in range(1, len(dim.levels) + 1) if dim.levels else [None]:
            body = question(kind, "quarter", [dim.name])
            body |= {"levels": {dim.name: level}} if level else {}
            reply = asked.ask(service, body, client=ASKERS[kind][0])
            expected = 403 if dim.name in refused or dim.pivot else 200
            assert reply.status_code == expected, (dim.name, level, reply.text)
