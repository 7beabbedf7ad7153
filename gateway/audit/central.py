"""Verifying what lies in the central store: every node's chain, spools as far as they were shipped.

Signed checkpoints stay with the nodes that signed them: those that a folder holds are checked too,
of direct chains and of spools. A spool's later checkpoints are ahead of what was shipped; they
count as far as the store has been told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.segment import Checked, Listed, check_segments
from gateway.audit.verify import Outside, Verdict, no_anchor, verify_chain
from gateway.journal import checkpoint
from gateway.journal.checkpoint import Checkpoint
from gateway.journal.postgres_reading import Chain, ChainReader, archive_of

Lines = list[tuple[bytes, Checkpoint | None]]


def verify_store(
    dsn: str, signed: Path, key: Ed25519PublicKey, outside: Callable[[str], Outside] = no_anchor
) -> list[tuple[Chain, Verdict]]:
    """Check every chain in the store, against the checkpoint files under a folder and what is known
    of each from `outside`."""
    lines = _by_journal(signed)
    with closing(ChainReader(dsn, signed)) as reader:
        return [
            (
                chain,
                _verify(
                    reader,
                    chain,
                    lines=lines,
                    key=key,
                    folder=signed,
                    outside=outside(chain.journal_id),
                ),
            )
            for chain in reader.chains()
        ]


def _verify(
    reader: ChainReader,
    chain: Chain,
    *,
    lines: dict[str, Lines],
    key: Ed25519PublicKey,
    folder: Path,
    outside: Outside,
) -> Verdict:
    events = reader.recorded(chain.journal_id)
    own = lines.get(chain.journal_id, [])
    if chain.kind == "spool":
        last = reader.last(chain.journal_id)
        own = [(line, one) for line, one in own if one is None or one.seq <= last]
        shipped = [(line, one) for line, one in outside.lines if one is None or one.seq <= last]
        outside = replace(outside, lines=shipped)
    listed = [Listed(*row) for row in reader.segments(chain.journal_id)]
    newest = reader.newest(chain.journal_id)
    place = archive_of(folder, chain.journal_id)
    archive = check_segments(place, chain.journal_id, listed, newest, key) if newest else Checked()
    kept = reader.tree(chain.journal_id)
    return verify_chain(
        chain.journal_id,
        chain.created,
        events,
        own,
        key,
        archive=archive,
        kept=kept,
        outside=outside,
    )


def _by_journal(folder: Path) -> dict[str, Lines]:
    """The checkpoint files of a folder by the journal that their first line names."""
    found: dict[str, Lines] = {}
    for path in sorted(folder.glob("*.checkpoints")):
        lines = checkpoint.read(path.with_suffix(""))
        first = next((one for _, one in lines if one is not None), None)
        if first is not None:
            found[first.journal] = lines
    return found
