"""Public keys of clients: which may be registered, and which one an assertion must have used.

A key is for signatures, or by its `use` (`enc`) for what is encrypted to a client; never both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from gateway.errors import OperatorError
from gateway.identity.jose import PUBLIC_KEYS, PublicKey
from gateway.identity.model import Document

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_REMOTE_MEMBERS = frozenset({"x5u", "jku", "x5c"})
_MOST_KEYS = 10
RSA_BITS = (2048, 3072, 4096)
"""Sizes an RSA key may be registered with; there is a decoy of each (`authserver.clients`)."""
RSA_EXPONENT = 65537
"""The one public exponent: a large one would make each of its signatures costly to check."""
ENCRYPTION = "enc"
"""`use` of a key to which answers are encrypted."""
_LEAST_RSA_BITS = 2048
_LEAST_RSA_TEXT = 342  # characters of a 2048-bit modulus in base64url
_MOST_RSA_BITS = 8192


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A registered public key and the algorithm names it may be used with."""

    kid: str
    algorithms: frozenset[str]
    key: PublicKey


def accept_jwks(document: object) -> Document:
    """The key set as it is stored: every key public, of an allowed algorithm, with a kid."""
    if isinstance(document, Mapping) and "kty" in document:
        document = {"keys": [document]}
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS:
        raise _refused(f"a key set holds 1 to {_MOST_KEYS} keys under 'keys'")
    accepted = [_accept_key(each) for each in keys]
    if len({each["kid"] for each in accepted}) != len(accepted):
        raise _refused("two keys carry the same kid")
    if len({(_bare(each), each["use"]) for each in accepted}) > len({_bare(e) for e in accepted}):
        raise _refused("one key is for signatures and for encryption")
    return {"keys": accepted}


def algorithms_of(jwks: Document) -> tuple[str, ...]:
    """Algorithms a stored key set may sign with, sorted."""
    return tuple(sorted({name for each in read_keys(jwks) for name in each.algorithms}))


def read_keys(jwks: Document) -> tuple[VerificationKey, ...]:
    """The keys for signatures of a stored (accepted) key set, ready to verify with."""
    keys = jwks["keys"]
    if not isinstance(keys, list):
        raise _refused("a stored key set is damaged")
    return tuple(_verification_key(each) for each in keys if each.get("use") != ENCRYPTION)


def choose_key(
    keys: tuple[VerificationKey, ...], algorithm: str, kid: str | None
) -> VerificationKey | None:
    """The one registered key the header can mean; None when there is none, or more than one."""
    fitting = [
        each for each in keys if algorithm in each.algorithms and (kid is None or each.kid == kid)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _verification_key(jwk: Mapping[str, Any]) -> VerificationKey:
    key = import_key(dict(jwk)).public_key
    algorithms = _algorithms(key, jwk.get("alg"))
    if not isinstance(key, PUBLIC_KEYS):
        raise _refused("a stored key set is damaged")
    return VerificationKey(str(jwk["kid"]), algorithms, key)


def _accept_key(jwk: object) -> dict[str, Any]:
    if not isinstance(jwk, Mapping):
        raise _refused("a key is not a JSON object")
    if _PRIVATE_MEMBERS & jwk.keys():
        raise _refused("a key carries its private part; register only public keys")
    if _REMOTE_MEMBERS & jwk.keys():
        raise _refused("keys with x5u, x5c or jku are not accepted")
    use = jwk.get("use", "sig")
    if use not in ("sig", ENCRYPTION):
        raise _refused("a key's use is sig or enc")
    if jwk.get("kty") == "RSA" and len(str(jwk.get("n", ""))) < _LEAST_RSA_TEXT:
        raise _refused("an RSA key needs at least 2048 bits")
    try:
        # Members that play no part here ('use', 'key_ops') are checked above and left out.
        imported = import_key(_material(jwk))
        key, thumbprint = imported.public_key, imported.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refused("a key cannot be read") from error
    stated = jwk.get("alg")
    _check_use(key, stated, use)
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key)
    kid = jwk.get("kid", thumbprint)
    if not isinstance(kid, str) or not 1 <= len(kid) <= 128:
        raise _refused("a kid is a string of 1 to 128 characters")
    return {**_material(jwk), "kid": kid, "use": use, **({"alg": stated} if stated else {})}


def encryption_algorithm(jwk: Mapping[str, Any]) -> str | None:
    """How content keys are wrapped for a key of this type (RFC 7518 §4); None for other types."""
    if jwk.get("kty") == "RSA":
        return "RSA-OAEP-256"
    return "ECDH-ES+A256KW" if (jwk.get("kty"), jwk.get("crv")) == ("EC", "P-256") else None


def _bare(jwk: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(_material(jwk).items()))


def _material(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a key of its type, and nothing that another type's key would have."""
    kind = jwk.get("kty")
    names = _MATERIAL.get(kind, ()) if isinstance(kind, str) else ()
    return {name: jwk[name] for name in ("kty", *names) if name in jwk}


def _check_use(key: object, stated: object, use: str) -> None:
    """A key of a type, and with a stated algorithm, that fits what it is for."""
    if use != ENCRYPTION:
        _algorithms(key, stated)
        return
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            possible = "ECDH-ES+A256KW"
        case rsa.RSAPublicKey():
            possible = "RSA-OAEP-256"
        case _:
            raise _refused("a key for encryption must be EC P-256 or RSA")
    if stated not in (None, possible):
        raise _refused(f"the alg of such a key for encryption is {possible}")


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if key.key_size not in RSA_BITS or key.public_numbers().e != RSA_EXPONENT:
        sizes = ", ".join(map(str, RSA_BITS))
        raise _refused(f"an RSA key has one of {sizes} bits and the exponent {RSA_EXPONENT}")


_MATERIAL = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}


def _algorithms(key: object, stated: object) -> frozenset[str]:
    """What the key may sign with; refuses types, sizes and algorithms FAPI 2.0 does not allow."""
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            possible = {"ES256"}
        case rsa.RSAPublicKey() if _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS:
            possible = {"PS256"}
        case ed25519.Ed25519PublicKey():
            possible = {"EdDSA", "Ed25519"}
        case _:
            raise _refused("a key must be EC P-256, RSA of at least 2048 bits, or Ed25519")
    if stated is not None and not (isinstance(stated, str) and stated in possible):
        raise _refused("a key's alg must be ES256, PS256 or EdDSA/Ed25519 and fit its type")
    return frozenset(possible)  # two names of one algorithm are one algorithm


def _refused(why: str) -> OperatorError:
    return OperatorError("client.jwks_refused", f"The key set is refused: {why}.")
