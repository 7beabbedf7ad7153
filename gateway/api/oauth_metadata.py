"""Documents by which clients find their way, and the keys that verify what this server signs."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.identity.desk import Identity
from gateway.identity.metadata import (
    RESOURCE_PATH,
    openid_metadata,
    resource_metadata,
    server_metadata,
)


async def jwks(request: Request) -> JSONResponse:
    """Public keys: the signing one, its successor, retired ones."""
    ring = _identity(request).ring()
    return JSONResponse(ring.jwks, headers={"Cache-Control": "public, max-age=60"})


async def gm_jwks(request: Request) -> JSONResponse:
    """The same of SM2, by themselves: most readers of a key set refuse a curve they do not know."""
    ring = _identity(request).gm_ring()
    published = {"keys": []} if ring is None else ring.jwks
    return JSONResponse(published, headers={"Cache-Control": "public, max-age=60"})


async def authorization_server(request: Request) -> JSONResponse:
    """RFC 8414 metadata."""
    return JSONResponse(server_metadata(_identity(request).issuer))


async def openid_configuration(request: Request) -> JSONResponse:
    """OpenID Connect Discovery metadata."""
    return JSONResponse(openid_metadata(_identity(request).issuer))


async def protected_resource(request: Request) -> JSONResponse:
    """RFC 9728 metadata."""
    return JSONResponse(resource_metadata(_identity(request).issuer))


def _identity(request: Request) -> Identity:
    identity: Identity = request.app.state.identity
    return identity


def add_to(router: APIRouter) -> None:
    """Put the documents at their well-known addresses."""
    router.add_route("/oauth/jwks", jwks, ["GET"])
    router.add_route("/oauth/jwks/gm", gm_jwks, ["GET"])
    router.add_route("/.well-known/oauth-authorization-server", authorization_server, ["GET"])
    router.add_route("/.well-known/openid-configuration", openid_configuration, ["GET"])
    for path in ("", RESOURCE_PATH):
        router.add_route(
            f"/.well-known/oauth-protected-resource{path}", protected_resource, ["GET"]
        )
