"""A mapping that cannot be used is refused with every wrong place and what to do there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.warehouse.importing import import_warehouse
from gateway.warehouse.loading import in_order
from gateway.warehouse.mapping import MappingError, read_mapping

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _refused(folder: Path, text: str, files: dict[str, str] | None = None) -> str:
    for name, content in (files or {}).items():
        (folder / name).write_text(content, encoding="utf-8")
    mapping = folder / "m.yaml"
    mapping.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        import_warehouse(mapping, folder / "warehouse", NOW)
    assert not (folder / "warehouse" / "CURRENT").exists()
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sources:\n  a: [1", "is not valid YAML at line 2"),
        ("hello", "cannot be used"),
        ("sources: {}\ntables: {setl_x: {source: a}}", "tables.setl_x: no such table; known: psn_"),
        ("sources: {}\ntables: {setl_d: {source: a}}", "tables.setl_d.source: no source 'a'"),
        ("sources: {a: {files: x, enc: 1}}\ntables: {}", "sources.a.enc: there is no such field"),
        (
            "sources: {a: {files: x}}\ntables: {setl_d: {source: a, columns: {gend: {const: '1', "
            "from: x}}}}",
            "columns.gend: give exactly one of from, const, derive, lookup",
        ),
        (
            "sources: {}\ntables: {fee_list_d: {derive_table: shipped}}",
            "tables.fee_list_d.derive_table: possible here: none",
        ),
        ("tolerate: [R99]\nsources: {}\ntables: {}", "tolerate: R99 is not one of R01"),
        ("sources: {a: {files: x, header: false}}\ntables: {}", "needs `columns:"),
        (
            "sources: {a: {files: none*.csv}}\ntables: {admdvs_b: {source: a}}",
            "sources.a.files: nothing matches 'none*.csv'",
        ),
    ],
)
def test_a_wrong_document_names_the_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in _refused(tmp_path, text)


def test_all_places_that_do_not_fit_the_source_are_told_at_once(tmp_path: Path) -> None:
    text = """
sources: {a: {files: a.csv}}
tables:
  psn_info_b:
    source: a
    where: "age"
    columns:
      psn_no: PERSN
      gendr: SEX
      brdy: {derive: "birth(BORN)"}
      naty: {derive: "NOTHING + 1"}
"""
    message = _refused(tmp_path, text, {"a.csv": "PERSON,SEX,BORN\n1,1,1970-01-01\n"})
    for told in (
        "psn_info_b.columns.psn_no: source a has no column 'PERSN'; did you mean PERSON?",
        "psn_info_b.columns.gendr: no such column; did you mean gend?",
        "psn_info_b.columns: mandatory column gend (性别, sex) is unmapped",
        "psn_info_b.columns.brdy.derive: there is no function 'birth'",
        "psn_info_b.columns.naty.derive: the source has no column 'NOTHING'",
        "psn_info_b.where: the source has no column 'age'",
    ):
        assert told in message


@pytest.mark.parametrize(
    ("content", "told"),
    [("a,A\n1,2\n", "the column name 'a' twice or empty"), ("", "no readable header")],
)
def test_a_header_that_names_no_columns_is_refused(tmp_path: Path, content: str, told: str) -> None:
    text = "sources: {a: {files: a.csv}}\ntables: {admdvs_b: {source: a}}"
    assert told in _refused(tmp_path, text, {"a.csv": content})


def test_files_of_one_source_must_have_the_same_columns(tmp_path: Path) -> None:
    text = "sources: {a: {files: '*.csv'}}\ntables: {admdvs_b: {source: a}}"
    message = _refused(tmp_path, text, {"1.csv": "a,b\n", "2.csv": "a,c\n"})
    assert "2.csv has other columns than the files before it: b, c" in message


def test_tables_are_loaded_after_those_they_look_values_up_in(tmp_path: Path) -> None:
    look = "columns: {psn_no: {lookup: {table: %s, key: k, column: psn_no}}}"
    text = (
        "sources: {a: {files: x}}\ntables:\n"
        f"  setl_d: {{source: a, {look % 'mdtrt_d'}}}\n"
        f"  mdtrt_d: {{source: a, {look % 'psn_insu_d'}}}\n"
        "  psn_insu_d: {source: a}\n  setl_fund_d: {derive_table: from_settlements}\n"
    )
    (tmp_path / "m.yaml").write_text(text)
    order = in_order(read_mapping(tmp_path / "m.yaml"))
    assert order == ["psn_insu_d", "mdtrt_d", "setl_d", "setl_fund_d"]
    (tmp_path / "m.yaml").write_text(
        text.replace("psn_insu_d: {source: a}", f"psn_insu_d: {{source: a, {look % 'setl_d'}}}")
    )
    with pytest.raises(MappingError, match="circle"):
        in_order(read_mapping(tmp_path / "m.yaml"))
