"""Operations on leaks: whose copy a file is, and which answer carries a mark.

Both name an organisation, so both are the auditor's and the security officer's, and on record.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.admin.office import Office
from gateway.db.engine import reading
from gateway.errors import BadRequest, OperatorError
from gateway.identity.entries import Entry
from gateway.identity.model import Document
from gateway.identity.record import append
from gateway.identity.store import read_contents
from gateway.staff.model import RECORD
from gateway.watermark.leaked import read_leaked
from gateway.watermark.lookup import Found, look_up
from gateway.watermark.tracing import Trace, copies, trace

LARGEST_FILE = 8 * 1024 * 1024
_NAME = r"^[^/\\\x00]{1,100}\.(csv|ndjson|json|parquet|arrow|xlsx)$"
_SHOWN = ("time", "tenant", "decision_id", "request_id", "service", "release", "query_shape")


class LeakForm(Entry):
    """A file that was found outside, in base64; by its ending it is read."""

    name: Annotated[str, Field(pattern=_NAME, json_schema_extra={"filename": True})]
    content: Annotated[
        str, Field(max_length=LARGEST_FILE // 3 * 4 + 4, json_schema_extra={"file": True})
    ]
    release: Annotated[str, Field(pattern=r"^(S\d\d-[0-9a-f]{16})?$")] = ""


def _found(office: Office, at: Mapping[str, str], _form: Entry | None) -> Found:
    leaks = office.leaks
    return look_up(at["mark"], leaks.index, leaks.journals(), leaks.mark)


def _lookup(call: Call) -> Answer:
    found: Found = call.found
    mark, tenant = call.at["mark"], str(found.event["tenant"])
    _record(call, ("lookup", mark[:32]), {"named": [tenant]})
    told = {name: found.event.get(name) for name in _SHOWN}
    return {**told, "journal": found.journal, "genuine": found.genuine}


def _traced(office: Office, _at: Mapping[str, str], form: Entry | None) -> tuple[str, list[Trace]]:
    """Every release the file could be of, the likeliest first, with the digest of the file."""
    assert isinstance(form, LeakForm)  # noqa: S101 — the endpoint's own form
    try:
        content = base64.b64decode(form.content, validate=True)
    except ValueError as error:  # binascii.Error, or letters that are not ASCII
        raise BadRequest(
            "entry.invalid", "content is no base64.", "content 不是 base64。"
        ) from error
    offer = office.offer
    held = copies(offer.root, offer.catalogue().services, form.release)
    if not held:
        raise OperatorError("watermark.release", "There is no such release with marked figures.")
    with reading(office.engine) as session:
        tenants = sorted(read_contents(session).tenants)
    with TemporaryDirectory(prefix="sluice-leak-") as folder:
        file = Path(folder) / f"leaked{Path(form.name).suffix}"
        file.write_bytes(content)
        traces = trace(read_leaked(file), held, office.leaks.keys(), tenants)
    return hashlib.sha256(content).hexdigest(), traces


def _trace(call: Call) -> Answer:
    sha256, traces = call.found
    best: Trace = traces[0]
    told: Document = {
        "file": sha256,
        "release": best.release,
        "named": [verdict.tenant for verdict in best.named],
    }
    _record(call, ("trace", sha256[:32]), told)
    return told


def _record(call: Call, entity: tuple[str, str], after: Document) -> None:
    append(call.session, RECORD, call.act, "watermark", entity, before=None, after=after)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "watermark.lookup",
        "GET",
        "/watermarks/{mark}",
        _lookup,
        finds=_found,
        summary="由水印标记查找对应的应答 / The answer that carries a mark",
    ),
    Endpoint(
        "watermark.trace",
        "POST",
        "/watermarks/trace",
        _trace,
        LeakForm,
        says_why=True,
        finds=_traced,
        heavy=True,
        summary="追踪泄露文件出自哪家机构 / Whose copy a leaked file is",
    ),
)
