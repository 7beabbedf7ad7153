"""Fuzz the running server from its own OpenAPI document: no 5xx, nothing undocumented."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.identity.keyring import write_private
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


def fuzz(gateway: Gateway, folder: Path, examples: int, client: str = "ins-app") -> None:
    """Run schemathesis against the server; its report is the failure message."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program),
        "run",
        f"{gateway.settings.base_url}/openapi.json",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={examples}",
        "--phases=examples,coverage,fuzzing",
        "--mode=all",
        "--seed=7",
        "--no-color",
        "--generation-database=none",
    ]
    done = subprocess.run(
        command,
        env={**os.environ, **proving(gateway, folder, client)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "401 Unauthorized" not in done.stdout  # else no operation was looked at


def proving(gateway: Gateway, folder: Path, client: str) -> dict[str, str]:
    """What `tests/fuzz_hooks.py` needs to prove each request."""
    key_file, now = folder / "client.jwk.json", gateway.clock()
    write_private(key_file, gateway.machines[client].key.as_dict(private=True))
    return {
        "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks",
        "FUZZ_KEY": str(key_file),
        "FUZZ_TOKEN": gateway.token(client),
        "FUZZ_NONCE": gateway.app.state.identity.proofs.nonce(now),
        "FUZZ_CLOCK_SHIFT": str((now - datetime.now(UTC)).total_seconds()),
    }


def test_a_short_fuzz_finds_no_failure_and_nothing_undocumented(
    gateway: Gateway, tmp_path: Path
) -> None:
    fuzz(gateway, tmp_path, examples=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("client", ["ins-app", "pha-app"])
def test_a_long_fuzz_finds_no_failure_and_nothing_undocumented(
    gateway: Gateway, tmp_path: Path, client: str
) -> None:
    fuzz(gateway, tmp_path, examples=200, client=client)
