"""Views of rows for jobs: who is in them, how they are masked, and that nothing else is reached."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import typer
import yaml

from gateway.cli import sandbox_views
from gateway.consent.shares import opt_out
from gateway.consent.subjects import open_subjects
from gateway.db.engine import reading, writing
from gateway.errors import NotFound, OperatorError
from gateway.identity.desk import open_identity
from gateway.identity.store import read_contents
from gateway.jobs.views import Inputs
from gateway.keystore.book import open_book
from gateway.policy.port import Obligations
from gateway.rowviews.asking import rows_for
from gateway.rowviews.definition import RowView, load_view
from gateway.rowviews.making import Made, make, write
from gateway.rowviews.rows import allowed_rows, opted_out_numbers
from gateway.settings import Settings
from gateway.warehouse.store import current, publish
from tests.jobs_bureau import GRANT, bureau

MONTHS = ("2023-01", "2024-12")
NOW = datetime(2026, 6, 2, 4, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A bureau with a warehouse of 2 000 persons, a grant for jobs, one who opted out."""

    settings: Settings
    version: Path
    told: Obligations
    gone: str

    def made(self, view: RowView, least: int = 5) -> Made:
        identity = open_identity(self.settings, clock=lambda: NOW)
        try:
            keys = open_book(identity.engine, self.settings, NOW).masking_keys(
                "jobs", "SC08", NOW.date()
            )
        finally:
            identity.close()
        policies = self.settings.policies
        with allowed_rows(self.version, policies, view, self.told, [self.gone]) as db:
            return make(db, view, keys, least)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    settings = bureau(tmp_path_factory.mktemp("rowviews"), "mini", 5, lambda: NOW)
    policies = settings.policies
    version = current(settings.warehouse)
    identity = open_identity(settings, clock=lambda: NOW)
    (gone, certno), = duckdb.sql(
        f"SELECT psn_no, certno FROM read_parquet('{version}/psn_info_b.parquet') AS p "
        f"JOIN read_parquet('{version}/mdtrt_d.parquet') AS m USING (psn_no) "
        "WHERE med_type LIKE '2%' ORDER BY psn_no LIMIT 1"
    ).fetchall()  # fmt: skip
    reference = open_subjects(settings.keys).reference(certno)
    with writing(identity.engine) as session:
        opt_out(session, reference, NOW)
    with reading(identity.engine) as session:
        contents = read_contents(session)
    identity.close()
    assert opted_out_numbers(version, [reference], open_subjects(settings.keys).reference) == [gone]
    told = rows_for(policies, contents, GRANT, MONTHS, NOW)[1]
    return Place(settings, version, told, gone)


def test_the_allowed_rows_are_those_of_the_rules_read_otherwise(place: Place) -> None:
    """Counted by plain SQL from the SPEC: valid, in the months, of an open county of the city, no
    sensitive main diagnosis, nobody who opted out."""
    view = load_view(place.settings.policies, "stay")
    with allowed_rows(place.version, place.settings.policies, view, place.told, [place.gone]) as db:
        found = {row[0] for row in db.sql("SELECT mdtrt_id FROM mdtrt_d").fetchall()}
        assert not db.sql(f"SELECT 1 FROM setl_d WHERE psn_no = '{place.gone}'").fetchall()
    document = yaml.safe_load((place.settings.policies / "data" / "sensitive.yaml").read_text())
    ranges = [r for one in document["sensitive"]["dx"] if one["enabled"] for r in one["ranges"]]
    rows = duckdb.sql(
        "SELECT mdtrt_id, psn_no, dscg_maindiag_code, insu_admdvs "
        f"FROM read_parquet('{place.version}/mdtrt_d.parquet') WHERE vali_flag = '1' "
        "AND begntime >= DATE '2023-01-01' AND begntime < DATE '2025-01-01'"
    ).fetchall()
    expected = {
        key
        for key, person, dx, county in rows
        if county[:4] == "9901"
        and person != place.gone
        and not any(first <= (dx or "")[:3].upper() <= last for first, last in ranges)
    }
    assert found == expected
    assert len(found) > 1000


