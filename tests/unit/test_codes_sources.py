"""A folder that is not in order becomes no bundle, and its fault is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.codes.sources import SourceError, read_source
from tests.codes_world import FILES, declared, folder_of

HEAD = "code,title_zh,title_en,parent,valid_from,valid_to\n"
LINES = "source,target,relationship,weight,note\n"


def test_the_hand_made_folder_is_in_order(tmp_path: Path) -> None:
    source = read_source(folder_of(tmp_path))
    assert [len(codes) for codes in source.concepts] == [2, 4, 2, 0]
    assert [len(pairs) for pairs in source.pairs] == [3, 2]


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("codes_twice", {"old_csv": HEAD + "A1,甲,,,,\nＡ１,乙,,,,\n"}),
        ("codes_malformed", {"old_csv": HEAD + "A10,甲,,,,\n"}),
        ("codes_malformed", {"old_csv": HEAD + "A1,甲\x07,,,,\n"}),
        ("codes_malformed", {"old_csv": HEAD + ",甲,,,,\n"}),
        ("codes_days", {"old_csv": HEAD + "A1,甲,,,2025-02-01,2025-01-01\n"}),
        ("codes_days", {"old_csv": HEAD + "A1,甲,,,20250201,\n"}),
        ("codes_empty", {"old_csv": HEAD}),
        ("codes_columns", {"old_csv": "code,title_zh\nA1,甲\n"}),
        ("codes_columns", {"old_csv": HEAD + "A1,甲\n"}),
        ("map_unlisted", {"map_csv": LINES + "A1,B9,wider,,\n"}),
        ("map_unlisted", {"map_csv": LINES + "B1,B1,wider,,\n"}),
        ("map_malformed", {"map_csv": LINES + "A1,B1,bigger,,\n"}),
        ("map_malformed", {"map_csv": LINES + "A1,B1,wider,,\nA1,B1,equal,,\n"}),
        ("map_weight", {"map_csv": LINES + "A1,B1,narrower,0.7,\nA1,B2,narrower,0.2,\n"}),
        ("map_weight", {"map_csv": LINES + "A1,B1,narrower,1,\nA1,B2,narrower,,\n"}),
        ("map_weight", {"map_csv": LINES + "A1,B1,narrower,NaN,\n"}),
        ("map_weight", {"map_csv": LINES + "A1,B1,narrower,ein,\n"}),
    ],
)
def test_a_faulty_file_is_named(tmp_path: Path, code: str, files: dict[str, str]) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(folder_of(tmp_path, None, **files))
    assert caught.value.code == code
    assert "甲" not in caught.value.message


def withheld_with_codes(told: dict[str, Any]) -> None:
    told["lists"][3]["codes"] = {"S1": "机密"}


def served_though_not_to_be(told: dict[str, Any]) -> None:
    told["lists"][2]["republish"] = False


def twice(told: dict[str, Any]) -> None:
    told["lists"].append(told["lists"][0])


def without_notice(told: dict[str, Any]) -> None:
    del told["lists"][0]["notice"]


def backwards(told: dict[str, Any]) -> None:
    told["lists"][0]["valid_from"] = "2025-06-01"


def no_pattern(told: dict[str, Any]) -> None:
    told["lists"][0]["pattern"] = "["


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("codes_invalid", withheld_with_codes),
        ("codes_invalid", served_though_not_to_be),
        ("codes_invalid", without_notice),
        ("codes_invalid", backwards),
        ("codes_twice", twice),
        ("codes_unreadable", no_pattern),
    ],
)
def test_a_faulty_declaration_is_named(
    tmp_path: Path, code: str, change: Callable[[dict[str, Any]], None]
) -> None:
    told = declared()
    change(told)
    with pytest.raises(SourceError) as caught:
        read_source(folder_of(tmp_path, told))
    assert caught.value.code == code


def test_a_folder_without_lists_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read_source(tmp_path)
    (folder_of(tmp_path / "x") / "map.csv").unlink()
    with pytest.raises(SourceError, match="UTF-8"):
        read_source(tmp_path / "x")
    assert "map.csv" in FILES
