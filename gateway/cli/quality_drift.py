"""`sluice quality drift`: how far a warehouse, or some of its months, is from another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Json
from gateway.errors import OperatorError
from gateway.settings import Settings
from gateway.warehouse.store import current, versions
from synthetic.integrity.drift import Drift, Span, compare
from synthetic.integrity.model import WarehouseUnreadable
from synthetic.integrity.quality import months_of

_PERIOD = re.compile(r"20\d\d(-(0[1-9]|1[0-2])|Q[1-4])?")
_Place = Annotated[
    str,
    typer.Argument(help="A warehouse version or its folder, or a period of the current version."),
]


def drift(old: _Place, new: _Place, as_json: Json = False) -> None:
    """Compare two warehouse versions or periods; exit 1 when the new one must not be used as is."""
    root = Settings().warehouse
    try:
        found = compare(_span(root, old), _span(root, new))
    except WarehouseUnreadable as error:
        raise OperatorError(
            "warehouse.unreadable", f"The warehouse cannot be read: {error}.", "仓库无法读取。"
        ) from error
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        typer.echo("\n".join(_page(found)))
    raise typer.Exit(1 if found.grade == "stop" else 0)


def _span(root: Path, named: str) -> Span:
    if _PERIOD.fullmatch(named):
        months = months_of(named)
        return Span(current(root), months[0], months[-1])
    if named in versions(root):
        return Span(root / "versions" / named)
    if Path(named).is_dir():
        return Span(Path(named))
    raise OperatorError(
        "warehouse.unknown",
        f"{named} is no warehouse version (`ls {root.name}/versions`), folder, or period such as "
        "2024, 2024Q1, 2024-03.",
        f"{named} 不是仓库版本、文件夹或期间。",
    )


def _page(found: Drift) -> Iterator[str]:
    yield f"{'variable':<36}{'PSI':>8}  {'covered':>8}  {'missing':>17}"
    for one in found.shifts:
        covered = "" if one.covered is None else f"{one.covered:.2%}"
        bad = ", ".join(f"{name} {grade}" for name, grade in one.grades.items() if grade != "ok")
        yield (
            f"{one.name:<36}{one.psi:>8.4f}  {covered:>8}  {one.blank_old:>7.2%} → "
            f"{one.blank_new:>7.2%}  {bad}"
        )
    for line in found.schema:
        yield f"schema: {line}"
    for name in found.skipped:
        yield f"not compared, no records: {name}"
    same = "same" if found.fingerprints[0] == found.fingerprints[1] else "DIFFERENT"
    yield f"schema fingerprints: {same} ({found.fingerprints[1][:16]})"
    yield f"result: {found.grade.value.upper()}"
