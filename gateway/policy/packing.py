"""A revision as OPA loads it: a signed bundle of rules and data that names its revision.

The signature covers every file, so an OPA with the public key loads nothing else, whoever delivers
it. Equal content gives equal bytes, but for the signature.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway.policy.bundle import Bundle

NAME = "sluice"
"""Under this name an OPA knows the bundle and tells its revision."""
ALGORITHM = "ES256"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of curve P-256


@dataclass(frozen=True)
class BundleKey:
    """Signs bundles; OPA is given its public half."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def kid(self) -> str:
        return self._jwk().thumbprint()

    @property
    def public_pem(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        key = self.private.public_key()
        return key.public_bytes(serialization.Encoding.PEM, form).decode()

    def sign(self, payload: bytes) -> str:
        """The payload as a compact JWS."""
        header = {"alg": ALGORITHM, "kid": self.kid}
        return jws.serialize_compact(header, payload, self._jwk())

    def signed(self, token: str) -> bytes | None:
        """What was signed by this key; None when nothing was."""
        try:
            return jws.deserialize_compact(token, self._jwk(), algorithms=[ALGORITHM]).payload
        except (JoseError, ValueError):
            return None

    def _jwk(self) -> ECKey:
        return ECKey.import_key(self.private)


def bundle_key(secret: bytes) -> BundleKey:
    """The signing key that belongs to a secret; the same on every replica that has it."""
    number = int.from_bytes(hashlib.sha512(b"sluice policy bundle\0" + secret).digest(), "big")
    return BundleKey(ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1()))


def pack(bundle: Bundle, key: BundleKey) -> bytes:
    """The bundle as a gzipped tar archive with its signature."""
    manifest = {"revision": bundle.version, "roots": [""], "rego_version": 1}
    files = {
        "data.json": _canonical(bundle.documents),
        ".manifest": _canonical(manifest),
        **{path: text.encode() for path, text in bundle.rego.items()},
    }
    signature = key.sign(_canonical({"files": [_listed(*file) for file in files.items()]}))
    files[".signatures.json"] = _canonical({"signatures": [signature]})
    return gzip.compress(_archive(files), compresslevel=1, mtime=0)


def _listed(name: str, content: bytes) -> dict[str, str]:
    return {"name": name, "hash": hashlib.sha256(content).hexdigest(), "algorithm": "SHA-256"}


def _canonical(document: object) -> bytes:
    """JSON exactly as OPA writes it before hashing: keys in order, two separators escaped."""
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def _archive(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"/{name}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return held.getvalue()
