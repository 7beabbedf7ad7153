"""Addresses that parties register: where a person may be sent back to, where keys may be fetched.

They are compared as text later, so only one spelling is accepted: ASCII, no user, no fragment, no
dot segments, nothing that two parsers could read in two ways.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_LONGEST = 500
_PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DOTS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)


def redirect_fault(uri: str) -> str | None:
    """What is wrong with a redirect URI; None when nothing is. Loopback may do without TLS."""
    return _fault(uri, loopback_http=True)


def address_fault(uri: str, *, loopback_http: bool = False) -> str | None:
    """What is wrong with an address we would fetch from; None when nothing is."""
    return _fault(uri, loopback_http=loopback_http)


def is_loopback(host: str) -> bool:
    """Whether the host names this machine, as written."""
    return host in _LOOPBACK


def _fault(uri: str, *, loopback_http: bool) -> str | None:
    if len(uri) > _LONGEST:
        return f"an address has at most {_LONGEST} characters"
    if not _PLAIN.fullmatch(uri):
        return "an address is plain ASCII without spaces, quotes, backslashes or a fragment"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the address cannot be read"
    if port == 0:
        return "the address cannot be read"
    return _parts_fault(parts, host, loopback_http=loopback_http)


def _parts_fault(parts: SplitResult, host: str, *, loopback_http: bool) -> str | None:
    if parts.scheme != "https" and not (
        loopback_http and parts.scheme == "http" and host in _LOOPBACK
    ):
        return "an address begins with https:// (http:// only to this machine itself)"
    if "@" in parts.netloc:
        return "an address names no user"
    if parts.netloc != parts.netloc.lower() or not _is_host(host):
        return "an address names a host in small letters"
    if _DOTS.search(parts.path):
        return "an address has no dot segments"
    return None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_HOST.fullmatch(host)) and len(host) <= 253
    return True
