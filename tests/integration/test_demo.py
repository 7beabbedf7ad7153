"""The demonstration from an empty folder to verified books, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow  # simulates, builds and serves: about a minute
def test_the_demo_plays_to_the_end_and_leaves_no_server(tmp_path: Path) -> None:
    sluice = Path(sys.executable).with_name("sluice")
    environment = {**os.environ, "SLUICE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sluice, "demo", "--once", "--size", "mini"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    for seen in ("D301", "D502", "D406", "dpop_other_key", "ok: difference 0", "chain is whole"):
        assert seen in done.stdout
    pid = int((tmp_path / "demo" / "server.pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
