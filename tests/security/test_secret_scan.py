"""The scan of `make check` sees a secret that somebody wrote down."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tests.secret_scan import BASELINE, facts, scanned


def test_a_key_in_a_file_is_a_finding_and_its_name_is_none(tmp_path: Path) -> None:
    key = secrets.token_hex(20)
    (tmp_path / "bad.py").write_text(f'PASSWORD = "{key}"\nKEYS = "keys/main"\n')
    (tmp_path / "good.py").write_text("PASSWORD = read_file(settings.password_file)\n")
    found = facts(scanned(["bad.py", "good.py"], tmp_path).json())
    assert {name for name, _, _ in found} == {"bad.py"}
    assert "Secret Keyword" in {kind for _, kind, _ in found}


def test_what_was_looked_at_is_named_by_its_place_in_the_tree() -> None:
    found = json.loads(BASELINE.read_text(encoding="utf-8"))["results"]
    named = {(name, str(one["filename"])) for name, each in found.items() for one in each}
    assert [pair for pair in named if pair[0] != pair[1] or Path(pair[0]).is_absolute()] == []
