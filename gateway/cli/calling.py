"""Acting as a registered client: fetch a token, call the data API, make one proof for raw curl."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import orjson
import typer

from gateway.cli.office import Json, say
from gateway.errors import OperatorError
from gateway.identity.requester import Certificates, Participant, read_key
from gateway.settings import Settings
from sluice_client.proof import make_proof

_Client = Annotated[str, typer.Option(help="Client id.")]
_Key = Annotated[Path | None, typer.Option(help="File with the client's private JWK.")]
_Issuer = Annotated[str, typer.Option("--url", help="Issuer; default: these settings' server.")]
_Ca = Annotated[Path | None, typer.Option(help="CA the server's certificate comes from (PEM).")]
_Cert = Annotated[
    Path | None, typer.Option(help="Client certificate and its key in one file (PEM).")
]
_Token = Annotated[str, typer.Option(help="Access token; default: a new one.")]
_Method = Annotated[str, typer.Argument(help="GET, POST, …")]
_Url = Annotated[str, typer.Argument(help="Address, or path on the issuer.")]


def token(
    *,
    client_id: _Client,
    key: _Key = None,
    url: _Issuer = "",
    ca: _Ca = None,
    cert: _Cert = None,
    as_json: Json = False,
) -> None:
    """Fetch an access token as a client does, over HTTP, and print it; it is bound to the key."""
    participant = _participant(client_id, key, url, Certificates(ca, cert))
    with participant.open() as http:
        answer = participant.token(http)
    say(answer, as_json, str(answer["access_token"]))


def call(
    method: _Method,
    path: _Url,
    *,
    client_id: _Client,
    key: _Key = None,
    data: Annotated[str, typer.Option(help="Body, or @FILE.")] = "",
    accept: Annotated[str, typer.Option(help="Format of the answer.")] = "application/json",
    access_token: Annotated[str, typer.Option("--token", help="Default: a new one.")] = "",
    url: _Issuer = "",
    ca: _Ca = None,
    cert: _Cert = None,
) -> None:
    """Call the data API with a token, its proof and the server's nonce; print the answer."""
    participant = _participant(client_id, key, url, Certificates(ca, cert))
    headers = {"Accept": accept, **({"Content-Type": "application/json"} if data else {})}
    with participant.open() as http:
        reply = participant.call(
            http,
            method.upper(),
            path,
            content=_body(data),
            headers=headers,
            token=access_token or None,
        )
    sys.stdout.buffer.write(_readable(reply))
    sys.stdout.flush()
    if reply.is_error:
        typer.echo(f"\nsluice: the server answered {reply.status_code}", err=True)
        raise typer.Exit(1)


def _readable(reply: httpx.Response) -> bytes:
    """JSON indented for people; anything else as it came. A person's line never runs on."""
    if "json" not in reply.headers.get("content-type", ""):
        return reply.content
    return orjson.dumps(orjson.loads(reply.content), option=orjson.OPT_INDENT_2) + b"\n"


def proof(
    method: _Method,
    address: _Url,
    *,
    key: Annotated[Path, typer.Option(help="File with the client's private JWK.")],
    access_token: Annotated[str, typer.Option("--token", help="Token to be used with it.")] = "",
    nonce: Annotated[str, typer.Option(help="Value of the last DPoP-Nonce header.")] = "",
) -> None:
    """Print one DPoP proof, good once for this method and address, as curl's DPoP header."""
    if not urlsplit(address).netloc:
        address = f"{Settings().base_url}{address}"
    made = make_proof(
        read_key(key),
        method.upper(),
        address.partition("?")[0],
        datetime.now(UTC),
        nonce=nonce or None,
        access_token=access_token or None,
    )
    typer.echo(made)


def _participant(
    client_id: str, key: Path | None, url: str, certificates: Certificates
) -> Participant:
    if key is None and certificates.own is None:
        raise typer.BadParameter("give --key KEYFILE, or --cert PEMFILE for a client that uses TLS")
    issuer = (url or Settings().base_url).rstrip("/")
    read = read_key(key) if key else None
    return Participant(issuer, client_id, read, lambda: datetime.now(UTC), certificates)


def _body(data: str) -> bytes | None:
    if not data:
        return None
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise OperatorError("call.data_unreadable", f"Cannot read {data[1:]}.") from error
