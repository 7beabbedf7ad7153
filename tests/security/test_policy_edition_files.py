"""What is pushed as an edition comes from outside: bounded, of known form, kept in its place."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.policy.contents import (
    LARGEST_ARCHIVE,
    LARGEST_FILE,
    MOST_FILES,
    PolicyFiles,
    gather,
    open_archive,
    read_folder,
    unpack,
)
from gateway.settings import Settings

RULE = {"a/a.rego": b"package a\n"}


def archive(files: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """A gzipped tar archive of these files and odd entries."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        for entry in more:
            made.addfile(entry)
    return held.getvalue()


def odd(kind: bytes, name: str = "data/x.yaml", link: str = "../../etc/passwd") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def code_of(packed: bytes) -> str:
    with pytest.raises(OperatorError) as refused:
        open_archive(packed)
    return refused.value.code


def test_the_projects_own_policies_are_an_edition_by_every_road(tmp_path: Path) -> None:
    policies = Settings().policies
    files = gather(policies)
    assert files == read_folder(policies) == open_archive(files.archive()) == unpack(files.packed())
    with files.laid_out() as folder:
        assert gather(folder) == files
    assert not folder.exists()
    assert "staff/operations.yaml" not in files.texts


@pytest.mark.parametrize(
    "name",
    [
        "../a/a.rego",
        "/a/a.rego",
        "a/../../b.rego",
        "a//a.rego",
        "./../a.rego",
        "data/../../../x.yaml",
        "staff/../../x.rego",
        "README.md/../../x",
        "a.rego",
        "a/a.rego.exe",
        "a/A\x1b[31m.rego",
        "data/x.yml",
        "data/.hidden.yaml",
        "catalogue/S02/x.py",
        "catalogue/S02/x.csv",
        "catalogue/S02/codes_X.csv",
        "catalogue/S02/lists/codes_x.csv",
        "data/codes_x.csv",
        "bin/tool",
        "a/" * 9 + "a.rego",
        "a/a\n.rego",
    ],
)
def test_a_file_that_has_no_place_is_refused_by_name(name: str) -> None:
    with pytest.raises(OperatorError) as refused:
        open_archive(archive({**RULE, name: b""}))
    assert refused.value.code == "edition.file_form"
    assert "\x1b" not in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("name", ["catalogue/codes_x.csv", "catalogue/S29/codes_own_1.csv"])
def test_code_lists_of_the_catalogue_are_part_of_an_edition(name: str) -> None:
    files = [open_archive(archive({**RULE, name: text})) for text in (b"code\n", b"code,\n")]
    assert name in files[0].texts
    assert files[0].name != files[1].name


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(kind: bytes) -> None:
    assert code_of(archive(RULE, odd(kind))) == "edition.symlink"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(kind: bytes) -> None:
    assert code_of(archive(RULE, odd(kind))) == "edition.file_form"


def test_links_in_a_folder_are_refused_to_files_and_to_folders(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"x.yaml": b"a: 1"})
    for name, target in (("one", outside / "x.yaml"), ("all", outside)):
        folder = write(tmp_path / name, RULE)
        (folder / "data").symlink_to(target)
        with pytest.raises(OperatorError) as refused:
            gather(folder)
        assert refused.value.code == "edition.symlink"


def test_a_pipe_in_a_folder_does_not_hold_anybody_up(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", RULE)
    os.mkfifo(folder / "a" / "b.rego")
    with pytest.raises(OperatorError) as refused:
        gather(folder)
    assert refused.value.code == "edition.file_form"


def test_sizes_are_bounded(tmp_path: Path) -> None:
    large = b"#" * (LARGEST_FILE + 1)
    full = b"#" * LARGEST_FILE
    many = {f"a/a{number}.rego": b"" for number in range(MOST_FILES + 1)}
    heavy = {f"a/a{number}.rego": full for number in range(17)}
    for files, code in (
        ({"a/a.rego": large}, "edition.too_large"),
        (many, "edition.too_many_files"),
        (heavy, "edition.too_large"),
        ({"data/x.yaml": b"a: 1"}, "edition.empty"),
        ({"a/a.rego": b"\xff\xfe"}, "edition.file_form"),
    ):
        assert code_of(archive(files)) == code
        with pytest.raises(OperatorError) as refused:
            gather(write(tmp_path / f"{code}{len(files)}", files))
        assert refused.value.code == code


def test_one_name_twice_is_refused() -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as made:
        for content in (b"package a", b"package a\ndefault x := 1"):
            entry = tarfile.TarInfo("a/a.rego")
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    assert code_of(held.getvalue()) == "edition.file_form"


def test_a_bomb_ends_before_it_is_in_memory() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=9)
    assert len(bomb) < LARGEST_ARCHIVE
    tracemalloc.start()
    assert code_of(bomb) == "edition.too_large"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40_000_000


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_inside_headers_are_no_archive(kind: bytes) -> None:
    header = odd(kind, "././@LongLink", "")
    header.size = 2
    nested = (header.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")) * 5000
    packed = gzip.compress(nested + b"\0" * 1024)
    assert len(packed) < 50_000
    assert code_of(packed) == "edition.archive"


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-1".ljust(12)])
@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"g", b"S", b"5", b"\0"])
def test_an_impossible_size_is_no_archive(size: bytes, kind: bytes) -> None:
    header = bytearray(odd(kind, "a/a.rego", "").tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[148:156] = size, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert code_of(gzip.compress(bytes(header) + b"\0" * 1024)).startswith("edition.")


def test_an_archive_larger_than_the_bound_is_not_opened() -> None:
    assert code_of(os.urandom(LARGEST_ARCHIVE + 1)) == "edition.too_large"


@given(packed=st.binary(max_size=400))
def test_anything_at_all_is_an_edition_or_one_clear_error(packed: bytes) -> None:
    for made in (packed, gzip.compress(packed)):
        assert code_of(made).startswith("edition.")
        with pytest.raises(OperatorError):
            unpack(made)


@given(cut=st.integers(0, 400), flip=st.integers(0, 255))
def test_an_archive_damaged_anywhere_is_whole_or_refused(cut: int, flip: int) -> None:
    packed = bytearray(archive({**RULE, "data/x.yaml": b"a: 1\n"}))
    place = cut % len(packed)
    packed[place] ^= flip
    with suppress(OperatorError):
        assert set(open_archive(bytes(packed)).texts) <= {"a/a.rego", "data/x.yaml"}


def test_what_is_stored_is_bounded_when_it_is_read_again() -> None:
    with pytest.raises(OperatorError, match="damaged"):
        unpack(gzip.compress(b"{}"))
    with pytest.raises(OperatorError):
        unpack(PolicyFiles({"../x.rego": "package x"}).packed())
