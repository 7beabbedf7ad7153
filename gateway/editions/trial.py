"""Try an edition in a process of its own, bounded in time and memory: rules can run for ever.

`python -m gateway.editions.trial FOLDER` prints what it found as JSON; `try_out` starts it, ends
what takes too long, and believes nothing but a whole answer.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from gateway.editions.checks import edition_findings
from gateway.errors import OperatorError
from gateway.policy.contents import PolicyFiles
from gateway.policy.documents import read_documents
from gateway.policy.opa import check_with_opa

SECONDS = 120
MEMORY = 2 * 1024**3
MOST_FINDINGS = 200
LARGEST_REPORT = 1024 * 1024
LARGEST_FILE = 64 * 1024 * 1024
_KEPT = 8
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Trial:
    """What a trial found; green when that is nothing."""

    title: str
    findings: tuple[str, ...]

    @property
    def green(self) -> bool:
        return not self.findings


def try_out(files: PolicyFiles, seconds: float = SECONDS) -> Trial:
    """Check the files and run their own tests; raises only when no trial could be made."""
    with files.laid_out() as folder:
        command = [sys.executable, "-P", "-m", "gateway.editions.trial", str(folder)]
        with tempfile.TemporaryFile() as report:
            try:
                status = run_to_end(command, report, seconds)
            except subprocess.TimeoutExpired:
                return Trial("", (f"the tests did not end within {seconds:g} seconds",))
            report.seek(0)
            text = report.read(LARGEST_REPORT)
    try:
        told = orjson.loads(text)
        return Trial(str(told["title"]), tuple(map(str, told["findings"])))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Trial("", (f"the trial ended early (exit code {status})",))


def run_to_end(command: list[str], report: IO[bytes], seconds: float) -> int:
    """The exit status; whatever the command has started is over when this returns or raises.

    Its words go into a file, and what it says besides (rules can print) nowhere: not into memory.
    """
    child = subprocess.Popen(  # noqa: S603 - our own program, a path of our own, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=report,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    )
    try:
        return child.wait(seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


class Trials:
    """Trials made before a transaction begins, kept for it; one runs at a time."""

    def __init__(self) -> None:
        self._running = threading.Lock()
        self._made: dict[str, Trial] = {}

    def make(self, files: PolicyFiles) -> None:
        """Try these files out and keep what was found."""
        if not self._running.acquire(blocking=False):
            raise OperatorError("edition.state", "Another edition is being tried; wait for it.")
        try:
            trial = try_out(files)
            while len(self._made) >= _KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[files.digest] = trial
        finally:
            self._running.release()

    def of(self, files: PolicyFiles) -> Trial:
        """What the trial of these files found."""
        made = self._made.get(files.digest)
        if made is None:
            raise OperatorError("edition.state", "The trial of this edition is gone; push again.")
        return made


def _told(folder: Path) -> dict[str, object]:
    """The whole trial; every way of failing is a finding."""
    title, found = "", []
    try:
        for finding in edition_findings(folder):
            found.append(finding[:500].replace(f"{folder}/", ""))
            if len(found) >= MOST_FINDINGS:
                break
        found += [] if found else _opa_findings(folder)
        title = str(read_documents(folder).get("policy", {}).get("version", "0"))
    except OperatorError as error:
        found.append(error.message[:500])
    except Exception as error:  # noqa: BLE001 - whatever a strange folder causes is a finding
        found.append(f"the edition cannot be read ({type(error).__name__})")
    return {"title": title[:200], "findings": found}


def _opa_findings(folder: Path) -> list[str]:
    """What a real OPA minds, where there is one: a server that follows us must take the edition."""
    opa = shutil.which("opa")
    if opa is None:
        return []
    run = check_with_opa(folder, Path(opa))
    lines = run.text.replace(f"{folder}/", "").splitlines()
    return [] if run.ok else [f"opa: {line[:500]}" for line in lines[:MOST_FINDINGS]]


def main() -> None:
    """The process's own part."""
    if len(sys.argv) != 2:
        raise OperatorError("edition.trial", "Name one folder.")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    sys.stdout.buffer.write(orjson.dumps(_told(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
