"""Links to a person's records, for their receivers: the QR code, and the page that takes a code."""

from __future__ import annotations

import segno
from fastapi import Request, Response

from gateway.api.person import pages
from gateway.api.person.office import Office
from gateway.api.person.pages import Frame, Receive
from gateway.errors import SluiceError
from gateway.pages.browser import taste


def qr_of(address: str) -> str:
    """The address as a QR code (ISO/IEC 18004, error correction M or better): a data URI, SVG."""
    made: str = segno.make_qr(address, error="m").svg_data_uri(scale=4)
    return made


def receiving(request: Request, office: Office, error: SluiceError | None = None) -> Response:
    """The page where a link's code is entered; `error`: why the last one opened nothing."""
    chosen, path = taste(request, office.cookies), request.url.path
    page = Receive(path, "" if error is None else type(error).__name__)
    frame = Frame(
        taste=chosen,
        path=path,
        simulated=office.login.kind == "simulated",
        status=200 if error is None else error.status,
    )
    return pages.show(page, frame, office.cookies)
