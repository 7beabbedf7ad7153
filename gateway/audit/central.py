"""Verifying what lies in the central store: every node's chain, spools as far as they were shipped.

Signed checkpoints stay with the nodes that signed them: those that a folder holds are checked too,
of direct chains and of spools. A spool's later checkpoints are ahead of what was shipped; they
count as far as the store has been told.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.verify import Verdict, verify_chain
from gateway.journal import checkpoint
from gateway.journal.checkpoint import Checkpoint
from gateway.journal.postgres_reading import Chain, ChainReader

Lines = list[tuple[bytes, Checkpoint | None]]


def verify_store(dsn: str, signed: Path, key: Ed25519PublicKey) -> list[tuple[Chain, Verdict]]:
    """Check every chain in the store, against the checkpoint files under a folder."""
    lines = _by_journal(signed)
    with closing(ChainReader(dsn)) as reader:
        return [(chain, _verify(reader, chain, lines, key)) for chain in reader.chains()]


def _verify(
    reader: ChainReader, chain: Chain, lines: dict[str, Lines], key: Ed25519PublicKey
) -> Verdict:
    events = reader.recorded(chain.journal_id)
    own = lines.get(chain.journal_id, [])
    if chain.kind == "spool":
        last = reader.last(chain.journal_id)
        own = [(line, one) for line, one in own if one is None or one.seq <= last]
    return verify_chain(chain.journal_id, chain.created, events, own, key)


def _by_journal(folder: Path) -> dict[str, Lines]:
    """The checkpoint files of a folder by the journal that their first line names."""
    found: dict[str, Lines] = {}
    for path in sorted(folder.glob("*.checkpoints")):
        lines = checkpoint.read(path.with_suffix(""))
        first = next((one for _, one in lines if one is not None), None)
        if first is not None:
            found[first.journal] = lines
    return found
