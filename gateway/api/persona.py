"""The simulated credential app without a browser: an invented person on the real pages.

It goes the way of every person: the authorisation server's address, sign-in, each screen in turn.
No screen is passed by, so what a developer sees here is what a person's answer does in life.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import httpx
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import BadRequest, Unprocessable
from gateway.identity.caller import Caller
from gateway.identity.desk import Identity
from gateway.pages.hidden import HiddenFields

_SCREENS: Final = 8
_METHOD: Final = "ehic_face"
_ACTION: Final = re.compile(
    r'action="(?P<address>/person/interactions/[^"/]+/(?P<act>whose|guardian|consent|sensitive))"'
)
_TICKED: Final = re.compile(r'type="checkbox" name="scope" value="([A-Z_]+)"')


class Persona(BaseModel):
    """What an invented person does with a request that the client has pushed.

    Without `scopes` everything on the page is ticked; `sensitive` answers the second question,
    about sensitive diagnoses; `for_child` is the child's id where a parent answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_uri: Annotated[str, Field(max_length=200)]
    decision: Literal["approve", "deny"] = "approve"
    scopes: Annotated[tuple[str, ...], Field(max_length=20)] | None = None
    sensitive: bool = False
    for_child: Annotated[str, Field(max_length=60)] = ""


async def answer(request: Request, caller: Caller, name: str, said: Persona) -> dict[str, object]:
    """Where the browser is sent in the end (`redirect_to`), with the code or the error in it.

    Raises `BadRequest` for a request that is not this client's or is over, `Unprocessable` where
    the pages do not let this person answer.
    """
    subject = _subject(request, said.for_child or name)
    async with _window(request, caller) as http:
        asked = {"client_id": caller.client_id, "request_uri": said.request_uri}
        page = await http.get("/oauth/authorize", params=asked)
        if not _visit(page):
            raise BadRequest(
                "sandbox_request",
                "This pushed request is not this client's, or it is over: push another.",
                "该请求不属于本客户端或已失效，请重新推送。",
            )
        page = await http.get(page.headers["location"])
        sent = {"person": name, "method": _METHOD}
        page = await _post(http, f"{page.url.path}/sign-in", page, sent)
        for _ in range(_SCREENS):
            if page.status_code == httpx.codes.SEE_OTHER and not _visit(page):
                return {"redirect_to": page.headers["location"]}
            if page.status_code == httpx.codes.SEE_OTHER:
                page = await http.get(page.headers["location"])
            found = _ACTION.search(page.text)
            if found is None:
                break
            fields = _said(found["act"], page.text, said, subject)
            page = await _post(http, found["address"], page, fields)
    raise Unprocessable(
        "sandbox_persona_stopped",
        "The pages do not let this person give that consent; see GET /v1/sandbox/personas.",
        "页面不允许该人物作出此项授权。",
    )


async def end(request: Request, caller: Caller, name: str, consent_id: str) -> None:
    """The person signs in at home and ends the consent; raises `Unprocessable` where it is not
    theirs to end."""
    async with _window(request, caller) as http:
        page = await http.get("/person/sign-in")
        await _post(http, "/person/sign-in", page, {"person": name, "method": _METHOD})
        address = f"/person/consents/{consent_id}/end"
        page = await http.get(address)
        if page.status_code == httpx.codes.OK:
            page = await _post(http, address, page, {})
        if page.status_code >= 400:
            raise Unprocessable(
                "sandbox_persona_stopped",
                "This person did not give that consent, or it is not in force.",
                "该授权并非此人作出，或已不在有效期内。",
            )


def _window(request: Request, caller: Caller) -> httpx.AsyncClient:
    """A browser window of this process's own pages, from the caller's address."""
    identity: Identity = request.app.state.identity
    inside = httpx.ASGITransport(app=request.app, client=(caller.ip, 0))
    return httpx.AsyncClient(transport=inside, base_url=identity.issuer, timeout=30)


def _visit(page: httpx.Response) -> bool:
    """Whether the page sends the browser on to the person's pages."""
    return "/person/interactions/" in page.headers.get("location", "")


def _subject(request: Request, name: str) -> str:
    """The token by which the pages know an invented person; of nobody where there is none."""
    login = request.app.state.persons.login
    found = [each for each in login.people if each.id == name]
    return str(login.subjects.reference(found[0].certno)) if found else ""


def _said(act: str, page: str, said: Persona, subject: str) -> dict[str, object]:
    """What is filled in on a screen."""
    match act:
        case "whose":
            return {"subject": subject}
        case "consent":
            ticked = _TICKED.findall(page) if said.scopes is None else list(said.scopes)
            return {"decision": said.decision, "scope": ticked}
        case "sensitive":
            return {"choice": "give", "read": "yes"} if said.sensitive else {"choice": "skip"}
        case _:
            return {}


async def _post(
    http: httpx.AsyncClient, address: str, page: httpx.Response, fields: Mapping[str, object]
) -> httpx.Response:
    """Send the page's form with what is hidden in it."""
    reader = HiddenFields()
    reader.feed(page.text)
    return await http.post(address, data={**reader.hidden, **fields})
