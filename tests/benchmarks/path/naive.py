"""The stack of the tutorials: `python -m tests.benchmarks.path.naive WAY PORT …`.

Each request verifies its token with a plain library, asks an OPA server over HTTP, masks row by row
in Python, inserts one row of usage by the ORM and returns a dict. WAY is `sync` or `async`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import requests
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

REGO = """package naive
import rego.v1
default allow := false
allow if { input.tenant == "T-0"; input.service == "S02"; input.purpose == "pricing" }
"""
ROWS, COLUMNS = 100, 20


class Base(DeclarativeBase):
    """The one table there is."""


class Usage(Base):
    """A call that was answered."""

    __tablename__ = "usage"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    service: Mapped[str]
    cells: Mapped[int]
    time: Mapped[datetime]


def rows() -> list[dict[str, Any]]:  # as a database would give them
    """Rows with texts and figures, as in the tutorial."""
    return [
        {
            f"c{at}": f"9901{row:04d}{at:02d}" if at % 3 == 0 else row * 1.7 + at
            for at in range(COLUMNS)
        }
        for row in range(ROWS)
    ]


def masked(row: dict[str, Any]) -> dict[str, Any]:
    """Texts become keyed pseudonyms or keep their first letters; figures are rounded."""
    found = {}
    for name, value in row.items():
        if name in {"c0", "c3", "c6"}:
            found[name] = hashlib.sha256(b"key" + str(value).encode()).hexdigest()[:16]
        elif isinstance(value, str):
            found[name] = value[:4] + "*" * (len(value) - 4)
        else:
            found[name] = round(value, 2)
    return found


def main(way: str, port: int, opa: str, database: str, jwk: Path) -> None:
    """Serve one route."""
    app, data = FastAPI(openapi_url=None), rows()
    key = ECKey.import_key(json.loads(jwk.read_text()))
    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    client = httpx.AsyncClient()
    asked = {"input": {"tenant": "T-0", "service": "S02", "purpose": "pricing"}}

    def caller(request: Request) -> str:
        token = request.headers["authorization"].partition(" ")[2]
        claims = jwt.decode(token, key, algorithms=["ES256"]).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        return str(claims["tenant"])

    def count(tenant: str) -> None:
        with Session(engine) as session:
            now = datetime.now(UTC)
            session.add(Usage(tenant=tenant, service="S02", cells=ROWS * COLUMNS, time=now))
            session.commit()

    def check(allowed: dict[str, Any]) -> None:
        if not allowed["result"]:
            raise HTTPException(403)

    def answer_sync(service: str, request: Request) -> dict[str, Any]:
        tenant = caller(request)
        check(requests.post(opa, json=asked, timeout=5).json())
        found = [masked(row) for row in data]
        count(tenant)
        return {"data": found, "service": service}

    async def answer_async(service: str, request: Request) -> dict[str, Any]:
        tenant = caller(request)
        check((await client.post(opa, json=asked)).json())
        found = [masked(row) for row in data]
        await asyncio.to_thread(count, tenant)
        return {"data": found, "service": service}

    route = app.post("/v1/services/{service}/queries")
    route(answer_sync if way == "sync" else answer_async)
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="error")


if __name__ == "__main__":
    way, port, opa, database, jwk = sys.argv[1:]
    main(way, int(port), opa, database, Path(jwk))
