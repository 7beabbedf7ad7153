"""The worked example of every service: its records become a release, its question is asked.

Each example is a warehouse of its own and its service is built alone: what it shows follows from
the records that are printed with it and from nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.own import INSTITUTION, view_name, view_of
from gateway.catalogue.worked import NOTHING, Example, Line
from gateway.policy.profiles import merged_profiles, profile_key
from gateway.releases.build import Order, build
from gateway.releases.keys import FILE
from gateway.releases.manifest import Manifest
from gateway.releases.own.table import OwnSelection
from gateway.releases.store import Page, ReleaseStore, Selection
from gateway.serving.questions import read_question
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.warehouse.schema import TABLES, arrow_schema
from tests.waivers import INVENTED

CATALOGUE = load_catalogue(Settings().policies)
EXAMPLES = {
    name: example for name in CATALOGUE.services if (example := CATALOGUE.example(name)) is not None
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(home: Path, service: str, example: Example) -> Page:
    """The answer to the example's question from a release of its records."""
    settings = Settings(home=home)
    warehouse(home, example)
    # Which cells the guard hides besides can depend on how counts are rounded: always by this key.
    settings.keys.mkdir(mode=0o700)
    (settings.keys / FILE).write_bytes(bytes([1]) * 32)
    (made,) = build(settings, Order((service,), waivers=INVENTED, alone=True), NOW)
    releases = ReleaseStore(settings.releases)
    if example.institution:
        return own_page(releases, service, example, made)
    return releases.page(selection(service, example, made.release_id), 0, 5000)


def own_page(releases: ReleaseStore, service: str, example: Example, made: Manifest) -> Page:
    """The own rows of the example's institution, as an answer has them."""
    asked = selection(service, example, made.release_id)
    view = view_of(CATALOGUE.services[service], asked.dims)
    assert view is not None
    (table,) = (one for one in made.own if one.name == view_name(view))
    own = OwnSelection(
        service, made.release_id, asked.profile_key, table, example.institution,
        asked.periods, asked.geo, asked.measures, asked.where,
    )  # fmt: skip
    found = releases.own(own, 0, 5000)
    keys = {name: [str(one) for one in values] for name, values in found.keys.items()}
    period, geo = keys.pop("period"), keys.pop("geo")
    return Page(
        found.total,
        {"period": period, "geo": geo, INSTITUTION: [example.institution] * found.total, **keys},
        found.values,
        {name: [{"o": "ok"}.get(one, one) for one in marks] for name, marks in found.marks.items()},
    )


def selection(service: str, example: Example, release: str) -> Selection:
    asked = example.ask.model_dump(mode="json", by_alias=True)
    contract = CATALOGUE.services[service]
    question = read_question(contract, orjson.dumps({"purpose": "example", **asked}))
    profiles = merged_profiles(CATALOGUE.root.parent, CATALOGUE.as_policy_data())
    return Selection(
        service=service,
        release_id=release,
        profile_key=profile_key(profiles[service, example.scenario]),
        grain=question.grain,
        periods=question.periods,
        geo=question.geo,
        dims=question.dims,
        where=question.where,
        measures=question.measures,
        levels=question.levels,
    )


def warehouse(home: Path, example: Example) -> None:
    """The example's records as the current warehouse of a home; every other table is empty."""
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for table, line in example.rows():
        rows[table].append(typed(table, line))
    for table, own in rows.items():
        schema = arrow_schema(TABLES[table])
        pq.write_table(pa.Table.from_pylist(own, schema=schema), folder / f"{table}.parquet")
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)


def typed(table: str, line: Line) -> dict[str, Any]:
    """A record as the warehouse holds it; columns the example does not name are blank."""
    unknown = line.keys() - {column.name for column in TABLES[table].columns}
    assert not unknown, f"{table} has no {', '.join(sorted(unknown))}"
    schema = arrow_schema(TABLES[table])
    blank = {f.name: None if f.nullable else value_of(f.type, "0") for f in schema}
    blank |= {f.name: Decimal(0) for f in schema if pa.types.is_decimal(f.type)}
    own = {
        name: value_of(schema.field(name).type, text)
        for name, text in line.items()
        if text != NOTHING
    }
    return {**blank, "vali_flag": "1", **own}


def value_of(kind: pa.DataType, text: str) -> Any:  # of the column's own type
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat("2000-01-01" if text == "0" else text)
    if pa.types.is_date(kind):
        return date.fromisoformat("2000-01-01" if text == "0" else text)
    return text


def told(page: Page) -> list[Mapping[str, str]]:
    """The rows of an answer as an example writes them."""
    found = []
    for at in range(page.total):
        row = {name: values[at] for name, values in page.keys.items()}
        for name, values in page.values.items():
            value, flag = values[at], page.flags[name][at]
            row[name] = flag if value is None else f"{value} {flag}"
        found.append(row)
    return found


@pytest.mark.parametrize("service", EXAMPLES)
def test_a_release_of_the_records_gives_the_answer_of_the_example(
    tmp_path: Path, service: str
) -> None:
    example = EXAMPLES[service]
    assert told(answer(tmp_path, service, example)) == example.expected()


@pytest.mark.parametrize("service", ["S02", "S04", "S06", "S09"])
def test_the_first_services_have_an_example(service: str) -> None:
    assert service in EXAMPLES


def test_what_is_shown_and_what_is_hidden_both_have_an_example() -> None:
    """The examples together show published, rounded and suppressed cells."""
    flags = {
        cell.split()[-1]
        for example in EXAMPLES.values()
        for row in example.expected()
        for name, cell in row.items()
        if name in example.ask.measures
    }
    assert {"r", "s"} <= flags
