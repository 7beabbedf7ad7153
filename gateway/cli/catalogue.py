"""`sluice catalogue`: check the declarations of the data services, write their documents."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.api.admin.document import admin_openapi_bytes
from gateway.api.admin.router import ENDPOINTS
from gateway.api.consent_document import consent_openapi_bytes
from gateway.api.openapi import openapi_bytes
from gateway.billing.terms_schema import terms_schema
from gateway.catalogue.cohort import cohort_example
from gateway.catalogue.describe import describe
from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.cli.decision_point_page import decision_point_page
from gateway.cli.detection_page import detection_page
from gateway.cli.duties import duties_document
from gateway.cli.states import states_document
from gateway.detection.rule import load_rules
from gateway.errors import OperatorError
from gateway.policy.scenario_page import scenarios_page
from gateway.releases.domains import listed
from gateway.releases.lineage.page import source_lines
from gateway.releases.shapes import dims_by_column
from gateway.serving.deny_page import deny_codes_page
from gateway.settings import Settings
from gateway.staff.operations import load_operations

app = typer.Typer(help="The data services' declarations and documents.", no_args_is_help=True)

Docs = Annotated[Path, typer.Option(help="Folder of the generated documents.")]


@app.command()
def check() -> None:
    """Load every service and report what it offers; a fault names file and field."""
    catalogue = load_catalogue(Settings().policies)
    for service in catalogue.services.values():
        for column, dim in dims_by_column(service).items():
            listed(dim, column)
        catalogue.example(service.id)
        dims = sum(not dim.pivot for dim in service.dims)
        measures = sum(not measure.internal for measure in service.measures)
        typer.echo(f"{service.id}  {service.code:<20} {dims:>2} dims  {measures:>2} measures  ok")
    for counted in catalogue.cohorts.values():
        cohort_example(catalogue.root, counted)
        typer.echo(f"{counted.id}  {counted.code:<20} {len(counted.kinds):>2} kinds  ok")
    for reference in catalogue.references.values():
        typer.echo(f"{reference.id}  {reference.code:<20} {len(reference.params):>2} params  ok")
    for plain in (
        *catalogue.texts.values(),
        *catalogue.jobs.values(),
        *catalogue.traces.values(),
    ):
        typer.echo(f"{plain.id}  {plain.code:<20} {len(plain.params):>2} params  ok")
    for person in catalogue.persons.values():
        typer.echo(f"{person.id}  {person.code:<20} {len(person.fields):>2} fields  ok")


@app.command()
def docs(
    folder: Docs = Path("docs"),
    check: Annotated[bool, typer.Option(help="Write nothing; fail when a file is stale.")] = False,
) -> None:
    """Write the documents that come from tables: services, scenarios, codes, APIs, states."""
    for name, content in _documents(load_catalogue(Settings().policies)).items():
        path = folder / name
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif not path.is_file() or path.read_bytes() != content:
            raise OperatorError("docs_stale", f"{path} is stale: run `make docs` and commit it.")
        typer.echo(f"{path}  {'fresh' if check else 'written'}")


def _documents(catalogue: Catalogue) -> dict[str, bytes]:
    operations = load_operations(Settings().policies)
    return {
        "services.md": describe(catalogue, partial(source_lines, catalogue)).encode(),
        "openapi.json": openapi_bytes(catalogue),
        "admin-openapi.json": admin_openapi_bytes(ENDPOINTS),
        "consent-openapi.json": consent_openapi_bytes(),
        "terms.schema.json": terms_schema(),
        "administration.md": duties_document(operations, ENDPOINTS).encode(),
        "states.md": states_document().encode(),
        "access-decisions.md": decision_point_page().encode(),
        "scenarios.md": scenarios_page(Settings().policies, catalogue).encode(),
        "detection-rules.md": detection_page(load_rules(Settings().policies)).encode(),
        "deny-codes.md": deny_codes_page(Settings().policies).encode(),
    }
