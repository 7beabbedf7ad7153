"""`sluice sandbox view|pack`: what jobs read, real and made-up, made by one definition."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pyarrow.csv as pa_csv
import typer

from gateway.cli.office import Json, by_edition, contents, office, say
from gateway.consent.shares import everybody_opted_out
from gateway.consent.subjects import open_subjects
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.jobs.views import PackCard, ViewCard
from gateway.keystore.book import open_book
from gateway.masking.keys import MaskingKeys
from gateway.masking.risk.assessment import load_rule
from gateway.policy.port import Obligations
from gateway.rowviews.asking import rows_for
from gateway.rowviews.definition import RowView, load_view
from gateway.rowviews.making import Made, make, write
from gateway.rowviews.rows import allowed_rows, opted_out_numbers
from gateway.settings import Settings
from gateway.warehouse.store import current

Name = Annotated[str, typer.Argument(help="The view, as policies/catalogue/S17/view_NAME.yaml.")]
_CONSUMER, _SCENARIO = "jobs", "SC08"


def view(
    name: Name,
    *,
    grant: Annotated[str, typer.Option(help="The grant whose jobs shall read it.")],
    first: Annotated[str, typer.Option("--from", help="First month, YYYY-MM.")],
    last: Annotated[str, typer.Option("--to", help="Last month, YYYY-MM.")],
    as_json: Json = False,
) -> None:
    """Make a view of the warehouse for validation runs; exit 1 if its risk withholds it."""
    with by_edition(Settings()) as settings:
        definition, directory = load_view(settings.policies, name), contents(settings)
        now = datetime.now(UTC)
        found, told = rows_for(settings.policies, directory, grant, (first, last), now)
        made = _made(settings, definition, told)
        card = ViewCard.model_validate({
            "name": name, "regions": tuple(found.regions), "first": first, "last": last,
            "verdict": made.verdict, "risk": made.risk,
        })  # fmt: skip
        told_of = card.model_dump_json().encode()
        write(settings.home / "views" / name, definition, made, lambda _: told_of)
    _told(f"views/{name}", made, as_json)


def pack(name: Name, as_json: Json = False) -> None:
    """Make the pack of a view's layout from a simulated warehouse; exit 1 if little is left."""
    with by_edition(Settings()) as settings:
        definition = load_view(settings.policies, name)
        manifest = json.loads((current(settings.warehouse) / "manifest.json").read_text())
        if manifest["source"]["kind"] != "simulate":
            raise OperatorError(
                "pack.real",
                "This warehouse was not simulated: a pack is made of nobody's records.",
                "当前仓库并非模拟数据，不能制作数据包。",
            )
        made = _made(settings, definition, None)

        def card(folder: Path) -> bytes:
            pa_csv.write_csv(made.table, folder / f"{name}.csv")
            return _pack_card(definition, made, manifest["source"], folder).encode()

        write(settings.home / "packs" / name, definition, made, card)
    _told(f"packs/{name}", made, as_json)


def _pack_card(definition: RowView, made: Made, source: dict[str, Any], folder: Path) -> str:
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    card = PackCard(
        name=definition.name, title=definition.title, source=source, files=files,
        note="合成数据 Synthetic data: nobody's records; statistics of them are no statistics.",
        rows=made.table.num_rows, left_out=made.left_out, k=made.k, columns=definition.masks,
    )  # fmt: skip
    return card.model_dump_json()


def _made(settings: Settings, definition: RowView, told: Obligations | None) -> Made:
    version, least = current(settings.warehouse), load_rule(settings.policies).k
    keys, out = _keys(settings), _opted_out(settings, version)
    with allowed_rows(version, settings.policies, definition, told, out) as db:
        return make(db, definition, keys, least)


def _keys(settings: Settings) -> MaskingKeys:
    now = datetime.now(UTC)
    with office(settings) as engine:
        return open_book(engine, settings, now).masking_keys(_CONSUMER, _SCENARIO, now.date())


def _opted_out(settings: Settings, version: Path) -> list[str]:
    with office(settings) as engine, reading(engine) as session:
        references = everybody_opted_out(session)
    return opted_out_numbers(version, references, open_subjects(settings.keys).reference)


def _told(place: str, made: Made, as_json: bool) -> None:
    rows, out = made.table.num_rows, made.left_out
    line = f"{place}: {rows} rows, {out} left out ({made.share:.1%}), smallest class {made.k}"
    say({"place": place, "verdict": made.verdict, **made.risk}, as_json, f"{line}: {made.verdict}")
    raise typer.Exit(0 if made.verdict == "release" else 1)
