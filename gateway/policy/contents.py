"""The files of a policies folder that decide: which they are, their bounds, and their one name.

An edition of the policy is known by the hash of these files, wherever they lie. What comes from
outside (a folder to be pushed, an archive) is taken only whole, of known form and bounded size.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.errors import OperatorError

MOST_FILES = 1000
LARGEST_FILE = 512 * 1024
LARGEST_WHOLE = 8 * 1024 * 1024
LARGEST_ARCHIVE = 512 * 1024
NAME_LENGTH = 12

_DECIDING = re.compile(
    r"([a-z0-9_]+/){1,4}[a-z0-9_]+\.rego"
    r"|data/([a-z0-9_]+/){0,4}[A-Za-z0-9_-]+\.(yaml|json)"
    r"|schemas/[a-z0-9_]+\.json"
    r"|catalogue/(S\d\d/)?([a-z0-9_]+\.(yaml|sql)|codes_[a-z0-9_]+\.csv)"
    r"|person/[a-z0-9_]+\.yaml",
    re.ASCII,
)
_ASIDE = re.compile(r"(staff|billing|detection)/.*|([^/]+/)*[^/]+\.md")
"""Of the installation, not of the policy: duties, terms of bills, rules of detection, notes."""


@dataclass(frozen=True)
class PolicyFiles:
    """The deciding files by their path inside the folder."""

    texts: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 over all paths and texts; equal files, equal digest."""
        return hashlib.sha256(self._canonical()).hexdigest()

    @property
    def name(self) -> str:
        """What the edition is called: the beginning of its digest."""
        return self.digest[:NAME_LENGTH]

    def packed(self) -> bytes:
        """The files as they are stored."""
        return zlib.compress(self._canonical(), level=9)

    def archive(self) -> bytes:
        """The files as a gzipped tar archive, the form in which a folder is sent."""
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            for path, text in sorted(self.texts.items()):
                content = text.encode()
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        return held.getvalue()

    @contextmanager
    def laid_out(self) -> Iterator[Path]:
        """The files in a folder of their own, which is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="sluice-edition-") as root:
            for path, text in self.texts.items():
                place = Path(root, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="")
            yield Path(root)

    def _canonical(self) -> bytes:
        return orjson.dumps(dict(self.texts), option=orjson.OPT_SORT_KEYS)


def unpack(packed: bytes) -> PolicyFiles:
    """Stored files; raises `OperatorError` when they are not what `packed` made."""
    opener = zlib.decompressobj()
    try:
        plain = opener.decompress(packed, 2 * LARGEST_WHOLE)
        texts = orjson.loads(plain) if opener.eof else None
    except (zlib.error, orjson.JSONDecodeError):
        texts = None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise OperatorError("edition.content", "The stored files of this edition are damaged.")
    files = _Collected()
    for path, text in texts.items():
        files.add(path, text.encode())
    return files.whole()


def read_folder(folder: Path) -> PolicyFiles:
    """The deciding files of a folder in use; anything else that lies there is not looked at."""
    found = {
        path: place.read_text(encoding="utf-8")
        for place in sorted(folder.rglob("*"))
        if _DECIDING.fullmatch(path := place.relative_to(folder).as_posix()) and place.is_file()
    }
    return PolicyFiles(found)


def gather(folder: Path) -> PolicyFiles:
    """The files of a folder to be pushed; raises `OperatorError` naming what cannot be taken."""
    files, seen = _Collected(), 0
    if not folder.is_dir():
        raise OperatorError("edition.folder", f"There is no folder {folder.name}.")
    for place in folder.rglob("*"):
        path = place.relative_to(folder).as_posix()
        seen += 1
        if seen > 4 * MOST_FILES:
            raise _too_many()
        if place.is_symlink():
            raise OperatorError("edition.symlink", f"{path} is a link; put the file there itself.")
        if place.is_dir():
            continue
        if not place.is_file():
            raise OperatorError("edition.file_form", f"{path} is no ordinary file.")
        if files.wants(path, place.stat().st_size):
            files.add(path, place.read_bytes())
    return files.whole()


def open_archive(packed: bytes) -> PolicyFiles:
    """The files of a gzipped tar archive, read without ever unpacking it to disk."""
    if len(packed) > LARGEST_ARCHIVE:
        raise OperatorError("edition.too_large", "The archive is larger than 512 KiB.")
    opener = zlib.decompressobj(wbits=31)
    files = _Collected()
    try:
        # Bounded before tarfile sees it: a bomb ends here, not in memory.
        plain = opener.decompress(packed, LARGEST_WHOLE + 2048 * MOST_FILES)
        if not opener.eof:
            raise OperatorError("edition.too_large", "The archive is cut off, or far too large.")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for count, entry in enumerate(archive):
                _take(files, archive, entry, count)
    except OperatorError:
        raise
    except Exception as error:
        raise OperatorError("edition.archive", "This is no gzipped tar archive.") from error
    return files.whole()


def _take(files: _Collected, archive: tarfile.TarFile, entry: tarfile.TarInfo, count: int) -> None:
    if count > 4 * MOST_FILES:
        raise _too_many()
    if entry.size < 0:
        raise ValueError("a size below zero")
    path = entry.name.removeprefix("./")
    if entry.isdir():
        return
    if entry.issym() or entry.islnk():
        raise OperatorError("edition.symlink", f"{_shown(path)} is a link; send the file itself.")
    if not entry.isreg() or entry.issparse():
        raise OperatorError("edition.file_form", f"{_shown(path)} is no ordinary file.")
    if files.wants(path, entry.size):
        content = archive.extractfile(entry)
        files.add(path, content.read(LARGEST_FILE + 1) if content else b"")


class _Collected:
    """Files as they come in, each checked, their number and size counted."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._size = 0

    def wants(self, path: str, size: int) -> bool:
        """Whether this file is part of an edition; one that cannot be is refused."""
        if _ASIDE.fullmatch(path) and ".." not in path:
            return False
        if not _DECIDING.fullmatch(path):
            raise OperatorError(
                "edition.file_form",
                f"{_shown(path)} has no place in an edition: rules (*.rego), data/, schemas/, "
                "catalogue/ and person/ have.",
            )
        if size > LARGEST_FILE:
            raise OperatorError("edition.too_large", f"{path} is larger than 512 KiB.")
        return True

    def add(self, path: str, content: bytes) -> None:
        """Take one file's content."""
        self.wants(path, len(content))
        if path in self._texts:
            raise OperatorError("edition.file_form", f"{path} occurs twice.")
        try:
            self._texts[path] = content.decode()
        except UnicodeDecodeError as error:
            raise OperatorError("edition.file_form", f"{path} is not UTF-8 text.") from error
        self._size += len(content)
        if self._size > LARGEST_WHOLE:
            raise OperatorError("edition.too_large", "The files are larger than 8 MiB together.")
        if len(self._texts) > MOST_FILES:
            raise _too_many()

    def whole(self) -> PolicyFiles:
        if not any(path.endswith(".rego") for path in self._texts):
            raise OperatorError(
                "edition.empty", "There is no rule file; is this a policies folder?"
            )
        return PolicyFiles(self._texts)


def _too_many() -> OperatorError:
    return OperatorError("edition.too_many_files", f"An edition has at most {MOST_FILES} files.")


def _shown(path: str) -> str:
    """A stranger's file name, short and without anything that a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in path[:120])
