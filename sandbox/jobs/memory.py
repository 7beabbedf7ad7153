"""The executor without a machine: attempts end as told, for tests of what uses the port."""

from __future__ import annotations

from pathlib import Path

from sandbox.jobs.executor import CannotRun, Ended, Outcome, Task, Use


class InMemory:
    """Attempts of which nothing is run; `finish` says how one ended and what it left."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ended: dict[str, Ended | None] = {}
        self._logs: dict[str, bytes] = {}
        self.begun: list[str] = []
        """Every attempt that was begun, in order; once each."""

    def start(self, task: Task) -> None:
        """Start the attempt unless it was started before; CannotRun without all of its inputs."""
        if not set(task.spec.inputs) <= set(task.inputs):
            raise CannotRun("An input is not here.")
        if task.attempt_id not in self._ended:
            self._ended[task.attempt_id] = None
            self.begun.append(task.attempt_id)

    def finish(self, attempt_id: str, ended: Ended, files: dict[str, bytes], log: bytes) -> None:
        """Let a running attempt end."""
        if self._ended[attempt_id] is None:
            for name, content in files.items():
                (self._folder(attempt_id) / name).write_bytes(content)
            self._ended[attempt_id] = ended
            self._logs[attempt_id] = log

    def look(self, attempt_id: str) -> Ended | bool:
        """How it ended; True while it runs; False if it was never started."""
        if attempt_id not in self._ended:
            return False
        return self._ended[attempt_id] or True

    def stop(self, attempt_id: str) -> None:
        """End it as cancelled, if it runs."""
        if self.look(attempt_id) is True:
            self._ended[attempt_id] = Ended(Outcome.CANCELLED, None, Use())

    def log(self, attempt_id: str) -> bytes:
        """What it wrote."""
        return self._logs.get(attempt_id, b"")

    def outputs(self, attempt_id: str) -> dict[str, Path]:
        """What it left, by name."""
        return {path.name: path for path in sorted(self._folder(attempt_id).iterdir())}

    def remove(self, attempt_id: str) -> None:
        """Forget its files; that it was started is kept."""
        for path in self._folder(attempt_id).iterdir():
            path.unlink()

    def _folder(self, attempt_id: str) -> Path:
        folder = self._root / attempt_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder
