"""Fuzz the running server from its own OpenAPI document: no 5xx, nothing undocumented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway_factory import Gateway

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


def fuzz(gateway: Gateway, examples: int, client: str = "ins-app") -> None:
    """Run schemathesis against the server; its report is the failure message."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program),
        "run",
        f"{gateway.settings.base_url}/openapi.json",
        f"--header=Authorization: {gateway.bearer(client)['Authorization']}",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={examples}",
        "--phases=examples,coverage,fuzzing",
        "--mode=all",
        "--seed=7",
        "--no-color",
        "--generation-database=none",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_short_fuzz_finds_no_failure_and_nothing_undocumented(gateway: Gateway) -> None:
    fuzz(gateway, examples=8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("client", ["ins-app", "pha-app"])
def test_a_long_fuzz_finds_no_failure_and_nothing_undocumented(
    gateway: Gateway, client: str
) -> None:
    fuzz(gateway, examples=200, client=client)
