"""No line that a process writes about itself holds an identifier of a person, however it got there.

`gateway.logs` is the one place; here it is asked with generated persons, gone round by every way
there is, and watched in a gateway process whose loggers say all they can.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.logs import redact
from tests.edge_process import EdgeProcess, edge_process
from tests.gateway_factory import COST, copy_policies
from tests.http_fuzzer import Seed, seeds
from tests.planted_texts import person_values, spellings

DRAWS = st.integers(0, 2**32).map(random.Random)
LATIN = "Zhangwei-4711"
"""A name that no pattern can tell from a program's own words."""
FRAMES = ("{}", "the value {} is wrong", "[('certno', '{}')]", "/v1/consents/{}?x=1", "key={},")


@given(draw=DRAWS, frame=st.sampled_from(FRAMES))
def test_no_spelling_of_a_generated_person_passes(draw: random.Random, frame: str) -> None:
    for kind, value in person_values(draw).items():
        for spelt in spellings(value) - _unreadable(value):
            shown = redact(frame.format(spelt))
            assert spelt not in shown, kind
            assert not re.search(r"\d{6}", shown), kind


def _unreadable(value: str) -> set[str]:
    """Base64 looks like anything; nothing here writes it, and the process test looks for it."""
    return spellings(value) - {value, quote(value, safe=""), json.dumps(value)[1:-1]}


@example(text="request 01a2094d-e626-7294-bb64-6c38f9d0b2ae failed: KeyError in read", number=41)
@given(text=st.text("abcxyz ,:.()-='", max_size=60), number=st.integers(0, 99_999))
def test_what_tells_of_nobody_stays(text: str, number: int) -> None:
    assert redact(f"{text}: {number}") == f"{text}: {number}"


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_a_process_can_say_goes_round_it(seed: int) -> None:
    person = person_values(random.Random(seed))  # noqa: S311 - it has to repeat
    planted = " ".join([*person.values(), LATIN])
    ended = subprocess.run(
        [sys.executable, "-m", "tests.loud_failures", planted], capture_output=True, check=False
    )
    said = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 1
    assert "the process ends: ValueError in _fail" in said
    for sign in ("UserWarning", "a thread ended", "unraisable", "asyncio", "sqlalchemy.engine"):
        assert sign in said, sign
    found = {kind for kind, value in person.items() for one in spellings(value) if one in said}
    assert found == set(), said
    others = [x for x in said.splitlines() if not re.match("[A-Z]+ (gateway|sluice)", x)]
    assert len(others) > 20
    assert not [x for x in others if LATIN in x]  # of others' lines, no argument at all


@pytest.fixture(scope="module")
def loud(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    folder = tmp_path_factory.mktemp("loud")
    policies = copy_policies(folder / "policies", lookback_months=1200)
    with edge_process(released_home, folder, how="loud", policies=policies) as running:
        yield running


def planted(edge: EdgeProcess, one: Seed, text: str, turn: int) -> httpx.Response:
    """The request with the text in one of its parts; which part goes round."""
    path, headers, body = one.path, dict(one.headers), one.body
    spelt = quote(text, safe="")
    match turn % 6:
        case 0:
            path = f"{path}?{spelt}={spelt}"
        case 1:
            path = re.sub(r"x-1|S02", spelt, path) if re.search("x-1|S02", path) else path + spelt
        case 2:
            names = ("traceparent", "x-fapi-interaction-id", "Idempotency-Key", "User-Agent")
            headers |= dict.fromkeys((*names, "Cookie", "Accept", "Prefer"), spelt)
        case 3:
            body = json.dumps({**COST, text: text, "purpose": text}).encode()
        case 4:
            body = (
                re.sub(rb'"[^"]*"(?!\s*:)', lambda _: json.dumps(text).encode(), body)
                or text.encode()
            )
        case _:
            body = b"client_id=" + spelt.encode() + b"&grant_type=" + text.encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
    auth = edge.auth() if turn % 2 or path.startswith("/v1") else None
    return edge.http.request(one.method, path, headers=headers, content=body, auth=auth)


def test_a_person_in_any_part_of_a_request_is_in_no_log_metric_or_error(loud: EdgeProcess) -> None:
    draw = random.Random(12)  # noqa: S311 - it has to repeat
    documents = [loud.http.get(f"{at}/openapi.json").json() for at in ("", "/admin/v1")]
    kept = [
        *seeds(documents),
        Seed("POST", "/oauth/token", {}, b""),
        Seed("PATCH", "/x-1", {}, b""),
    ]
    persons = [person_values(draw) for _ in range(len(kept))]
    told: dict[str, str] = {}
    for turn, (one, person) in enumerate(zip(kept, persons, strict=True)):
        for kind, value in list(person.items())[turn % 2 :: 2]:
            reply = planted(loud, one, value, turn + len(kind))
            if reply.status_code >= 400:
                told |= {
                    f"{one.method} {one.path} {kind}": found
                    for found in spellings(value)
                    if found in reply.text
                }
    written = loud.written.read_text("utf-8", "replace")
    figures = loud.http.get("/metrics", headers=loud.operator).text
    assert '"route":' in written
    assert "DEBUG" in written
    assert "gateway_http_responses_total" in figures
    logged = {
        (kind, found)
        for person in persons
        for kind, value in person.items()
        for found in spellings(value)
        if found in written or found in figures
    }
    assert (logged, told) == (set(), {})
