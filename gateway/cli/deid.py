"""`sluice deid`: free text of a file without the persons in it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gateway.cli.office import Json, show
from gateway.errors import OperatorError
from gateway.freetext.documents import Document, find, replace
from gateway.freetext.names import Profile
from gateway.freetext.scanner import Span

BATCH = 512
FIELDS = {"id", "text", "known"}
FORMS = (".jsonl", ".csv", ".txt")


class Columns(NamedTuple):
    """What the columns of a CSV are: free texts, columns to keep, and kind by known column."""

    texts: list[str]
    kept: list[str]
    known: dict[str, str]


class Job(NamedTuple):
    """How a file is read and cleaned, and what was counted so far."""

    profile: Profile
    spans: bool
    columns: Columns
    counts: Counter[str]


def verb(
    *,
    source: Annotated[
        Path,
        typer.Option("--in", help=".jsonl, .csv or .txt (UTF-8).", exists=True, dir_okay=False),
    ],
    target: Annotated[Path, typer.Option("--out", help="Written whole or not at all.")],
    profile: Annotated[str, typer.Option(help="default, or strict: masks more.")] = "default",
    spans: Annotated[bool, typer.Option("--spans", help="Tell where; not for .txt.")] = False,
    text: Annotated[list[str] | None, typer.Option(help="CSV: a column of free text.")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="CSV: a column written as it is.")] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(help="CSV: COLUMN=KIND, the row's own value, e.g. xm=PERSON."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Replace identifiers and persons' names by [KIND_n]; print how many of each kind."""
    chosen = _profile(profile)
    if source.resolve() == target.resolve():
        raise OperatorError("DEID_SAME_FILE", "--in and --out are one file; give another --out")
    columns = Columns(text or [], keep or [], dict(_pair(each) for each in known or []))
    form = _form(source, spans, columns)
    job = Job(chosen, spans, columns, Counter())
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            for piece in _written(form, source, job):
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    except UnicodeDecodeError as error:
        raise OperatorError("DEID_NOT_UTF8", f"{source.name} is not UTF-8") from error
    except OSError as error:
        raise OperatorError("DEID_FILE", f"{error.strerror}: {error.filename or target}") from error
    finally:
        draft.unlink(missing_ok=True)
    show(
        [{"kind": k, "count": n} for k, n in sorted(job.counts.items())], ("kind", "count"), as_json
    )


def _profile(name: str) -> Profile:
    if name == "default":
        return "default"
    if name == "strict":
        return "strict"
    raise OperatorError("DEID_PROFILE", f"there is no profile {name!r}: default or strict")


def _pair(text: str) -> tuple[str, str]:
    column, equals, kind = text.partition("=")
    if not (column and equals and kind.isupper() and kind.replace("_", "").isalpha()):
        raise OperatorError("DEID_KNOWN", f"--known {text!r}: write COLUMN=KIND, e.g. xm=PERSON")
    return column, kind


def _form(source: Path, spans: bool, columns: Columns) -> str:
    form = source.suffix.lower()
    if form not in FORMS:
        raise OperatorError("DEID_FORM", f"{source.name}: the name must end in {', '.join(FORMS)}")
    if form == ".csv" and not columns.texts:
        raise OperatorError("DEID_COLUMNS", "a CSV needs --text COLUMN, once for each free text")
    if form != ".csv" and any(columns):
        raise OperatorError("DEID_COLUMNS", "--text, --keep and --known are for CSV")
    if form == ".txt" and spans:
        raise OperatorError("DEID_SPANS", "--spans has no place in plain text; use .jsonl")
    return form


def _written(form: str, source: Path, job: Job) -> Iterator[str]:
    with source.open(encoding="utf-8-sig", newline="") as file:
        if form == ".jsonl":
            yield from _json_lines(file, job)
        elif form == ".csv":
            yield from _csv(file, job)
        else:
            text = file.read()
            yield _cleaned([Document(text)], job)[0][0]


def _cleaned(documents: list[Document], job: Job) -> list[tuple[str, list[Span]]]:
    found = find(documents, job.profile)
    job.counts["documents"] += len(documents)
    job.counts["characters"] += sum(len(document.text) for document in documents)
    job.counts.update(span.kind for spans in found for span in spans)
    return [
        (replace(document.text, spans), spans)
        for document, spans in zip(documents, found, strict=True)
    ]


def _told(spans: list[Span]) -> list[list[int | str]]:
    return [[span.start, span.end, span.kind] for span in spans]


def _json_lines(file: io.TextIOBase, job: Job) -> Iterator[str]:
    batch: list[tuple[object, Document]] = []
    for number, line in enumerate(file, 1):
        if line.strip():
            batch.append(_record(number, line))
        if len(batch) == BATCH:
            yield from _lines(batch, job)
            batch = []
    yield from _lines(batch, job)


def _record(number: int, line: str) -> tuple[object, Document]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise OperatorError("DEID_LINE", f"line {number} is not JSON") from error
    if not isinstance(record, dict) or not {"id", "text"} <= set(record) <= FIELDS:
        raise OperatorError(
            "DEID_LINE", f'line {number} must be {{"id", "text"}} and at most "known" beside them'
        )
    text, known = record["text"], record.get("known", {})
    if not isinstance(text, str) or not isinstance(record["id"], str | int):
        raise OperatorError(
            "DEID_LINE", f"line {number}: text must be a string, id one or a number"
        )
    if not isinstance(known, dict) or not all(
        isinstance(values, list) and all(isinstance(value, str) for value in values)
        for values in known.values()
    ):
        raise OperatorError("DEID_LINE", f"line {number}: known must map a kind to a list of texts")
    return record["id"], Document(text, known)


def _lines(batch: list[tuple[object, Document]], job: Job) -> Iterator[str]:
    cleaned = _cleaned([document for _, document in batch], job)
    for (name, _), (text, found) in zip(batch, cleaned, strict=True):
        record = {"id": name, "text": text} | ({"spans": _told(found)} if job.spans else {})
        yield json.dumps(record, ensure_ascii=False) + "\n"


def _csv(file: io.TextIOBase, job: Job) -> Iterator[str]:
    columns = job.columns
    reader = csv.DictReader(file, strict=True)
    names = reader.fieldnames or []
    lacking = {*columns.texts, *columns.kept, *columns.known} - set(names)
    if lacking:
        raise OperatorError("DEID_COLUMNS", f"the CSV has no column {', '.join(sorted(lacking))}")
    if set(columns.kept) & set(columns.texts):
        raise OperatorError("DEID_COLUMNS", "a column is either --text or --keep")
    told = [f"{name}_spans" for name in columns.texts] if job.spans else []
    page = io.StringIO()
    writer = csv.DictWriter(page, [*columns.kept, *columns.texts, *told], lineterminator="\n")
    writer.writeheader()
    batch: list[dict[str, str]] = []
    for row in reader:
        if None in row or None in row.values():
            raise OperatorError(
                "DEID_LINE", f"line {reader.line_num} has other columns than line 1"
            )
        batch.append(row)
        if len(batch) == BATCH:
            writer.writerows(_rows(batch, job))
            batch = []
            yield page.getvalue()
            page.seek(0)
            page.truncate()
    writer.writerows(_rows(batch, job))
    yield page.getvalue()


def _rows(batch: list[dict[str, str]], job: Job) -> list[dict[str, str]]:
    rows = [{name: row[name] for name in job.columns.kept} for row in batch]
    for column in job.columns.texts:
        documents = [Document(row[column], _own(row, job.columns.known)) for row in batch]
        for out, (text, found) in zip(rows, _cleaned(documents, job), strict=True):
            out[column] = text
            if job.spans:
                out[f"{column}_spans"] = json.dumps(_told(found))
    return rows


def _own(row: dict[str, str], known: dict[str, str]) -> dict[str, list[str]]:
    own: dict[str, list[str]] = {}
    for column, kind in known.items():
        own.setdefault(kind, []).append(row[column])
    return own
