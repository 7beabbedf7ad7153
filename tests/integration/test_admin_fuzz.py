"""Fuzz the administration from its own document, with every role: no 5xx, nothing undocumented."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from tests.factories_identity import tenant_entry
from tests.staff_factory import OFFICER_ROLES, open_place

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "unsupported_method",
)
# What would end the session or the account the fuzzer asks with.
SPARED = "sign-out|me/password|reset|disable|roles|sessions"


@pytest.mark.slow
def test_a_fuzz_with_every_role_finds_no_failure_and_nothing_undocumented(tmp_path: Path) -> None:
    config = uvicorn.Config("", host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    listening = config.bind_socket()
    port = listening.getsockname()[1]
    with open_place(tmp_path / "home", port=port) as place:
        browser = place.signed_in(*OFFICER_ROLES)
        browser.post("/tenants", **tenant_entry().model_dump(mode="json"))
        config.app = place.app
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{port}/admin/v1/openapi.json",
            f"--checks={','.join(CHECKS)}",
            "--max-examples=15",
            "--phases=coverage,fuzzing",
            "--mode=all",
            "--seed=3",
            "--no-color",
            "--generation-database=none",
            f"--header=Cookie: sluice-staff={browser.cookies['sluice-staff']}",
            f"--header=Sluice-Csrf: {browser.csrf}",
            f"--exclude-path-regex={SPARED}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        server.should_exit = True
        thread.join()
        listening.close()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
