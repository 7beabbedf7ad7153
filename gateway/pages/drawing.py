"""Drawing a page: one frozen dataclass is its whole context, one template draws it.

Every page leaves with the same strict headers: nothing from another host, no inline script or
style, no frame, nothing kept by caches on the way.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, RedirectResponse, Response

SHARED = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
_MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def templates(folder: Path) -> Environment:
    """The templates of a folder, and those that all pages share; unknown names are errors."""
    return Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy(send_to: str = "", *, scripts: bool = False) -> str:
    """The content policy; a browser follows a form's redirect only to the address named here."""
    parts = urlsplit(send_to)
    target = f" {parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
    own = "script-src 'self'; connect-src 'self'; img-src 'self'; " if scripts else ""
    return (
        f"default-src 'none'; style-src 'self'; {own}base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{target}"
    )


def headers(send_to: str = "", *, scripts: bool = False) -> dict[str, str]:
    """Headers of every page.

    Where forms are checked by their `Origin`, the referrer may be told to ourselves: without one a
    browser calls the origin of a form null.
    """
    return {
        "Content-Security-Policy": policy(send_to, scripts=scripts),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin" if scripts else "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def go(address: str) -> RedirectResponse:
    """Send the browser on, by GET, to an address we or a client's registration made."""
    return RedirectResponse(address, 303, headers())


def asset(file: Path) -> Response:
    """A style sheet or script of ours; may be kept for an hour, is never guessed at."""
    return FileResponse(
        file,
        media_type=_MEDIA[file.suffix],
        headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )
