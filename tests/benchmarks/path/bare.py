"""Bare FastAPI that sends given bytes: `python -m tests.benchmarks.path.bare PORT FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response


def main(port: int, file: Path) -> None:
    """One route that reads the question and answers with the same bytes each time."""
    app, told = FastAPI(openapi_url=None), file.read_bytes()

    @app.post("/v1/services/{service}/queries")
    async def answer(service: str, request: Request) -> Response:
        await request.body()
        return Response(told, media_type="application/json")

    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
