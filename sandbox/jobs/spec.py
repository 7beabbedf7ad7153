"""What a developer asks to have run: code, entry point, inputs, declared outputs, limits."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

_NAME = r"^[a-z][a-z0-9_-]{0,39}$"
_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_ARGUMENT = r"^[^\x00-\x1f\x7f]{1,200}$"
_MEBIBYTE: Final = 1 << 20

Name = Annotated[str, Field(pattern=_NAME)]
FileName = Annotated[str, Field(pattern=_FILE)]
Argument = Annotated[str, Field(pattern=_ARGUMENT)]


class Limits(BaseModel):
    """What one run may use; the kernel holds it to each. The defaults are the free tier's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_seconds: int = Field(default=600, ge=1, le=86_400)
    cpu_seconds: int = Field(default=600, ge=1, le=86_400 * 16)
    memory_mib: int = Field(default=1024, ge=64, le=65_536)
    processes: int = Field(default=32, ge=4, le=1_024, description="Processes and threads at once.")
    scratch_mib: int = Field(default=256, ge=1, le=16_384, description="Size of /tmp.")
    output_mib: int = Field(default=64, ge=1, le=4_096, description="Size of /job/output.")
    log_kib: int = Field(default=256, ge=1, le=4_096, description="What is kept of the log.")

    @property
    def memory_bytes(self) -> int:
        """The limit of memory in bytes."""
        return self.memory_mib * _MEBIBYTE


class JobSpec(BaseModel):
    """One job as its developer declares it.

    The names of the outputs are declared before the run, so that a name tells nothing of the data;
    a file of another name is dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    environment: Name = "python"
    entry: tuple[Argument, ...] = Field(
        min_length=1, max_length=32, description="Script within the code, and its arguments."
    )
    inputs: tuple[Name, ...] = Field(
        default=(), max_length=8, description="Packs or views by name."
    )
    outputs: tuple[FileName, ...] = Field(default=("metrics.json",), min_length=1, max_length=32)
    limits: Limits = Limits()
    seed: int = Field(default=0, ge=0, lt=1 << 32)

    @field_validator("entry")
    @classmethod
    def _script_within_the_code(cls, entry: tuple[str, ...]) -> tuple[str, ...]:
        parts = entry[0].split("/")
        if not all(re.match(_FILE, part) for part in parts):
            raise ValueError(
                "the first part is a path within the code, like train.py or src/train.py"
            )
        return entry

    @field_validator("inputs", "outputs")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        return names

    def digest(self) -> str:
        """SHA-256 over the declaration in canonical JSON, in hex."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
