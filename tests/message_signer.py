"""A client that signs its requests (RFC 9421) and looks at the signatures of answers.

Written from the RFC, with nothing of the gateway's: fields, parameters and what is covered are
arguments, so that a test can get each of them wrong.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from joserfc.jwk import ECKey

TAG = "fapi-2-request"
COVERED = ("@method", "@target-uri", "authorization", "dpop", "content-digest")


def digest(body: bytes) -> str:
    """Content-Digest of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def base(components: Mapping[str, str], parameters: str) -> bytes:
    """The text that is signed (RFC 9421 §2.5)."""
    lines = [f"{name}: {value}" for name, value in components.items()]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def described(names: Sequence[str], parameters: Mapping[str, str | int]) -> str:
    """Components and parameters as Signature-Input writes them."""
    told = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in parameters.items()
    )
    return f"({' '.join(names)}){told}"


def signature(
    method: str,
    url: str,
    fields: Mapping[str, str],
    key: ECKey,
    *,
    served: str,
    now: datetime,
    cover: Sequence[str] = COVERED,
    **changed: Any,
) -> dict[str, str]:
    """Signature-Input and Signature of a request by an EC key, with the nonce the server gave; a
    parameter that is None is left out."""
    values = {"@method": method, "@target-uri": url, **fields}
    components = {f'"{name}"': values[name] for name in cover if name in values}
    stated = {
        "created": int(now.timestamp()),
        "keyid": str(key.kid),
        "nonce": f"{served}.{secrets.token_hex(6)}",
        "tag": TAG,
        **changed,
    }
    parameters = {name: value for name, value in stated.items() if value is not None}
    params = described(tuple(components), parameters)
    made = key.private_key.sign(base(components, params), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(made)
    octets = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
    return {"signature-input": f"sig={params}", "signature": f"sig=:{octets}:"}


def answer_is_signed(reply: httpx.Response, jwks: Mapping[str, Any], asked_digest: str) -> bool:
    """Whether an answer carries a signature by a published key over its status and content and what
    was asked; raises where the signature is not good."""
    found = reply.headers["signature-input"]
    params = found.partition("=")[2]
    label, _, octets = reply.headers["signature"].partition("=")
    signed = base64.b64decode(octets.strip(":"))
    names = params[1 : params.index(")")].split(" ")
    request = reply.request
    values = {
        '"@status"': str(reply.status_code),
        '"content-digest"': digest(reply.content),
        '"@method";req': request.method,
        '"@target-uri";req': str(request.url),
        '"content-digest";req': asked_digest,
        **{f'"{n}";req': request.headers.get(n, "") for n in ("signature-input", "signature")},
    }
    keyid = params.partition('keyid="')[2].partition('"')[0]
    key = next(ECKey.import_key(one) for one in jwks["keys"] if one["kid"] == keyid)
    text = base({name: values[name] for name in names}, params)
    r, s = (int.from_bytes(part) for part in (signed[:32], signed[32:]))
    key.public_key.verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
    return label == "sluice" and {'"@status"', '"content-digest"', '"@target-uri";req'} <= {*names}
