"""How exports read over HTTP: kick-off parameters, manifest, and files by range (RFC 9110 §14)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from email.utils import format_datetime
from pathlib import Path
from typing import Final

import anyio
import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request

from gateway.errors import BadRequest, SluiceError
from gateway.exports.model import Failure, Form, Job, form_of
from gateway.exports.model import File as Made
from gateway.exports.office import FORMAT, SINCE, Wanted
from gateway.serving.questions import sets_disclosure
from gateway.serving.reasons import reason

_CHUNK: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_LEVEL: Final = re.compile(r"[0-9]{1,4}")
_LISTS: Final = ("geo", "dims", "measures")
_PAIRS: Final = ("where", "levels")
_WORDS: Final = ("purpose", "grant_id", "release")
_PERIOD: Final = ("from", "to", "grain")
BESIDE: Final = frozenset({SINCE, FORMAT})
KNOWN: Final = BESIDE | {*_LISTS, *_PAIRS, *_WORDS, *_PERIOD}


class OutOfRange(SluiceError):
    status = 416
    title = "No such part of the file"

    def __init__(self, size: int) -> None:
        super().__init__("export_range", "")
        self.size = size


def check_prefer(request: Request) -> None:
    """An export is only ever made in the background; whoever starts one must say so."""
    preferred = ",".join(request.headers.getlist("prefer")).lower()
    wanted = {part.partition(";")[0].strip() for part in preferred.split(",")}
    if "respond-async" not in wanted:
        raise BadRequest("export_async_only", "")


def wanted_of(request: Request, body: bytes | None) -> Wanted:
    """What a kick-off asks for; without a body, its address says it all."""
    check_prefer(request)
    params, allowed = request.query_params, KNOWN if body is None else BESIDE
    for name in params:
        if name not in allowed and not sets_disclosure((name,)):
            raise BadRequest("invalid_parameter", "The address has a parameter that is not known.")
    for name in (SINCE, FORMAT):
        if len(params.getlist(name)) > 1:
            raise BadRequest("invalid_parameter", f"`{name}` was sent more than once.")
    since = params.get(SINCE)
    question = _body(params) if body is None else body
    return Wanted(question, form_of(params.get(FORMAT, "")), since or None)


def _body(params: QueryParams) -> bytes:
    """The question that a GET writes into its address, as the body that a POST sends."""
    body: dict[str, object] = {name: params[name] for name in _WORDS if name in params}
    body["period"] = {name: params[name] for name in _PERIOD if name in params}
    for name in _LISTS:
        if name in params:
            body[name] = _several(params, name)
    for name in _PAIRS:
        if name in params:
            body[name] = _pairs(params, name)
    return orjson.dumps(body)


def _several(params: QueryParams, name: str) -> list[str]:
    return [one for value in params.getlist(name) for one in value.split(",") if one]


def _pairs(params: QueryParams, name: str) -> dict[str, object]:
    """`dim:value`, several with commas between or each in a parameter of its own."""
    found: dict[str, object] = {}
    for pair in _several(params, name):
        key, colon, value = pair.partition(":")
        if not colon or key in found:
            raise BadRequest("invalid_parameter", f"`{name}` is written dim:value, each dim once.")
        found[key] = int(value) if name == "levels" and _LEVEL.fullmatch(value) else value
    return found


def manifest(job: Job, files: Sequence[Made], base: str) -> dict[str, object]:
    """What a finished job has to give, or what it gave before it failed."""
    return {
        "transactionTime": job.begun,
        "request": job.request,
        "requiresAccessToken": True,
        "status": job.state,
        "service": job.service,
        "release": job.release,
        "since": job.since,
        "format": job.form.media,
        "watermark": job.tag,
        "expires": job.expires,
        "meta": orjson.Fragment(job.meta),
        "output": [_output(job, file, base) for file in files],
        "deleted": [],
        "error": [] if job.failure is None else [_error(job.failure)],
    }


def _output(job: Job, file: Made, base: str) -> dict[str, object]:
    return {
        "type": job.service,
        "url": f"{address(base, job.id)}/files/{file.name}",
        "count": file.rows,
        "size": file.bytes,
        "sha256": file.sha256,
        "sm3": file.sm3,
        "cells": file.cells,
        "cells_charged": file.charged,
        "cells_suppressed": file.suppressed,
        "watermark": file.tag,
        "decision_id": file.decision_id,
    }


def _error(failure: Failure) -> dict[str, object]:
    said = reason(failure.code)
    return {
        "code": failure.code,
        "detail": said.en,
        "detail_zh": said.zh,
        "deny": list(failure.deny),
    }


def listed(job: Job, done: int, base: str) -> dict[str, object]:
    """A job in a list."""
    return {
        "id": job.id,
        "url": address(base, job.id),
        "status": job.state,
        "service": job.service,
        "release": job.release,
        "since": job.since,
        "format": job.form.media,
        "begun": job.begun,
        "ended": job.ended,
        "expires": job.expires if job.ended else None,
        "files": {"made": done, "of": job.files},
    }


def address(base: str, job_id: str) -> str:
    """Where a job is followed."""
    return f"{base}/v1/exports/{job_id}"


def progress(job: Job, done: int) -> str:
    """X-Progress in the words of the field."""
    return f"{100 * done // job.files if job.files else 0}% complete"


def expires(job: Job) -> str:
    """The moment as an HTTP date."""
    return format_datetime(job.expires.replace(microsecond=0), usegmt=True)


def etag(file: Made) -> str:
    """A strong one: the same bytes, the same tag."""
    return f'"{file.sha256}"'


def part_of(headers: Mapping[str, str], file: Made) -> tuple[int, int] | None:
    """First and last octet asked for; None for the whole, also where the file is another than the
    one If-Range names, or several parts are asked for at once."""
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if found is None or (condition is not None and condition.strip() != etag(file)):
        return None
    first, last = found[1], found[2]
    if not first and not last:
        return None
    if not first:  # the last so many octets
        length = min(int(last), file.bytes)
        start, end = file.bytes - length, file.bytes - 1
    else:
        start, end = int(first), min(int(last or file.bytes), file.bytes - 1)
        if last and int(last) < int(first):
            return None
    if start >= file.bytes or start > end:
        raise OutOfRange(file.bytes)
    return start, end


async def octets(path: Path, first: int, count: int) -> AsyncIterator[bytes]:
    """So many octets from there on, a little at a time."""
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(first)
        while count > 0:
            some = await file.read(min(_CHUNK, count))
            if not some:
                return
            count -= len(some)
            yield some


def headers_of(job: Job, file: Made, part: tuple[int, int] | None) -> dict[str, str]:
    """Of a file that is sent, whole or in part."""
    first, last = part or (0, file.bytes - 1)
    told = {
        "Accept-Ranges": "bytes",
        "ETag": etag(file),
        "Content-Length": str(last - first + 1),
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Expires": expires(job),
        "Sluice-Watermark": file.tag,
        "Repr-Digest": f"sha-256=:{_base64(file.sha256)}:",
    }
    if part is not None:
        told["Content-Range"] = f"bytes {first}-{last}/{file.bytes}"
    return told


def _base64(digest: str) -> str:
    return b64encode(bytes.fromhex(digest)).decode()


def media_of(form: Form) -> str:
    """As the page answers write it."""
    return f"{form.media}; charset=utf-8" if form.name == "csv" else form.media
