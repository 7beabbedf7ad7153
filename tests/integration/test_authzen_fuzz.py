"""Fuzz the decision point as a system of the bureau: no 5xx, nothing undocumented."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.identity.keyring import write_private
from tests.authzen_factory import BUREAU, enter_bureau, recorded
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


def fuzz(gateway: Gateway, folder: Path, examples: int, phases: str) -> None:
    """Run schemathesis against the decision point; its report is the failure message."""
    if BUREAU not in gateway.machines:
        enter_bureau(gateway)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{gateway.settings.base_url}/openapi.json",
        "--include-path-regex=^/(access|.well-known/authzen)",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={examples}",
        f"--phases={phases}",
        "--mode=all",
        "--seed=7",
        "--no-color",
        "--generation-database=none",
    ]
    proven = {**os.environ, **_proving(gateway, folder)}
    done = subprocess.run(command, env=proven, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "401 Unauthorized" not in done.stdout  # else no operation was looked at


def _proving(gateway: Gateway, folder: Path) -> dict[str, str]:
    """What `tests/fuzz_hooks.py` needs to prove each request."""
    key_file, now = folder / "client.jwk.json", gateway.clock()
    write_private(key_file, gateway.machines[BUREAU].key.as_dict(private=True))
    return {
        "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks",
        "FUZZ_KEY": str(key_file),
        "FUZZ_TOKEN": gateway.token(BUREAU),
        "FUZZ_NONCE": gateway.app.state.identity.proofs.nonce(now),
        "FUZZ_CLOCK_SHIFT": str((now - datetime.now(UTC)).total_seconds()),
    }


def test_a_short_fuzz_of_the_decision_point_finds_nothing(gateway: Gateway, tmp_path: Path) -> None:
    fuzz(gateway, tmp_path, examples=25, phases="examples,fuzzing")
    told = recorded(gateway)
    assert len({each["audit"]["decision_id"] for each in told}) == len(told) > 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_long_fuzz_of_the_decision_point_finds_nothing(gateway: Gateway, tmp_path: Path) -> None:
    fuzz(gateway, tmp_path, examples=500, phases="examples,coverage,fuzzing")
