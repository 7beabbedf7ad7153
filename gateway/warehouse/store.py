"""Versions of the warehouse on disk and the pointer to the current one, switched atomically.

`versions/<version>/` is written completely and flushed before `CURRENT` is replaced, so a reader
sees one whole version or the other, and a crash at any instant leaves the old one current.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq

from gateway.errors import OperatorError

_DRAFT = ".draft-"
_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_BLOCK = 1 << 20


def current(root: Path) -> Path:
    """The folder of the current version; OperatorError `warehouse.none` if there is none."""
    try:
        version = (root / "CURRENT").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise _none() from None
    folder = root / "versions" / version
    if not _VERSION.fullmatch(version) or not (folder / "manifest.json").exists():
        raise OperatorError(
            "warehouse.broken",
            "CURRENT names a warehouse version that does not exist; simulate or import again.",
            "CURRENT 指向的仓库版本不存在，请重新模拟或导入。",
        )
    return folder


def _none() -> OperatorError:
    return OperatorError(
        "warehouse.none",
        "There is no warehouse yet; run `sluice warehouse simulate` or `sluice warehouse import`.",
        "尚无仓库，请先运行 sluice warehouse simulate 或 import。",
    )


def versions(root: Path) -> list[str]:
    """Names of the complete versions, oldest first."""
    folder = root / "versions"
    if not folder.exists():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if _VERSION.fullmatch(entry.name) and (entry / "manifest.json").exists()
    )


@contextmanager
def draft(root: Path) -> Iterator[Path]:
    """A scratch folder on the same disk, for a version in the making; removed in any case."""
    folder = root / "versions" / f"{_DRAFT}{os.getpid()}-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> int:
    """Remove drafts whose process is gone (killed); how many were removed."""
    removed = 0
    for entry in (root / "versions").glob(f"{_DRAFT}*"):
        owner = entry.name.removeprefix(_DRAFT).split("-")[0]
        if not (owner.isdigit() and _alive(int(owner))):
            shutil.rmtree(entry, ignore_errors=True)
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def publish(root: Path, tables: Path, source: Mapping[str, object], now: datetime) -> Path:
    """Make the finished folder `tables` the current version; its new place.

    `tables` must lie on the same file system as `root` (see `draft`). `source` says where the
    data came from and goes into the manifest as it is.
    """
    manifest = _manifest(tables, source, now)
    version = f"{now:%Y%m%dT%H%M%SZ}-{str(manifest['content'])[:12]}"
    target = root / "versions" / version
    _write(tables / "manifest.json", json.dumps({"version": version, **manifest}, indent=1))
    for file in tables.iterdir():
        _flush(file)
    _flush(tables)
    if target.exists():  # the same content published twice within one second
        shutil.rmtree(tables)
    else:
        tables.rename(target)
    _flush(target.parent)
    _point(root, version)
    return target


def _manifest(folder: Path, source: Mapping[str, object], now: datetime) -> dict[str, object]:
    tables = {
        file.stem: {
            "sha256": _sha256(file),
            "rows": pq.read_metadata(file).num_rows,
            "bytes": file.stat().st_size,
        }
        for file in sorted(folder.glob("*.parquet"))
    }
    others = {
        file.name: {"sha256": _sha256(file), "bytes": file.stat().st_size}
        for file in sorted(folder.iterdir())
        if file.suffix != ".parquet" and file.name != "manifest.json"
    }
    hashes = json.dumps({**tables, **others}, sort_keys=True).encode()
    return {
        "created": now.isoformat(timespec="seconds"),
        "content": hashlib.sha256(hashes).hexdigest(),
        "source": dict(source),
        "tables": tables,
        "files": others,
    }


def _point(root: Path, version: str) -> None:
    fresh = root / f".CURRENT-{uuid4().hex[:8]}"
    _write(fresh, version + "\n")
    fresh.replace(root / "CURRENT")
    _flush(root)


def _write(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def altered(folder: Path) -> list[str]:
    """Tables of a version whose file no longer has the hash its manifest states."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [
        name
        for name, entry in manifest["tables"].items()
        if not (folder / f"{name}.parquet").exists()
        or _sha256(folder / f"{name}.parquet") != entry["sha256"]
    ]
