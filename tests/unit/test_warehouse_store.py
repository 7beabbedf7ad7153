"""The warehouse store: whole versions, switched atomically, verified by their hashes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.errors import OperatorError
from gateway.warehouse import store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _publish(root: Path, number: int, now: datetime = NOW) -> Path:
    with store.draft(root) as scratch:
        tables = scratch / "tables"
        tables.mkdir()
        pq.write_table(pa.table({"n": [number]}), tables / "setl_d.parquet")
        return store.publish(root, tables, {"kind": "test"}, now)


def test_without_a_warehouse_the_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="sluice warehouse simulate") as caught:
        store.current(tmp_path)
    assert caught.value.code == "warehouse.none"


def test_a_published_version_is_current_and_its_manifest_has_rows_and_hashes(
    tmp_path: Path,
) -> None:
    folder = _publish(tmp_path, 1)
    assert store.current(tmp_path) == folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["version"] == folder.name
    assert manifest["tables"]["setl_d"]["rows"] == 1
    assert store.altered(folder) == []
    (folder / "setl_d.parquet").write_bytes(b"other")
    assert store.altered(folder) == ["setl_d"]


def test_publishing_again_keeps_the_old_version_for_its_readers(tmp_path: Path) -> None:
    old = _publish(tmp_path, 1)
    new = _publish(tmp_path, 2, NOW + timedelta(seconds=1))
    assert store.current(tmp_path) == new
    assert store.versions(tmp_path) == [old.name, new.name]
    assert pq.read_table(old / "setl_d.parquet")["n"].to_pylist() == [1]


def test_the_same_content_in_the_same_second_is_the_same_version(tmp_path: Path) -> None:
    assert _publish(tmp_path, 1) == _publish(tmp_path, 1)
    assert len(store.versions(tmp_path)) == 1


def test_a_draft_leaves_nothing_behind_when_its_maker_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), store.draft(tmp_path):
        raise RuntimeError("broken")
    assert list((tmp_path / "versions").iterdir()) == []


def test_only_drafts_of_dead_processes_are_swept(tmp_path: Path) -> None:
    with store.draft(tmp_path) as mine:
        dead = mine.parent / ".draft-4194399-abc"
        dead.mkdir()
        assert store.sweep(tmp_path) == 1
        assert mine.exists()
        assert str(os.getpid()) in mine.name
    assert not dead.exists()


@pytest.mark.parametrize("text", ["../../etc", "20260102T030405Z-000000000000", ""])
def test_a_pointer_to_no_version_is_refused(tmp_path: Path, text: str) -> None:
    _publish(tmp_path, 1)
    (tmp_path / "CURRENT").write_text(text)
    with pytest.raises(OperatorError) as caught:
        store.current(tmp_path)
    assert caught.value.code == "warehouse.broken"
