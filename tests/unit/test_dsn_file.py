"""A DSN that would be taken apart wrongly is refused before anything can show a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError


@pytest.mark.parametrize(
    "password", ["Sec/ret", "Sec#ret", "Sec?ret", "12/34", "12#34", "a[b/c", "Se/c@ret"]
)
def test_an_unescaped_password_is_refused_and_not_shown(tmp_path: Path, password: str) -> None:
    (tmp_path / "dsn").write_text(f"postgresql://app:{password}@db.example:5432/journal\n")
    with pytest.raises(OperatorError) as refused:
        read_dsn(tmp_path / "dsn")
    assert refused.value.code == "journal_dsn"
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert not any(part in str(refused.value) for part in ("Sec", "ret", "34", password))


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:Sec%2Fret@db.example:5432/journal",
        "postgresql://app@h1:5432,h2:5433/journal?sslmode=verify-full",
        "postgres://app:word@[::1]:5432/journal",
        "postgresql:///journal?host=/run/postgresql",
    ],
)
def test_a_dsn_as_it_should_be_is_read(tmp_path: Path, dsn: str) -> None:
    (tmp_path / "dsn").write_text(dsn + "\n")
    assert read_dsn(tmp_path / "dsn") == dsn
