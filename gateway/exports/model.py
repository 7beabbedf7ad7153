"""The values of a bulk export: its format, the job as it stands, the files it has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from gateway.errors import BadRequest
from gateway.serving.accept import ARROW, CSV

State: TypeAlias = Literal["open", "done", "failed", "cancelled", "expired"]

NDJSON: Final = "application/x-ndjson"
PARQUET: Final = "application/vnd.apache.parquet"
MOST_OPEN: Final = 2
"""Jobs one client may have under way."""
KEPT: Final = timedelta(hours=24)
"""How long the files of a job can be fetched; as long a job may take to make them."""
REMEMBERED: Final = timedelta(days=90)
"""How long it is known of a job that it was there, and which release it delivered."""
LARGEST_FILE: Final = 250_000
"""Rows of one file; fewer where the policy allows fewer cells."""


@dataclass(frozen=True)
class Form:
    """A file format; `agreed` is the word for it in a scenario's list of formats."""

    name: str
    media: str
    ending: str
    agreed: str


FORMS: Final[Mapping[str, Form]] = {
    form.name: form
    for form in (
        # Lines of JSON are JSON to whoever agreed on JSON.
        Form("ndjson", NDJSON, "ndjson", "json"),
        Form("csv", CSV, "csv", "csv"),
        Form("parquet", PARQUET, "parquet", "parquet"),
        Form("arrow", ARROW, "arrows", "arrow"),
    )
}
_BY_MEDIA: Final = {form.media: form for form in FORMS.values()} | {
    "application/fhir+ndjson": FORMS["ndjson"],
    "application/ndjson": FORMS["ndjson"],
}


def form_of(wanted: str) -> Form:
    """The format of this name or media type; NDJSON where none is named."""
    form = FORMS["ndjson"] if not wanted else FORMS.get(wanted) or _BY_MEDIA.get(wanted)
    if form is None:
        raise BadRequest("export_format", "")
    return form


@dataclass(frozen=True)
class Sender:
    """Who started a job, as its token proved it; the files are judged as this client's."""

    tenant: str
    tenant_type: str
    client: str
    env: str
    ip: str
    token: str
    cert: str | None
    interaction: str
    trace: str


@dataclass(frozen=True)
class Failure:
    """Why a job ended early: a stable code, and the deny codes where the policy refused."""

    code: str
    deny: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One export. `body` is the question with grant, measures and release written out; `since` the
    release whose unchanged rows are left out, if any; `tag` the mark of its kick-off; `meta` what
    a page answer says of where its cells come from."""

    id: str
    sender: Sender
    service: str
    body: bytes
    digest: str
    release: str
    since: str | None
    form: Form
    request: str
    rows: int
    per_file: int
    begun: datetime
    tag: str
    meta: bytes
    state: State = "open"
    ended: datetime | None = None
    failure: Failure | None = None

    @property
    def files(self) -> int:
        """How many files it comes to."""
        return -(-self.rows // self.per_file)

    @property
    def expires(self) -> datetime:
        """When its files are gone; while it works, when it is given up."""
        return (self.ended or self.begun) + KEPT

    def rows_of(self, number: int) -> range:
        """The rows that file `number` is made from, in the order of the answer."""
        return range(number * self.per_file, min(self.rows, (number + 1) * self.per_file))


@dataclass(frozen=True)
class File:
    """A file that is on record as delivered; only such files can be fetched. `terms`: by which
    rules its cells read as they do (`judging.terms_of`)."""

    number: int
    name: str
    rows: int
    cells: int
    suppressed: int
    charged: int
    bytes: int
    sha256: str
    sm3: str
    tag: str
    event_id: str
    decision_id: str
    terms: str
    made: datetime


def file_name(job: Job, number: int) -> str:
    """The name of a job's file: service, number, ending."""
    return f"{job.service}-{number + 1:05d}.{job.form.ending}"
