"""From an archive to the job it declares. A refusal repeats nothing of what was sent."""

from __future__ import annotations

import io
import zipfile
from typing import Final

import yaml
from pydantic import ValidationError

from gateway.errors import Unprocessable, wrong_places
from sandbox.jobs.spec import JobSpec, Limits

DECLARED: Final = "job.yaml"
LONGEST: Final = 768 * 1024
"""Bytes of an archive: what a connection takes of one request."""
_LONGEST_DECLARATION: Final = 64 * 1024
MOST: Final = Limits(
    wall_seconds=3_600, cpu_seconds=7_200, memory_mib=4_096, processes=64, scratch_mib=1_024,
    output_mib=64, log_kib=1_024,
)  # fmt: skip
"""The most one job may ask for."""


def read_archive(body: bytes) -> JobSpec:
    """The job that the archive declares in its `job.yaml`.

    Raises:
        Unprocessable: `bad_code` where it is no archive or declares nothing, `bad_job` with a line
            for each wrong place, `job_too_large` with the limits that are too high.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive, archive.open(DECLARED) as declared:
            text = declared.read(_LONGEST_DECLARATION + 1)
    # No archive, no such member, another compression, a password, cut off, a name that is none.
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise _bad(f"Send a ZIP archive of the code with {DECLARED} at its top.") from None
    if len(text) > _LONGEST_DECLARATION:
        raise _bad(f"{DECLARED} is larger than {_LONGEST_DECLARATION >> 10} KiB.")
    try:
        spec = JobSpec.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))
    except ValidationError as error:
        raise Unprocessable("bad_job", wrong_places(DECLARED, error), "job.yaml 有误。") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise _bad(f"{DECLARED} cannot be read as YAML.") from None
    _check_size(spec)
    return spec


def _bad(why: str) -> Unprocessable:
    return Unprocessable("bad_code", why, "代码包有误：须为 ZIP，顶层含 job.yaml。")


def _check_size(spec: JobSpec) -> None:
    most = MOST.model_dump()
    over = [f"{name} {most[name]}" for name, value in spec.limits if value > most[name]]
    if over:
        raise Unprocessable(
            "job_too_large", f"At most: {', '.join(over)}.", "作业限额过高，见 detail。"
        )
