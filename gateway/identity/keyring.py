"""Keys that sign access tokens: one signs, the next is already published, old ones linger.

The private halves are files of mode 0600 under `home/keys`; public halves and states are rows, so
every replica publishes the same key set. A key is published one rotation before it signs, so no
verifier ever meets a token whose key it could not know; a retired key stays published until every
token it signed has expired.

Answers to tenants of the GM profile are signed by a second ring of SM2 keys, made when the first
such tenant is there and published by itself: the key set of everybody else is what it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
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
from gateway.identity.jose import encode_segment
from gateway.identity.model import Document
from gateway.identity.record import Act, record_change
from gateway.identity.sm2 import COORDINATE, Sm2PrivateKey

ALGORITHM = "ES256"
GM_ALGORITHM = "SGD_SM3_SM2"
"""SM2 with SM3, by the name of GM/T 0125.1-2022; IANA registers none."""
GM_CURVE = "SM2-P-256"
"""`crv` of a key on SM2's curve (GM/T 0125.4-2022)."""
KEEP_RETIRED = timedelta(hours=1)
"""Longer than any access token lives (settings allow at most 900 s) plus every clock's error."""


@dataclass(frozen=True)
class Ring:
    """The keys of one moment: what signs, what verifies, what is published."""

    kid: str
    signing: ec.EllipticCurvePrivateKey
    verifying: Mapping[str, ec.EllipticCurvePublicKey]
    jwks: Document


@dataclass(frozen=True)
class GmRing:
    """The SM2 keys of one moment: what signs, and the published set."""

    kid: str
    signing: Sm2PrivateKey
    jwks: Document


def ensure_keys(engine: sa.Engine, folder: Path, act: Act) -> None:
    """Make the first signing key and its successor when there are none."""
    _ensure(engine, folder, act, ALGORITHM)


def ensure_gm_keys(engine: sa.Engine, folder: Path, act: Act) -> None:
    """The same of SM2; `Sm2Unavailable` where no library computes it."""
    _ensure(engine, folder, act, GM_ALGORITHM)


def _ensure(engine: sa.Engine, folder: Path, act: Act, algorithm: str) -> None:
    with writing(engine) as session:
        if not _rows(session, algorithm):
            _create(session, folder, act, "current", algorithm)
            _create(session, folder, act, "next", algorithm)


def rotate(engine: sa.Engine, folder: Path, act: Act) -> str:
    """Let the next key sign from now on and publish its successor; returns the new signing kid."""
    with writing(engine) as session:
        return rotate_in(session, folder, act)


def rotate_in(session: Session, folder: Path, act: Act) -> str:
    """The same inside a session that has more to write; SM2 keys, where there are any, turn too."""
    if _rows(session, GM_ALGORITHM):
        _rotate(session, folder, act, GM_ALGORITHM)
    return _rotate(session, folder, act, ALGORITHM)


def _rotate(session: Session, folder: Path, act: Act, algorithm: str) -> str:
    rows = _rows(session, algorithm)
    current, following = _only(rows, "current"), _only(rows, "next")
    for row in rows:
        if row.keep_until is not None and row.keep_until <= act.at:
            session.delete(row)
            _private_file(folder, row.kid).unlink(missing_ok=True)
    current.status, current.keep_until = "retired", act.at + KEEP_RETIRED
    following.status = "current"
    _create(session, folder, act, "next", algorithm)
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
        rows = _published(session, ALGORITHM, now)
        current = _only(rows, "current")
        return Ring(
            kid=current.kid,
            signing=_read_private(folder, current.kid),
            verifying={row.kid: _public_key(row.public_jwk) for row in rows},
            jwks={"keys": [row.public_jwk for row in rows]},
        )


def load_gm_ring(engine: sa.Engine, folder: Path, now: datetime) -> GmRing | None:
    """The SM2 keys as the directory states them now; None before there was a tenant for them."""
    with reading(engine) as session:
        rows = _published(session, GM_ALGORITHM, now)
        if not rows:
            return None
        current = _only(rows, "current")
        return GmRing(
            kid=current.kid,
            signing=_read_sm2(folder, current.kid),
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


def _create(session: Session, folder: Path, act: Act, status: str, algorithm: str) -> None:
    key = _MAKERS[algorithm]()
    kid = _thumbprint(key)
    write_private(_private_file(folder, kid), {**key, "kid": kid})
    public = {name: value for name, value in key.items() if name != "d"}
    public |= {"kid": kid, "use": "sig", "alg": algorithm}
    session.add(
        SigningKeyRow(kid=kid, alg=algorithm, public_jwk=public, status=status, created_at=act.at)
    )
    record_change(session, act, "create", ("signing_key", kid), before=None, after={"kid": kid})


def _p256() -> dict[str, Any]:
    return ECKey.generate_key("P-256").as_dict(private=True)


def _sm2() -> dict[str, Any]:
    key = Sm2PrivateKey.generate()
    x, y = key.public.point[1 : COORDINATE + 1], key.public.point[COORDINATE + 1 :]
    return {
        "kty": "EC",
        "crv": GM_CURVE,
        **{name: encode_segment(octets) for name, octets in (("x", x), ("y", y))},
        "d": encode_segment(key.scalar),
    }


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, of whatever curve."""
    named = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(named, separators=(",", ":"), sort_keys=True)
    return encode_segment(hashlib.sha256(text.encode()).digest())


_MAKERS: Mapping[str, Callable[[], dict[str, Any]]] = {ALGORITHM: _p256, GM_ALGORITHM: _sm2}
"""Private JWKs, by algorithm."""


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


def _jwk_of(path: Path) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return jwk


def _read_private(folder: Path, kid: str) -> ec.EllipticCurvePrivateKey:
    path = _private_file(folder, kid)
    try:
        key = ECKey.import_key(_jwk_of(path)).private_key
    except (OSError, ValueError) as error:
        raise OperatorError("keys.unreadable", f"Cannot read signing key {path}.") from error
    if key is None:
        raise OperatorError("keys.unreadable", f"{path} holds no private key.")
    return key


def _read_sm2(folder: Path, kid: str) -> Sm2PrivateKey:
    path = _private_file(folder, kid)
    try:
        return Sm2PrivateKey.of(urlsafe_b64decode(_jwk_of(path)["d"] + "="))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError("keys.unreadable", f"Cannot read signing key {path}.") from error


def _public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    return ECKey.import_key(dict(jwk)).public_key


def _rows(session: Session, algorithm: str) -> list[SigningKeyRow]:
    oldest_first = sa.select(SigningKeyRow).order_by(SigningKeyRow.created_at)
    return list(session.scalars(oldest_first.where(SigningKeyRow.alg == algorithm)))


def _published(session: Session, algorithm: str, now: datetime) -> list[SigningKeyRow]:
    rows = _rows(session, algorithm)
    return [row for row in rows if row.keep_until is None or row.keep_until > now]


def _only(rows: list[SigningKeyRow], status: str) -> SigningKeyRow:
    found = [row for row in rows if row.status == status]
    if len(found) != 1:
        raise OperatorError("keys.state", f"There must be one {status} signing key; run init.")
    return found[0]
