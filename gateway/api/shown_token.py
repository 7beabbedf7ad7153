"""The token a request shows, as far as a middleware may believe it: the application proves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

from gateway.identity.desk import Identity
from gateway.identity.jose import MalformedToken, parse_compact, signature_is_valid
from gateway.identity.keyring import ALGORITHM


def our_claims(headers: Headers, identity: Identity) -> Mapping[str, Any]:  # Any: JSON
    """The claims of the token that is shown, if this gateway signed it, over or not; else none."""
    try:
        token = parse_compact(headers.get("authorization", "").partition(" ")[2])
    except MalformedToken:
        return {}
    key = identity.ring().verifying.get(str(token.header.get("kid")))
    ours = key is not None and signature_is_valid(
        ALGORITHM, key, token.signing_input, token.signature
    )
    return token.claims if ours else {}
