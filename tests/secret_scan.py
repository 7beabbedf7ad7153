"""Looks for secrets in what is versioned, with detect-secrets; `make check` runs it.

`.secrets.baseline` (detect-secrets' own form) holds what was looked at and is none: invented keys
of tests, names of files. It is compared by file, kind and hash and not by line, so that moving a
line is no finding. `python -m tests.secret_scan --write` renews it; read its diff.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from detect_secrets.core import baseline  # type: ignore[import-untyped]
from detect_secrets.core.secrets_collection import SecretsCollection  # type: ignore[import-untyped]
from detect_secrets.settings import default_settings  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / ".secrets.baseline"
_NO_TEXT = {".csv", ".lock", ".otf", ".png", ".svg", ".zip", ".gz", ".parquet"}
_MADE = {"package-lock.json", "names.json", "characters.json"}


def versioned() -> list[str]:
    """The files that are looked at, by their path in the tree."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and _is_looked_at(ROOT / name)]


def _is_looked_at(path: Path) -> bool:
    if path.suffix in _NO_TEXT or path.name in _MADE or path.name.endswith("openapi.json"):
        return False
    return path != BASELINE and path.is_file()


def scanned(names: Iterable[str], root: Path = ROOT) -> SecretsCollection:
    """What looks like a secret in these files."""
    found = SecretsCollection(root=str(root))
    with default_settings():
        for name in names:
            found.scan_file(name)
    return found


def facts(document: dict[str, list[dict[str, object]]]) -> set[tuple[str, str, str]]:
    """File, kind and hash of each finding."""
    return {
        (name, str(one["type"]), str(one["hashed_secret"]))
        for name, each in document.items()
        for one in each
    }


def main(asked: list[str]) -> int:
    """1 and a line for each finding that the baseline does not know."""
    found = scanned(versioned())
    if "--write" in asked:
        with default_settings():
            told = baseline.format_for_output(found)
        text = json.dumps(told, indent=2).replace(f"{ROOT}/", "")  # by place in the tree
        BASELINE.write_text(f"{text}\n", encoding="utf-8")
        return 0
    known = facts(json.loads(BASELINE.read_text("utf-8"))["results"])
    fresh = sorted(facts(found.json()) - known)
    for name, kind, digest in fresh:
        print(f"{name}: {kind} ({digest[:12]})")  # noqa: T201 - a program
    return 1 if fresh else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