@pytest.mark.parametrize(("name", "least"), [("stay", 2), ("course", 5)])
def test_every_class_has_persons_enough_and_no_number_of_the_bureau_is_left(
    place: Place, name: str, least: int
) -> None:
    view = load_view(place.settings.policies, name)
    made = place.made(view, least)
    table, keys = made.table, ", ".join(view.quasi)
    assert table.column_names == list(view.masks)
    smallest = duckdb.sql(
        f'SELECT min(n) FROM (SELECT count(DISTINCT person) AS n FROM "table" GROUP BY {keys})'
    ).fetchall()
    assert smallest == [(made.k,)]
    assert made.k >= least
    everybody = made.table.num_rows + made.left_out
    assert place.made(view, 1).table.num_rows == everybody
    assert 0 < made.left_out < everybody
    numbers = {
        value
        for (value,) in duckdb.sql(
            f"SELECT psn_no FROM read_parquet('{place.version}/psn_info_b.parquet')"
        ).fetchall()
    }
    for column in table.column_names:
        assert not numbers & set(map(str, table.column(column).to_pylist())), column


def test_too_little_left_is_withheld(place: Place) -> None:
    made = place.made(load_view(place.settings.policies, "stay"), 500)
    assert (made.verdict, made.share) == ("withhold", 1.0)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT psn_no AS person FROM psn_info_b", duckdb.CatalogException),
        ("SELECT psn_no AS person FROM main.mdtrt_d", duckdb.CatalogException),
        (
            "SELECT psn_no AS person FROM read_parquet('{version}/psn_info_b.parquet')",
            duckdb.PermissionException,
        ),
        ("COPY (SELECT 1 AS person) TO 'out.csv'", duckdb.PermissionException),
    ],
)
def test_the_sql_of_a_view_reaches_nothing_but_the_allowed_rows(
    place: Place, sql: str, error: type[duckdb.Error]
) -> None:
    view = load_view(place.settings.policies, "stay")
    view = view.model_copy(update={"sql": sql.replace("{version}", str(place.version))})
    with pytest.raises(error):
        place.made(view)


def test_a_column_without_a_mask_makes_no_view(place: Place) -> None:
    view = load_view(place.settings.policies, "stay")
    bare = view.model_copy(update={"sql": view.sql.replace("AS readmitted", "AS other")})
    with pytest.raises(OperatorError, match="other columns"):
        place.made(bare)
    with pytest.raises(ValueError, match="no mask for"):
        RowView.model_validate({**view.model_dump(), "quasi": ["height"]})
    with pytest.raises(ValueError, match="needs a key"):
        RowView.model_validate({**view.model_dump(), "masks": {**view.masks, "person": "none"}})


def test_where_no_region_takes_part_or_the_months_are_too_young_nothing_is_read(
    place: Place,
) -> None:
    identity = open_identity(place.settings, clock=lambda: NOW)
    with reading(identity.engine) as session:
        contents = read_contents(session)
    identity.close()
    with pytest.raises(OperatorError, match="D505"):
        rows_for(place.settings.policies, contents, GRANT, ("2026-01", "2026-05"), NOW)
    with pytest.raises(OperatorError, match="D204"):
        rows_for(Settings().policies, contents, GRANT, MONTHS, NOW)
    with pytest.raises(OperatorError, match="no grant"):
        rows_for(place.settings.policies, contents, "G-ELSE", MONTHS, NOW)


def test_a_pack_is_made_of_a_simulated_warehouse_alone(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_POLICIES", str(place.settings.policies))
    settings = Settings()
    (settings.warehouse / "versions").mkdir(parents=True)
    for copy in ("imported", "simulated"):
        shutil.copytree(place.version, tmp_path / copy)
    publish(settings.warehouse, tmp_path / "imported", {"kind": "import"}, NOW)
    with pytest.raises(OperatorError, match="was not simulated"):
        sandbox_views.pack("course")
    later = NOW + timedelta(seconds=1)
    publish(settings.warehouse, tmp_path / "simulated", {"kind": "simulate"}, later)
    with pytest.raises(typer.Exit) as done:
        sandbox_views.pack("course")
    assert done.value.exit_code == 0
    made = pq.read_table(tmp_path / "packs" / "course" / "course.parquet")
    assert made.num_rows > 1000
    card = Inputs(tmp_path / "packs", tmp_path / "views").pack("course")
    assert (card.rows, card.synthetic, card.source["kind"]) == (made.num_rows, True, "simulate")
    assert card.files == {
        name: hashlib.sha256((tmp_path / "packs" / "course" / name).read_bytes()).hexdigest()
        for name in ("course.csv", "course.parquet")
    }
    view = load_view(settings.policies, "course")
    write(tmp_path / "packs" / "course", view, Made(made, 0, 5), lambda _: b"{}")
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["course"]
    with pytest.raises(NotFound):
        Inputs(tmp_path / "packs", tmp_path / "views").pack("course")
