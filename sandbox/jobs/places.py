"""The files of one attempt."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """Where an attempt's task, marks, log and outputs are."""

    at: Path

    @property
    def attempt_id(self) -> str:
        """The attempt whose folder this is."""
        return self.at.name

    @property
    def task(self) -> Path:
        """What is to be run."""
        return self.at / "task.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.at / "lock"

    @property
    def started(self) -> Path:
        """There once the attempt was begun; it is never begun again."""
        return self.at / "started"

    @property
    def stop(self) -> Path:
        """There once the attempt is to be ended."""
        return self.at / "stop"

    @property
    def end(self) -> Path:
        """How it ended."""
        return self.at / "end.json"

    @property
    def log(self) -> Path:
        """What the job wrote to its standard output and error."""
        return self.at / "log"

    @property
    def outputs(self) -> Path:
        """The declared files it left."""
        return self.at / "outputs"

    def mark(self, file: Path, content: bytes) -> None:
        """Write a file whole or not at all, on disk when this returns."""
        partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
        folder = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
