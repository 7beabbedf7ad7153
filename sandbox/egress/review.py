"""All automated checks on the files of one job, by what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final

from sandbox.egress import metrics, table, text
from sandbox.egress.findings import BYTES, Finding, Rules, Weight, look, stop

_PROGRAMS: Final = (
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
)  # pickle runs code when read
_PACKED: Final = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"\x28\xb5\x2f\xfd",
)
_SHOWN: Final = 20
"""Findings told of a file; a file of a thousand faults is not read aloud."""


def examined(files: Mapping[str, bytes], rules: Rules) -> dict[str, list[Finding]]:
    """By file, what was found; a file without findings may leave by the reviewer's word alone."""
    found = {name: _file(name, content, rules)[:_SHOWN] for name, content in files.items()}
    if sum(map(len, files.values())) > BYTES:
        too_much = stop("too_large", "files", f"All files have {BYTES >> 20} MiB at most.")
        found = {name: [too_much, *findings] for name, findings in found.items()}
    return found


def stopped(found: Mapping[str, list[Finding]]) -> bool:
    """Whether any file may not leave as it is."""
    return any(one.weight is Weight.STOP for findings in found.values() for one in findings)


def _file(name: str, content: bytes, rules: Rules) -> list[Finding]:
    if content.startswith(_PROGRAMS):
        return [stop("program", "file", "It is a pickle, which runs code when it is read.")]
    if content.startswith(_PACKED):
        return [stop("packed", "file", "It is packed; what leaves can be looked at.")]
    check = _KINDS.get(PurePath(name).suffix.lower(), _unknown)
    return check(content, rules)


def _unknown(_content: bytes, _rules: Rules) -> list[Finding]:
    return [stop("kind", "file", f"What leaves is one of {', '.join(_KINDS)}.")]


def _weights(_content: bytes, _rules: Rules) -> list[Finding]:
    return [look("weights", "file", "Weights may remember rows: two reviewers decide.")]


def _text(content: bytes, _rules: Rules) -> list[Finding]:
    try:
        return text.examined(content.decode())
    except UnicodeDecodeError:
        return [stop("not_text", "file", "It is not text in UTF-8.")]


_KINDS: Final[Mapping[str, Callable[[bytes, Rules], list[Finding]]]] = {
    ".json": metrics.examined,
    ".csv": table.examined,
    ".md": _text,
    ".txt": _text,
    ".onnx": _weights,
    ".safetensors": _weights,
}
