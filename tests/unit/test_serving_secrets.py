"""The serving side's secrets on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.identity.secrets import LENGTH, secret


def test_a_secret_is_made_once_and_stays(tmp_path: Path) -> None:
    first = secret(tmp_path / "keys", "cursor")
    assert len(first) == LENGTH
    assert secret(tmp_path / "keys", "cursor") == first
    assert secret(tmp_path / "keys", "watermark") != first


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    secret(tmp_path, "cursor")
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


def test_a_damaged_secret_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "cursor.secret").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"cursor\.secret"):
        secret(tmp_path, "cursor")
