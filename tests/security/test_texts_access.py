"""Who may have texts cleaned, what leaves, and that no text stays behind anywhere."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.api.texts_document import ANSWER, EXAMPLE, QUESTION
from gateway.errors import OperatorError
from gateway.freetext import documents
from gateway.freetext.names import Found
from gateway.texts.asking import MOST_CHARACTERS
from tests.gateway_factory import Gateway

PATH = "/v1/text/deidentify"
CANARY = "欧阳震云"
NOTE = f"患者{CANARY}，身份证11010519491231002X，电话１３８０013 8000，{CANARY}否认过敏史。"
ASKED = {"texts": [{"id": "n1-canary", "text": NOTE}], "spans": True}


def asking(gateway: Gateway, client: str = "text-app", **facts: object) -> httpx.Auth:
    wanted: dict[str, object] = {"services": ["S30"], **facts}
    gateway.admit(client, f"T-{client.upper()}", "insurer", "SC01", **wanted)
    return gateway.auth(client)


def post(gateway: Gateway, body: object = ASKED, **headers: str) -> httpx.Response:
    return gateway.http.post(PATH, json=body, headers=headers, auth=asking(gateway))


def kept(folder: Path) -> list[Path]:
    """Files under a gateway's home that hold the canary, the number or the caller's id."""
    marks = [CANARY.encode(), b"n1-canary", b"11010519491231002"]
    marks += [CANARY.encode("unicode-escape"), CANARY.encode("utf-16-le")]
    files = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 2**26)
    return [path for path in files if any(mark in path.read_bytes() for mark in marks)]


def columns(gateway: Gateway, request: str) -> str:
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        rows = [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]
    return "\n".join(str(row) for row in rows if request in str(row))


def test_a_text_comes_back_without_its_person_and_stays_nowhere(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        reply = post(gateway)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    jsonschema.Draft202012Validator(ANSWER).validate(told)
    jsonschema.Draft202012Validator(QUESTION).validate(EXAMPLE)
    one = told["result"]["texts"][0]
    assert one["text"] == ("患者[PERSON_1]，身份证[CN_ID_1]，电话[PHONE_1]，[PERSON_1]否认过敏史。")
    assert {NOTE[a:b] for a, b, kind in one["spans"] if kind == "PERSON"} == {CANARY}
    assert told["result"]["counts"] == {"CN_ID": 1, "PERSON": 2, "PHONE": 1}
    assert CANARY not in caplog.text
    journal = columns(gateway, told["meta"]["request_id"])
    assert '"service":"S30"' in journal
    assert f'"characters":{len(NOTE)}' in journal
    assert kept(gateway.settings.home) == []


def test_what_fails_tells_no_text(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperatorError("FREETEXT_MODEL_MISSING", "the name model is not installed")

    def broken(_: object) -> None:
        raise ValueError(NOTE)

    monkeypatch.setattr(documents, "tagger", gone)
    missing = post(gateway)
    assert (missing.status_code, missing.json()["code"]) == (503, "text_recogniser_missing")
    monkeypatch.setattr(documents, "scan", broken)
    none = Found([], [], [])
    monkeypatch.setattr(documents, "_marked", lambda folded, _: [none for _ in folded])
    failed = post(gateway)
    assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
    for reply in (missing, failed):
        assert CANARY not in reply.text
        assert '"result":"failed"' in columns(gateway, reply.json()["request_id"])
    assert kept(gateway.settings.home) == []


def test_without_a_token_or_a_grant_nothing_is_cleaned(gateway: Gateway) -> None:
    bare = gateway.http.post(PATH, json={"rubbish": CANARY})
    assert (bare.status_code, CANARY in bare.text) == (401, False)  # the body is not even read
    token = gateway.token("ins-app")
    stolen = gateway.http.post(PATH, json=ASKED, headers={"authorization": f"Bearer {token}"})
    assert stolen.status_code == 401
    other = gateway.http.post(PATH, json=ASKED, auth=gateway.auth("ins-app"))
    assert (other.status_code, other.json()["deny"]) == (403, ["D201"])
    foreign = post(gateway, {**ASKED, "grant_id": "G-T-INS2"})
    assert (foreign.status_code, foreign.json()["deny"]) == (403, ["D201"])
    purpose = post(gateway, {**ASKED, "purpose": "code_lookup"})
    assert (purpose.status_code, purpose.json()["deny"]) == (403, ["D301"])


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (422, {"texts": [{"id": "1", "text": "无" * (MOST_CHARACTERS + 1)}]}),
        (422, {"texts": [{"id": "1", "text": ""}] * 101}),
        (400, {"texts": []}),
        (400, {"texts": [{"id": "1", "text": NOTE, "name": CANARY}]}),
        (400, {"texts": [{"id": "1", "text": NOTE, "known": {"PERSON": ["王"]}}]}),
        (400, {"texts": [{"id": "1", "text": NOTE, "known": {"王": ["王明"]}}]}),
        (400, {"strict": "yes"}),
        (400, {CANARY: 1}),
    ],
)
def test_other_forms_are_refused_without_repeating_them(
    gateway: Gateway, status: int, change: dict[str, Any]
) -> None:
    reply = post(gateway, {**ASKED, **change})
    assert reply.status_code == status, reply.text
    assert CANARY not in reply.text
    assert "王" not in reply.text


def test_known_values_media_and_methods(gateway: Gateway) -> None:
    texts = [
        {"id": "1", "text": "高山安睡", "known": {"PERSON": ["高山"]}},
        {"id": "2", "text": ""},
    ]
    told = post(gateway, {"texts": texts, "strict": True}).json()["result"]["texts"]
    assert told[0]["text"].startswith("[PERSON_1]")
    assert told[1] == {"id": "2", "text": ""}
    assert post(gateway, accept="text/csv").status_code == 406
    auth = asking(gateway)
    plain = {"content-type": "text/plain"}
    assert gateway.http.post(PATH, content="x", headers=plain, auth=auth).status_code == 415
    assert gateway.http.get(PATH, auth=auth).status_code == 405
    assert gateway.http.post(f"{PATH}?text=x", json=ASKED, auth=auth).status_code == 400
    assert gateway.http.post(PATH, content=b"x" * 300_000, auth=auth).status_code == 413


def test_it_is_in_the_catalogue(gateway: Gateway) -> None:
    asking(gateway)
    listed = gateway.get("/v1/services", "text-app").json()["services"]
    assert "S30" in {one["id"] for one in listed}
    assert gateway.get("/v1/services/S30", "text-app").json()["address"] == PATH


def test_a_call_beyond_the_day_is_refused(own_gateway_with: Callable[..., Gateway]) -> None:
    gateway = own_gateway_with(calls_day=1)
    codes = [post(gateway).status_code for _ in range(2)]
    assert codes == [200, 429]
