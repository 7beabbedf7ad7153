"""`sluice demo`: the main job from an empty folder to an audited, metered answer."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.demo.client import Participant
from gateway.demo.participants import INSURER, PHARMA
from gateway.demo.server import Server, free_port, start, stop_earlier
from gateway.demo.show import Screen
from gateway.demo.stage import Stage, StageError
from gateway.demo.tour import COST, TourError, play
from gateway.errors import OperatorError
from gateway.settings import Settings

SEED = 2026


def verb(
    once: Annotated[bool, typer.Option(help="Stop the server at the end.")] = False,
    fresh: Annotated[bool, typer.Option(help="Throw an earlier demonstration away.")] = False,
    size: Annotated[str, typer.Option(help="Simulated bureau: mini, ci or demo.")] = "ci",
) -> None:
    """Simulate a bureau, build its releases, register two firms, serve them, play the tour."""
    settings = Settings()
    home = (settings.home / "demo").resolve()
    stop_earlier(home)
    if fresh:
        shutil.rmtree(home, ignore_errors=True)
    screen = Screen()
    stage = Stage(home, free_port(settings.port), screen)
    try:
        screen.scene(0, "准备：模拟数据、构建发布、登记机构", "Simulate, build, register")
        stage.prepare(size, SEED, datetime.now(UTC).date())
        server = start(home, stage.port, stage.environment)
        try:
            _tour(stage, server)
        except BaseException:
            server.stop()
            raise
    except (StageError, TourError) as error:
        raise OperatorError("demo_failed", str(error)) from error
    if once:
        server.stop()
    else:
        _leave_running(stage, server)


def _tour(stage: Stage, server: Server) -> None:
    play(
        server.base_url,
        _participant(stage, INSURER, server),
        _participant(stage, PHARMA, server),
        stage.screen,
    )
    stage.screen.scene(6, "对账与审计链校验", "Books reconciled, audit chain verified")
    for area in ("meter", "audit"):
        stage.screen.line(stage.run(area, "verify").rstrip())


def _participant(stage: Stage, tenant: str, server: Server) -> Participant:
    return Participant(f"{tenant}-app", stage.key_file(tenant), server.base_url)


def _leave_running(stage: Stage, server: Server) -> None:
    sluice = Path(".venv/bin/sluice")
    question = str(COST).replace("'", '"')
    key = stage.key_file(INSURER)
    stage.screen.scene(
        7, "服务仍在运行，可自行尝试", "The server is still running; try it yourself"
    )
    stage.screen.console.print(
        f"TOKEN=$({sluice} client token --client-id {INSURER}-app --key {key}"
        f" --url {server.base_url})\n"
        f'curl -s {server.base_url}/v1/services -H "Authorization: Bearer $TOKEN"\n'
        f'curl -s {server.base_url}/v1/services/S02/queries -H "Authorization: Bearer $TOKEN"'
        f" -H 'Content-Type: application/json' -d '{question}'\n"
        f'curl -s {server.base_url}/v1/usage -H "Authorization: Bearer $TOKEN"\n'
        f"kill {server.pid}   # ends the server",
        soft_wrap=True,
        markup=False,
    )
