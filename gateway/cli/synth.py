"""`sluice synth`: fit a differentially private model to tables, draw made-up tables from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.office import Json
from gateway.cli.synth_report import report
from gateway.errors import OperatorError
from synthetic.synthesiser.book import enter, open_book
from synthetic.synthesiser.fitting import fit
from synthetic.synthesiser.model import Statement, read_model
from synthetic.synthesiser.writing import write
from synthetic.tables.errors import SynthesisError
from synthetic.tables.loading import read_schema

app = typer.Typer(help="Synthetic tables with a guarantee for every person.", no_args_is_help=True)
app.command("report")(report)

_Data = Annotated[
    list[str],
    typer.Option("--data", metavar="NAME=FILE", help="A table's file, CSV or Parquet; repeat."),
]


@contextmanager
def told() -> Iterator[None]:
    """Turn what the synthesiser refuses into a sentence and an exit code."""
    try:
        yield
    except SynthesisError as error:
        raise OperatorError(error.code, error.message, error.zh) from error


@app.command("fit")
def fit_(
    *,
    schema: Annotated[Path, typer.Option(help="What is publicly known of the tables (YAML).")],
    data: _Data,
    epsilon: Annotated[float, typer.Option(help="ε of the whole fit, for each unit.")],
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    delta: Annotated[float, typer.Option(help="δ of the whole fit.")] = 1e-9,
    unit: Annotated[
        str | None, typer.Option(help="The column of the first table that names the unit.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Repeatable noise: for public data and tests; keep it secret."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="What fits to these people may cost in all: see `ledger`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count, noise and model the tables. Without a seed the noise is drawn securely."""
    with told():
        if ledger is not None:
            enter(ledger, epsilon, delta, schema.name)
        model = fit(
            read_schema(schema), files_of(data), epsilon=epsilon, delta=delta, unit=unit, seed=seed
        )
    model.write(out)
    if as_json:
        said = model.statement.as_dict() | {"model": model.digest}
        typer.echo(json.dumps(said, ensure_ascii=False))
        return
    typer.echo(f"{out}: model {model.digest[:16]}")
    for line in _guarantee(model.statement):
        typer.echo(line)


@app.command("ledger")
def ledger_(
    path: Annotated[Path, typer.Argument(help="The file to begin.")],
    epsilon: Annotated[float, typer.Option(help="ε of all fits together.")],
    delta: Annotated[float, typer.Option(help="δ of all fits together.")] = 1e-9,
) -> None:
    """Begin a ledger for `fit --ledger`, which then refuses to overspend."""
    with told():
        open_book(path, epsilon, delta)
    typer.echo(f"{path}: ε {epsilon:g} at δ {delta:g} for all fits together")


@app.command("sample")
def sample(
    *,
    model: Annotated[Path, typer.Argument(help="A model file of `synth fit`.")],
    out: Annotated[Path, typer.Option(help="An empty folder for the tables.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")],
    scale: Annotated[
        float | None, typer.Option(help="Units drawn, as a multiple of those fitted.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Units drawn, as a number.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that draw.")] = 1,
    form: Annotated[Literal["parquet", "csv"], typer.Option(help="Of the files.")] = "parquet",
    as_json: Json = False,
) -> None:
    """Draw tables of made-up units; costs nothing of anybody's privacy."""
    with told():
        if scale is not None and rows is not None:
            raise SynthesisError(
                "synth_size", "Say --scale or --rows, not both.", "--scale 与 --rows 只能选一个。"
            )
        found = read_model(model)
        units = rows if rows is not None else round(found.units * (scale or 1.0))
        manifest = write(found, out, units=units, seed=seed, workers=workers, form=form)
    if as_json:
        typer.echo(json.dumps(manifest, ensure_ascii=False))
        return
    for name, table in manifest["tables"].items():
        typer.echo(f"{out / table['file']}: {table['rows']} rows of {name}")


def files_of(data: Sequence[str]) -> dict[str, list[Path]]:
    """Files of each table, from NAME=FILE arguments.

    Raises:
        SynthesisError: `synth_data`, where an argument is none or names no file.
    """
    found: dict[str, list[Path]] = {}
    for one in data:
        name, equals, file = one.partition("=")
        if not (name and equals and Path(file).is_file()):
            raise SynthesisError(
                "synth_data",
                f"--data is NAME=FILE of a file that exists, not {one}.",
                "--data 的格式为 NAME=FILE，且文件必须存在。",
            )
        found.setdefault(name, []).append(Path(file))
    return found


def _guarantee(statement: Statement) -> Iterator[str]:
    yield (
        f"ε {statement.epsilon:g} at δ {statement.delta:g} for each {statement.unit}, added or "
        f"removed with all its rows (μ {statement.mu:.6g}, {len(statement.entries)} releases)"
    )
    if statement.noise == "seeded":
        yield "the noise was seeded: the guarantee holds against those who do not know the seed"
