"""Canaries: persons and codes that exist only to be asked about by whom they were planted for.

A person is kept as the journal's own pseudonym, never as the certificate number.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.detection_tables import DetectionCanaryRow
from gateway.detection.signal import Canaries
from gateway.errors import OperatorError
from gateway.identity.record import Act, record_change

Kind: TypeAlias = Literal["person", "code"]


def add_canary(session: Session, act: Act, kind: Kind, value: str) -> None:
    """From now on a question about it is an alarm; a person by the pseudonym of the journal.
    Raises `canary.exists`."""
    if session.get(DetectionCanaryRow, (kind, value)) is not None:
        raise OperatorError("canary.exists", f"This {kind} is a canary already.")
    session.add(DetectionCanaryRow(kind=kind, value=value, added_at=act.at))
    # The record says that there is one more, and not which: who reads it could avoid it.
    record_change(session, act, "plant", ("canary", kind), before=None, after=None)


def read_canaries(session: Session) -> Canaries:
    """All of them."""
    rows = session.execute(sa.select(DetectionCanaryRow.kind, DetectionCanaryRow.value)).all()
    return Canaries(
        frozenset(value for kind, value in rows if kind == "person"),
        frozenset(value for kind, value in rows if kind == "code"),
    )
