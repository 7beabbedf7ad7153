"""The demonstration from an empty folder to verified books, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def demo(home: Path) -> str:
    """What a demonstration prints that runs to its end."""
    done = subprocess.run(
        [Path(sys.executable).with_name("sluice"), "demo", "--once", "--size", "mini"],
        env={**os.environ, "SLUICE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow  # simulates, builds and serves: about a minute
def test_the_demo_plays_to_the_end_and_leaves_no_server(tmp_path: Path) -> None:
    first = demo(tmp_path)
    refusals = ("D301", "D502", "D406", "dpop_other_key")
    consent = ("AWAITING_PERSON", "请您决定是否同意", "token_revoked", "consent_revoked")
    books = ("G-DEMO-01", "ok: difference 0", "chain is whole")
    for seen in (*refusals, *consent, *books):
        assert seen in first
    pid = int((tmp_path / "demo" / "server.pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
    again = demo(tmp_path)
    assert "kept from an earlier run: warehouse, check, releases, participants, claims" in again
    assert "$ sluice release build" not in again
    assert "authorised, revoked" in again
