"""Events that a gateway pushes (RFC 8417, RFC 8935): verified, and each taken once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ACCEPTED: Final = 202
REFUSED: Final = 400
_TYPE: Final = "secevent+jwt"


class Receiver:
    """Answers the pushes of one gateway; `take` is given the claims of each event once.

    `keys` fetches the gateway's key set (`/oauth/jwks`); it is asked again for a key that is not
    known. What was taken is remembered in `taken`, which a program that restarts must keep itself.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        keys: Callable[[], Mapping[str, Any]],
        take: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._issuer, self._client_id = issuer.rstrip("/"), client_id
        self._fetch, self._take = keys, take
        self._keys: KeySet | None = None
        self.taken: set[str] = set()

    def receive(self, token: str) -> int:
        """The status to answer a push with: 202, or 400 for what is not this gateway's."""
        claims = self._verified(token)
        if claims is None:
            return REFUSED
        jti = str(claims["jti"])
        if jti not in self.taken:
            self._take(claims)  # if this fails, the event comes again
            self.taken.add(jti)
        return ACCEPTED

    def _verified(self, token: str) -> Mapping[str, Any] | None:
        for fresh in (False, True):
            if self._keys is None or fresh:
                self._keys = KeySet.import_key_set(dict(self._fetch()))  # type: ignore[arg-type]  # a JWK set as it came
            try:
                read = jwt.decode(token, self._keys, algorithms=["ES256"])
            except (JoseError, ValueError):
                continue
            ours = read.claims.get("iss") == self._issuer
            meant = read.claims.get("aud") == self._client_id and "jti" in read.claims
            return read.claims if ours and meant and read.header.get("typ") == _TYPE else None
        return None
