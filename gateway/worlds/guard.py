"""Before anything serves: a sandbox holds made-up records alone, production nothing of a sandbox.

Read from what the builders wrote down, by content: a warehouse says where it came from, a release
which tables it was made of. What does not say so is taken for real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gateway.errors import OperatorError
from gateway.settings import Settings

SANDBOX: Final = "sandbox"
INVENTED: Final = ("98", "99")
"""Beginnings of region codes that no real region has."""
_SIMULATED: Final = "simulate"


def world_folder(home: Path) -> Path:
    """Where a sandbox keeps what only a sandbox has: its people and its clock."""
    return home / "world"


def check_world(settings: Settings) -> None:
    """Raises `OperatorError` where this home may not be served as the world the settings say."""
    if settings.env == SANDBOX:
        _check_own_stores(settings)
        check_synthetic(settings)
    elif settings.sandbox_owner or world_folder(settings.home).exists():
        raise OperatorError(
            "world.sandbox_home",
            "This home or its settings are a sandbox's (home/world, SLUICE_SANDBOX_OWNER): its "
            "people, clock and faults have no place in production. Set SLUICE_ENV=sandbox, or use "
            "another home.",
            "该目录或配置属于沙箱（home/world、SLUICE_SANDBOX_OWNER），不能用于生产环境。",
        )


def _check_own_stores(settings: Settings) -> None:
    """What lies outside the home cannot be looked at, so it may be anybody's."""
    outside = {
        "SLUICE_PERSON_DSN_FILE": settings.person_dsn_file is not None,
        "SLUICE_PERSON_LOGIN=oidc": settings.person_login == "oidc",
    }
    if named := [name for name, is_set in outside.items() if is_set]:
        raise OperatorError(
            "world.real_persons",
            f"A sandbox knows invented people only: do not set {', '.join(named)}.",
            "沙箱中只有虚构人物，请勿连接真实人员数据源或真实登录。",
        )


def check_synthetic(settings: Settings) -> None:
    """Every version of the warehouse was simulated, every release made of such tables alone."""
    known: set[str] = set()
    for manifest in _warehouses(settings.warehouse):
        if _of(manifest, "source", "kind") != _SIMULATED:
            raise _not_synthetic(f"version {manifest.get('version')} of the warehouse")
        known |= {str(table["sha256"]) for table in manifest["tables"].values()}
    if not known:
        raise _not_synthetic("a home without a warehouse")
    for path in sorted(settings.releases.glob("*/*/manifest.json")):
        manifest = _read(path)
        inputs = {str(each.get("sha256")) for each in manifest.get("inputs", [])}
        geo = [str(each) for each in manifest.get("geo", [])]
        if not inputs <= known or not all(each.startswith(INVENTED) for each in geo):
            raise _not_synthetic(f"release {path.parent.name}")


def _warehouses(root: Path) -> Iterator[dict[str, Any]]:  # JSON of the store
    for path in sorted(root.glob("versions/*/manifest.json")):
        yield _read(path)


def _read(path: Path) -> dict[str, Any]:  # JSON of the stores
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_synthetic(f"{path.parent.name}, whose manifest cannot be read,") from error
    if not isinstance(told, dict):
        raise _not_synthetic(f"{path.parent.name}, whose manifest is none,")
    return told


def _of(told: object, *names: str) -> object:
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    return told


def _not_synthetic(what: str) -> OperatorError:
    return OperatorError(
        "world.not_synthetic",
        f"A sandbox serves simulated records only, and {what} is not shown to be that: make a "
        "sandbox of its own with `sluice sandbox up`.",
        "沙箱只提供模拟数据，而该目录中的数据不能证明是模拟的；请用 sluice sandbox up 建立沙箱。",
    )
