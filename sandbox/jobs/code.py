"""Code as it comes in: an archive of plain files, unpacked once, kept under its digest."""

from __future__ import annotations

import hashlib
import io
import secrets
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from sandbox.jobs.book import JobError

_MOST_BYTES: Final = 32 << 20
_MOST_FILES: Final = 1_000
_MOST_DEPTH: Final = 8


class CodeStore:
    """Unpacked code by the SHA-256 of its archive; the same archive is kept once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, archive: bytes) -> str:
        """Unpack a ZIP archive; its digest. JobError `bad_code` says what is wrong with it."""
        digest = hashlib.sha256(archive).hexdigest()
        if self.folder(digest).exists():
            return digest
        partial = self._root / f".{digest}-{secrets.token_hex(4)}"
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                _unpack(opened, partial)
            partial.replace(self.folder(digest))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise JobError("bad_code", f"The archive cannot be read: {error}") from None
        except OSError:
            if not self.folder(digest).exists():  # another kept the same just now
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return digest

    def folder(self, digest: str) -> Path:
        """Where the code of a digest lies."""
        return self._root / digest


def packed(folder: Path) -> bytes:
    """A folder's plain files as an archive, the same bytes for the same files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            if "__pycache__" not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _unpack(archive: zipfile.ZipFile, target: Path) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_FILES:
        raise JobError("bad_code", f"The archive has more than {_MOST_FILES} files.")
    target.mkdir(mode=0o755)
    room = _MOST_BYTES
    for entry in entries:
        at = target / _path(entry)
        at.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed_file:
            content = packed_file.read(room + 1)  # what it says of its size is not believed
        room -= len(content)
        if room < 0:
            raise JobError("bad_code", f"Unpacked, the code is more than {_MOST_BYTES >> 20} MiB.")
        if at.exists():
            raise JobError("bad_code", "A path stands twice in the archive.")
        at.write_bytes(content)
        at.chmod(0o644)


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(entry.filename)
    mode = entry.external_attr >> 16
    plain = not mode or stat.S_IFMT(mode) in {0, stat.S_IFREG}
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in entry.filename
    if not (plain and inside and 0 < len(path.parts) <= _MOST_DEPTH):
        raise JobError("bad_code", "The archive holds something else than files of plain paths.")
    return path
