"""The OpenAPI document of consents: valid, complete, and true to what the server answers."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from gateway.api import consents, events, reconciliations, rule_packages
from gateway.api.consent_document import consent_openapi_bytes
from gateway.api.consent_forms import ConsentList, ConsentShown, Problem, Sets, StreamShown
from gateway.identity.keyring import write_private
from tests.consent_factory import consenting

DOCUMENT = json.loads(consent_openapi_bytes())
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("document") / "home") as running:
        yield running


def test_the_document_is_valid_and_names_every_route():
    validate(DOCUMENT)
    routers = (consents.router, events.router, rule_packages.router, reconciliations.router)
    routes = {(r.path, m.lower()) for one in routers for r in one.routes for m in r.methods}
    listed = {(path, method) for path, each in DOCUMENT["paths"].items() for method in each}
    assert listed == routes


def test_answers_have_the_documented_form(server):
    auth = server.auth()
    made = server.ask()
    ConsentShown.model_validate_json(made.content)
    ConsentList.model_validate_json(server.http.get("/v1/consents", auth=auth).content)
    StreamShown.model_validate_json(server.http.get("/v1/events/stream", auth=auth).content)
    poll = server.http.post("/v1/events/poll", json={"returnImmediately": True}, auth=auth)
    Sets.model_validate_json(poll.content)
    Problem.model_validate_json(server.read("c-none").content)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_fuzz_finds_no_failure_and_nothing_undocumented(server, tmp_path):
    key, now = tmp_path / "client.jwk.json", server.clock()
    write_private(key, server.machines["claims-app"].key.as_dict(private=True))
    file = tmp_path / "openapi.json"
    file.write_bytes(consent_openapi_bytes())
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(file),
        f"--url={server.identity.issuer}",
        f"--checks={','.join(CHECKS)}",
        "--max-examples=60",
        "--phases=examples,coverage,fuzzing",
        "--mode=all",
        "--seed=7",
        "--no-color",
        "--generation-database=none",
        "--exclude-path=/v1/events/poll",  # it waits
    ]
    given = {
        "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks",
        "FUZZ_KEY": str(key),
        "FUZZ_TOKEN": server.auth()._token,
        "FUZZ_NONCE": server.identity.proofs.nonce(now),
        "FUZZ_CLOCK_SHIFT": str((now - datetime.now(UTC)).total_seconds()),
    }
    done = subprocess.run(
        command, env={**os.environ, **given}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "401 Unauthorized" not in done.stdout
