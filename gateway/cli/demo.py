"""`sluice demo`: the main job from an empty folder to an audited, metered answer."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.demo import person as consent_scene
from gateway.demo.claims import SceneError
from gateway.demo.client import Participant
from gateway.demo.participants import CLAIMS_APP, INSURER, PHARMA
from gateway.demo.server import Server, free_port, start, stop_earlier
from gateway.demo.show import Screen
from gateway.demo.stage import SLUICE, Stage, StageError
from gateway.demo.tour import COST, TourError, play, show_usage
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
    except (StageError, TourError, SceneError) as error:
        raise OperatorError("demo_failed", str(error)) from error
    if once:
        server.stop()
    else:
        _leave_running(stage, server)


def _tour(stage: Stage, server: Server) -> None:
    screen, address = stage.screen, server.base_url
    insurer, pharma = (_participant(stage, each, server) for each in (INSURER, PHARMA))
    play(address, insurer, pharma, screen)
    screen.scene(
        5, "参保人授权、撤销，令牌随之失效", "A person agrees, ends it, and the token is dead"
    )
    claims = Participant(CLAIMS_APP, stage.key_file(CLAIMS_APP), address)
    consent_scene.play(address, claims, datetime.now(UTC).date(), screen)
    screen.scene(6, "每次调用都已计量", "Every call was metered")
    show_usage(address, insurer, pharma, screen)
    screen.scene(7, "对账与审计链校验", "Books reconciled, audit chain verified")
    for area in ("meter", "audit"):
        stage.screen.line(stage.run(area, "verify").rstrip())


def _participant(stage: Stage, tenant: str, server: Server) -> Participant:
    return Participant(f"{tenant}-app", stage.key_file(tenant), server.base_url)


def _leave_running(stage: Stage, server: Server) -> None:
    screen, key = stage.screen, stage.key_file(INSURER)
    screen.scene(8, "服务仍在运行，可自行尝试", "The server is still running; try it yourself")
    lines = copyable(server.base_url, f"{INSURER}-app", key)
    screen.console.print("\n".join(lines), soft_wrap=True, markup=False)
    screen.line(
        f"参保人页面 a person's pages: {server.base_url}/person [dim](simulated sign-in)[/]"
    )
    screen.console.print(f"kill {server.pid}   # ends the server", soft_wrap=True, markup=False)


def copyable(base_url: str, client: str, key: Path) -> list[str]:
    """Lines for a shell: calls by `sluice client call`, and one by curl with its own proof."""
    who = f"--client-id {client} --key {key} --url {base_url}"
    address, question = f"{base_url}/v1/services", json.dumps(COST)
    return [
        f"SLUICE={SLUICE}",
        f"$SLUICE client call GET /v1/services {who}",
        f"$SLUICE client call POST /v1/services/S02/queries --data '{question}' {who}",
        f"$SLUICE client call GET /v1/usage {who}",
        "# the same by curl: a token, the server's nonce, a proof for this one request",
        f"TOKEN=$($SLUICE client token {who})",
        f'NONCE=$(curl -s -o /dev/null -D - {address} -H "Authorization: DPoP $TOKEN"'
        """ | tr -d '\\r' | awk 'tolower($1) == "dpop-nonce:" {print $2}')""",
        f'PROOF=$($SLUICE client proof GET {address} --key {key} --token "$TOKEN"'
        ' --nonce "$NONCE")',
        f'curl -s {address} -H "Authorization: DPoP $TOKEN" -H "DPoP: $PROOF"',
    ]
