"""Fetch a client's key set from its `jwks_uri`, so that the address cannot be used against us.

Only https; no redirect; every address the host resolves to must be public (loopback where a
setting allows it), and the connection goes to the address that was checked, so a second answer of
the name service changes nothing. Size and time are bounded. Nothing of the answer but an accepted
key set leaves this module.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

from gateway.errors import OperatorError
from gateway.identity.addresses import address_fault
from gateway.identity.jwks import accept_jwks
from gateway.identity.model import Document

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_BYTES = 64 * 1024
_SECONDS = 5.0  # for the whole fetch
_MEDIA = ("application/json", "application/jwk-set+json")
_CARRIES_IPV4 = tuple(
    ipaddress.ip_network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class FetchRefused(OperatorError):
    """The keys could not be had; the message names the reason, never what was answered."""

    def __init__(self, why: str) -> None:
        super().__init__("client.jwks_unfetched", f"The keys cannot be fetched: {why}.")


@dataclass(frozen=True)
class FetchRule:
    """What may be fetched: whether this machine itself counts, and whose certificates."""

    loopback: bool = False
    ca_file: Path | None = None


def fetch_jwks(uri: str, rule: FetchRule) -> Document:
    """The accepted key set at this address; anything unusual is a refusal."""
    fault = address_fault(uri)
    if fault:
        raise FetchRefused(fault)
    parts = urlsplit(uri)
    host, port = parts.hostname or "", parts.port or 443
    address = checked_address(host, port, loopback=rule.loopback)
    connection = _Pinned(address, host, port, ssl.create_default_context(cafile=rule.ca_file))
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    body = _get(connection, path, parts.netloc)
    try:
        return accept_jwks(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise FetchRefused("the answer is not JSON") from error


def checked_address(host: str, port: int, *, loopback: bool) -> Address:
    """One address of the host, when all of them may be connected to."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchRefused("the host has no address") from error
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    if not addresses or not all(may_connect(each, loopback=loopback) for each in addresses):
        raise FetchRefused("the host is not on the public network")
    return addresses[0]


def may_connect(address: Address, *, loopback: bool) -> bool:
    """Whether the address is public, or this machine where that is allowed."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return may_connect(address.ipv4_mapped, loopback=loopback)
        if any(address in network for network in _CARRIES_IPV4):
            return False  # could lead to any IPv4 address, also an inner one
    if address.is_loopback:
        return loopback
    return address.is_global and not address.is_multicast


class _Pinned(HTTPSConnection):
    """A connection to the address that was checked, with the certificate of the host."""

    def __init__(self, address: Address, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=_SECONDS, context=context)
        self._target, self._tls = (str(address), port), context
        self._live: ssl.SSLSocket | None = None  # kept here: `sock` is let go of before the body

    def connect(self) -> None:
        bare = socket.create_connection(self._target, timeout=_SECONDS)
        self._live = self._tls.wrap_socket(
            bare, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = self._live
        self._live.do_handshake()

    def abort(self) -> None:
        """Break off from another thread: whoever waits for the connection gets an error."""
        if self._live is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._live, socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._live is not None:
            self._live.close()


def _get(connection: _Pinned, path: str, netloc: str) -> bytes:
    """The whole body, or a refusal; a drop at a time does not get past the time allowed."""
    watch = threading.Timer(_SECONDS, connection.abort)
    watch.daemon = True
    headers = {"Host": netloc, "Accept": ", ".join(_MEDIA), "Accept-Encoding": "identity"}
    watch.start()
    try:
        connection.request("GET", path, headers=headers)
        with closing(connection.getresponse()) as answer:
            media = (answer.getheader("content-type") or "").partition(";")[0].strip().lower()
            if answer.status != HTTPStatus.OK or media not in _MEDIA:
                raise FetchRefused("the answer is no key set")
            body = answer.read(MOST_BYTES + 1)
    except (OSError, HTTPException) as error:  # ssl's errors are OSErrors
        raise FetchRefused(f"no answer ({type(error).__name__})") from error
    finally:
        watch.cancel()
        connection.close()
    if len(body) > MOST_BYTES:
        raise FetchRefused("the answer is too long")
    return body
