"""`sluice_client` against a real gateway: pages, retries, refusals, tokens, exports and jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.db.engine import writing
from gateway.identity.changes import disable_client
from sluice_client import Refused, Sluice, Unreachable
from tests.factories_identity import act
from tests.gateway_factory import COST, Gateway


def opened(gateway: Gateway, client: str = "ins-app", **more: Any) -> Sluice:
    key = gateway.machines[client].key
    return Sluice(gateway.settings.base_url, client, key=key, clock=gateway.clock, **more)


class Faulty(httpx.HTTPTransport):
    """A line that breaks off: of each request that `when` names, the first answer never arrives."""

    def __init__(self, when: Callable[[httpx.Request], bool]) -> None:
        super().__init__()
        self.when, self.broken = when, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = super().handle_request(request)
        if self.when(request) and not self.broken:
            self.broken += 1
            reply.close()
            raise httpx.ReadError("the line is cut", request=request)
        return reply


def test_rows_come_page_by_page_and_are_those_of_the_gateway(gateway: Gateway) -> None:
    expected = gateway.everything("S02", COST)
    with opened(gateway) as sluice:
        assert list(sluice.rows("S02", {**COST, "page_size": 7})) == expected
        assert "S02" in {one["id"] for one in sluice.services()}


def test_a_refusal_carries_code_reasons_and_the_request_id(gateway: Gateway) -> None:
    with opened(gateway) as sluice:
        with pytest.raises(Refused) as refused:
            sluice.query("S02", {**COST, "purpose": "marketing"})
        assert (refused.value.status, refused.value.deny) == (403, ("D301",))
        assert len(refused.value.request_id) == 36
        with pytest.raises(Refused, match="unknown_service"):
            sluice.query("S99", COST)


def test_an_answer_lost_on_its_way_is_asked_again_and_counted_once(own_gateway: Gateway) -> None:
    def queries(request: httpx.Request) -> bool:
        return request.url.path.endswith("/queries")

    def counted() -> list[Any]:
        return list(own_gateway.get("/v1/usage").json()["usage"])

    line, pauses = Faulty(queries), list[float]()
    with opened(own_gateway, transport=line, pause=pauses.append) as sluice:
        answer = sluice.query("S02", COST)
    assert (line.broken, pauses) == (1, [1.0])
    assert answer["data"]
    assert sum(one["answers"] for one in counted()) == 1


def test_a_used_up_rate_is_waited_for_and_a_quota_of_the_day_is_not(
    own_gateway_with: Callable[..., Gateway],
) -> None:
    gateway = own_gateway_with(calls_day=2)
    waits = list[float]()
    with opened(gateway, pause=waits.append) as sluice:
        for _ in range(2):
            sluice.query("S02", COST)
        with pytest.raises(Refused) as refused:
            sluice.query("S02", COST)
    assert (refused.value.status, refused.value.deny, waits) == (429, ("D802",), [])


def test_a_token_is_renewed_before_it_ends_and_after_it_was_refused(own_gateway: Gateway) -> None:
    with opened(own_gateway) as sluice:
        sluice.services()
        first = sluice._auth
        sluice.services()
        assert sluice._auth is first
        own_gateway.clock.shift += timedelta(seconds=290)
        sluice.services()
        assert sluice._auth is not first


def test_a_client_that_was_disabled_is_told_so_at_once(own_gateway: Gateway) -> None:
    identity = own_gateway.app.state.identity
    with opened(own_gateway) as sluice:
        sluice.services()
        with writing(identity.engine) as session:
            disable_client(session, act(), "ins-app")
        identity.directory.refresh()
        with pytest.raises(Refused) as refused:
            sluice.services()
    assert refused.value.status == 401


def test_where_nobody_listens(gateway: Gateway) -> None:
    pauses = list[float]()
    key = gateway.machines["ins-app"].key
    with (
        Sluice("http://127.0.0.1:1", "x", key=key, attempts=3, pause=pauses.append) as sluice,
        pytest.raises(Unreachable),
    ):
        sluice.services()


def test_an_export_lands_whole_although_the_line_breaks(
    own_gateway: Gateway, tmp_path: Path
) -> None:
    own_gateway.admit("exp-app", "T-EXP", "insurer", "SC01")
    line = Faulty(lambda request: "/files/" in request.url.path)
    with opened(own_gateway, "exp-app", transport=line, pause=lambda _: None) as sluice:
        told = sluice.export("S02", COST, tmp_path / "out", output_format="csv")
    assert line.broken == 1
    files = sorted((tmp_path / "out").glob("*.csv"))
    rows = sum(len(file.read_text("utf-8").splitlines()) - 1 for file in files)
    assert rows == sum(one["count"] for one in told["output"]) > 0
    assert not list((tmp_path / "out").glob("*.part"))


def test_the_example_of_the_documentation_runs(
    own_gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    at_the_gateways_day = partial(Sluice, clock=own_gateway.clock, pause=lambda _: None)
    monkeypatch.setattr("sluice_client.Sluice", at_the_gateways_day)
    key = own_gateway.machines["ins-app"].key.as_dict(private=True)
    exec(code, {"ISSUER": own_gateway.settings.base_url, "KEY": key})  # noqa: S102  # our page
    told = capsys.readouterr().out.splitlines()
    assert told[-1].startswith("403 ('D301',) ")
    assert told[-2].endswith("rows, SHA-256 checked")
    assert len(told) > 20


def test_keys_come_as_path_text_or_mapping(gateway: Gateway, tmp_path: Path) -> None:
    private = gateway.machines["ins-app"].key.as_dict(private=True)
    file = tmp_path / "key.jwk"
    file.write_text(json.dumps(private))
    for key in (file, json.dumps(private), private):
        with Sluice(gateway.settings.base_url, "ins-app", key=key, clock=gateway.clock) as sluice:
            assert sluice.services()
