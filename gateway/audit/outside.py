"""What is known of a home's journals from elsewhere: an anchor, and notes that somebody kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.verify import Outside
from gateway.errors import OperatorError
from gateway.journal import checkpoint
from gateway.journal.anchor import ENDING
from gateway.tlog.notes import ORIGIN


@dataclass(frozen=True)
class Abroad:
    """A folder of anchored checkpoints, and notes by the journal they are of."""

    anchor: Path | None
    notes: dict[str, tuple[str, ...]]

    def of(self, journal: str) -> Outside:
        """What is known of one journal."""
        lines = [] if self.anchor is None else checkpoint.read(self.anchor / journal)
        return Outside(lines, self.notes.get(journal, ()))

    def journals(self) -> set[str]:
        """Every journal that something is known of."""
        anchored = () if self.anchor is None else self.anchor.glob(f"*{ENDING}")
        return {path.name.removesuffix(ENDING) for path in anchored} | set(self.notes)


def abroad(anchor: Path | None, notes: Sequence[Path]) -> Abroad:
    """From a folder and files with one note each; OperatorError where they are not that."""
    if anchor is not None and not anchor.is_dir():
        raise OperatorError("no_anchor", f"There is no folder {anchor}.", "锚定目录不存在。")
    found: dict[str, tuple[str, ...]] = {}
    for path in notes:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError("no_note", f"{path} cannot be read as a note.") from error
        first = text.partition("\n")[0]
        if not first.startswith(ORIGIN):
            raise OperatorError("no_note", f"{path} is not a signed note of a journal.")
        journal = first.removeprefix(ORIGIN)
        found[journal] = (*found.get(journal, ()), text)
    return Abroad(anchor, found)
