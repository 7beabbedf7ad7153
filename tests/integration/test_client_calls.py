"""`sluice client` and raw curl against a running gateway: the lines the demonstration prints."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import assemble
from gateway.cli.demo import copyable
from gateway.errors import OperatorError
from gateway.identity.keyring import write_private
from tests.gateway_factory import copy_home
from tests.tls_gateway import TlsGateway, tls_serving


@pytest.fixture(scope="module")
def gateway(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsGateway]:
    folder = tmp_path_factory.mktemp("calls")
    with tls_serving(copy_home(released_home, folder / "home"), folder) as running:
        yield running


@pytest.fixture
def key(gateway: TlsGateway, tmp_path: Path) -> Path:
    path = tmp_path / "ins-app.jwk.json"
    write_private(path, gateway.machines["ins-app"].key.as_dict(private=True))
    return path


def sluice(gateway: TlsGateway, *words: str) -> Result:
    """One verb with what TLS needs."""
    where = ["--url", gateway.settings.base_url, "--ca", str(gateway.authority.path)]
    return CliRunner().invoke(assemble(("client",)), ["client", *words, *where])


def test_a_call_does_token_nonce_and_proof(gateway: TlsGateway, key: Path) -> None:
    who = ("--client-id", "ins-app", "--key", str(key))

    listed = sluice(gateway, "call", "get", "/v1/services", *who)
    assert [service["id"] for service in json.loads(listed.stdout)["services"]]

    token = sluice(gateway, "token", *who).stdout.strip()
    usage = sluice(gateway, "call", "GET", "/v1/usage", *who, "--token", token)
    assert "usage" in json.loads(usage.stdout)


def test_a_refused_call_prints_the_problem_and_exits_with_1(
    gateway: TlsGateway, key: Path, tmp_path: Path
) -> None:
    question = tmp_path / "question.json"
    question.write_text('{"surprise": 1}')
    who = ("--client-id", "ins-app", "--key", str(key))

    path = "/v1/services/S02/queries"
    refused = sluice(gateway, "call", "POST", path, *who, "--data", f"@{question}")

    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["code"] == "invalid_parameter"
    assert "answered 400" in refused.stderr
    missing = sluice(gateway, "call", "POST", path, *who, "--data", "@nowhere.json")
    assert isinstance(missing.exception, OperatorError)


def test_a_client_with_a_certificate_needs_no_key(gateway: TlsGateway) -> None:
    cert = str(gateway.certificates["ins-tls"].path)

    called = sluice(
        gateway, "call", "GET", "/v1/services", "--client-id", "ins-tls", "--cert", cert
    )

    assert "services" in json.loads(called.stdout)
    nothing = sluice(gateway, "call", "GET", "/v1/services", "--client-id", "ins-tls")
    assert nothing.exit_code == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_lines_the_demonstration_prints_run_as_they_are(gateway: TlsGateway, key: Path) -> None:
    trust = str(gateway.authority.path)
    lines = copyable(gateway.settings.base_url, "ins-app", key)
    # The demonstration speaks plain HTTP, of a later year; here both programs are told the test CA.
    lines = [line.replace("2025Q", "2024Q") for line in lines]
    lines = [line.replace("curl -s", f"curl -s --cacert {trust}") for line in lines]
    lines = [line.replace("--client-id", f"--ca {trust} --client-id") for line in lines]
    script = "set -e\n" + "\necho ---\n".join(lines)

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)

    outputs = [part.strip() for part in done.stdout.split("---")]
    answers = [json.loads(part) for part in outputs if part.startswith("{")]
    assert len(answers) == 4, done.stdout + done.stderr
    services, asked, usage, by_curl = answers
    assert by_curl == services
    assert services["services"]
    assert asked["data"]
    assert usage["usage"]
