"""Push of security event tokens (RFC 8417, RFC 8935) to an address a receiver registered.

The address cannot be used against us: it is checked when registered and again at every push, every
address of its host must be public, and the connection goes to the address that was checked.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit, urlunsplit

from gateway.consent.outbox import Due
from gateway.consent.record import Document
from gateway.errors import SluiceError
from gateway.identity.addresses import address_fault
from gateway.identity.jwks_remote import Address, FetchRefused, FetchRule, checked_address

SET_TYPE = "secevent+jwt"
MEDIA_TYPE = "application/secevent+jwt"
_SECONDS = 5.0  # for the whole of one push, whatever the receiver drips

Sign = Callable[[str, dict[str, object]], str]
"""Media type and claims to a JWT by the current key of the ring."""


@dataclass(frozen=True)
class EventSigner:
    """Makes the token of an event, the same claims at every delivery."""

    issuer: str
    sign: Sign

    def token(self, claims: Document) -> str:
        return self.sign(SET_TYPE, {"iss": self.issuer, **claims})


class _Pinned(HTTPConnection):
    """A connection to the address that was checked, with the certificate of the host."""

    def __init__(self, address: Address, netloc: tuple[str, int], tls: ssl.SSLContext | None):
        super().__init__(*netloc, timeout=_SECONDS)
        self._target, self._tls = (str(address), netloc[1]), tls
        self._live: socket.socket | None = None
        self.aborted = False

    def connect(self) -> None:
        self._live = socket.create_connection(self._target, timeout=_SECONDS)
        if self._tls is not None:
            safe = self._tls.wrap_socket(
                self._live, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._live = safe
            safe.do_handshake()
        self.sock = self._live

    def abort(self) -> None:
        """Break off from another thread: whoever waits for the connection gets an error."""
        self.aborted = True
        if self._live is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._live, socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._live is not None:
            self._live.close()


@dataclass(frozen=True)
class Pusher:
    """Sends one event; says why it was not heard."""

    signer: EventSigner
    rule: FetchRule

    def push(self, due: Due) -> str | None:
        """None when the receiver took it in, else a short reason for the operator."""
        try:
            status = self.send(due.endpoint, self.signer.token(due.claims))
        except FetchRefused as error:
            return error.message[:200]
        except (OSError, HTTPException) as error:  # ssl's errors are OSErrors
            return f"no answer ({type(error).__name__})"
        return None if status == HTTPStatus.ACCEPTED else f"answered {status}"

    def send(self, endpoint: str, token: str) -> int:
        """The status of the answer; its body is never read. Raises what `push` gives as reasons."""
        parts = urlsplit(endpoint)
        connection = self._connection(endpoint)
        watch = threading.Timer(_SECONDS, connection.abort)
        watch.daemon = True
        watch.start()
        headers = {
            "Host": parts.netloc,
            "Content-Type": MEDIA_TYPE,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        try:
            path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.request("POST", path, token.encode("ascii"), headers)
            status = connection.getresponse().status
            if connection.aborted:  # an answer cut off among its headers looks whole
                raise TimeoutError
            return status
        finally:
            watch.cancel()
            connection.close()

    def _connection(self, endpoint: str) -> _Pinned:
        fault = address_fault(endpoint, loopback_http=self.rule.loopback)
        if fault:
            raise FetchRefused(fault)
        host, port, encrypted = _place(endpoint)
        address = checked_address(host, port, loopback=self.rule.loopback)
        tls = ssl.create_default_context(cafile=self.rule.ca_file) if encrypted else None
        return _Pinned(address, (host, port), tls)


def _place(endpoint: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken there."""
    parts = urlsplit(endpoint)
    encrypted = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if encrypted else 80), encrypted


def check_endpoint(endpoint: str, rule: FetchRule) -> str | None:
    """Why an address cannot be registered; None when it can."""
    fault = address_fault(endpoint, loopback_http=rule.loopback)
    if fault:
        return fault
    host, port, _ = _place(endpoint)
    try:
        checked_address(host, port, loopback=rule.loopback)
    except SluiceError as error:
        return error.message
    return None
