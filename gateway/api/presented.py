"""What a request's sender presents, read from the connection or from a proxy that is trusted.

The certificate comes from the TLS connection (ASGI's tls extension, see `gateway.api.connection`).
Behind a proxy that ends TLS it comes from the header of RFC 9440, and the address from
X-Forwarded-For; both are read only when the connection's own peer is a configured proxy. From
anybody else these headers are text by a stranger and are not looked at.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from gateway.errors import BadRequest
from gateway.identity.binding import (
    ClientCert,
    Presented,
    TrustedProxies,
    is_address,
    read_certificate,
)

_LONGEST_CERT = 16_384


def presented(request: Request) -> Presented:
    """Method, address, proofs, certificate and source of this request."""
    identity = request.app.state.identity
    proxies: TrustedProxies = identity.proxies
    scope = request.scope
    path = scope.get("raw_path") or scope["path"].encode()
    peer = _peer(request)
    through_proxy = proxies.trusts(peer)
    return Presented(
        method=request.method,
        url=f"{identity.issuer}{path.decode('latin-1')}",
        dpop=tuple(request.headers.getlist("dpop")),
        cert=_header_cert(request, proxies) if through_proxy else _connection_cert(scope),
        ip=_forwarded_for(request, proxies, peer) if through_proxy else peer,
        query=query_of(scope),
        fields=scope["headers"],
    )


def query_of(scope: Scope) -> str:
    """The query with its question mark, empty where there is none."""
    query: bytes = scope["query_string"]
    return f"?{query.decode('latin-1')}" if query else ""


def source(request: Request) -> str:
    """The address a request comes from, as far as that can be believed."""
    proxies: TrustedProxies = request.app.state.identity.proxies
    peer = _peer(request)
    return _forwarded_for(request, proxies, peer) if proxies.trusts(peer) else peer


def _peer(request: Request) -> str:
    # A socket for both families names IPv4 callers in this form; registered are plain addresses.
    return request.client.host.removeprefix("::ffff:") if request.client else ""


def _connection_cert(scope: Scope) -> ClientCert | None:
    """The certificate of this very connection, verified by TLS."""
    tls: Mapping[str, Any] = scope.get("extensions", {}).get("tls", {})
    chain = tls.get("client_cert_chain") or ()
    if not chain or tls.get("client_cert_error"):
        return None
    return read_certificate(ssl.PEM_cert_to_DER_cert(chain[0]), verified=True)


def _header_cert(request: Request, proxies: TrustedProxies) -> ClientCert | None:
    """The certificate a trusted proxy has verified; one that cannot be read ends the request."""
    values = request.headers.getlist(proxies.cert_header)
    if not values:
        return None
    if len(values) > 1:
        raise _unreadable()
    return _read_header(values[0])


@lru_cache(maxsize=1024)
def _read_header(value: str) -> ClientCert:
    """The same clients call again and again."""
    value = value.strip()
    if not (value.startswith(":") and value.endswith(":") and len(value) > 2):
        raise _unreadable()
    try:
        if len(value) > _LONGEST_CERT:
            raise ValueError("longer than any certificate")
        return read_certificate(base64.b64decode(value[1:-1], validate=True), verified=True)
    except (ValueError, binascii.Error) as error:
        raise _unreadable() from error


def _unreadable() -> BadRequest:
    return BadRequest(
        "client_cert_header",
        "The proxy's client-certificate header is not one certificate as RFC 9440 writes it.",
        "代理传递的客户端证书请求头格式不正确。",
    )


def _forwarded_for(request: Request, proxies: TrustedProxies, peer: str) -> str:
    """The last address that is no trusted proxy's: anybody may have written what stands before."""
    stated = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for address in reversed([each.strip() for each in stated if each.strip()]):
        if not is_address(address):
            raise BadRequest(
                "forwarded_for",
                "The proxy's X-Forwarded-For header names something that is no address.",
                "代理传递的 X-Forwarded-For 请求头中含有无效地址。",
            )
        if not proxies.trusts(address):
            return address
    return peer
