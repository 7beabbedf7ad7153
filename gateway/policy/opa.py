"""The real OPA binary on the same files: its own test run and its strict check."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import OperatorError


@dataclass(frozen=True)
class OpaRun:
    """What OPA said."""

    ok: bool
    text: str


def find_opa() -> Path:
    """The binary on PATH, or an error that says how to get it."""
    found = shutil.which("opa")
    if found is None:
        raise OperatorError(
            "opa_missing",
            "There is no `opa` on PATH; `go install github.com/open-policy-agent/opa@v1.20.2`.",
        )
    return Path(found)


def check_with_opa(policies: Path, binary: Path) -> OpaRun:
    """`opa check --strict` against the schemas: types, unused names, attributes nobody has."""
    schemas = str(policies / "schemas")
    return _call([str(binary), "check", "--strict", "--schema", schemas, *_folders(policies)])


def run_opa(policies: Path, binary: Path) -> OpaRun:
    """The strict check, then `opa test` if that is clean."""
    checked = check_with_opa(policies, binary)
    if not checked.ok:
        return checked
    data = str(policies / "data")
    return _call([str(binary), "test", "--timeout", "120s", *_folders(policies), data])


def _folders(policies: Path) -> list[str]:
    return sorted({str(path.parent) for path in policies.rglob("*.rego")})


def _call(command: list[str]) -> OpaRun:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - paths of our own, no shell
    return OpaRun(done.returncode == 0, (done.stdout + done.stderr).strip())
