"""`sluice deid`: three forms of file, spans of the original, all or nothing, clear errors."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import assemble
from gateway.errors import OperatorError
from gateway.freetext import documents
from gateway.freetext.documents import Document, find
from gateway.freetext.names import Profile
from tests.freetext_marks import BLIND, FRESH, STYLES, WARDS, Score, marked, score

NOTE = "患者王建国，身份证110105194912310020，其女王敏陪同。王建国否认过敏，电话138 0013 8000。"
OWN = ["赵志远", "志远", "赵书记", "赵 志 远"]
CLI = assemble(("deid",))


def run(source: Path, target: Path, *more: str) -> Result:
    return CliRunner().invoke(CLI, ["deid", "--in", str(source), "--out", str(target), *more])


def code(result: Result) -> str:
    assert isinstance(result.exception, OperatorError)
    return result.exception.code


def figures(path: Path, group: str, profile: Profile) -> Score:
    rows = [row for row in marked(path) if re.match(group, row.group)]
    found = find([Document(row.text) for row in rows], profile)
    return score(rows, [[(s.start, s.end) for s in spans if s.kind == "PERSON"] for spans in found])


def test_json_lines_tell_spans_of_the_original(tmp_path: Path) -> None:
    source, target = tmp_path / "notes.jsonl", tmp_path / "out.jsonl"
    known = {"PERSON": ["高山"]}
    rows = [{"id": "1", "text": NOTE}, {"id": 2, "text": "高山安睡", "known": known}]
    source.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert run(source, target, "--spans").exit_code == 0
    first, second = map(json.loads, target.read_text(encoding="utf-8").splitlines())
    told = {NOTE[start:end]: kind for start, end, kind in first["spans"]}
    assert told == {
        "王建国": "PERSON",
        "110105194912310020": "CN_ID",
        "王敏": "PERSON",
        "138 0013 8000": "PHONE",
    }
    assert first["text"] == (
        "患者[PERSON_1]，身份证[CN_ID_1]，其女[PERSON_2]陪同。[PERSON_1]否认过敏，电话[PHONE_1]。"
    )
    assert set(second) == {"id", "text", "spans"}
    start, end, kind = second["spans"][0]
    assert (start, kind) == (0, "PERSON")
    assert end >= 2  # a neighbouring word may be taken with it
    assert target.stat().st_mode & 0o077 == 0


def test_a_csv_keeps_only_what_is_asked(tmp_path: Path) -> None:
    source, target = tmp_path / "notes.csv", tmp_path / "out.csv"
    source.write_text('no,xm,memo\n1,安宁,"安宁今日好转,\n可下床"\n', encoding="utf-8")
    args = ("--text", "memo", "--keep", "no", "--known", "xm=PERSON")
    assert run(source, target, *args).exit_code == 0
    with target.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"no": "1", "memo": "[PERSON_1]今日好转,\n可下床"}]


def test_plain_text_is_one_document(tmp_path: Path) -> None:
    source, target = tmp_path / "note.txt", tmp_path / "out.txt"
    source.write_text(NOTE + "\r\n" + NOTE, encoding="utf-8")
    result = run(source, target, "--json")
    assert {row["kind"]: row["count"] for row in json.loads(result.stdout)}["PERSON"] == 6
    clean = target.read_bytes().decode()
    assert clean.count("[PERSON_1]") == 4
    assert "\r\n" in clean


@pytest.mark.parametrize(
    ("name", "content", "more", "expected"),
    [
        ("a.jsonl", '{"id":1,"text":"x"}\n{"id":2}', (), "DEID_LINE"),
        ("a.jsonl", '{"id":1,"text":"x","name":"王建国"}', (), "DEID_LINE"),
        ("a.jsonl", "not json", (), "DEID_LINE"),
        ("a.jsonl", '{"id":1,"text":"x","known":{"PERSON":["王"]}}', (), "FREETEXT_KNOWN_VALUE"),
        ("a.csv", "a,b\n1,2\n", (), "DEID_COLUMNS"),
        ("a.csv", "a,b\n1,2\n", ("--text", "c"), "DEID_COLUMNS"),
        ("a.csv", "a,b\n1,2,3\n", ("--text", "a"), "DEID_LINE"),
        ("a.txt", "x", ("--spans",), "DEID_SPANS"),
        ("a.txt", "x", ("--profile", "loose"), "DEID_PROFILE"),
        ("a.docx", "x", (), "DEID_FORM"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    tmp_path: Path, name: str, content: str, more: tuple[str, ...], expected: str
) -> None:
    source, target = tmp_path / name, tmp_path / "out"
    source.write_text(content, encoding="utf-8")
    target.write_text("before", encoding="utf-8")
    assert code(run(source, target, *more)) == expected
    assert target.read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, "out"})


def test_a_recogniser_that_fails_lets_nothing_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise OperatorError("FREETEXT_MODEL_MISSING", "the name model is not installed")

    monkeypatch.setattr(documents, "tagger", gone)
    source, target = tmp_path / "note.txt", tmp_path / "out.txt"
    source.write_text(NOTE, encoding="utf-8")
    assert code(run(source, target)) == "FREETEXT_MODEL_MISSING"
    assert not target.exists()


def test_a_text_over_the_limit_is_refused() -> None:
    with pytest.raises(OperatorError, match="over the limit"):
        find([Document("无" * (documents.LONGEST + 1))])


def test_not_utf8_is_said(tmp_path: Path) -> None:
    source = tmp_path / "note.txt"
    source.write_bytes("患者".encode("gb18030"))
    assert code(run(source, tmp_path / "out.txt")) == "DEID_NOT_UTF8"


@pytest.mark.parametrize(
    ("path", "group", "profile", "cover", "relevant"),
    [
        (WARDS, "C", "default", 0.92, 0.94),
        (WARDS, "C", "strict", 0.93, 0.84),
        (BLIND, "C", "default", 0.96, 0.94),
        (BLIND, "O", "default", 0.93, 0.88),
        (BLIND, "C", "strict", 0.97, 0.85),
        (BLIND, "O", "strict", 0.95, 0.76),
        (FRESH, "C", "default", 0.98, 0.92),
        (FRESH, "O", "default", 0.94, 0.84),
        (FRESH, "C", "strict", 0.99, 0.78),
        (FRESH, "O", "strict", 0.99, 0.7),
        (STYLES, "C", "default", 0.88, 0.93),
        (STYLES, "O", "default", 0.9, 0.9),
        (STYLES, "C", "strict", 0.97, 0.84),
        (STYLES, "O", "strict", 0.95, 0.83),
        (STYLES, ".-nick", "default", 0.92, 0.92),
        (STYLES, ".-glued", "strict", 0.8, 0.9),
    ],
)
def test_names_stay_as_well_found_as_the_page_says(
    path: Path, group: str, profile: Profile, cover: float, relevant: float
) -> None:
    told = figures(path, group, profile)
    assert told.cover >= cover, told
    assert told.relevant >= relevant, told


def test_a_document_is_consistent_about_its_persons() -> None:
    text = "投诉人赵志远，电话不详。志远说材料已交。赵书记也在场，请回复赵 志 远本人。"
    known = find([Document(text, {"PERSON": ["赵志远"]})])[0]
    told = [text[span.start : span.end] for span in known if span.kind == "PERSON"]
    # A neighbouring word may be taken with a name, none of a name is left.
    assert [each[: len(name)] for each, name in zip(told, OWN, strict=True)] == OWN


def test_strict_takes_places_and_organisations_too() -> None:
    text = "患者王建国从乌鲁木齐转来，在北京大学第一医院手术。"
    kinds = {text[span.start : span.end]: span.kind for span in find([Document(text)], "strict")[0]}
    assert kinds["王建国"] == "PERSON"
    assert kinds["乌鲁木齐"] == "LOCATION"
    assert kinds["北京大学第一医院"] == "ORGANISATION"
    assert {span.kind for span in find([Document(text)])[0]} == {"PERSON"}


def test_a_sentence_that_repeats_is_marked_in_every_document() -> None:
    found = find([Document(NOTE), Document("。"), Document(f"无。{NOTE}")])
    assert found[1] == []
    assert [(s.start + 2, s.end + 2, s.kind) for s in found[0]] == [s[:3] for s in found[2]]


def test_presidio_takes_the_recogniser() -> None:
    pytest.importorskip("presidio_analyzer")
    from gateway.freetext.presidio import SluiceRecognizer  # noqa: PLC0415 -- an extra

    found = SluiceRecognizer().analyze(NOTE, ["PERSON", "PHONE"])
    told = {(each.entity_type, NOTE[each.start : each.end]) for each in found}
    people = {("PERSON", "王建国"), ("PERSON", "王敏")}
    assert told == people | {("PHONE", "138 0013 8000")}
