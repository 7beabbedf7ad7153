"""A transparency log's tree, proofs and signed notes (RFC 9162; C2SP tlog-tiles, signed-note)."""
