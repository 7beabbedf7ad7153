"""`sluice masking`: are all columns mapped, and how easily could a person be found in a table."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import typer

from gateway.cli.office import Json, by_edition
from gateway.errors import OperatorError
from gateway.masking.risk.assessment import Assessment, Figures, Kind, View, assess, load_rule
from gateway.masking.rows import check_row_masks
from gateway.settings import Settings
from synthetic.warehouse.schema import TABLES

app = typer.Typer(
    help="Masks of the warehouse's columns, and re-identification risk.", no_args_is_help=True
)


@app.command()
def check(as_json: Json = False) -> None:
    """Has every column of the warehouse an item and a mask that can be applied?"""
    with by_edition(Settings()) as settings:
        masks = check_row_masks(settings.policies)
    told = {
        f"{name}.{column.name}": {"item": column.item, "mask": masks.of(column)}
        for name, table in TABLES.items()
        for column in table.columns
    }
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{len(told)} columns of {len(TABLES)} tables are classified and masked.")


@app.command()
def risk(
    *,
    file: Annotated[Path, typer.Argument(help="CSV or Parquet.", exists=True, dir_okay=False)],
    quasi: Annotated[
        list[str],
        typer.Option(
            help="A quasi-identifier: column, or kind=column (geo, period, age, diagnosis)."
        ),
    ],
    sensitive: Annotated[str, typer.Option(help="Column nobody may learn of a person.")] = "",
    person: Annotated[str, typer.Option(help="Column that says whose row it is.")] = "",
    weights: Annotated[str, typer.Option(help="Column of sampling weights.")] = "",
    as_json: Json = False,
) -> None:
    """k, l, t, uniqueness, attackers and special uniques of a table; exit 1 unless it may go out as
    it is. Nothing of the rows is printed."""
    with by_edition(Settings()) as settings:
        rule = load_rule(settings.policies)
    table = read_table(file)
    kinds = dict(_kind_and_column(each) for each in quasi)
    view = View(
        columns={name: _column(table, name) for name in kinds},
        kinds=kinds,
        person=_column(table, person) if person else None,
        sensitive=_column(table, sensitive) if sensitive else None,
        weights=[float(each) for each in _column(table, weights)] if weights else None,
    )
    told = assess(view, rule)
    typer.echo(json.dumps(told.as_dict()) if as_json else "\n".join(_report(told)))
    if told.verdict != "release":
        raise typer.Exit(1)


def read_table(file: Path) -> pa.Table:
    """A table of texts (CSV) or of its own types (Parquet); OperatorError if it is neither."""
    try:
        if file.suffix == ".parquet":
            return pq.read_table(file)
        names = pa_csv.open_csv(file).schema.names
        kinds = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
        )
        return pa_csv.read_csv(file, convert_options=kinds)
    except (pa.ArrowException, OSError) as error:
        raise OperatorError("masking.file", f"{file.name} is no CSV or Parquet table.") from error


def _kind_and_column(text: str) -> tuple[str, Kind]:
    kind, _, column = text.rpartition("=")
    if kind and kind not in get_args(Kind):
        raise OperatorError("masking.kind", f"Kinds are {', '.join(get_args(Kind))}, not {kind}.")
    return column, cast(Kind, kind or "other")


def _column(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        listed = ", ".join(table.column_names)
        raise OperatorError("masking.column", f"There is no column {name}; there are {listed}.")
    values: list[Any] = table.column(name).to_pylist()
    return [str(value) if isinstance(value, Decimal) else value for value in values]


def _report(told: Assessment) -> list[str]:
    lines = [*_figures("as it is", told.before)]
    if told.masks:
        lines += [f"{name}: {mask}" for name, mask in told.masks.items()]
        lines += _figures("generalised", told.after)
    return [*lines, f"verdict: {told.verdict}"]


def _figures(title: str, told: Figures) -> list[str]:
    who = told.attackers
    lines = [
        f"{title}: {told.rows} rows, {told.classes} classes, k {told.k}, {told.below} below the "
        f"threshold, {told.unique_share:.2%} unique",
        f"  prosecutor {who.prosecutor:.4f}, journalist {who.journalist:.4f}, marketer "
        f"{who.marketer:.4f}; expected links {told.expected_links:.2f}",
        f"  special uniques {told.special}, highest SUDA score {told.suda:.0f}",
    ]
    if told.l is not None:
        lines.append(f"  l {told.l}, entropy l {told.entropy_l:.2f}, t {told.t:.3f}")
    return [*lines, f"  fails: {', '.join(told.failed) or 'nothing'}"]
