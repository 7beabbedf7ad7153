"""What a page knows of the browser: its cookies, its taste (language, size, theme), its forms."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import BadRequest

Language: TypeAlias = Literal["zh", "en"]
Size: TypeAlias = Literal["normal", "large"]
Theme: TypeAlias = Literal["auto", "light", "dark"]
Fields: TypeAlias = dict[str, list[str]]

MOST_BODY = 16_384
MOST_FIELDS = 60
YEAR = 365 * 24 * 3600


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
    size: Size = "normal"
    theme: Theme = "auto"
    asked: bool = field(default=False, compare=False)


def taste(request: Request, cookies: Cookies) -> Taste:
    """Language, type size and theme: from the address if given there, else as remembered."""
    language = _choice(request, cookies, "lang", ("zh", "en"))
    size = _choice(request, cookies, "size", ("normal", "large"))
    theme = _choice(request, cookies, "theme", ("auto", "light", "dark"))
    asked = bool({"lang", "size", "theme"} & request.query_params.keys())
    # cast: each is one of those listed
    return Taste(cast("Language", language), cast("Size", size), cast("Theme", theme), asked)


def _choice(request: Request, cookies: Cookies, name: str, known: tuple[str, ...]) -> str:
    for said in (request.query_params.get(name), cookies.get(request, name)):
        if said in known:
            return said
    return known[0]


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


async def read_upload(request: Request, largest: int) -> Fields:
    """The fields of a posted form with one file, whose content becomes base64 under its field and
    whose name becomes `name`."""
    try:
        async with request.form(
            max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_BODY
        ) as form:
            fields: Fields = {}
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, []).append(value)
                    continue
                content = await value.read(largest + 1)
                if len(content) > largest:
                    raise BadRequest("invalid_parameter", "The file is too large.", "文件过大。")
                fields[name] = [base64.b64encode(content).decode()]
                fields["name"] = [value.filename or ""]
            return fields
    except HTTPException as error:  # what Starlette says of a body that is no such form
        raise BadRequest("invalid_parameter", "The form cannot be read.") from error


def one(fields: Fields, name: str) -> str:
    """A field's only value; empty when it is missing or given twice."""
    values = fields.get(name, [])
    return values[0] if len(values) == 1 else ""


def new_secret() -> str:
    """A secret for a browser that has none yet."""
    return secrets.token_urlsafe(32)
