"""Keys that sign access tokens: one signs, the next is already published, old ones linger.

The private halves are files of mode 0600 under `home/keys`; public halves and states are rows, so
every replica publishes the same key set. A key is published one rotation before it signs, so no
verifier ever meets a token whose key it could not know; a retired key stays published until every
token it signed has expired.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.tables import SigningKeyRow
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.identity.record import Act, record_change

ALGORITHM = "ES256"
KEEP_RETIRED = timedelta(hours=1)
"""Longer than any access token lives (settings allow at most 900 s) plus every clock's error."""


@dataclass(frozen=True)
class Ring:
    """The keys of one moment: what signs, what verifies, what is published."""

    kid: str
    signing: ec.EllipticCurvePrivateKey
    verifying: Mapping[str, ec.EllipticCurvePublicKey]
    jwks: Document


def ensure_keys(engine: sa.Engine, folder: Path, act: Act) -> None:
    """Make the first signing key and its successor when there are none."""
    with writing(engine) as session:
        if not session.scalars(sa.select(SigningKeyRow)).first():
            _create(session, folder, act, "current")
            _create(session, folder, act, "next")


def rotate(engine: sa.Engine, folder: Path, act: Act) -> str:
    """Let the next key sign from now on and publish its successor; returns the new signing kid."""
    with writing(engine) as session:
        return rotate_in(session, folder, act)


def rotate_in(session: Session, folder: Path, act: Act) -> str:
    """The same inside a session that has more to write."""
    rows = list(session.scalars(sa.select(SigningKeyRow)))
    current, following = _only(rows, "current"), _only(rows, "next")
    for row in rows:
        if row.keep_until is not None and row.keep_until <= act.at:
            session.delete(row)
            _private_file(folder, row.kid).unlink(missing_ok=True)
    current.status, current.keep_until = "retired", act.at + KEEP_RETIRED
    following.status = "current"
    _create(session, folder, act, "next")
    record_change(
        session,
        act,
        "rotate",
        ("signing_key", following.kid),
        before={"kid": current.kid},
        after={"kid": following.kid},
    )
    return following.kid


def load_ring(engine: sa.Engine, folder: Path, now: datetime) -> Ring:
    """The keys as the directory states them now; refuses when the signing key's file is missing."""
    with reading(engine) as session:
        rows = [
            row
            for row in session.scalars(sa.select(SigningKeyRow).order_by(SigningKeyRow.created_at))
            if row.keep_until is None or row.keep_until > now
        ]
        current = _only(rows, "current")
        return Ring(
            kid=current.kid,
            signing=_read_private(folder, current.kid),
            verifying={row.kid: _public_key(row.public_jwk) for row in rows},
            jwks={"keys": [row.public_jwk for row in rows]},
        )


def describe_keys(engine: sa.Engine) -> list[Document]:
    """Kid, state and dates of every key, oldest first."""
    with reading(engine) as session:
        rows = session.scalars(sa.select(SigningKeyRow).order_by(SigningKeyRow.created_at))
        return [
            {
                "kid": row.kid,
                "alg": row.alg,
                "status": row.status,
                "created_at": row.created_at.isoformat(),
                "keep_until": row.keep_until.isoformat() if row.keep_until else None,
            }
            for row in rows
        ]


def _create(session: Session, folder: Path, act: Act, status: str) -> None:
    key = ECKey.generate_key("P-256")
    kid = key.thumbprint()
    write_private(_private_file(folder, kid), {**key.as_dict(private=True), "kid": kid})
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    session.add(
        SigningKeyRow(kid=kid, alg=ALGORITHM, public_jwk=public, status=status, created_at=act.at)
    )
    record_change(session, act, "create", ("signing_key", kid), before=None, after={"kid": kid})


def write_private(path: Path, jwk: Mapping[str, Any]) -> None:
    """Write a private key so that only its owner can ever read it, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mkstemp: mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(jwk, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _private_file(folder: Path, kid: str) -> Path:
    return folder / f"{kid}.json"


def _read_private(folder: Path, kid: str) -> ec.EllipticCurvePrivateKey:
    path = _private_file(folder, kid)
    try:
        key = ECKey.import_key(json.loads(path.read_text(encoding="utf-8"))).private_key
    except (OSError, ValueError) as error:
        raise OperatorError("keys.unreadable", f"Cannot read signing key {path}.") from error
    if key is None:
        raise OperatorError("keys.unreadable", f"{path} holds no private key.")
    return key


def _public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    return ECKey.import_key(dict(jwk)).public_key


def _only(rows: list[SigningKeyRow], status: str) -> SigningKeyRow:
    found = [row for row in rows if row.status == status]
    if len(found) != 1:
        raise OperatorError("keys.state", f"There must be one {status} signing key; run init.")
    return found[0]
