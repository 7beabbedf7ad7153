"""What a page knows of the browser: its secrets, its choice of language and size, a forged form.

No script runs on these pages. A form is accepted with a token made from the secret in the
browser's own cookie, so that no other site can send it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.responses import Response

from gateway.consent.notice import Language
from gateway.consent.subjects import Subjects
from gateway.errors import BadRequest, Forbidden

Size: TypeAlias = Literal["normal", "large"]
Fields: TypeAlias = dict[str, list[str]]

MOST_BODY = 16_384
MOST_FIELDS = 60
YEAR = 365 * 24 * 3600
HOME_LIFE = 15 * 60


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names of our cookies; `__Host-` keeps sibling hosts from setting them over https."""

    secure: bool

    def name(self, plain: str) -> str:
        return f"__Host-sluice-{plain}" if self.secure else f"sluice-{plain}"

    def get(self, request: Request, plain: str) -> str:
        return request.cookies.get(self.name(plain), "")

    def put(self, response: Response, plain: str, value: str, life: int) -> None:
        """Set a cookie no script can read and no other site's form can use."""
        response.set_cookie(
            self.name(plain),
            value,
            max_age=life,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, plain: str) -> None:
        response.delete_cookie(
            self.name(plain), path="/", secure=self.secure, httponly=True, samesite="lax"
        )


@dataclass(frozen=True, slots=True)
class Taste:
    """How a person wants the pages; `asked` when this very request says so."""

    language: Language
    size: Size
    asked: bool = field(default=False, compare=False)


def taste(request: Request, cookies: Cookies) -> Taste:
    """Language and type size: from the address if given there, else as remembered."""
    language = _choice(request, cookies, "lang", ("zh", "en"))
    size = _choice(request, cookies, "size", ("normal", "large"))
    asked = bool({"lang", "size"} & request.query_params.keys())
    return Taste(cast("Language", language), cast("Size", size), asked)  # cast: of the two listed


def _choice(request: Request, cookies: Cookies, name: str, known: tuple[str, str]) -> str:
    for said in (request.query_params.get(name), cookies.get(request, name)):
        if said in known:
            return said
    return known[0]


def form_token(subjects: Subjects, *secrets_of_browser: str) -> str:
    """The token a form must carry; empty secrets make no token."""
    if not all(secrets_of_browser):
        return ""
    return subjects.mac("form", "\0".join(secrets_of_browser))


def check_form(request: Request, given: str, expected: str) -> None:
    """Refuse a form that did not come from our own page in this browser."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    right = bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
    if not right or site not in ("same-origin", "none"):
        raise Forbidden(
            "form_not_ours",
            "This form did not come from our page, or the page is too old. Open the page again.",
            "该表单不是从本页面提交的，或页面已过期，请重新打开页面。",
        )


async def read_fields(request: Request) -> Fields:
    """The fields of a posted form, each with all its values."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise BadRequest("invalid_parameter", "The form is too long.")
    if media != "application/x-www-form-urlencoded":
        raise BadRequest("invalid_parameter", "Send the page's own form.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise BadRequest("invalid_parameter", "The form cannot be read.") from error
    fields: Fields = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def one(fields: Fields, name: str) -> str:
    """A field's only value; empty when it is missing or given twice."""
    values = fields.get(name, [])
    return values[0] if len(values) == 1 else ""


def new_secret() -> str:
    """A secret for a browser that has none yet."""
    return secrets.token_urlsafe(32)
