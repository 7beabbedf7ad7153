"""`sluice sandbox up|people|clock`: a sandbox from an empty folder, and its clock."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
import yaml

from gateway.demo.sandbox import Sandbox
from gateway.demo.server import free_port, start, stop_earlier
from gateway.demo.show import Screen
from gateway.demo.stage import StageError
from gateway.errors import BadRequest, OperatorError
from gateway.persons.choosing import choose
from gateway.settings import Settings
from gateway.warehouse.store import current
from gateway.worlds.clock import SandboxClock
from gateway.worlds.guard import SANDBOX, check_synthetic, check_world, world_folder
from gateway.worlds.people import People

SEED = 98


def up(
    *,
    size: Annotated[str, typer.Option(help="Simulated bureau: mini, ci or demo.")] = "ci",
    fresh: Annotated[bool, typer.Option(help="Throw an earlier sandbox away.")] = False,
    once: Annotated[bool, typer.Option(help="Set up, check that it answers, stop.")] = False,
) -> None:
    """Make a sandbox from nothing in `home/sandbox-world` and serve it; what is there is kept."""
    settings = Settings()
    home = (settings.home / "sandbox-world").resolve()
    stop_earlier(home)
    if fresh:
        shutil.rmtree(home, ignore_errors=True)
    sandbox = Sandbox(home, free_port(settings.port), Screen())
    try:
        sandbox.prepare(size, SEED, datetime.now(UTC).date())
        server = start(home, sandbox.port, sandbox.environment)
    except StageError as error:
        raise OperatorError("sandbox_failed", str(error)) from error
    if once:
        server.stop()
        typer.echo(f"The sandbox in {home} is ready.")
        return
    typer.echo(f"sandbox 沙箱（合成数据 synthetic data）: {server.base_url}/portal")
    typer.echo(f"owner's client 所属客户端: {sandbox.client}, key {sandbox.key}")
    typer.echo(f"kill {server.pid}   # ends the server")


def people() -> None:
    """Choose the sandbox's people from its simulated warehouse; `up` does it for you."""
    settings = Settings(env=SANDBOX)
    check_synthetic(settings)
    folder = world_folder(settings.home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = choose(current(settings.warehouse), datetime.now(UTC).date())
    told = People.model_validate({"people": found}).model_dump(mode="json")
    _write(folder / "people.yaml", yaml.safe_dump(told, allow_unicode=True, sort_keys=False))
    typer.echo(f"{len(found)} people in {folder / 'people.yaml'}")


def clock(
    advance: Annotated[
        str, typer.Option(help="How far forward: 90s, 30m, 12h or 40d; without it, shows the time.")
    ] = "",
) -> None:
    """Show the sandbox's clock, or put it forward; all processes on the home follow."""
    settings = Settings()
    if settings.env != SANDBOX:
        raise OperatorError(
            "world.not_sandbox", "Only a sandbox's clock can be put forward: SLUICE_ENV=sandbox."
        )
    check_world(settings)
    kept = SandboxClock(settings.home, lambda: datetime.now(UTC))
    if advance:
        try:
            kept.advance(_step(advance))
        except BadRequest as error:
            raise OperatorError(error.code, error.message, error.zh) from error
    days = kept.lead() / timedelta(days=1)
    typer.echo(f"{kept().isoformat(timespec='seconds')}  ({days:.2f} days ahead)")


def _step(text: str) -> timedelta:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    if not text[:-1].isdecimal() or text[-1] not in units or len(text) > 9:
        raise OperatorError("sandbox_clock", "Say how far forward, as 90s, 30m, 12h or 40d.")
    return timedelta(seconds=int(text[:-1]) * units[text[-1]])


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
